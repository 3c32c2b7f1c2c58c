/* The documents of BigDataViewer's "bdv.n5": a dataset.xml (SpimData 0.2) and an N5 container of
 * three-dimensional images, channels as setups and times as timepoints. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/face.h"
#include "store/json_writer.h"
#include "store/keys.h"
#include "store/n5.h"
#include "store/placement.h"
#include "store/real.h"

static uint64_t length_of(const struct lzr_array *a, char letter)
{
    int axis = lzr_axis_of(a, letter);
    return axis < 0 ? 1 : a->levels[0].grid.shape[axis];
}

/* Voxel size of x, y, z (i = 0, 1, 2); a missing z is as large as x. */
static double size_of(const struct lzr_array *a, unsigned i)
{
    unsigned rank = a->levels[0].grid.rank, spatial = rank - lzr_first_spatial(a);
    return lzr_axis_scale(a, 0, rank - 1 - (i < spatial ? i : 0));
}

static double place_of(const struct lzr_array *a, unsigned i)
{
    unsigned rank = a->levels[0].grid.rank, spatial = rank - lzr_first_spatial(a);
    return i < spatial ? lzr_axis_translation(a, 0, rank - 1 - i) : 0;
}

static const char *unit_text(const struct lzr_array *a)
{
    const char *symbol = lzr_spatial_symbol(a);
    return *symbol != '\0' ? symbol : "pixel";
}

static void put_real(struct lzr_buf *out, double v)
{
    char text[LZR_REAL_TEXT];
    lzr_real_text(v, 64, text);
    lzr_buf_puts(out, text);
}

static void put_sizes(struct lzr_buf *out, const struct lzr_array *a)
{
    lzr_buf_puts(out, "        <size>");
    for (unsigned i = 0; i < 3; i++) {
        unsigned rank = a->levels[0].grid.rank, spatial = rank - lzr_first_spatial(a);
        uint64_t n = i < spatial ? a->levels[0].grid.shape[rank - 1 - i] : 1;
        lzr_buf_printf(out, "%s%" PRIu64, i > 0 ? " " : "", n);
    }
    lzr_buf_printf(out, "</size>\n        <voxelSize><unit>%s</unit><size>", unit_text(a));
    for (unsigned i = 0; i < 3; i++) {
        lzr_buf_puts(out, i > 0 ? " " : "");
        put_real(out, size_of(a, i));
    }
    lzr_buf_puts(out, "</size></voxelSize>\n");
}

static void put_setups(struct lzr_buf *out, const struct lzr_array *a)
{
    uint64_t setups = length_of(a, 'c');
    const char *slash = strrchr(a->path, '/');
    const char *name = slash != NULL ? slash + 1 : a->path; /* nothing in it needs escaping */
    lzr_buf_puts(out, "    <ViewSetups>\n");
    for (uint64_t s = 0; s < setups; s++) {
        lzr_buf_printf(out, "      <ViewSetup>\n        <id>%" PRIu64 "</id>\n        <name>%s", s,
                       name);
        if (setups > 1) {
            lzr_buf_printf(out, " channel %" PRIu64, s);
        }
        lzr_buf_puts(out, "</name>\n");
        put_sizes(out, a);
        lzr_buf_printf(out,
                       "        <attributes><channel>%" PRIu64 "</channel></attributes>\n"
                       "      </ViewSetup>\n",
                       s);
    }
    lzr_buf_puts(out, "      <Attributes name=\"channel\">\n");
    for (uint64_t s = 0; s < setups; s++) {
        lzr_buf_printf(out,
                       "        <Channel><id>%" PRIu64 "</id><name>%" PRIu64 "</name></Channel>\n",
                       s, s);
    }
    lzr_buf_puts(out, "      </Attributes>\n    </ViewSetups>\n");
}

/* BigDataViewer puts voxel 0's centre at the affine's last column, as lazarr does; it derives the
 * levels' places from their factors itself. */
static void put_registrations(struct lzr_buf *out, const struct lzr_array *a)
{
    lzr_buf_puts(out, "  <ViewRegistrations>\n");
    for (uint64_t t = 0; t < length_of(a, 't'); t++) {
        for (uint64_t s = 0; s < length_of(a, 'c'); s++) {
            lzr_buf_printf(out,
                           "    <ViewRegistration timepoint=\"%" PRIu64 "\" setup=\"%" PRIu64
                           "\"><ViewTransform type=\"affine\"><affine>",
                           t, s);
            for (unsigned row = 0; row < 3; row++) {
                for (unsigned column = 0; column < 4; column++) {
                    lzr_buf_puts(out, row + column > 0 ? " " : "");
                    put_real(out, column == 3     ? place_of(a, row)
                                  : column == row ? size_of(a, row)
                                                  : 0);
                }
            }
            lzr_buf_puts(out, "</affine></ViewTransform></ViewRegistration>\n");
        }
    }
    lzr_buf_puts(out, "  </ViewRegistrations>\n");
}

static void write_xml(struct lzr_buf *out, const struct lzr_array *a)
{
    lzr_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<SpimData version=\"0.2\">\n"
                      "  <BasePath type=\"relative\">.</BasePath>\n"
                      "  <SequenceDescription>\n"
                      "    <ImageLoader format=\"bdv.n5\" version=\"1.1\">\n"
                      "      <n5 type=\"relative\">dataset.n5</n5>\n"
                      "    </ImageLoader>\n");
    put_setups(out, a);
    lzr_buf_printf(out,
                   "    <Timepoints type=\"range\">\n      <first>0</first>\n      <last>%" PRIu64
                   "</last>\n    </Timepoints>\n  </SequenceDescription>\n",
                   length_of(a, 't') - 1);
    put_registrations(out, a);
    lzr_buf_puts(out, "</SpimData>\n");
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
        lzr_json_number(j, size_of(a, i));
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
    (void)k;
    if (item->role == LZR_ROLE_GROUP ||
        !lzr_view_of(item->array, item->level, LZR_ENC_BDV, &v, NULL)) {
        return;
    }
    if (item->role == LZR_ROLE_IMAGE) {
        write_xml(out, item->array);
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
    (void)k;
    return item->role == LZR_ROLE_GROUP   ? NULL
           : item->role == LZR_ROLE_IMAGE ? "dataset.xml"
                                          : "attributes.json";
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
    return lzr_key_bdv(&v.grid, v.spatial, pos, key, n, index);
}

const struct lzr_face_ops lzr_face_bdv = {
    .name = "bdv",
    .suffix = "",
    .nparts = 1,
    .expand = expand,
    .encoding = LZR_ENC_BDV,
    .write_part = write_part,
    .part_name = part_name,
    .chunk = is_chunk,
};
