/* cost.h: what a chunk of an image's coarsest level costs: how many blocks must be computed or read
 * before it can be made, its inputs' included. Said at start-up where it is much, since that chunk
 * is what a viewer asks for first. Pure functions, any thread. */
#ifndef LZR_STORE_COST_H
#define LZR_STORE_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/array.h"

struct lzr_cost {
    const struct lzr_array *array;
    uint64_t blocks;              /* that are computed or read for one chunk */
    const struct lzr_array *most; /* whose blocks most of them are; may be array itself */
};

/* Calls said for each image of the store one chunk of whose coarsest level costs more than `limit`
 * blocks, in the order of the store's arrays. Each block is counted once, also where several arrays
 * read it; what a region of an input touches is rounded up to a box of whole chunks. Images whose
 * graphs are too large to be looked at in the time of a start are passed over.
 * LZR_E_NOMEM: nothing more is said. */
enum lzr_code lzr_cost_check(const struct lzr_store *s, uint64_t limit,
                             void (*said)(void *ctx, const struct lzr_cost *c), void *ctx,
                             struct lzr_err *err);

#endif
