/* orphans.h: what a worker's process started and what outlives it outside of its process group: a
 * child with a session of its own, a daemon.
 *
 * lazarr is a subreaper (cli/inherit.c): a process whose parent has ended becomes its main thread's
 * child, also where lazarr is process 1. That thread starts none itself, so all of those are
 * orphans. Those of a dead worker are known by LAZARR_WORKER in the environment that they began
 * with, and killed; theirs come after them and are killed at a later look. One that cleared its
 * environment, or whose /proc files can't be read, is left alone. All are waited for when they have
 * ended, so that no zombie stays. Without /proc none of it is done.
 *
 * Nothing is done in a program that isn't a subreaper: a host of the library has children of its
 * own. The supervisor's; never waits. */
#ifndef LZR_ENGINE_ORPHANS_H
#define LZR_ENGINE_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lazarr/limits.h"

#define LZR_ORPHANS_US 2000000 /* so long after its end a worker's are looked for, at most */
/* All workers may end at once. */
enum { LZR_ORPHANS_MARK = 80, LZR_ORPHANS_SOUGHT = LZR_MAX_WORKERS };

struct lzr_sought {
    char mark[LZR_ORPHANS_MARK];
    pid_t group; /* the worker's: some of its processes may be dying, and have children */
    uint64_t until_us;
};

struct lzr_orphans {
    bool adopts;
    struct lzr_sought sought[LZR_ORPHANS_SOUGHT];
    unsigned nsought;
};

void lzr_orphans_init(struct lzr_orphans *o);
/* "LAZARR_WORKER=…" of one process of a worker, for its environment. */
void lzr_orphans_mark(char out[LZR_ORPHANS_MARK], uint64_t nonce, unsigned worker,
                      uint64_t began_us);
/* A worker has ended, and its group was killed: what has its mark is looked for from now on. */
void lzr_orphans_seek(struct lzr_orphans *o, const char *mark, pid_t group, uint64_t now);
/* Kills what is found, and waits for what has ended. False: nothing is sought any more. */
bool lzr_orphans_look(struct lzr_orphans *o, uint64_t now);

#endif
