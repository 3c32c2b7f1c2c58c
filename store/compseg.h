/* compseg.h: compressed_segmentation, Neuroglancer's encoding of labels: each 8x8x8 box of voxels
 * is a table of its distinct labels and, for each voxel, a place in that table in as few bits as
 * will do. Source: Neuroglancer's documentation of the precomputed volume format.
 *
 * Pure functions, any thread. */
#ifndef LZR_STORE_COMPSEG_H
#define LZR_STORE_COMPSEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/array.h"

#define LZR_COMPSEG_BLOCK 8 /* voxels along each axis of a box */

/* Whether every chunk of a grid (its last three axes z, y, x, or two) can be encoded whatever its
 * labels are: a table's place in its chunk has 24 bits. */
bool lzr_compseg_fits(const struct lzr_grid *g);

/* Bytes that encoding takes at most. extent: channels, z, y, x; itemsize 4 or 8. */
size_t lzr_compseg_bound(const uint64_t extent[4], unsigned itemsize);

/* labels: C order (channel slowest), little-endian uint32 or uint64, 8-aligned. dst has at least
 * the bound's bytes, aligned to 4. Only memory can fail. */
enum lzr_code lzr_compseg_encode(const uint64_t extent[4], unsigned itemsize, const void *labels,
                                 void *dst, size_t *len, struct lzr_err *err);

#endif
