#include "store/ngff.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/attributes.h"
#include "store/placement.h"

/* What lazarr says itself in each of OME-Zarr's objects; the user's other members stand beside. */
static const char *const OWN_SCALES[] = {
    "version", "name", "type", "axes", "datasets", "coordinateTransformations", NULL};
static const char *const OWN_OMERO[] = {"version", "channels", "rdefs", NULL};
static const char *const OWN_LABEL[] = {"version", "source", NULL};

/* A text that the user's object has under a name, with its quotes; n = 0: none. */
static struct lzr_span text_of(struct lzr_span object, const char *name)
{
    struct lzr_span v;
    bool is = object.n > 0 && lzr_json_member(object, name, &v) && v.n > 0 && v.p[0] == '"';
    return is ? v : (struct lzr_span){NULL, 0};
}

static const char *axis_type(const char *axis)
{
    return axis[0] == 't' ? "time" : axis[0] == 'c' ? "channel" : "space";
}

static void write_axes(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_key(j, "axes");
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < a->levels[0].grid.rank; i++) {
        lzr_json_open(j, '{');
        lzr_json_key(j, "name");
        lzr_json_string(j, a->dims[i]);
        lzr_json_key(j, "type");
        lzr_json_string(j, axis_type(a->dims[i]));
        /* Channels are counted, not measured: readers refuse a unit there. */
        if (a->units[i] != NULL && a->dims[i][0] != 'c') {
            lzr_json_key(j, "unit");
            lzr_json_string(j, a->units[i]);
        }
        lzr_json_close(j, '}');
    }
    lzr_json_close(j, ']');
}

static void write_transformation(struct lzr_json *j, const char *type, const double *v, unsigned n)
{
    lzr_json_open(j, '{');
    lzr_json_key(j, "type");
    lzr_json_string(j, type);
    lzr_json_key(j, type);
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < n; i++) {
        lzr_json_real(j, v[i]);
    }
    lzr_json_close(j, ']');
    lzr_json_close(j, '}');
}

static void write_datasets(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_key(j, "datasets");
    lzr_json_open(j, '[');
    for (unsigned k = 0; k < a->nlevels; k++) {
        char path[12];
        snprintf(path, sizeof path, "%u", k);
        unsigned rank = a->levels[k].grid.rank;
        lzr_json_open(j, '{');
        lzr_json_key(j, "path");
        lzr_json_string(j, path);
        lzr_json_key(j, "coordinateTransformations");
        lzr_json_open(j, '[');
        /* Exactly one scale and then one translation: more or another order readers refuse. */
        write_transformation(j, "scale", a->levels[k].scale, rank);
        write_transformation(j, "translation", a->levels[k].translation, rank);
        lzr_json_close(j, ']');
        lzr_json_close(j, '}');
    }
    lzr_json_close(j, ']');
}

static void write_multiscales(struct lzr_json *j, const struct lzr_array *a, const char *version)
{
    const char *slash = strrchr(a->path, '/');
    struct lzr_span own = lzr_attributes_object(a->attributes, "multiscales");
    struct lzr_span name = text_of(own, "name"), type = text_of(own, "type");
    lzr_json_key(j, "multiscales");
    lzr_json_open(j, '[');
    lzr_json_open(j, '{');
    if (version != NULL) {
        lzr_json_key(j, "version");
        lzr_json_string(j, version);
    }
    lzr_json_key(j, "name");
    if (name.n > 0) {
        lzr_json_raw(j, name.p, name.n);
    } else {
        lzr_json_string(j, slash != NULL ? slash + 1 : a->path);
    }
    const struct lzr_array *made = a;
    while (made->copied) {
        made = made->inputs[0].array;
    }
    if (lzr_level_reduced(made, a->nlevels - 1)) {
        lzr_json_key(j, "type"); /* how the levels were made */
        lzr_json_string(j, lzr_pyramid_name(made->pyramid));
    } else if (type.n > 0) {
        lzr_json_key(j, "type");
        lzr_json_raw(j, type.p, type.n);
    }
    write_axes(j, a);
    write_datasets(j, a);
    lzr_attributes_merge_span(j, own, OWN_SCALES);
    lzr_json_close(j, '}');
    lzr_json_close(j, ']');
}

/* What viewers show of the channels, and at which place they begin. */
static void write_omero(struct lzr_json *j, const struct lzr_array *a)
{
    if (a->channels == NULL) {
        return;
    }
    int z = lzr_axis_of(a, 'z');
    struct lzr_span own = lzr_attributes_object(a->attributes, "omero"), rdefs;
    lzr_json_key(j, "omero");
    lzr_json_open(j, '{');
    lzr_json_key(j, "channels");
    lzr_json_raw(j, a->channels, strlen(a->channels));
    lzr_attributes_merge_span(j, own, OWN_OMERO);
    lzr_json_key(j, "rdefs");
    if (own.n > 0 && lzr_json_member(own, "rdefs", &rdefs) && rdefs.p[0] == '{') {
        lzr_json_raw(j, rdefs.p, rdefs.n);
        lzr_json_close(j, '}');
        return;
    }
    lzr_json_open(j, '{');
    lzr_json_key(j, "defaultT");
    lzr_json_int(j, 0);
    lzr_json_key(j, "defaultZ");
    lzr_json_u64(j, z >= 0 ? a->levels[0].grid.shape[z] / 2 : 0);
    lzr_json_key(j, "model");
    lzr_json_string(j, "color");
    lzr_json_close(j, '}');
    lzr_json_close(j, '}');
}

