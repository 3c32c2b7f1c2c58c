/* forks.h: children that have this process's slots mapped, and may write to them at any time: a
 * slot of which there may be one isn't used again (protocol.h: LZR_DONE_FORKED).
 *
 * fork() is counted, whoever calls it and whatever becomes of the child. What clones without it
 * (clone, _Fork) is found while it lives and is this process's child, or a child's child. Not found
 * are such that have got themselves another parent (CLONE_PARENT, a parent that has ended). Main
 * thread, but for the count. */
#ifndef LZR_WORKER_FORKS_H
#define LZR_WORKER_FORKS_H

#include <stdbool.h>
#include <stdint.h>

/* Counts from now on; once a process. False: no memory. */
bool lzr_forks_install(void);
/* How often this process has called fork(), or was about to. Any thread. */
unsigned lzr_forks(void);
/* Whether a living child may have the memory of this inode mapped. *seen: which children were found
 * not to have it, the caller's to keep with the slot; 0 at first. */
bool lzr_forks_hold(uint64_t inode, uint64_t *seen);

#endif
