/* slots.h: the shared memory that blocks are written into, as the worker sees it.
 *
 * A slot is mapped when the server sends it and unmapped only when the server says so, never while
 * user code can reach it: an array over a slot holds a pin (a capsule), and the slot is pinned
 * until the last one is gone, whatever views, kept exceptions or threads hold it. Main thread, or
 * any thread that holds the GIL. */
#ifndef LZR_WORKER_SLOTS_H
#define LZR_WORKER_SLOTS_H

#include "worker/numpy_api.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct lzr_wslot {
    uint32_t id;
    unsigned char *map;
    uint64_t capacity;
    unsigned char *inputs; /* private and writable; NULL: there are none */
    uint64_t inputs_capacity;
    bool inputs_used; /* a job may have written to them: forget that before the next */
    unsigned pins;    /* capsules alive */
    bool announced;   /* the server was told that it is pinned: tell it when it no longer is */
    unsigned forks;   /* lzr_forks() when its job began */
    uint64_t inode, seen; /* lzr_forks_hold's */
    pid_t owner;      /* this process: a child that a pin is dropped in says nothing */
    int socket_fd;    /* to tell it */
    struct lzr_wslot *next;
};

/* Maps a slot of `capacity` bytes (and the control page and the inputs behind them) from fd, which
 * is closed. NULL and errno on failure. */
struct lzr_wslot *lzr_wslot_new(uint32_t id, int fd, uint64_t capacity, uint64_t inputs_capacity,
                                int socket_fd);
/* Unmaps and frees; must not be pinned. */
void lzr_wslot_free(struct lzr_wslot **s);
/* Whether a child may write to the slot from now on: one that was forked since its job began, or
 * one that lives and has it mapped. */
bool lzr_wslot_forked(struct lzr_wslot *s);
/* The job that may run is set to 0 if it is seq: true. False: the server has withdrawn it. */
bool lzr_wslot_claim(struct lzr_wslot *s, uint64_t seq);
/* What the cancel word says of the running job seq: 0 nothing, 1 cancelled, 2 the function knows.
 * With take, 1 becomes 2 in one step. Any thread. */
int lzr_wslot_cancelled(struct lzr_wslot *s, uint64_t seq, bool take);
/* A new ndarray of the descr and shape over the slot's memory at `at` (its map, or within its
 * inputs), pinning it. Steals nothing; NULL with a Python error. */
PyObject *lzr_wslot_array(struct lzr_wslot *s, unsigned char *at, PyArray_Descr *descr, int rank,
                          const npy_intp *shape);
/* What was written to the slot's inputs here is forgotten, so that the server's bytes are seen;
 * nobody may use them. False: it can't be done. */
bool lzr_wslot_forget(struct lzr_wslot *s);

#endif
