/* The documents of Zarr v3: a zarr.json at every node, with the whole subtree inline at groups. */
#include <string.h>

#include "base/buf.h"
#include "store/face.h"
#include "store/json_writer.h"
#include "store/keys.h"
#include "store/ngff.h"

/* {"name": ..., "configuration": { and, after the members, its end. */
static void open_named(struct lzr_json *j, const char *name)
{
    lzr_json_open(j, '{');
    lzr_json_key(j, "name");
    lzr_json_string(j, name);
    lzr_json_key(j, "configuration");
    lzr_json_open(j, '{');
}

static void close_named(struct lzr_json *j)
{
    lzr_json_close(j, '}');
    lzr_json_close(j, '}');
}

static void write_blosc(struct lzr_json *j, const struct lzr_array *a)
{
    static const char *const SHUFFLES[] = {"noshuffle", "shuffle", "bitshuffle"};
    open_named(j, "blosc");
    lzr_json_key(j, "cname");
    lzr_json_string(j, a->codec.cname);
    lzr_json_key(j, "clevel");
    lzr_json_int(j, a->codec.level);
    lzr_json_key(j, "shuffle");
    lzr_json_string(j, SHUFFLES[a->codec.shuffle]);
    lzr_json_key(j, "typesize");
    lzr_json_int(j, a->dtype.size);
    lzr_json_key(j, "blocksize");
    lzr_json_int(j, 0);
    close_named(j);
}

static void write_codecs(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_key(j, "codecs");
    lzr_json_open(j, '[');
    open_named(j, "bytes");
    if (a->dtype.size > 1) {
        lzr_json_key(j, "endian");
        lzr_json_string(j, a->dtype.big ? "big" : "little");
    }
    close_named(j);
    if (a->codec.id == LZR_CODEC_BLOSC) {
        write_blosc(j, a);
    } else if (a->codec.id != LZR_CODEC_NONE) {
        bool zstd = a->codec.id == LZR_CODEC_ZSTD;
        open_named(j, zstd ? "zstd" : "gzip");
        lzr_json_key(j, "level");
        lzr_json_int(j, a->codec.level);
        if (zstd) {
            lzr_json_key(j, "checksum"); /* some readers drop a zstd without it */
            lzr_json_bool(j, false);
        }
        close_named(j);
    }
    lzr_json_close(j, ']');
}

/* Texts are what zarr-python and xarray write for NumPy's of fixed length. */
static void write_dtype(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_key(j, "data_type");
    if (!a->text) {
        lzr_json_string(j, lzr_dtype_name(a->dtype));
        return;
    }
    const struct lzr_grid *g = &a->levels[0].grid;
    open_named(j, a->dtype.size == 1 ? "null_terminated_bytes" : "fixed_length_utf32");
    lzr_json_key(j, "length_bytes");
    lzr_json_u64(j, g->shape[g->rank - 1] * a->dtype.size);
    close_named(j);
}

static void write_grid(struct lzr_json *j, const struct lzr_grid *g)
{
    lzr_json_key(j, "shape");
    lzr_face_lengths(j, g->shape, g->rank);
    lzr_json_key(j, "chunk_grid");
    open_named(j, "regular");
    lzr_json_key(j, "chunk_shape");
    lzr_face_lengths(j, g->chunks, g->rank);
    close_named(j);
    lzr_json_key(j, "chunk_key_encoding");
    open_named(j, "default");
    lzr_json_key(j, "separator");
    lzr_json_string(j, "/");
    close_named(j);
}

/* xarray masks the fill value of a v2 array, and of a v3 array what this attribute says: the same
 * data in both. It knows no such attribute of complex numbers. */
static void write_mask(struct lzr_json *j, const struct lzr_array *a)
{
    if (a->fill_given && a->dtype.kind != 'c') {
        lzr_json_key(j, "_FillValue");
        lzr_json_value(j);
        lzr_fill_attribute(j->out, a->dtype, a->fill);
    }
}

