/* pulse.h: how somebody else sees that a thread is in a call that may never return.
 *
 * The thread says when such a call begins and when it is back. Who watches may give it up while it
 * is in one, and only then: from that moment on the thread has nothing but what it was given for
 * itself, and it learns so at its next word. One word each way, no lock.
 *
 *   while (n > 0 && lzr_pulse_beat(p)) { got = pread(fd, …); … }
 *   if (!lzr_pulse_rest(p)) { given up: free what is ours, touch nothing else }
 *
 * p may be NULL: nobody watches. */
#ifndef LZR_BASE_PULSE_H
#define LZR_BASE_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define LZR_PULSE_OVER UINT64_MAX

struct lzr_pulse {
    _Atomic uint64_t since_us; /* of lzr_now_us(): when the call began; 0: it is in none */
};

/* Only the thread's own. False: it was given up. */
static inline bool lzr_pulse_say(struct lzr_pulse *p, uint64_t word)
{
    if (p == NULL) {
        return true;
    }
    uint64_t was = atomic_load_explicit(&p->since_us, memory_order_acquire);
    while (was != LZR_PULSE_OVER &&
           !atomic_compare_exchange_weak_explicit(&p->since_us, &was, word, memory_order_acq_rel,
                                                  memory_order_acquire)) {
    }
    return was != LZR_PULSE_OVER;
}

/* A call comes that may never return, or the next one of several. */
static inline bool lzr_pulse_beat(struct lzr_pulse *p)
{
    return lzr_pulse_say(p, p != NULL ? lzr_now_us() : 0);
}

/* It is back. */
static inline bool lzr_pulse_rest(struct lzr_pulse *p)
{
    return lzr_pulse_say(p, 0);
}

static inline bool lzr_pulse_over(const struct lzr_pulse *p)
{
    return p != NULL && atomic_load_explicit(&p->since_us, memory_order_acquire) == LZR_PULSE_OVER;
}

/* For how long it has been in one call; 0: it is in none, or was given up. */
static inline uint64_t lzr_pulse_age(const struct lzr_pulse *p, uint64_t now_us)
{
    uint64_t since = atomic_load_explicit(&p->since_us, memory_order_acquire);
    return since != 0 && since < now_us ? now_us - since : 0;
}

/* Gives the thread up if it is in a call that began at `before_us` or earlier: true, and what it
 * shared with others is theirs alone. */
static inline bool lzr_pulse_give_up(struct lzr_pulse *p, uint64_t before_us)
{
    uint64_t since = atomic_load_explicit(&p->since_us, memory_order_acquire);
    return since != 0 && since <= before_us &&
           atomic_compare_exchange_strong_explicit(&p->since_us, &since, LZR_PULSE_OVER,
                                                   memory_order_acq_rel, memory_order_acquire);
}

#endif
