/* glance.h: the range of values in which an image can be read, from one chunk in its middle.
 *
 * lzr_glance_range is pure. The ranges found are kept for the server's life, one an array and
 * channel; lzr_glances may be used by any thread. */
#ifndef LZR_HTTP_GLANCE_H
#define LZR_HTTP_GLANCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "http/look.h"

/* A chunk larger than this is not decoded for a range's sake: it would hold up an event loop. */
#define LZR_GLANCE_BYTES (UINT64_C(16) << 20)

struct lzr_glances {
    pthread_mutex_t mu;
    size_t n;                      /* arrays */
    struct lzr_look_range *ranges; /* n * LZR_LOOK_CHANNELS; guarded by mu */
};

/* False: out of memory. */
bool lzr_glances_init(struct lzr_glances *g, size_t narrays);
void lzr_glances_release(struct lzr_glances *g);
/* What is known of a layer's values: what its channel's window says, or a range kept. */
bool lzr_glances_recall(struct lzr_glances *g, struct lzr_look_layer *layer);
void lzr_glances_keep(struct lzr_glances *g, const struct lzr_look_layer *layer);

/* The Zarr chunk of level 0 that a layer's range is taken from. False: it is too large. */
bool lzr_glance_chunk(const struct lzr_look_layer *layer, struct lzr_chunk *out);
/* Sets the layer's range from that chunk's encoded bytes, from one value in 200 at the dark end to
 * one in 200 at the bright end. Infinities and NaN don't count. False: there is no value, memory is
 * out, or the bytes can't be decoded. */
bool lzr_glance_range(struct lzr_look_layer *layer, const struct lzr_chunk *chunk,
                      const void *bytes, size_t n);

#endif
