/* engine/orphans.h: daemons of workers, also where many workers end at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/orphans.h"

enum { WORKERS = 100 };

/* A daemon: it has the mark, a session of its own, and the end of a pipe until it is another program. */
static void be_daemon(char *mark, int fd)
{
    char *args[] = {(char *)"sleep", (char *)"60", NULL}, *env[] = {mark, NULL};
    pid_t pid = setsid();
    if (pid > 0 && write(fd, &pid, sizeof pid) == sizeof pid) {
        execve("/bin/sleep", args, env);
    }
    _exit(1);
}

/* A worker that ends as soon as its daemon runs. */
static pid_t worker_with_daemon(char *mark, pid_t *daemon)
{
    int fd[2];
    char none;
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setpgid(0, 0);
        if (fork() == 0) {
            be_daemon(mark, fd[1]);
        }
        _exit(0);
    }
    close(fd[1]);
    assert_int_equal(read(fd[0], daemon, sizeof *daemon), sizeof *daemon);
    assert_int_equal(read(fd[0], &none, 1), 0);
    close(fd[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void daemons_of_all_workers_end(void **state)
{
    (void)state;
    struct lzr_orphans o;
    pid_t daemons[WORKERS];
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    lzr_orphans_init(&o);
    assert_true(o.adopts);
    for (unsigned i = 0; i < WORKERS; i++) {
        char mark[LZR_ORPHANS_MARK];
        lzr_orphans_mark(mark, 7, i, lzr_now_us());
        pid_t pid = worker_with_daemon(mark, &daemons[i]);
        lzr_orphans_seek(&o, mark, pid, lzr_now_us());
    }
    uint64_t until = lzr_now_us() + 20000000;
    unsigned left;
    do {
        (void)lzr_orphans_look(&o, lzr_now_us());
        (void)poll(NULL, 0, 5);
        left = 0;
        for (unsigned i = 0; i < WORKERS; i++) {
            left += kill(daemons[i], 0) == 0;
        }
    } while (left > 0 && lzr_now_us() < until);
    for (unsigned i = 0; i < WORKERS; i++) {
        (void)kill(daemons[i], SIGKILL);
    }
    assert_int_equal(left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(daemons_of_all_workers_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
