/* reach.h: what a block reads of one input: which chunks, and where each of their voxels goes.
 *
 * The region of the input that a block needs (its own box, the halo around it, fixed axes) is cut,
 * axis by axis, into runs: voxels in a row that come from one chunk. A chunk's part of the region
 * is the product of its runs, so it is decoded once however often the boundary's rule repeats it
 * (wrap takes it from the other side, reflect backwards), and no table of voxels is made.
 *
 *   lzr_reach_init(&r, a, level, input, start, extent, err)
 *   for k < r.nchunks: lzr_reach_chunk(&r, k, pos) ...        decode it once
 *                      lzr_reach_place(&r, k, decoded, region)
 *   lzr_reach_finish(&r, region)      what no chunk has, and the machine's byte order
 *
 * Pure, any thread. */
#ifndef LZR_STORE_REACH_H
#define LZR_STORE_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/array.h"

struct lzr_run {
    uint64_t to;   /* first voxel in the region */
    uint64_t from; /* its source in the chunk */
    uint64_t n;
    int step; /* 1, -1 or 0, as in boundary.h */
};

/* One axis: the chunk positions that are read, and the runs of each. */
struct lzr_reach_axis {
    uint64_t nchunks;
    uint64_t *chunks; /* ascending */
    uint64_t *first;  /* nchunks + 1: where each one's runs begin in runs */
    struct lzr_run *runs;
    bool outside; /* some voxels have no source */
};

struct lzr_reach {
    const struct lzr_array *array; /* the input */
    uint32_t level;
    uint64_t extent[LZR_MAX_RANK]; /* of the region; its memory is C order, nothing but that */
    uint64_t elements;
    uint64_t chunk[LZR_MAX_RANK]; /* voxels of a chunk */
    bool big; /* the byte order of chunks: the array's, or with whole that of its data */
    uint64_t nchunks;
    struct lzr_reach_axis axis[LZR_MAX_RANK];
};

/* Most runs of an axis: only a halo many times as long as its array has more. */
#define LZR_MAX_RUNS (UINT64_C(1) << 20)

/* The region's extent for a block of a's level; returns its bytes. Cheap. */
uint64_t lzr_reach_extent(const struct lzr_array *a, unsigned level, const struct lzr_input *in,
                          const uint64_t extent[], uint64_t out[]);

/* For the block of a's level with this first voxel and extent. whole: the input is taken for one
 * chunk, of which boxes are read. To be released, also after failure. LZR_E_NOMEM, or LZR_E_LIMIT
 * beyond LZR_MAX_RUNS. */
enum lzr_code lzr_reach_init(struct lzr_reach *r, const struct lzr_array *a, unsigned level,
                             const struct lzr_input *in, const uint64_t start[],
                             const uint64_t extent[], bool whole, struct lzr_err *err);
void lzr_reach_release(struct lzr_reach *r);

/* The k-th chunk: its flat index in the input's grid. */
uint64_t lzr_reach_chunk(const struct lzr_reach *r, uint64_t k);
/* A box of a chunk and where it goes: along axis i, voxel `from` and `n - 1` more, each `step` from
 * the one before, become the region's voxels from `to` on. */
struct lzr_reach_box {
    uint64_t from[LZR_MAX_RANK], to[LZR_MAX_RANK], n[LZR_MAX_RANK];
    int step[LZR_MAX_RANK];
};

/* The i-th box of the k-th chunk; false: it has fewer. */
bool lzr_reach_box(const struct lzr_reach *r, uint64_t k, uint64_t i, struct lzr_reach_box *out);
/* The region is one whole chunk as it is: it may be decoded right into place. */
bool lzr_reach_direct(const struct lzr_reach *r);
/* Puts what the region has of the k-th chunk, decoded to `chunk`, in its places. */
void lzr_reach_place(const struct lzr_reach *r, uint64_t k, const void *chunk, void *region);
/* What has no source gets the input's fill value: before the chunks are placed. */
void lzr_reach_fill(const struct lzr_reach *r, void *region);
/* Swaps to the machine's byte order, after all are placed. */
void lzr_reach_finish(const struct lzr_reach *r, void *region);

#endif
