/* troubles.h: the last failures of each array, for people: what went wrong with which chunk, when
 * and how often. Unlike failures.h, which decides whether a chunk is tried again, it isn't asked by
 * any request for a chunk, and a chunk that came out well later is still in it.
 *
 * Bounded: LZR_TROUBLES_OF chunks of an array, LZR_TROUBLES in all, the one that failed longest ago
 * goes first; LZR_TROUBLE_TEXT bytes of a text. The memory is there from the start, so that
 * noting is a copy and nothing else. A lock of its own, in which nothing is called: any thread,
 * whatever it holds. */
#ifndef LZR_ENGINE_TROUBLES_H
#define LZR_ENGINE_TROUBLES_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"
#include "lazarr/driver.h"

#define LZR_TROUBLES_OF 8

struct lzr_troubles {
    pthread_mutex_t mu;
    struct lzr_trouble *all; /* guarded by mu: LZR_TROUBLES of them, n in use; NULL: no memory */
    uint32_t n;
};

void lzr_troubles_init(struct lzr_troubles *t);
void lzr_troubles_release(struct lzr_troubles *t);
/* text may be NULL. */
void lzr_troubles_note(struct lzr_troubles *t, uint32_t array, uint32_t level, uint64_t index,
                       enum lzr_code code, const char *text, uint64_t now_us);
/* Copies all into out (LZR_TROUBLES of them), in no order; returns how many. */
uint32_t lzr_troubles_copy(struct lzr_troubles *t, struct lzr_trouble *out);

#endif
