/* boundary.h: what stands for the voxels outside an axis: numpy.pad's modes and rules, for any
 * distance from the array. Pure functions, any thread. */
#ifndef LZR_STORE_BOUNDARY_H
#define LZR_STORE_BOUNDARY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/array.h"

/* Voxels in a row whose sources are in a row as well. */
struct lzr_stretch {
    bool outside;  /* there is no source: the fill value */
    uint64_t from; /* the first one's source, below the axis's length */
    int step;      /* to the next one's source: 1, -1, or 0: all have the same */
    uint64_t n;    /* voxels, at least 1 */
};

/* The longest stretch that begins at voxel `at` (before the array where negative) and has at most
 * `most` (>= 1) voxels. An axis of length 0 has no sources, whatever the mode. */
struct lzr_stretch lzr_boundary_stretch(enum lzr_boundary mode, uint64_t length, int64_t at,
                                        uint64_t most);

#endif
