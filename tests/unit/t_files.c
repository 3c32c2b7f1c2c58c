/* What the server knows of the files that it reads: what is a change of one, and what only looks so. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/files.h"
#include "store/array.h"
#include "store/catalog.h"

static char path[] = "/tmp/lzr-files-XXXXXX";

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* A catalog of one array that is read from the file, as a worker would describe it now. */
static struct lzr_catalog *describe(void)
{
    char text[2048];
    struct stat st;
    struct lzr_catalog *c = NULL;
    struct lzr_err err;
    assert_int_equal(stat(path, &st), 0);
    int n = snprintf(
        text, sizeof text,
        "{\"lazarr\":1,\"digest\":\"%032d\",\"groups\":[],\"arrays\":[{\"path\":\"a\","
        "\"kind\":\"plain\",\"source\":true,\"dtype\":\"|u1\",\"levels\":[{\"shape\":[4],"
        "\"chunks\":[4],\"data\":{\"dtype\":\"|u1\",\"offset\":0,\"strides\":[1],"
        "\"file\":\"%s\",\"bytes\":%lld,\"mtime_ns\":\"%lld\",\"inode\":%lld}}],"
        "\"separator\":\".\",\"compressor\":null,\"attributes\":{},\"digest\":\"%032d\"}]}",
        0, path, (long long)st.st_size, (long long)mtime_of(&st), (long long)st.st_ino, 0);
    assert_true(n > 0 && (size_t)n < sizeof text);
    struct lzr_manifest_text m = {"s", "s.py", text, (size_t)n};
    if (lzr_catalog_new(&m, 1, &c, &err) != LZR_OK) {
        fail_msg("%s", err.msg);
    }
    return c;
}

static enum lzr_code check(const struct lzr_files *f, const struct lzr_catalog *c)
{
    struct lzr_err err;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    enum lzr_code code = lzr_file_check(lzr_files_of(f, lzr_catalog_array(c, 0), 0), NULL, fd, &err);
    close(fd);
    if (code != LZR_OK) {
        assert_non_null(strstr(err.msg, "has changed since it was opened"));
    }
    return code;
}

/* One byte is written at a place, and the times put back as far as one can. */
static void overwrite(off_t at)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(pwrite(fd, "x", 1, at), 1);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

/* The file's ctime is another for certain: a clock tick may be shorter than what lies between. */
static void touch(void)
{
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    do {
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(stat(path, &after), 0);
    } while (before.st_ctim.tv_nsec == after.st_ctim.tv_nsec &&
             before.st_ctim.tv_sec == after.st_ctim.tv_sec);
}

static void sized(off_t bytes)
{
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(path, bytes), 0);
}

static void a_small_file_is_known_whole(void **state)
{
    (void)state;
    for (off_t at = 0; at < 3 << 20; at += (1 << 20) - 1) {
        struct lzr_files f = {0};
        sized((3 << 20) + 5);
        struct lzr_catalog *c = describe();
        assert_int_equal(lzr_files_open(&f, c, NULL, NULL, NULL), LZR_OK);
        assert_int_equal(check(&f, c), LZR_OK);
        touch();
        assert_int_equal(check(&f, c), LZR_OK);
        assert_int_equal(check(&f, c), LZR_OK); /* its new ctime is remembered */
        touch();
        overwrite(at);
        assert_int_equal(check(&f, c), LZR_E_USER);
        assert_int_equal(check(&f, c), LZR_E_USER);
        lzr_files_release(&f);
        lzr_catalog_free(&c);
    }
}

/* Both ends and fixed places; of what lies between them nothing is known. */
static void a_large_file_is_sampled(void **state)
{
    (void)state;
    const off_t size = (off_t)LZR_FILES_WHOLE + 4097;
    const off_t step = (size - (off_t)LZR_FILES_PIECE) / (LZR_FILES_PIECES - 1);
    const struct {
        off_t at;
        enum lzr_code code;
    } tries[] = {{0, LZR_E_USER},
                 {size - 1, LZR_E_USER},
                 {step, LZR_E_USER},
                 {(off_t)LZR_FILES_PIECE, LZR_OK}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct lzr_files f = {0};
        sized(size);
        struct lzr_catalog *c = describe();
        assert_int_equal(lzr_files_open(&f, c, NULL, NULL, NULL), LZR_OK);
        touch();
        assert_int_equal(check(&f, c), LZR_OK);
        touch();
        overwrite(tries[i].at);
        assert_int_equal(check(&f, c), tries[i].code);
        lzr_files_release(&f);
        lzr_catalog_free(&c);
    }
}

static void what_was_another_at_opening_stays_so(void **state)
{
    (void)state;
    struct lzr_files f = {0};
    sized(100);
    struct lzr_catalog *c = describe();
    sized(101);
    assert_int_equal(lzr_files_open(&f, c, NULL, NULL, NULL), LZR_OK);
    assert_int_equal(check(&f, c), LZR_E_USER);
    lzr_files_release(&f);
    lzr_catalog_free(&c);
}

static const struct lzr_file *from(void *ctx, const struct lzr_array *a, uint32_t level)
{
    (void)a;
    (void)level;
    return ctx;
}

/* An array that is kept is what it was, although the file is looked at anew. */
static void what_is_kept_is_what_it_was(void **state)
{
    (void)state;
    struct lzr_files f = {0}, again = {0}, fresh = {0};
    sized(100);
    struct lzr_catalog *c = describe();
    assert_int_equal(lzr_files_open(&f, c, NULL, NULL, NULL), LZR_OK);
    touch();
    overwrite(50);
    struct lzr_file *old = lzr_files_of(&f, lzr_catalog_array(c, 0), 0);
    assert_int_equal(lzr_files_open(&again, c, from, old, NULL), LZR_OK);
    assert_int_equal(lzr_files_open(&fresh, c, NULL, NULL, NULL), LZR_OK);
    assert_int_equal(check(&again, c), LZR_E_USER);
    assert_int_equal(check(&fresh, c), LZR_OK);
    lzr_files_release(&f);
    lzr_files_release(&again);
    lzr_files_release(&fresh);
    lzr_catalog_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_is_known_whole),
        cmocka_unit_test(a_large_file_is_sampled),
        cmocka_unit_test(what_was_another_at_opening_stays_so),
        cmocka_unit_test(what_is_kept_is_what_it_was),
    };
    int fd = mkstemp(path);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    return rc;
}
