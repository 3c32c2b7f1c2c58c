/* share.h: which folder a worker's place is for: a pure rule. No lock, no clock, nothing kept.
 *
 * A worker holds the stores of one folder (folders.h), and changing that costs the start of a
 * process. A folder asks for a place while it has blocks that wait, none of its workers idles and
 * fewer are on their way than blocks wait. Then
 *
 *   1. where it has no worker it gets a place that has nothing to do, and has had nothing for as
 *      long as a start takes (or for LZR_SHARE_TURN_US): who reads chunk after chunk is back before
 *      that, and would have to wait for another start;
 *   2. where it has some it gets one more such place only when its oldest block has waited for
 *      longer than a start takes: what the workers that it has are through with sooner than that
 *      isn't worth a process;
 *   3. where all are busy it gets one when it has waited for LZR_SHARE_TURN_US, of a folder that
 *      has had that place for as long (and for as long as its start took), if it has none itself
 *      or that folder has at least two more.
 *
 * A start that takes far longer than the one before counts as a place that is busy.
 *
 * Of several that ask, the one that has waited longest comes first. So with one worker and two
 * folders under load both go on, in turns of a second or more, and a start takes half of the time
 * at most; with several workers they share them evenly; and what is asked of one folder alone gets
 * all workers in the end. Who calls this offers the places that idle in the order in which they
 * were used last. */
#ifndef LZR_ENGINE_SHARE_H
#define LZR_ENGINE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define LZR_SHARE_TURN_US UINT64_C(1000000)

/* A folder, as it stands. Times by lzr_now_us(). */
struct lzr_share {
    uint32_t waiting;      /* blocks that a worker could begin now */
    uint64_t since_us;     /* when the oldest of them was asked for, or the folder lost its last
                            * worker, whichever is later */
    uint32_t workers;      /* that have it, those on their way included */
    uint32_t coming;       /* of them, those that are being started for it */
    uint32_t idle;         /* of them, those that have nothing to do */
    uint64_t cost_us;      /* what a start took last */
    uint64_t not_before_us; /* it doesn't start: when it is tried again */
};

/* A worker's place. */
struct lzr_share_place {
    uint32_t folder;  /* that it is for; n: none */
    bool busy;        /* it has something to do for that folder, now or next */
    uint64_t idle_us; /* else: since when it has not */
    uint64_t held_us; /* since when it has served it */
    uint64_t cost_us; /* what its start took */
};

/* Whether the folder asks for one more place. */
bool lzr_share_asks(const struct lzr_share *s, uint64_t now);
/* The folder, of n, that the place is for from now on: its own, where it stays as it is. */
uint32_t lzr_share_pick(const struct lzr_share *all, uint32_t n, const struct lzr_share_place *p,
                        uint64_t now);

#endif
