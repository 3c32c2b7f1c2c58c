/* process.h: a child process: when it has ended, how it is signalled, how it is waited for.
 *
 * By a pidfd. Where there is none (Linux before 5.3, an old seccomp profile) a thread waits for the
 * child and makes an eventfd readable when it has ended; the number is signalled then, under a lock
 * that waiting for it takes as well, so that it is never another process's.
 *
 * A struct lzr_process belongs to one worker. reap on the supervisor's thread alone; signal on any
 * while it is watched. */
#ifndef LZR_ENGINE_PROCESS_H
#define LZR_ENGINE_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct lzr_ender;

struct lzr_process {
    pid_t pid;
    int fd;                  /* readable once it has ended; -1: it isn't watched */
    struct lzr_ender *ender; /* of the thread that waits; NULL: fd is a pidfd */
};

#define LZR_PROCESS_NONE ((struct lzr_process){.pid = -1, .fd = -1})

/* Watches a child of ours. False: errno says why it can't be, nothing is watched. */
bool lzr_process_watch(struct lzr_process *p, pid_t pid);
/* False: it is gone, or isn't watched. */
bool lzr_process_signal(const struct lzr_process *p, int sig);
/* Whether it has ended, and how; it stays to be waited for. */
bool lzr_process_ended(const struct lzr_process *p, siginfo_t *si);
/* Waits for it without waiting. False: it hasn't ended, or errno says why that can't be known. */
bool lzr_process_reap(const struct lzr_process *p, siginfo_t *si);
/* Afterwards it isn't watched. The thread may have what fd stands for a little longer: whoever has
 * it in an epoll takes it out before, or this end is taken for the next process's. */
void lzr_process_leave(struct lzr_process *p);
#define LZR_PROCESS_END_US 1000000
/* Kills a child that leads a group, with its group, and waits for it: for one that nobody wants.
 * False: it isn't gone LZR_PROCESS_END_US later, as a debugger or the kernel holds it. */
bool lzr_process_end(pid_t pid);

#endif
