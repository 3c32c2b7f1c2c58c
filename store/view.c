#include "store/view.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/compseg.h"
#include "store/placement.h"

static bool absent(char *why, const char *text, const char *what)
{
    if (why != NULL) {
        (void)snprintf(why, LZR_WHY_BYTES, "%s%s", text, what);
    }
    return false;
}

/* bool as uint8, float16 as float32: both exact. */
static struct lzr_dtype widened(struct lzr_dtype d)
{
    if (d.kind == 'b') {
        d.kind = 'u';
    } else if (d.kind == 'f' && d.size == 2) {
        d.size = 4;
    }
    return d;
}

const char *lzr_view_cast(const struct lzr_array *a)
{
    if (a->dtype.size != 8) {
        return NULL;
    }
    return a->dtype.kind == 'f' ? "~float32" : a->dtype.kind == 'i' ? "~uint64" : NULL;
}

/* Why an image isn't there whose factors go over its channels or times. */
#define FEWER ", this image has fewer (factors)"

static bool n5_view(const struct lzr_array *a, struct lzr_view *v, char *why)
{
    v->layout = LZR_LAYOUT_N5;
    v->codec = a->n5_codec;
    v->axes = v->named = v->grid.rank;
    if (a->dtype.kind == 'c') {
        return absent(why, "N5 has no ", lzr_dtype_name(a->dtype));
    }
    if (v->grid.rank == 0) {
        return absent(why, "N5 has no arrays without axes", "");
    }
    v->dtype = widened(a->dtype);
    v->dtype.big = v->dtype.size > 1;
    return true;
}

/* Whether an axis is as long at each level as at the first: of channels and times a format that
 * counts them once promises as many everywhere. */
static bool is_constant(const struct lzr_array *a, int axis)
{
    for (unsigned k = 1; axis >= 0 && k < a->nlevels; k++) {
        if (a->levels[k].grid.shape[axis] != a->levels[0].grid.shape[axis]) {
            return false;
        }
    }
    return true;
}

/* Directories of one image in BigDataViewer, a channel, a time and a level each, at most. */
#define MAX_VIEWS 65536

static bool bdv_view(const struct lzr_array *a, struct lzr_view *v, char *why)
{
    int c = lzr_axis_of(a, 'c'), t = lzr_axis_of(a, 't');
    if (a->kind == LZR_PLAIN) {
        return absent(why, "BigDataViewer shows images only (give it axes=)", "");
    }
    if (!n5_view(a, v, why)) {
        return false;
    }
    uint64_t views = a->nlevels;
    for (unsigned i = 0; i < v->grid.rank; i++) {
        if (v->grid.shape[i] == 0) {
            return absent(why, "BigDataViewer shows no empty images", "");
        }
        if ((int)i == c || (int)i == t) {
            views = v->grid.shape[i] > MAX_VIEWS ? MAX_VIEWS + 1 : views * v->grid.shape[i];
        }
    }
    if (views > MAX_VIEWS) {
        return absent(why, "BigDataViewer would need more than 65536 folders for it", "");
    }
    if (!is_constant(a, c)) {
        return absent(why, "BigDataViewer has as many channels at each level", FEWER);
    }
    if (!is_constant(a, t)) {
        return absent(why, "BigDataViewer has as many timepoints at each level", FEWER);
    }
    v->axes = 3;
    v->named = v->spatial;
    if (c >= 0) {
        v->grid.chunks[c] = 1;
    }
    if (t >= 0) {
        v->grid.chunks[t] = 1;
    }
    return true;
}

/* Precomputed has the data types of Neuroglancer, three axes and channels. */
static bool precomputed_view(const struct lzr_array *a, unsigned level, bool cast,
                             struct lzr_view *v, char *why)
{
    int64_t offset;
    struct lzr_dtype d = widened(a->dtype);
    int c = lzr_axis_of(a, 'c');
    unsigned rank = v->grid.rank;
    const char *ending = lzr_view_cast(a);
    if (cast && ending == NULL) {
        return absent(why, "no cast is needed for ", lzr_dtype_name(a->dtype));
    }
    if (d.kind == 'c' || (!cast && ending != NULL)) {
        char other[64];
        (void)snprintf(other, sizeof other, "%s%s%s", lzr_dtype_name(a->dtype),
                       ending != NULL ? ": see " : "", ending != NULL ? ending : "");
        return absent(why, "Neuroglancer precomputed has no ", other);
    }
    if (lzr_axis_of(a, 't') >= 0) {
        return absent(why, "Neuroglancer precomputed has no time axis", "");
    }
    if (a->kind == LZR_PLAIN && (rank < 2 || rank > 3)) {
        return absent(why, "Neuroglancer precomputed has two or three axes", "");
    }
    for (unsigned i = 0; i < rank; i++) {
        if (v->grid.shape[i] == 0) {
            return absent(why, "Neuroglancer precomputed has no empty arrays", "");
        }
        if (!lzr_axis_offset(a, level, i, &offset)) {
            return absent(why, "its translation is too many voxels for precomputed", "");
        }
    }
    if (!is_constant(a, c)) {
        return absent(why, "Neuroglancer precomputed has as many channels at each level", FEWER);
    }
    if (cast) {
        d.kind = d.kind == 'f' ? 'f' : 'u';
        d.size = d.kind == 'f' ? 4 : 8;
    }
    if (c >= 0) {
        v->grid.chunks[c] = v->grid.shape[c]; /* all channels stand in each chunk */
    }
    d.big = false;
    v->dtype = d;
    v->layout = LZR_LAYOUT_RAW;
    v->codec = (struct lzr_codec){.id = LZR_CODEC_NONE};
    if (a->compressed_segmentation && d.kind == 'u' && d.size >= 4) {
        v->layout = LZR_LAYOUT_LABELS;
    }
    return true;
}

