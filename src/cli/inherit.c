#include "cli/inherit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

/* open() takes the lowest number that is free, so those before it are open by then. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        }
    }
}

static void raise_limit(int which, rlim_t most)
{
    struct rlimit lim;
    if (getrlimit((__rlimit_resource_t)which, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max < most ? lim.rlim_max : most;
        (void)setrlimit((__rlimit_resource_t)which, &lim);
    }
}

void lzr_inherit(void)
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
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&empty);
    (void)pthread_sigmask(SIG_SETMASK, &empty, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* engine/orphans.h */
    raise_limit(RLIMIT_NOFILE, 1048576);
    raise_limit(RLIMIT_FSIZE, RLIM_INFINITY);
}
