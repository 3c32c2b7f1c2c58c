/* transcode.h: chunks of formats that are made from Zarr chunks (store/transcode.h); inside of the
 * engine. Needs are the Zarr chunks that it covers, made by lzr_recipe_transcode. */
#ifndef LZR_ENGINE_TRANSCODE_H
#define LZR_ENGINE_TRANSCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/view.h"

struct lzr_chunk;

/* The Zarr chunks that a chunk is made from; of a Zarr chunk itself. */
struct lzr_sources {
    const struct lzr_chunk *of;
    uint64_t first[LZR_MAX_RANK], count[LZR_MAX_RANK], n, next;
};

void lzr_sources_init(struct lzr_sources *it, const struct lzr_chunk *c);
bool lzr_sources_next(struct lzr_sources *it, struct lzr_chunk *out);

#endif
