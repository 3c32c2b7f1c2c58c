/* array.h: what lazarr knows of an array, a group and a store. Made by the manifest reader,
 * immutable afterwards, so any thread may read it without a lock. All of it belongs to the catalog
 * (catalog.h) and lives as long as that does. */
#ifndef LZR_STORE_ARRAY_H
#define LZR_STORE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "lazarr/limits.h"
#include "store/dtype.h"

/* A regular chunk grid over a shape; C order, slowest axis first, everywhere in lazarr. */
struct lzr_grid {
    unsigned rank;                 /* 0 .. LZR_MAX_RANK */
    uint64_t shape[LZR_MAX_RANK];  /* voxels; an axis may have length 0 */
    uint64_t chunks[LZR_MAX_RANK]; /* voxels of a full chunk; >= 1; never clamped to the shape */
    uint64_t counts[LZR_MAX_RANK]; /* chunks along each axis: ceil(shape / chunks) */
    uint64_t total;                /* chunks in all; 1 for rank 0 */
    uint64_t chunk_elements;       /* elements of a full chunk */
};

/* Fills counts, total and chunk_elements from rank, shape and chunks, checking the limits. */
enum lzr_code lzr_grid_init(struct lzr_grid *g, struct lzr_err *err);
uint64_t lzr_grid_index(const struct lzr_grid *g, const uint64_t pos[]); /* flat, C order */
void lzr_grid_position(const struct lzr_grid *g, uint64_t index, uint64_t pos[]);
/* The block of a chunk: its first voxel and its extent cut to the array. */
void lzr_grid_block(const struct lzr_grid *g, const uint64_t pos[], uint64_t start[],
                    uint64_t extent[]);

enum lzr_codec_id {
    LZR_CODEC_NONE,
    LZR_CODEC_BLOSC,
    LZR_CODEC_ZSTD,
    LZR_CODEC_GZIP,
    LZR_CODEC_LZ4 /* N5 only: lz4-java's LZ4Block stream */
};

struct lzr_codec {
    enum lzr_codec_id id;
    int level;      /* blosc clevel 0..9, zstd -131072..22, gzip 0..9 */
    char cname[12]; /* blosc: blosclz lz4 lz4hc snappy zlib zstd */
    int shuffle;    /* blosc: 0 none, 1 byte, 2 bit */
};

enum lzr_array_kind { LZR_PLAIN, LZR_IMAGE, LZR_LABELS };

/* How the levels above the first are made: from the level below, in C (pyramid.h), or by the
 * function itself. NONE exactly where there is one level. */
enum lzr_pyramid {
    LZR_PYRAMID_NONE,
    LZR_PYRAMID_MEAN,
    LZR_PYRAMID_MODE,
    LZR_PYRAMID_MAX,
    LZR_PYRAMID_MIN,
    LZR_PYRAMID_STRIDE,
    LZR_PYRAMID_EACH
};

/* A level of a source that the server reads itself: element [i, j, ..] is at offset + i *
 * strides[0]
 * + j * strides[1] + ..; all of them lie within bytes. */
struct lzr_data {
    struct lzr_dtype dtype; /* as it is stored: the array's but for the byte order */
    uint64_t offset;
    int64_t strides[LZR_MAX_RANK]; /* bytes; may be 0 or negative */
    const char *file;              /* absolute path; NULL: a memfd that the worker hands over */
    uint64_t bytes;                /* length of file or memfd when it was opened */
    int64_t mtime_ns;              /* of the file then */
    uint64_t inode;                /* without its highest bit */
};

struct lzr_level {
    struct lzr_grid grid;
    double scale[LZR_MAX_RANK];       /* units per voxel, per axis; 1 where none was given */
    double translation[LZR_MAX_RANK]; /* centre of voxel 0, in units */
    uint64_t factor[LZR_MAX_RANK];    /* level-0 voxels per voxel; 1s at level 0. In a C pyramid a
                                       * multiple of the level below's (lzr_level_step) */
    const struct lzr_data *data;      /* read from there, whatever pyramid says; NULL: it is made */
};

/* What lies outside an input: numpy.pad's words and rules; CONSTANT is the input's fill value. */
enum lzr_boundary {
    LZR_BOUND_CONSTANT,
    LZR_BOUND_EDGE,
    LZR_BOUND_REFLECT,
    LZR_BOUND_SYMMETRIC,
    LZR_BOUND_WRAP
};

struct lzr_array;

/* What a block of an array reads of another one of the same store. For a block [start, stop) of
 * level k it is the input's level levels[k], and on each axis of the input: where it follows an own
 * axis, [start - lower, stop + upper) of that; else [fixed_start - lower, fixed_stop + upper). An
 * axis that is followed is as long as the own one, at each level; fixed_stop is within the input.
 */
