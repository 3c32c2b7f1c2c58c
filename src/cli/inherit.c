#include "cli/inherit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/nothing.h"

/* open() takes the lowest number that is free, so those before it are open by then. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            int is = lzr_nothing_open(fd != STDIN_FILENO);
            (void)(is == fd && fcntl(fd, F_SETFD, 0)); /* a child's standard descriptor, too */
        }
    }
}

/* What it was; 0: as it is still. */
static rlim_t raise_limit(int which, rlim_t most)
{
    struct rlimit lim;
    rlim_t was = 0;
    if (getrlimit((__rlimit_resource_t)which, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        was = lim.rlim_cur;
        lim.rlim_cur = lim.rlim_max < most ? lim.rlim_max : most;
        (void)setrlimit((__rlimit_resource_t)which, &lim);
    }
    return was;
}

uint64_t lzr_inherit(void)
{
    static const int timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    static const int theirs[] = {SIGALRM, SIGVTALRM, SIGPROF};
    const struct itimerval none = {{0, 0}, {0, 0}};
    sigset_t empty;
    open_standard();
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        (void)setitimer((__itimer_which_t)timers[i], &none, NULL);
        (void)signal(theirs[i], SIG_IGN); /* one that is pending is forgotten */
        (void)signal(theirs[i], SIG_DFL);
    }
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    (void)signal(SIGUSR1, SIG_DFL); /* what is ignored can't be waited for */
    (void)signal(SIGUSR2, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&empty);
    (void)pthread_sigmask(SIG_SETMASK, &empty, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* engine/orphans.h */
    (void)raise_limit(RLIMIT_FSIZE, RLIM_INFINITY);
    return raise_limit(RLIMIT_NOFILE, 1048576);
}
