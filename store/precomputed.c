/* The documents of Neuroglancer's precomputed volumes: an `info` for each array, whose levels are
 * folders of chunks. Source: Neuroglancer's documentation of the precomputed volume format. */
#include "base/buf.h"
#include "store/face.h"
#include "store/json_writer.h"
#include "store/keys.h"
#include "store/placement.h"

/* x, y, z of the last axes; `missing` where the array has no z. */
static void write_xyz(struct lzr_json *j, const struct lzr_view *v, const uint64_t lengths[])
{
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < 3; i++) {
        lzr_json_u64(j, i < v->spatial ? lengths[v->grid.rank - 1 - i] : 1);
    }
    lzr_json_close(j, ']');
}

static void write_resolution(struct lzr_json *j, const struct lzr_array *a, unsigned level,
                             unsigned spatial)
{
    unsigned rank = a->levels[0].grid.rank;
    lzr_json_key(j, "resolution");
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < 3; i++) {
        /* A missing z is as large as x. */
        lzr_json_number(j, lzr_axis_nanometres(a, level, rank - 1 - (i < spatial ? i : 0)));
    }
    lzr_json_close(j, ']');
    lzr_json_key(j, "voxel_offset");
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < 3; i++) {
        int64_t offset = 0;
        if (i < spatial) {
            (void)lzr_axis_offset(a, level, rank - 1 - i, &offset);
        }
        lzr_json_number(j, (double)offset);
    }
    lzr_json_close(j, ']');
}

static void write_scale(struct lzr_json *j, const struct lzr_array *a, unsigned level,
                        const struct lzr_view *v)
{
    char key[12] = "";
    struct lzr_buf text;
    lzr_buf_init(&text, sizeof key);
    lzr_buf_printf(&text, "%u", level);
    lzr_json_open(j, '{');
    lzr_json_key(j, "key");
    lzr_json_string(j, text.data);
    lzr_buf_release(&text);
    lzr_json_key(j, "size");
    write_xyz(j, v, v->grid.shape);
    write_resolution(j, a, level, v->spatial);
    lzr_json_key(j, "chunk_sizes");
    lzr_json_open(j, '[');
    write_xyz(j, v, v->grid.chunks);
    lzr_json_close(j, ']');
    lzr_json_key(j, "encoding");
    if (v->layout == LZR_LAYOUT_LABELS) {
        lzr_json_string(j, "compressed_segmentation");
        lzr_json_key(j, "compressed_segmentation_block_size");
        lzr_json_raw(j, "[8,8,8]", 7);
    } else {
        lzr_json_string(j, "raw");
    }
    lzr_json_close(j, '}');
}

static void write_info(struct lzr_buf *out, const struct lzr_array *a, enum lzr_encoding e)
{
    struct lzr_json j;
    struct lzr_view v;
    int c = lzr_axis_of(a, 'c');
    if (!lzr_view_of(a, 0, e, &v, NULL)) {
        return; /* never: expand asked */
    }
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "@type");
    lzr_json_string(&j, "neuroglancer_multiscale_volume");
    lzr_json_key(&j, "type");
    lzr_json_string(&j, a->kind == LZR_LABELS ? "segmentation" : "image");
    lzr_json_key(&j, "data_type");
    lzr_json_string(&j, lzr_dtype_name(v.dtype));
    lzr_json_key(&j, "num_channels");
    lzr_json_u64(&j, c >= 0 ? v.grid.shape[c] : 1);
    lzr_json_key(&j, "scales");
    lzr_json_open(&j, '[');
    for (unsigned k = 0; k < a->nlevels; k++) {
        if (lzr_view_of(a, k, e, &v, NULL)) {
            write_scale(&j, a, k, &v);
        }
    }
    lzr_json_close(&j, ']');
    lzr_json_close(&j, '}');
}

static void write_part(struct lzr_buf *out, const struct lzr_tree *t, size_t i, unsigned k)
{
    const struct lzr_tree_item *item = &t->items[i];
    (void)k;
    if (item->role == LZR_ROLE_IMAGE) {
        write_info(out, item->array, item->encoding);
    }
}

static const char *part_name(const struct lzr_tree_item *item, unsigned k)
{
    (void)k;
    return item->role == LZR_ROLE_IMAGE ? "info" : NULL;
}

static void expand_as(struct lzr_tree *t, const struct lzr_array *a, enum lzr_encoding e,
                      const char *ending)
{
    struct lzr_view v;
    for (unsigned k = 0; k < a->nlevels; k++) {
        if (!lzr_view_of(a, k, e, &v, NULL)) {
            return;
        }
    }
    struct lzr_tree_item item = {.role = LZR_ROLE_IMAGE,
                                 .array = a,
                                 .encoding = e,
                                 .attributes = "{}"};
    lzr_tree_add(t, item, "%s%s", a->path, ending);
    item.role = LZR_ROLE_ARRAY;
    for (item.level = 0; item.level < a->nlevels; item.level++) {
        lzr_tree_add(t, item, "%s%s/%u", a->path, ending, item.level);
    }
}

static void expand(struct lzr_tree *t, const struct lzr_array *a)
{
    expand_as(t, a, LZR_ENC_PRECOMPUTED, "");
    if (lzr_view_cast(a) != NULL) {
        expand_as(t, a, LZR_ENC_CAST, lzr_view_cast(a));
    }
}

static bool is_chunk(const struct lzr_tree_item *item, const char *key, size_t n, uint64_t *index)
{
    const struct lzr_array *a = item->array;
    struct lzr_view v;
    int64_t offset[LZR_MAX_RANK] = {0};
    if (!lzr_view_of(a, item->level, item->encoding, &v, NULL)) {
        return false;
    }
    for (unsigned i = 0; i < v.spatial; i++) {
        (void)lzr_axis_offset(a, item->level, v.grid.rank - v.spatial + i, &offset[i]);
    }
    return lzr_key_precomputed(&v.grid, v.spatial, offset, key, n, index);
}

static void list_chunks(const struct lzr_tree_item *item, struct lzr_names *out)
{
    struct lzr_view v;
    *out = (struct lzr_names){.form = LZR_NAMES_RANGES, .n = 3};
    if (!lzr_view_of(item->array, item->level, item->encoding, &v, NULL)) {
        return; /* never: expand asked */
    }
    for (unsigned i = 0; i < 3; i++) {
        bool real = i < v.spatial;
        unsigned axis = real ? v.grid.rank - 1 - i : 0;
        out->shape[i] = real ? v.grid.shape[axis] : 1;
        out->chunk[i] = real ? v.grid.chunks[axis] : 1;
        out->counts[i] = real ? v.grid.counts[axis] : v.grid.total > 0;
        if (real) {
            (void)lzr_axis_offset(item->array, item->level, axis, &out->offset[i]);
        }
    }
}

const struct lzr_face_ops lzr_face_precomputed = {
    .name = "precomputed",
    .suffix = "",
    .nparts = 1,
    .expand = expand,
    .encoding = LZR_ENC_PRECOMPUTED,
    .write_part = write_part,
    .part_name = part_name,
    .chunk = is_chunk,
    .names = list_chunks,
};
