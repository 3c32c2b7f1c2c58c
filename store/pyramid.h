/* pyramid.h: a level of an image out of the level below, window by window.
 *
 * A voxel of the coarser level is made of a window of the finer one, `step` voxels on each axis;
 * windows are cut at the array's end. What it becomes:
 *
 *   mean    integers and bool: the exact sum divided by the number of voxels, halves rounded up
 *           (towards the larger value); no sum overflows. Floats and complex: summed in float64, in
 *           the window's C order beginning with 0, divided, rounded to the type. NaN is carried on.
 *   mode    the value that occurs most often; of those that occur equally often the smallest. In
 *           floats all NaNs are one value, the largest, and 0 and -0 are 0.
 *   max, min  of bool: any, all. NaN is carried on.
 *   stride  the window's first voxel.
 *
 * Every dtype in either byte order; complex has no mode, max and min (the manifest refuses them).
 *
 * Rows are reduced one after the other into a row of sums, in loops that the compiler turns into
 * vector code. Pure functions, any thread; the caller gives the memory. */
#ifndef LZR_STORE_PYRAMID_H
#define LZR_STORE_PYRAMID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"

struct lzr_reduction {
    enum lzr_pyramid how; /* MEAN .. STRIDE */
    struct lzr_dtype dtype;
    unsigned rank;
    uint64_t step[LZR_MAX_RANK]; /* >= 1; at most LZR_MAX_NEEDS voxels a window */
};

/* How a reduced level (lzr_level_reduced) is made. */
void lzr_reduction_of(const struct lzr_array *a, unsigned level, struct lzr_reduction *r);

/* Bytes of working memory for boxes whose last axis has at most `row` voxels. */
size_t lzr_reduce_room(const struct lzr_reduction *r, uint64_t row);

/* Reduces a box of extent[] voxels (>= 1), which begins with a window on each axis, to one of
 * ceil(extent / step). src and dst are the boxes' first voxels, in arrays in C order of src_shape[]
 * and dst_shape[] voxels; both are aligned as the dtype's words are. room: lzr_reduce_room bytes,
 * aligned to 16. */
void lzr_reduce(const struct lzr_reduction *r, const uint64_t extent[], const void *src,
                const uint64_t src_shape[], void *dst, const uint64_t dst_shape[], void *room);

#endif