bool lzr_view_of(const struct lzr_array *a, unsigned level, enum lzr_encoding e,
                 struct lzr_view *out, char *why)
{
    struct lzr_view v = {.grid = a->levels[level].grid, .dtype = a->dtype, .codec = a->codec};
    v.spatial = v.grid.rank - (lzr_axis_of(a, 'c') >= 0) - (lzr_axis_of(a, 't') >= 0);
    bool there = true;
    if (a->text && e != LZR_ENC_ZARR) {
        return absent(why,
                      e == LZR_ENC_N5    ? "N5"
                      : e == LZR_ENC_BDV ? "BigDataViewer"
                                         : "precomputed",
                      " has no texts");
    }
    switch (e) {
    case LZR_ENC_N5:
        there = n5_view(a, &v, why);
        break;
    case LZR_ENC_BDV:
        there = bdv_view(a, &v, why);
        break;
    case LZR_ENC_PRECOMPUTED:
    case LZR_ENC_CAST:
        there = precomputed_view(a, level, e == LZR_ENC_CAST, &v, why);
        break;
    case LZR_ENC_ZARR:
    case LZR_ENCODINGS:
    default:
        break;
    }
    if (!there) {
        return false;
    }
    const struct lzr_grid *own = &a->levels[level].grid;
    uint64_t channels = 1;
    for (unsigned i = 0; i < own->rank; i++) {
        channels *= (v.grid.chunks[i] - 1) / own->chunks[i] + 1;
    }
    if (lzr_grid_init(&v.grid, NULL) != LZR_OK || channels > LZR_MAX_SOURCES ||
        v.grid.chunk_elements * v.dtype.size > LZR_MAX_CHUNK_BYTES) {
        return channels > 1
                   ? absent(why, "a chunk with all channels would be too large", "")
                   : absent(why, "its chunks would be too large as ", lzr_dtype_name(v.dtype));
    }
    if (v.layout == LZR_LAYOUT_LABELS && !lzr_compseg_fits(&v.grid)) {
        v.layout = LZR_LAYOUT_RAW;
    }
    *out = v;
    return true;
}

void lzr_view_box(const struct lzr_view *v, uint64_t index, uint64_t start[], uint64_t extent[])
{
    uint64_t pos[LZR_MAX_RANK];
    lzr_grid_position(&v->grid, index, pos);
    lzr_grid_block(&v->grid, pos, start, extent);
}

uint64_t lzr_view_sources(const struct lzr_grid *g, const uint64_t start[], const uint64_t extent[],
                          uint64_t first[], uint64_t count[])
{
    uint64_t n = 1;
    for (unsigned i = 0; i < g->rank; i++) {
        first[i] = start[i] / g->chunks[i];
        count[i] = (start[i] + extent[i] - 1) / g->chunks[i] - first[i] + 1;
        n *= count[i];
    }
    return n;
}

bool lzr_view_length(const struct lzr_view *v, uint64_t index, uint64_t *bytes)
{
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    if (v->codec.id != LZR_CODEC_NONE || v->layout == LZR_LAYOUT_LABELS) {
        return false;
    }
    if (v->layout == LZR_LAYOUT_ZARR) {
        *bytes = v->grid.chunk_elements * v->dtype.size;
        return true;
    }
    lzr_view_box(v, index, start, extent);
    *bytes = v->dtype.size;
    for (unsigned i = 0; i < v->grid.rank; i++) {
        *bytes *= extent[i];
    }
    *bytes += v->layout == LZR_LAYOUT_N5 ? 4 + 4 * (uint64_t)v->axes : 0;
    return true;
}
