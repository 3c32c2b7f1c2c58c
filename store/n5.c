/* The documents of N5: an attributes.json at every group and dataset; axes x first. The key names
 * are those of N5's README and of the readers: N5Viewer (pixelResolution, downsamplingFactors),
 * Neuroglancer and tensorstore (axes, units, resolution), COSEM (transform). */
#include "store/n5.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/attributes.h"
#include "store/face.h"
#include "store/json_ascii.h"
#include "store/keys.h"
#include "store/ngff.h"
#include "store/placement.h"

void lzr_n5_version(struct lzr_json *j)
{
    lzr_json_key(j, "n5");
    lzr_json_string(j, "4.0.0");
}

static void write_compression(struct lzr_json *j, const struct lzr_codec *c)
{
    static const char *const TYPES[] = {[LZR_CODEC_NONE] = "raw",
                                        [LZR_CODEC_BLOSC] = "blosc",
                                        [LZR_CODEC_ZSTD] = "zstd",
                                        [LZR_CODEC_GZIP] = "gzip",
                                        [LZR_CODEC_LZ4] = "lz4"};
    lzr_json_key(j, "compression");
    lzr_json_open(j, '{');
    lzr_json_key(j, "type");
    lzr_json_string(j, TYPES[c->id]);
    if (c->id == LZR_CODEC_BLOSC) {
        lzr_json_key(j, "cname");
        lzr_json_string(j, c->cname);
        lzr_json_key(j, "clevel");
        lzr_json_int(j, c->level);
        lzr_json_key(j, "shuffle");
        lzr_json_int(j, c->shuffle);
        lzr_json_key(j, "blocksize");
        lzr_json_int(j, 0);
        /* No "nthreads", which n5-blosc writes: tensorstore refuses it, Java does without. */
    } else if (c->id == LZR_CODEC_LZ4) {
        lzr_json_key(j, "blockSize");
        lzr_json_int(j, 65536);
    } else if (c->id != LZR_CODEC_NONE) {
        lzr_json_key(j, "level");
        lzr_json_int(j, c->level);
    }
    if (c->id == LZR_CODEC_GZIP) {
        lzr_json_key(j, "useZlib");
        lzr_json_bool(j, false);
    }
    lzr_json_close(j, '}');
}

static void write_lengths(struct lzr_json *j, const struct lzr_view *v, const uint64_t lengths[])
{
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < v->axes; i++) {
        lzr_json_u64(j, i < v->named ? lengths[v->grid.rank - 1 - i] : 1);
    }
    lzr_json_close(j, ']');
}

void lzr_n5_dataset(struct lzr_json *j, const struct lzr_view *v)
{
    lzr_json_key(j, "dimensions");
    write_lengths(j, v, v->grid.shape);
    lzr_json_key(j, "blockSize");
    write_lengths(j, v, v->grid.chunks);
    lzr_json_key(j, "dataType");
    lzr_json_string(j, lzr_dtype_name(v->dtype));
    write_compression(j, &v->codec);
}

void lzr_n5_factors(struct lzr_json *j, const struct lzr_array *a, unsigned level, unsigned axes)
{
    unsigned rank = a->levels[0].grid.rank;
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < axes; i++) {
        lzr_json_u64(j, i < rank ? a->levels[level].factor[rank - 1 - i] : 1);
    }
    lzr_json_close(j, ']');
}

static void write_scales(struct lzr_json *j, const struct lzr_array *a, unsigned level)
{
    lzr_json_open(j, '[');
    for (unsigned i = a->levels[0].grid.rank; i-- > 0;) {
        lzr_json_number(j, lzr_axis_scale(a, level, i));
    }
    lzr_json_close(j, ']');
}

static void write_axes(struct lzr_json *j, const struct lzr_array *a)
{
    unsigned rank = a->levels[0].grid.rank;
    lzr_json_key(j, "axes");
    lzr_json_open(j, '[');
    for (unsigned i = rank; i-- > 0;) {
        lzr_json_string(j, a->dims[i]);
    }
    lzr_json_close(j, ']');
}

/* pixelResolution is the finest level's everywhere, resolution the level's own: Neuroglancer takes
 * the first and multiplies it by the factors, tensorstore takes the second. Neuroglancer mixes the
 * numbers of pixelResolution with `units`, so both are in the same. */
static void write_resolution(struct lzr_json *j, const struct lzr_array *a, unsigned level)
{
    unsigned rank = a->levels[0].grid.rank;
    write_axes(j, a);
    lzr_json_key(j, "units");
    lzr_json_open(j, '[');
    for (unsigned i = rank; i-- > 0;) {
        bool spatial = i >= lzr_first_spatial(a);
        lzr_json_string(j, spatial ? lzr_spatial_symbol(a) : lzr_unit_of(a->units[i]).symbol);
    }
    lzr_json_close(j, ']');
    lzr_json_key(j, "resolution");
    write_scales(j, a, level);
    lzr_json_key(j, "pixelResolution");
    lzr_json_open(j, '{');
    lzr_json_key(j, "unit");
    lzr_json_string(j, lzr_spatial_symbol(a));
    lzr_json_key(j, "dimensions");
    write_scales(j, a, 0);
    lzr_json_close(j, '}');
}

static const char *shown_unit(const struct lzr_array *a, unsigned axis)
{
    const char *symbol =
        axis >= lzr_first_spatial(a) ? lzr_spatial_symbol(a) : lzr_unit_of(a->units[axis]).symbol;
    return *symbol != '\0' ? symbol : "pixel";
}

/* N5's own words have no translation, know three axes only, and let all levels begin at one corner.
 * COSEM's `transform`, C order, says names and places of all axes: with it the Java readers take
 * channels for channels, and images of two axes for what they are. */
