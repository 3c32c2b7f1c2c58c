/* region.h: boxes of arrays in memory. C order, slowest axis first. Pure functions, any thread. */
#ifndef LZR_STORE_REGION_H
#define LZR_STORE_REGION_H

#include <stddef.h>
#include <stdint.h>

/* A box in an array that lies in memory as a whole: the array's origin and extent in some common
 * coordinates, voxels. */
struct lzr_region {
    const uint64_t *start;  /* first voxel, an axis */
    const uint64_t *extent; /* voxels, an axis */
};

/* Copies what two regions share from one to the other; rows that are contiguous in both are copied
 * at once. from and to hold the product of their extents elements. */
void lzr_region_copy(unsigned rank, unsigned itemsize, struct lzr_region from, const void *src,
                     struct lzr_region to, void *dst);

#endif
