#include "engine/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

enum { STACK = 65536 }; /* at least PTHREAD_STACK_MIN, else the default stays */

/* What the owner and the thread have in common; freed by the last of them. */
struct lzr_ender {
    atomic_int refs;
    pid_t pid;
    int fd; /* the thread's own */
    pthread_mutex_t mu;
    bool reaped; /* guarded by mu: the number is nobody's, or another's */
};

static void unref(struct lzr_ender *e)
{
    if (atomic_fetch_sub(&e->refs, 1) == 1) {
        if (e->fd >= 0) {
            close(e->fd);
        }
        LZR_ZERO(pthread_mutex_destroy(&e->mu));
        lzr_free(e);
    }
}

/* Leaves the child to be waited for by its owner. */
static void *await_end(void *arg)
{
    struct lzr_ender *e = arg;
    const uint64_t one = 1;
    siginfo_t si;
    while (waitid(P_PID, (id_t)e->pid, &si, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    ssize_t n = write(e->fd, &one, sizeof one);
    (void)n; /* never full */
    unref(e);
    return NULL;
}

/* 0, or an error number. */
static int start(struct lzr_ender *e)
{
    pthread_attr_t attr;
    pthread_t thread;
    LZR_ZERO(pthread_attr_init(&attr));
    (void)pthread_attr_setstacksize(&attr, STACK);
    LZR_ZERO(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
    atomic_fetch_add(&e->refs, 1);
    int rc = pthread_create(&thread, &attr, await_end, e);
    LZR_ZERO(pthread_attr_destroy(&attr));
    if (rc != 0) {
        atomic_fetch_sub(&e->refs, 1);
    }
    return rc;
}

static bool watch_by_thread(struct lzr_process *p, pid_t pid)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct lzr_ender *e = fd >= 0 ? lzr_calloc(1, sizeof *e) : NULL;
    if (e == NULL) {
        if (fd >= 0) {
            close(fd);
            errno = ENOMEM;
        }
        return false;
    }
    LZR_ZERO(pthread_mutex_init(&e->mu, NULL));
    atomic_init(&e->refs, 1);
    e->pid = pid;
    e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int rc = e->fd >= 0 ? start(e) : errno;
    if (rc != 0) {
        unref(e);
        close(fd);
        errno = rc;
        return false;
    }
    *p = (struct lzr_process){.pid = pid, .fd = fd, .ender = e};
    return true;
}

bool lzr_process_watch(struct lzr_process *p, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* One that can't be signalled is of no use: profiles allow calls one by one. */
    if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0) {
        *p = (struct lzr_process){.pid = pid, .fd = fd};
        return true;
    }
    int why = errno;
    if (fd >= 0) {
        close(fd);
    } else if (why == EMFILE || why == ENFILE || why == ENOMEM) {
        errno = why;
        return false; /* another way would want a descriptor, too */
    }
    return watch_by_thread(p, pid);
}

bool lzr_process_signal(const struct lzr_process *p, int sig)
{
    if (p->fd < 0) {
        return false;
    }
    if (p->ender == NULL) {
        return syscall(SYS_pidfd_send_signal, p->fd, sig, NULL, 0) == 0;
    }
    pthread_mutex_lock(&p->ender->mu);
    bool sent = !p->ender->reaped && kill(p->pid, sig) == 0;
    pthread_mutex_unlock(&p->ender->mu);
    return sent;
}

bool lzr_process_ended(const struct lzr_process *p, siginfo_t *si)
{
    si->si_pid = 0;
    return waitid(P_PID, (id_t)p->pid, si, WEXITED | WNOHANG | WNOWAIT) == 0 && si->si_pid != 0;
}

bool lzr_process_reap(const struct lzr_process *p, siginfo_t *si)
{
    si->si_pid = 0;
    if (p->ender == NULL) {
        return waitid(P_PID, (id_t)p->pid, si, WEXITED | WNOHANG) == 0 && si->si_pid != 0;
    }
    pthread_mutex_lock(&p->ender->mu);
    bool over = waitid(P_PID, (id_t)p->pid, si, WEXITED | WNOHANG) == 0 && si->si_pid != 0;
    p->ender->reaped = p->ender->reaped || over;
    pthread_mutex_unlock(&p->ender->mu);
    return over;
}

void lzr_process_leave(struct lzr_process *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    if (p->ender != NULL) {
        unref(p->ender);
    }
    *p = LZR_PROCESS_NONE;
}

bool lzr_process_end(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    uint64_t until = lzr_now_us() + LZR_PROCESS_END_US;
    (void)kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (lzr_now_us() >= until) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}