static void write_attributes(struct lzr_json *j, const struct lzr_tree *t, size_t i)
{
    const struct lzr_tree_item *item = &t->items[i];
    lzr_json_key(j, "attributes");
    lzr_json_open(j, '{');
    if (item->role == LZR_ROLE_IMAGE) {
        lzr_ngff_v05(j, item);
    } else if (item->role == LZR_ROLE_LABELS) {
        lzr_ngff_labels_v05(j, t, i);
    }
    if (item->role == LZR_ROLE_ARRAY && item->array->kind == LZR_PLAIN) {
        write_mask(j, item->array);
    }
    lzr_face_attributes(j, item);
    lzr_json_close(j, '}');
}

/* A node without the bracket at its end, so that a group can be given its subtree. */
static void write_open_node(struct lzr_json *j, const struct lzr_tree *t, size_t i)
{
    const struct lzr_tree_item *item = &t->items[i];
    lzr_json_open(j, '{');
    lzr_json_key(j, "zarr_format");
    lzr_json_int(j, 3);
    lzr_json_key(j, "node_type");
    lzr_json_string(j, lzr_is_group(item) ? "group" : "array");
    if (!lzr_is_group(item)) {
        const struct lzr_array *a = item->array;
        const struct lzr_grid g = lzr_face_grid(item);
        write_grid(j, &g);
        write_dtype(j, a);
        lzr_json_key(j, "fill_value");
        if (a->text) {
            lzr_json_string(j, "");
        } else {
            lzr_json_value(j);
            lzr_fill_json(j->out, a->dtype, a->fill);
        }
        write_codecs(j, a);
        lzr_json_key(j, "dimension_names");
        lzr_face_dims(j, item);
    }
    write_attributes(j, t, i);
}

static void write_part(struct lzr_buf *out, const struct lzr_tree *t, size_t i, unsigned k)
{
    struct lzr_json j;
    (void)k;
    lzr_json_init(&j, out);
    write_open_node(&j, t, i);
    lzr_json_close(&j, '}');
}

static const char *part_name(const struct lzr_tree_item *item, unsigned k)
{
    (void)k;
    return lzr_is_group(item) ? NULL : "zarr.json";
}

static void write_consolidated(struct lzr_buf *out, const struct lzr_tree *t, size_t i,
                               const struct lzr_parts *parts)
{
    struct lzr_json j;
    lzr_json_init(&j, out);
    write_open_node(&j, t, i);
    lzr_json_key(&j, "consolidated_metadata");
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "kind");
    lzr_json_string(&j, "inline");
    lzr_json_key(&j, "must_understand");
    lzr_json_bool(&j, false);
    lzr_json_key(&j, "metadata");
    lzr_json_open(&j, '{');
    for (size_t m = i + 1; m < t->items[i].end; m++) {
        lzr_json_key(&j, lzr_tree_below(&t->items[i], &t->items[m]));
        lzr_json_raw(&j, parts[m].part[0].p, parts[m].part[0].n);
    }
    lzr_json_close(&j, '}');
    lzr_json_close(&j, '}');
    lzr_json_close(&j, '}');
}

static bool is_chunk(const struct lzr_tree_item *item, const char *key, size_t n, uint64_t *index)
{
    const struct lzr_grid g = lzr_face_grid(item);
    return lzr_key_v3(&g, key, n, index);
}

static void list_chunks(const struct lzr_tree_item *item, struct lzr_names *out)
{
    const struct lzr_grid shown = lzr_face_grid(item), *g = &shown;
    *out = (struct lzr_names){.form = LZR_NAMES_FOLDERS, .letter = true, .n = g->rank};
    memcpy(out->counts, g->counts, g->rank * sizeof g->counts[0]);
}

const struct lzr_face_ops lzr_face_zarr3 = {
    .name = "zarr3",
    .suffix = ".zarr",
    .nparts = 1,
    .expand = lzr_face_expand_zarr,
    .encoding = LZR_ENC_ZARR,
    .write_part = write_part,
    .part_name = part_name,
    .write_consolidated = write_consolidated,
    .consolidated_name = "zarr.json",
    .chunk = is_chunk,
    .names = list_chunks,
};
