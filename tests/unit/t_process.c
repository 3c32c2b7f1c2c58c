/* engine/process.h: ending a child that nobody wants, also where the kernel holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/process.h"

static bool held; /* a file system that doesn't answer keeps it: it can't be waited for */

/* In the place of libc's. */
pid_t waitpid(pid_t pid, int *status, int options)
{
    if (!held) {
        return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
    }
    while ((options & WNOHANG) == 0) {
        (void)pause();
    }
    return 0;
}

static pid_t begin(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    assert_int_equal(setpgid(pid, pid), 0);
    return pid;
}

static void one_that_goes_is_waited_for(void **state)
{
    (void)state;
    pid_t pid = begin();
    held = false;
    assert_true(lzr_process_end(pid));
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void one_that_does_not_go_is_left(void **state)
{
    (void)state;
    pid_t pid = begin();
    uint64_t began = lzr_now_us();
    held = true;
    alarm(60);
    assert_false(lzr_process_end(pid));
    alarm(0);
    assert_true(lzr_now_us() - began >= LZR_PROCESS_END_US);
    held = false;
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* it was killed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_goes_is_waited_for),
        cmocka_unit_test(one_that_does_not_go_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