/* Marks labels as such; whose they are is said only where they stand in an image's labels/. */
static void write_image_label(struct lzr_json *j, const struct lzr_array *a, const char *image,
                              const char *version)
{
    if (a->kind != LZR_LABELS) {
        return;
    }
    lzr_json_key(j, "image-label");
    lzr_json_open(j, '{');
    if (version != NULL) {
        lzr_json_key(j, "version");
        lzr_json_string(j, version);
    }
    if (image != NULL) {
        lzr_json_key(j, "source");
        lzr_json_open(j, '{');
        lzr_json_key(j, "image");
        lzr_json_string(j, image);
        lzr_json_close(j, '}');
    }
    lzr_attributes_merge_span(j, lzr_attributes_object(a->attributes, "image-label"), OWN_LABEL);
    lzr_json_close(j, '}');
}

static void write_all(struct lzr_json *j, const struct lzr_tree_item *image, const char *version)
{
    write_multiscales(j, image->array, version);
    write_omero(j, image->array);
    write_image_label(j, image->array, image->in_labels ? "../../" : NULL, version);
}

void lzr_ngff_looks(struct lzr_json *j, const struct lzr_array *a, const char *image)
{
    write_omero(j, a);
    write_image_label(j, a, image, NULL);
}

void lzr_ngff_v04(struct lzr_json *j, const struct lzr_tree_item *image)
{
    write_all(j, image, "0.4");
}

/* 0.5 has its version once, outside of everything. */
static void open_v05(struct lzr_json *j)
{
    lzr_json_key(j, "ome");
    lzr_json_open(j, '{');
    lzr_json_key(j, "version");
    lzr_json_string(j, "0.5");
}

void lzr_ngff_v05(struct lzr_json *j, const struct lzr_tree_item *image)
{
    open_v05(j);
    write_all(j, image, NULL);
    lzr_json_close(j, '}');
}

void lzr_ngff_labels_v04(struct lzr_json *j, const struct lzr_tree *t, size_t i)
{
    lzr_json_key(j, "labels");
    lzr_json_open(j, '[');
    for (size_t m = i + 1; m < t->items[i].end; m = t->items[m].end) {
        lzr_json_string(j, lzr_tree_below(&t->items[i], &t->items[m]));
    }
    lzr_json_close(j, ']');
}

void lzr_ngff_labels_v05(struct lzr_json *j, const struct lzr_tree *t, size_t i)
{
    open_v05(j);
    lzr_ngff_labels_v04(j, t, i);
    lzr_json_close(j, '}');
}

/* Whether an "ome" is of a plate, a well or a layout: others are the user's, whatever they are. */
static bool is_layout(struct lzr_span key)
{
    return lzr_json_key_is(key, "plate") || lzr_json_key_is(key, "well") ||
           lzr_json_key_is(key, "bioformats2raw.layout") || lzr_json_key_is(key, "series");
}

/* A plate or a well has its version inside, in 0.4. */
static void write_layout(struct lzr_json *j, struct lzr_span key, struct lzr_span value)
{
    lzr_json_raw(j, key.p, key.n);
    lzr_buf_putc(j->out, ':');
    if (value.p[0] != '{') {
        lzr_buf_add(j->out, value.p, value.n);
        return;
    }
    lzr_buf_puts(j->out, "{\"version\":\"0.4\"");
    struct lzr_json_iter it;
    struct lzr_span name, v;
    lzr_json_iter_init(&it, value);
    while (lzr_json_next(&it, &name, &v)) {
        if (!lzr_json_key_is(name, "version")) {
            lzr_buf_putc(j->out, ',');
            lzr_buf_add(j->out, name.p, name.n);
            lzr_buf_putc(j->out, ':');
            lzr_buf_add(j->out, v.p, v.n);
        }
    }
    lzr_buf_putc(j->out, '}');
}

void lzr_ngff_group_v04(struct lzr_json *j, const char *attributes)
{
    static const char *const OME[] = {"ome", NULL};
    struct lzr_span all = {attributes, strlen(attributes)}, ome, key, value, twice;
    struct lzr_json_iter it;
    bool moved = false;
    if (lzr_json_member(all, "ome", &ome) && ome.p[0] == '{') {
        lzr_json_iter_init(&it, ome);
        while (lzr_json_next(&it, &key, &value)) {
            char name[32];
            if (!is_layout(key) || key.n - 2 >= sizeof name) {
                continue;
            }
            moved = true;
            memcpy(name, key.p + 1, key.n - 2);
            name[key.n - 2] = '\0';
            if (!lzr_json_member(all, name, &twice)) {
                write_layout(j, key, value);
            }
        }
    }
    lzr_attributes_merge(j, attributes, moved ? OME : NULL);
}
