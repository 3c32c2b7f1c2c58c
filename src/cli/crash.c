#include "cli/crash.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* For the handler, which is given nothing else. */
static const struct lzr_log *_Atomic last;

static void await_log(int sig)
{
    const struct lzr_log *log = atomic_load(&last);
    const struct timespec pause = {.tv_nsec = 10000000};
    for (int i = 0; i < 100 && log != NULL && lzr_log_left(log) > 0; i++) {
        (void)nanosleep(&pause, NULL);
    }
    (void)raise(sig); /* as it would have without this handler, of which there is no second call */
}

void lzr_crash_waits(const struct lzr_log *log)
{
    static const int faults[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    atomic_store(&last, log);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct sigaction new = {.sa_handler = await_log, .sa_flags = (int)SA_RESETHAND}, old;
        if (sigaction(faults[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
            (void)sigaction(faults[i], &new, NULL);
        }
    }
}
