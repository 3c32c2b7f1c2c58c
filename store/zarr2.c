/* The documents of Zarr v2: .zgroup, .zarray, .zattrs and .zmetadata. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/face.h"
#include "store/json_ascii.h"
#include "store/json_writer.h"
#include "store/keys.h"
#include "store/ngff.h"

static void write_compressor(struct lzr_json *j, const struct lzr_codec *c)
{
    lzr_json_key(j, "compressor");
    if (c->id == LZR_CODEC_NONE) {
        lzr_json_null(j);
        return;
    }
    lzr_json_open(j, '{');
    lzr_json_key(j, "id");
    if (c->id == LZR_CODEC_BLOSC) {
        lzr_json_string(j, "blosc");
        lzr_json_key(j, "cname");
        lzr_json_string(j, c->cname);
        lzr_json_key(j, "clevel");
        lzr_json_int(j, c->level);
        lzr_json_key(j, "shuffle");
        lzr_json_int(j, c->shuffle);
        lzr_json_key(j, "blocksize");
        lzr_json_int(j, 0);
    } else {
        lzr_json_string(j, c->id == LZR_CODEC_GZIP ? "gzip" : "zstd");
        lzr_json_key(j, "level");
        lzr_json_int(j, c->level);
    }
    lzr_json_close(j, '}');
}

/* xarray masks the fill value of a v2 array, so a 0 that nobody asked for is not said; but images
 * and labels are read by cloud-volume, which can't do without, and Neuroglancer can't read null for
 * uint64. Of a dataset xarray is the reader. */
static bool fill_is_said(const struct lzr_array *a)
{
    return a->fill_given || a->kind != LZR_PLAIN ||
           (a->dtype.kind == 'u' && a->dtype.size == 8 && !a->dataset);
}

/* Texts are NumPy's: code points "<U12", bytes "|S12". */
static void write_dtype(struct lzr_json *j, const struct lzr_array *a)
{
    char dtype[32];
    lzr_json_key(j, "dtype");
    if (a->text) {
        const struct lzr_grid *g = &a->levels[0].grid;
        (void)snprintf(dtype, sizeof dtype, "%s%" PRIu64, a->dtype.size == 1 ? "|S" : "<U",
                       g->shape[g->rank - 1]);
    } else {
        lzr_dtype_v2(a->dtype, dtype);
    }
    lzr_json_string(j, dtype);
}

static void write_array(struct lzr_buf *out, const struct lzr_tree_item *item)
{
    const struct lzr_array *a = item->array;
    const struct lzr_grid shown = lzr_face_grid(item), *g = &shown;
    struct lzr_json j;
    char separator[2] = {a->separator, '\0'};
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "zarr_format");
    lzr_json_int(&j, 2);
    lzr_json_key(&j, "shape");
    lzr_face_lengths(&j, g->shape, g->rank);
    lzr_json_key(&j, "chunks");
    lzr_face_lengths(&j, g->chunks, g->rank);
    write_dtype(&j, a);
    write_compressor(&j, &a->codec);
    lzr_json_key(&j, "fill_value");
    if (fill_is_said(a)) {
        lzr_json_value(&j);
        lzr_fill_json(out, a->dtype, a->fill);
    } else {
        lzr_json_null(&j);
    }
    lzr_json_key(&j, "order");
    lzr_json_string(&j, "C");
    lzr_json_key(&j, "filters");
    lzr_json_null(&j);
    lzr_json_key(&j, "dimension_separator");
    lzr_json_string(&j, separator);
    lzr_json_close(&j, '}');
}

static void write_attributes(struct lzr_buf *out, const struct lzr_tree *t, size_t i)
{
    const struct lzr_tree_item *item = &t->items[i];
    struct lzr_json j;
    size_t from = out->len;
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    if (item->role == LZR_ROLE_ARRAY) {
        lzr_json_key(&j, "_ARRAY_DIMENSIONS");
        lzr_face_dims(&j, item);
    } else if (item->role == LZR_ROLE_IMAGE) {
        lzr_ngff_v04(&j, item);
    } else if (item->role == LZR_ROLE_LABELS) {
        lzr_ngff_labels_v04(&j, t, i);
    }
    if (item->array == NULL) {
        lzr_ngff_group_v04(&j, item->attributes);
    } else {
        lzr_face_attributes(&j, item);
    }
    lzr_json_close(&j, '}');
    lzr_json_to_ascii(out, from);
}

static void write_part(struct lzr_buf *out, const struct lzr_tree *t, size_t i, unsigned k)
{
    const struct lzr_tree_item *item = &t->items[i];
    if (k == 1) {
        write_attributes(out, t, i);
    } else if (lzr_is_group(item)) {
        lzr_buf_puts(out, "{\"zarr_format\":2}");
    } else {
        write_array(out, item);
    }
}

static const char *part_name(const struct lzr_tree_item *item, unsigned k)
{
    return k == 1 ? ".zattrs" : lzr_is_group(item) ? ".zgroup" : ".zarray";
}

static void write_consolidated(struct lzr_buf *out, const struct lzr_tree *t, size_t i,
                               const struct lzr_parts *parts)
{
    struct lzr_json j;
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "zarr_consolidated_format");
    lzr_json_int(&j, 1);
    lzr_json_key(&j, "metadata");
    lzr_json_open(&j, '{');
    for (size_t m = i; m < t->items[i].end; m++) {
        const char *below = lzr_tree_below(&t->items[i], &t->items[m]);
        for (unsigned k = 0; k < 2; k++) {
            char key[LZR_MAX_KEY];
            int n = snprintf(key, sizeof key, "%s%s%s", m == i ? "" : below, m == i ? "" : "/",
                             part_name(&t->items[m], k));
            lzr_json_key_n(&j, key, (size_t)n);
            lzr_json_raw(&j, parts[m].part[k].p, parts[m].part[k].n);
        }
    }
    lzr_json_close(&j, '}');
    lzr_json_close(&j, '}');
}

static bool is_chunk(const struct lzr_tree_item *item, const char *key, size_t n, uint64_t *index)
{
    const struct lzr_grid g = lzr_face_grid(item);
    return lzr_key_v2(&g, item->array->separator, key, n, index);
}

static void list_chunks(const struct lzr_tree_item *item, struct lzr_names *out)
{
    const struct lzr_grid shown = lzr_face_grid(item), *g = &shown;
    *out = (struct lzr_names){.form = item->array->separator == '/' ? LZR_NAMES_FOLDERS
                                                                    : LZR_NAMES_DOTTED,
                              .n = g->rank};
    memcpy(out->counts, g->counts, g->rank * sizeof g->counts[0]);
}

const struct lzr_face_ops lzr_face_zarr2 = {
    .name = "zarr2",
    .suffix = ".zarr",
    .nparts = 2,
    .expand = lzr_face_expand_zarr,
    .encoding = LZR_ENC_ZARR,
    .write_part = write_part,
    .part_name = part_name,
    .write_consolidated = write_consolidated,
    .consolidated_name = ".zmetadata",
    .chunk = is_chunk,
    .names = list_chunks,
};
