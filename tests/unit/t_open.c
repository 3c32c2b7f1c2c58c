/* Opening a driver while memory runs out, at each allocation of the thread that opens it in turn:
 * an honest error, no leak (under the sanitizers), and nothing is closed that isn't its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "lazarr/driver.h"

static char folder[] = "/tmp/t_open.XXXXXX", store[64];

/* Workers are looked for beside the executable, and stand one folder above the tests. */
static void bring_workers(void)
{
    char exe[256], pattern[300], name[300];
    glob_t found;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    (void)snprintf(pattern, sizeof pattern, "%s/../lazarr-worker-*", exe);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        (void)snprintf(name, sizeof name, "%s%s", exe, strrchr(found.gl_pathv[i], '/'));
        if (symlink(found.gl_pathv[i], name) != 0) {
            assert_int_equal(access(name, X_OK), 0); /* it is there */
        }
    }
    globfree(&found);
}

static void done(struct lzr_request *req)
{
    (void)sem_post(req->ctx);
}

/* A driver that has been opened computes, whatever it lacked then. */
static void compute(struct lzr_driver *d, long n)
{
    static const char key[] = "zarr3/s.zarr/a/c/0";
    struct lzr_hit hit = lzr_catalog_lookup(lzr_driver_catalog(d), key, sizeof key - 1);
    const uint64_t until = lzr_now_us() + UINT64_C(30) * 1000000;
    const struct timespec pause = {.tv_nsec = 1000000};
    sem_t come;
    struct lzr_request req = {.done = done, .ctx = &come};
    assert_int_equal(hit.node, LZR_NODE_CHUNK);
    assert_int_equal(sem_init(&come, 0, 0), 0);
    if (lzr_driver_get(d, &hit.chunk, &req) == LZR_GOT_LATER) {
        /* The thread sanitizer of this age doesn't know sem_clockwait. */
        while (sem_trywait(&come) != 0) {
            if (lzr_now_us() > until) {
                fail_msg("allocation %ld: nothing is computed", n);
            }
            (void)nanosleep(&pause, NULL);
        }
    }
    assert_int_equal(req.result.code, LZR_OK);
    lzr_blob_unref(&req.result.blob);
    assert_int_equal(sem_destroy(&come), 0);
}

/* Whether the n-th allocation was asked for, and failed. */
static bool open_failing(long n)
{
    const char *stores[] = {store};
    const struct lzr_log log = {.fd = STDERR_FILENO, .level = LZR_LOG_ERROR};
    struct lzr_driver_options o = LZR_DRIVER_DEFAULTS;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_driver *d = NULL;
    char *traceback = NULL;
    o.stores = stores;
    o.nstores = 1;
    o.workers = 1;
    o.log = &log;
    lzr_mem_fail_at(n);
    enum lzr_code code = lzr_driver_open(&o, &d, &traceback, &err);
    bool failed = lzr_mem_failed();
    lzr_mem_fail_after(-1);
    if (code == LZR_OK) {
        compute(d, n); /* what failed could be done without, or is done later */
        lzr_driver_close(&d);
    } else if (!failed || err.code != LZR_E_NOMEM) {
        fail_msg("allocation %ld: %s", n, err.msg);
    }
    lzr_free(traceback);
    return failed;
}

static void it_fails_honestly_or_serves(void **state)
{
    (void)state;
    long n = 0;
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd == 0 || dup2(fd, 0) == 0); /* as it is in a server without a terminal */
    while (open_failing(n)) {
        if (fcntl(0, F_GETFD) < 0) {
            fail_msg("allocation %ld: descriptor 0 was closed", n);
        }
        n++;
    }
    print_message("%ld allocations\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fails_honestly_or_serves),
    };
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(store, sizeof store, "%s/s.py", folder);
    FILE *f = fopen(store, "w");
    if (f == NULL) {
        return 1;
    }
    (void)fputs("import lazarr\n"
                "@lazarr.array(\"a\", shape=(4,), chunks=(1,), dtype=\"uint8\")\n"
                "def a(block):\n"
                "    return 1\n",
                f);
    (void)fclose(f);
    bring_workers();
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(store);
    (void)rmdir(folder);
    return rc;
}
