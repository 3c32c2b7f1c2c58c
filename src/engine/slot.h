/* slot.h: a piece of shared memory that one worker writes one block into.
 *
 * A sealed memfd, mapped here and in its worker: neither side can shrink it, so reading it can't
 * fault (where there is no memfd_create it can: base/memory_file.h). Only the server makes slots.
 * Its memory is what jobs have touched, charged to the budget, and given back (hole punched) after
 * a large job.
 *
 * Refcounted: the worker that owns it holds one reference, a codec thread that reads it another, so
 * a slot outlives its worker's death while it is being encoded. The fields are guarded by the
 * driver's mutex. */
#ifndef LZR_ENGINE_SLOT_H
#define LZR_ENGINE_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"

/* A slot that was touched beyond this is given back to the system when it is free again. */
#define LZR_SLOT_KEEP (UINT64_C(16) << 20)

struct lzr_slot {
    _Atomic uint32_t refs;
    uint32_t id;        /* unique in its worker's life */
    int fd;             /* the memfd */
    bool file;          /* there is no memfd here: it is a file, which isn't sealed */
    unsigned char *map; /* capacity bytes, the page with the claim word, the inputs */
    uint64_t capacity;
    unsigned char *inputs; /* in map: what the block is computed from; only the server writes it */
    uint64_t inputs_capacity;
    uint64_t touched; /* bytes that may be resident, charged to the budget */
    uint64_t inputs_touched;
    struct lzr_budget *budget;
    bool busy;   /* a job or an encoding uses it */
    bool pinned; /* user code refers to it: its bytes may change at any time */
    bool lost;   /* a child of the worker may write to it for ever: it isn't used again */
    struct lzr_slot *next;
};

enum lzr_code lzr_slot_new(uint32_t id, uint64_t capacity, uint64_t inputs_capacity,
                           struct lzr_budget *budget, struct lzr_slot **out, struct lzr_err *err);
/* Whether a slot may be so large at all: no where `ulimit -f` forbids it, which doesn't change. */
enum lzr_code lzr_slot_check(uint64_t capacity, uint64_t inputs_capacity, struct lzr_err *err);
struct lzr_slot *lzr_slot_ref(struct lzr_slot *s);
void lzr_slot_unref(struct lzr_slot **s);
/* Bytes that a job of this size would be charged beyond what is charged already. */
uint64_t lzr_slot_more(const struct lzr_slot *s, uint64_t bytes, uint64_t inputs);
/* Charges for a job of so many bytes, and of its inputs, before they are written. */
void lzr_slot_touch(struct lzr_slot *s, uint64_t bytes, uint64_t inputs);
/* A job sent to a worker may be taken back until the worker begins it: the claim word behind the
 * slot's bytes holds the number of the job that may run, and whoever sets it to 0 first wins
 * (protocol.h). */
void lzr_slot_claim(struct lzr_slot *s, uint64_t seq);
/* True: the worker hasn't begun job seq and never will; the slot may be used again at once. */
bool lzr_slot_withdraw(struct lzr_slot *s, uint64_t seq);
/* Says to the worker that nobody waits for job seq, which runs in this slot (protocol.h). */
void lzr_slot_cancel(struct lzr_slot *s, uint64_t seq);
/* Takes that back: true. False: the function knows already. */
bool lzr_slot_uncancel(struct lzr_slot *s, uint64_t seq);
/* Gives large memory back; only for a slot that nobody uses. */
void lzr_slot_trim(struct lzr_slot *s);

#endif
