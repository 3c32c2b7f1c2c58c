/* BigDataViewer's "bdv.n5": a dataset.xml (bdv_xml.c) and an N5 container of three-dimensional
 * images, channels as setups and times as timepoints. */
#include <inttypes.h>

#include "base/buf.h"
#include "store/bdv.h"
#include "store/face.h"
#include "store/json_writer.h"
#include "store/keys.h"
#include "store/n5.h"
#include "store/placement.h"

/* Of every level: view.h holds no image whose levels differ in them. */
static uint64_t length_of(const struct lzr_array *a, char letter)
{
    int axis = lzr_axis_of(a, letter);
    return axis < 0 ? 1 : a->levels[0].grid.shape[axis];
}

static void write_setup(struct lzr_json *j, const struct lzr_array *a, const struct lzr_view *v)
{
    lzr_json_key(j, "downsamplingFactors");
    lzr_json_open(j, '[');
    for (unsigned k = 0; k < a->nlevels; k++) {
        lzr_json_open(j, '[');
        for (unsigned i = 0; i < 3; i++) {
            unsigned axis = v->grid.rank - 1 - i;
            lzr_json_u64(j, i < v->spatial ? a->levels[k].factor[axis] : 1);
        }
        lzr_json_close(j, ']');
    }
    lzr_json_close(j, ']');
    lzr_json_key(j, "dataType");
    lzr_json_string(j, lzr_dtype_name(v->dtype));
}

static void write_time(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_key(j, "multiScale");
    lzr_json_bool(j, true);
    lzr_json_key(j, "resolution");
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < 3; i++) {
        lzr_json_number(j, lzr_bdv_size(a, i));
    }
    lzr_json_close(j, ']');
}

static void write_level(struct lzr_json *j, const struct lzr_tree_item *item,
                        const struct lzr_view *v)
{
    lzr_n5_dataset(j, v);
    lzr_json_key(j, "downsamplingFactors");
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < 3; i++) {
        unsigned axis = v->grid.rank - 1 - i;
        lzr_json_u64(j, i < v->spatial ? item->array->levels[item->level].factor[axis] : 1);
    }
    lzr_json_close(j, ']');
}

static void write_part(struct lzr_buf *out, const struct lzr_tree *t, size_t i, unsigned k)
{
    const struct lzr_tree_item *item = &t->items[i];
    struct lzr_json j;
    struct lzr_view v;
    if (item->role == LZR_ROLE_GROUP ||
        !lzr_view_of(item->array, item->level, LZR_ENC_BDV, &v, NULL)) {
        return;
    }
    if (item->role == LZR_ROLE_IMAGE) {
        if (k == 0) {
            lzr_bdv_xml(out, item->array);
        } else if (item->array->channels != NULL) {
            lzr_bdv_settings(out, item->array);
        }
        return;
    }
    if (k > 0) {
        return;
    }
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    if (item->role == LZR_ROLE_BDV_N5) {
        lzr_n5_version(&j);
    } else if (item->role == LZR_ROLE_BDV_SETUP) {
        write_setup(&j, item->array, &v);
    } else if (item->role == LZR_ROLE_BDV_TIME) {
        write_time(&j, item->array);
    } else {
        write_level(&j, item, &v);
    }
    lzr_json_close(&j, '}');
}

static const char *part_name(const struct lzr_tree_item *item, unsigned k)
{
    if (item->role == LZR_ROLE_IMAGE) {
        return k == 0 ? "dataset.xml" : item->array->channels != NULL ? LZR_BDV_SETTINGS : NULL;
    }
    return item->role == LZR_ROLE_GROUP || k > 0 ? NULL : "attributes.json";
}

static void expand(struct lzr_tree *t, const struct lzr_array *a)
{
    struct lzr_view v;
    for (unsigned k = 0; k < a->nlevels; k++) {
        if (!lzr_view_of(a, k, LZR_ENC_BDV, &v, NULL)) {
            return;
        }
    }
    struct lzr_tree_item item = {.role = LZR_ROLE_IMAGE, .array = a, .attributes = "{}"};
    lzr_tree_add(t, item, "%s", a->path);
    item.role = LZR_ROLE_BDV_N5;
    lzr_tree_add(t, item, "%s/dataset.n5", a->path);
    for (item.channel = 0; item.channel < length_of(a, 'c'); item.channel++) {
        item.role = LZR_ROLE_BDV_SETUP;
        lzr_tree_add(t, item, "%s/dataset.n5/setup%" PRIu64, a->path, item.channel);
        for (uint64_t time = 0; time < length_of(a, 't'); time++) {
            item.timepoint = time;
            item.role = LZR_ROLE_BDV_TIME;
            item.level = 0;
            lzr_tree_add(t, item, "%s/dataset.n5/setup%" PRIu64 "/timepoint%" PRIu64, a->path,
                         item.channel, time);
            item.role = LZR_ROLE_ARRAY;
            /* An image of three axes has the same blocks in N5. */
            item.encoding = v.grid.rank == 3 && v.spatial == 3 ? LZR_ENC_N5 : LZR_ENC_BDV;
            for (; item.level < a->nlevels; item.level++) {
                lzr_tree_add(t, item, "%s/dataset.n5/setup%" PRIu64 "/timepoint%" PRIu64 "/s%u",
                             a->path, item.channel, time, item.level);
            }
            item.level = 0;
        }
        item.timepoint = 0;
    }
}

static bool is_chunk(const struct lzr_tree_item *item, const char *key, size_t n, uint64_t *index)
{
    const struct lzr_array *a = item->array;
    struct lzr_view v;
    uint64_t pos[LZR_MAX_RANK] = {0};
    int c = lzr_axis_of(a, 'c'), t = lzr_axis_of(a, 't');
    if (!lzr_view_of(a, item->level, LZR_ENC_BDV, &v, NULL)) {
        return false;
    }
    if (c >= 0) {
        pos[c] = item->channel;
    }
    if (t >= 0) {
        pos[t] = item->timepoint;
    }
    if ((c >= 0 && pos[c] >= v.grid.counts[c]) || (t >= 0 && pos[t] >= v.grid.counts[t])) {
        return false; /* never: the view is held by no face then */
    }
    return lzr_key_bdv(&v.grid, v.spatial, pos, key, n, index);
}

static void list_chunks(const struct lzr_tree_item *item, struct lzr_names *out)
{
    struct lzr_view v;
    *out = (struct lzr_names){.form = LZR_NAMES_FOLDERS, .n = 3};
    if (!lzr_view_of(item->array, item->level, LZR_ENC_BDV, &v, NULL)) {
        return; /* never: expand asked */
    }
    for (unsigned i = 0; i < 3; i++) {
        out->counts[i] = i < v.spatial ? v.grid.counts[v.grid.rank - 1 - i] : 1;
    }
}

const struct lzr_face_ops lzr_face_bdv = {
    .name = "bdv",
    .suffix = "",
    .nparts = 2,
    .expand = expand,
    .encoding = LZR_ENC_BDV,
    .write_part = write_part,
    .part_name = part_name,
    .chunk = is_chunk,
    .names = list_chunks,
};