static void write_transform(struct lzr_json *j, const struct lzr_array *a, unsigned level)
{
    unsigned rank = a->levels[0].grid.rank;
    static const char *const LISTS[] = {"axes", "units", "scale", "translate"};
    lzr_json_key(j, "transform");
    lzr_json_open(j, '{');
    lzr_json_key(j, "ordering");
    lzr_json_string(j, "C");
    for (unsigned k = 0; k < 4; k++) {
        lzr_json_key(j, LISTS[k]);
        lzr_json_open(j, '[');
        for (unsigned i = 0; i < rank; i++) {
            if (k < 2) {
                lzr_json_string(j, k == 0 ? a->dims[i] : shown_unit(a, i));
            } else {
                lzr_json_number(j, k == 2 ? lzr_axis_scale(a, level, i)
                                          : lzr_axis_translation(a, level, i));
            }
        }
        lzr_json_close(j, ']');
    }
    lzr_json_close(j, '}');
}

static void write_array(struct lzr_json *j, const struct lzr_tree_item *item)
{
    const struct lzr_array *a = item->array;
    struct lzr_view v;
    if (!lzr_view_of(a, item->level, item->encoding, &v, NULL)) {
        return; /* never: expand asked */
    }
    lzr_n5_dataset(j, &v);
    if (a->kind != LZR_PLAIN) {
        lzr_json_key(j, "downsamplingFactors");
        lzr_n5_factors(j, a, item->level, v.axes);
        write_resolution(j, a, item->level);
        write_transform(j, a, item->level);
    } else if (a->has_dims) {
        write_axes(j, a);
    }
}

/* Channels and labels, which N5 has no words for, in OME-Zarr's. Labels lie where they are: the way
 * to their image goes by the root. */
static void write_looks(struct lzr_json *j, const struct lzr_array *a)
{
    char way[3 * LZR_MAX_PATH + LZR_MAX_PATH + 8];
    size_t n = 0;
    if (a->labels_of == NULL) {
        lzr_ngff_looks(j, a, NULL);
        return;
    }
    for (const char *p = a->path; p != NULL; p = strchr(p, '/'), p = p != NULL ? p + 1 : NULL) {
        memcpy(way + n, "../", 3);
        n += 3;
    }
    (void)snprintf(way + n, sizeof way - n, "%s", a->labels_of->path);
    lzr_ngff_looks(j, a, way);
}

static void write_image(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_key(j, "downsamplingFactors");
    lzr_json_open(j, '[');
    for (unsigned k = 0; k < a->nlevels; k++) {
        lzr_n5_factors(j, a, k, a->levels[0].grid.rank);
    }
    lzr_json_close(j, ']');
    lzr_json_key(j, "multiScale"); /* WEBKNOSSOS and Paintera look for it */
    lzr_json_bool(j, true);
    write_resolution(j, a, 0);
    write_looks(j, a);
}

static void write_part(struct lzr_buf *out, const struct lzr_tree *t, size_t i, unsigned k)
{
    const struct lzr_tree_item *item = &t->items[i];
    struct lzr_json j;
    size_t from = out->len;
    (void)k;
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    if (item->path[0] == '\0') {
        lzr_n5_version(&j);
    }
    if (item->role == LZR_ROLE_ARRAY) {
        write_array(&j, item);
    } else if (item->role == LZR_ROLE_IMAGE) {
        write_image(&j, item->array);
    }
    lzr_attributes_merge(&j, item->attributes, lzr_attributes_n5);
    lzr_json_close(&j, '}');
    lzr_json_to_ascii(out, from);
}

static const char *part_name(const struct lzr_tree_item *item, unsigned k)
{
    (void)item;
    (void)k;
    return "attributes.json";
}

static void expand(struct lzr_tree *t, const struct lzr_array *a)
{
    struct lzr_view v;
    for (unsigned k = 0; k < a->nlevels; k++) {
        if (!lzr_view_of(a, k, LZR_ENC_N5, &v, NULL)) {
            return;
        }
    }
    struct lzr_tree_item item = {.role = LZR_ROLE_ARRAY,
                                 .array = a,
                                 .encoding = LZR_ENC_N5,
                                 .attributes = a->attributes};
    if (a->kind == LZR_PLAIN) {
        lzr_tree_add(t, item, "%s", a->path);
        return;
    }
    lzr_tree_add(
        t, (struct lzr_tree_item){.role = LZR_ROLE_IMAGE, .array = a, .attributes = a->attributes},
        "%s", a->path);
    item.attributes = "{}";
    for (item.level = 0; item.level < a->nlevels; item.level++) {
        lzr_tree_add(t, item, "%s/s%u", a->path, item.level);
    }
}

static bool is_chunk(const struct lzr_tree_item *item, const char *key, size_t n, uint64_t *index)
{
    return lzr_key_n5(&item->array->levels[item->level].grid, key, n, index);
}

static void list_chunks(const struct lzr_tree_item *item, struct lzr_names *out)
{
    const struct lzr_grid *g = &item->array->levels[item->level].grid;
    *out = (struct lzr_names){.form = LZR_NAMES_FOLDERS, .n = g->rank};
    for (unsigned i = 0; i < g->rank; i++) {
        out->counts[i] = g->counts[g->rank - 1 - i];
    }
}

const struct lzr_face_ops lzr_face_n5 = {
    .name = "n5",
    .suffix = ".n5",
    .nparts = 1,
    .expand = expand,
    .encoding = LZR_ENC_N5,
    .write_part = write_part,
    .part_name = part_name,
    .chunk = is_chunk,
    .names = list_chunks,
};
