/* touched.h: how many chunks of an axis a block touches at most, wherever it lies. Pure functions,
 * any thread. */
#ifndef LZR_STORE_TOUCHED_H
#define LZR_STORE_TOUCHED_H

#include <stdint.h>

#include "store/array.h"

/* Blocks along one axis of what they are made of. The k-th one reads the voxels from
 * start + k * stride - lower on: as many as are between there and start + k * stride + size (or the
 * axis's end, if that is less) + upper. */
struct lzr_touching {
    uint64_t length, chunk; /* of the axis, and of its chunks */
    uint64_t blocks, start, stride, size;
    uint64_t lower, upper;
    enum lzr_boundary boundary;
};

/* Exact for axes of up to LZR_TOUCHED_EXACT blocks and for what has no halo; else at most the one
 * or two chunks more that the boundary's rule may add. At least 1 where the axis has voxels. */
#define LZR_TOUCHED_EXACT 512
uint64_t lzr_touched_most(const struct lzr_touching *t);

struct lzr_input;
/* For axis i of an input, and a block of a's level. */
uint64_t lzr_touched_input(const struct lzr_array *a, unsigned level, const struct lzr_input *in,
                           unsigned i);

#endif
