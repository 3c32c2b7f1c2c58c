/* view.h: how a format shows one level of an array: its own chunk grid, element type and bytes.
 *
 * The Zarr faces show an array as it is. Every other format is made from the Zarr chunks, the only
 * ones that are computed: a view's chunk is a box of the array, which one or several of them cover
 * (precomputed has all channels in a chunk, BigDataViewer one channel and one time). The box is
 * gathered from the decoded chunks, converted and encoded (transcode.h). So whatever is asked for,
 * in however many formats, Python runs once for a chunk.
 *
 * Pure functions of an array, any thread. */
#ifndef LZR_STORE_VIEW_H
#define LZR_STORE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"

/* Which bytes of a chunk: faces whose bytes are equal share one (zarr2 and zarr3 do, and BDV has
 * N5's where the array is three-dimensional). */
enum lzr_encoding {
    LZR_ENC_ZARR,
    LZR_ENC_N5,
    LZR_ENC_BDV, /* N5 blocks of one channel and time, always with three axes */
    LZR_ENC_PRECOMPUTED,
    LZR_ENC_CAST, /* precomputed of an array under its cast name: see lzr_view_cast */
    LZR_ENCODINGS
};

enum lzr_layout {
    LZR_LAYOUT_ZARR,   /* padded to the full chunk */
    LZR_LAYOUT_N5,     /* header, then the block cut to the array, big-endian */
    LZR_LAYOUT_RAW,    /* the block cut to the array, little-endian */
    LZR_LAYOUT_LABELS, /* compressed_segmentation of it */
};

struct lzr_view {
    struct lzr_grid grid;   /* the array's axes and shape, the format's chunks */
    struct lzr_dtype dtype; /* of what is shown: widened, cast, in the format's byte order */
    enum lzr_layout layout;
    unsigned spatial; /* the last so many axes are z, y, x; all of a plain array's */
    unsigned axes;    /* of an N5 header: the array's `named` last ones, then 1s */
    unsigned named;
    struct lzr_codec codec;
};

/* Chunks of the array that a chunk of a view is made of at most. */
#define LZR_MAX_SOURCES 4096

/* Bytes that a reason takes at most. */
#define LZR_WHY_BYTES 128

/* How an encoding shows a level. False: the format can't hold the array; why (nullable,
 * LZR_WHY_BYTES) says it: "Neuroglancer precomputed has no complex64". */
bool lzr_view_of(const struct lzr_array *a, unsigned level, enum lzr_encoding e,
                 struct lzr_view *out, char *why);

/* Neuroglancer lacks float64 and int64. Such an array has a second name in the precomputed face,
 * with this ending: "~float32" (each value rounded to the nearest float32; beyond its range
 * infinite), "~uint64" (the same bits: right for what isn't negative). NULL: it needs none. */
const char *lzr_view_cast(const struct lzr_array *a);

/* The box of a view's chunk, in voxels of the level: first voxel and extent, cut to the array. */
void lzr_view_box(const struct lzr_view *v, uint64_t index, uint64_t start[], uint64_t extent[]);

/* The array's own chunks that a box touches: first position and count on each axis; returns how
 * many there are in all. */
uint64_t lzr_view_sources(const struct lzr_grid *g, const uint64_t start[], const uint64_t extent[],
                          uint64_t first[], uint64_t count[]);

/* How many bytes the chunk has, where that is known before it is made. */
bool lzr_view_length(const struct lzr_view *v, uint64_t index, uint64_t *bytes);

#endif
