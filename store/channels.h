/* channels.h: what a user said of an image's channels, read from the text of the manifest (a list
 * of OMERO dicts that Python completed). Pure functions, any thread; spans point into the array.
 *
 *   struct lzr_channels it;
 *   lzr_channels_init(&it, array);
 *   while (lzr_channels_next(&it, &channel)) ...      as many as the image has, or none at all */
#ifndef LZR_STORE_CHANNELS_H
#define LZR_STORE_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/array.h"
#include "store/json_span.h"

struct lzr_channel {
    struct lzr_span label;       /* a JSON string with its quotes; n = 0 where there is none */
    bool active;                 /* switched on at first */
    bool colored;                /* has a colour: */
    uint32_t rgb;                /* 0xRRGGBB */
    bool windowed;               /* has a window: */
    double min, max, start, end; /* of values; start < end are drawn black and white */
};

struct lzr_channels {
    struct lzr_json_iter it;
    bool none;
};

void lzr_channels_init(struct lzr_channels *c, const struct lzr_array *a);
bool lzr_channels_next(struct lzr_channels *c, struct lzr_channel *out);

/* Channel i; as if nothing were said where there is none. */
struct lzr_channel lzr_channel_at(const struct lzr_array *a, unsigned i);

#endif