struct lzr_input {
    const struct lzr_array *array;
    const uint32_t *levels; /* one per own level that the function runs on (lzr_array_run_levels) */
    int axis[LZR_MAX_RANK]; /* the own axis that the input's axis follows; -1: fixed */
    /* Of each such level: first and last + 1 of an axis that is fixed, 0 and 0 of another. */
    uint64_t (*fixed)[LZR_MAX_RANK][2];
    bool drop[LZR_MAX_RANK]; /* fixed, one voxel, and the function doesn't see the axis */
    uint64_t lower[LZR_MAX_RANK], upper[LZR_MAX_RANK]; /* halo, voxels of the level that is read */
    enum lzr_boundary boundary;
};

struct lzr_store;

struct lzr_array {
    const struct lzr_store *store;
    uint32_t id;       /* its place among all arrays of the catalog */
    uint32_t local_id; /* its place among the arrays of its store: what the worker is told */
    uint32_t order;    /* another place among them: its inputs have smaller ones */
    const char *path;  /* "a/b/c" in its store, canonical */
    enum lzr_array_kind kind;
    struct lzr_dtype dtype;
    unsigned char fill[LZR_MAX_ITEMSIZE];
    bool fill_given;  /* false: 0, written as null in a plain array's .zarray (design 1) */
    unsigned nlevels; /* 1 for a plain array */
    struct lzr_level *levels; /* of a copied array as many again behind them (copied.h) */
    enum lzr_pyramid pyramid;
    unsigned ninputs; /* at most LZR_MAX_INPUTS; no cycle leads through them */
    const struct lzr_input *inputs;
    unsigned slots; /* workers that may compute it at once; 0: any number */
    bool dataset; /* a variable of a dataset, which xarray reads: see manifest.h */
    bool text;    /* its last axis, one chunk long, is the characters of a text: uint32 are code
                   * points, uint8 bytes. The Zarr faces show an array of texts without that
                   * axis, and no other face shows it */
    bool has_dims;
    const char *dims[LZR_MAX_RANK];    /* names of the axes; for images the axis letters */
    const char *units[LZR_MAX_RANK];   /* NULL where none */
    char separator;                    /* of Zarr v2 chunk keys: '.' or '/' ('/' for images) */
    struct lzr_codec codec;            /* of the Zarr faces */
    struct lzr_codec n5_codec;         /* of N5 and BDV */
    bool compressed_segmentation;      /* in precomputed, where the type shown there allows it */
    const struct lzr_array *labels_of; /* the image whose labels these are, or NULL */
    /* Of an image its first labels, of those the next ones of the same image, or NULL. */
    const struct lzr_array *labels, *next_labels;
    const char *attributes;            /* the user's own: the text of a JSON object, "{}" if none */
    const char *channels;              /* text of a JSON array, or NULL */
    double timeout_s, first_timeout_s;
    bool copied;              /* it is its only input in other chunks (copied.h) */
    bool source;              /* it is opened and sliced, not computed */
    bool finish_abandoned;    /* a block that nobody waits for any more is computed to its end */
    bool deterministic;       /* and so are its inputs */
    bool versioned;           /* version= given, to its inputs as well: ETags survive a restart */
    struct lzr_digest digest; /* of all that makes its chunks, inputs included, but for the start's
                               * nonce */
};

/* What its elements are, for people: "uint16", or "texts". */
const char *lzr_array_type(const struct lzr_array *a);
/* "mean" .. "each", as the manifest has it; NULL for NONE. */
const char *lzr_pyramid_name(enum lzr_pyramid p);
/* Levels that the function runs on: all of them with LZR_PYRAMID_EACH, else the first. */
unsigned lzr_array_run_levels(const struct lzr_array *a);
/* The level's chunks are reduced from those of the level below (pyramid.h). */
bool lzr_level_reduced(const struct lzr_array *a, unsigned level);
/* Voxels of the level below in a voxel of a reduced level, per axis. */
void lzr_level_step(const struct lzr_array *a, unsigned level, uint64_t step[]);

struct lzr_group {
    const char *path;       /* "" is the root, which every store has */
    const char *attributes; /* text of a JSON object */
};

/* What became of a store's file. Of one that isn't loaded there are neither arrays nor documents.
 */
enum lzr_fate { LZR_LOADED, LZR_FAILED, LZR_SKIPPED };

struct lzr_store {
    const char *name; /* the file's stem */
    const char *file; /* as the user gave it */
    enum lzr_fate fate;
    const char *why;       /* unless it is loaded: one line */
    const char *traceback; /* of one that failed; may be "" */
    size_t narrays, ngroups;
    struct lzr_array *arrays;
    struct lzr_group *groups; /* all of them, ancestors of arrays included, sorted by path */
};

#endif
