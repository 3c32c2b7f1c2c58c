#include "store/ngff.h"

#include <stdio.h>
#include <string.h>

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
    lzr_json_key(j, "multiscales");
    lzr_json_open(j, '[');
    lzr_json_open(j, '{');
    if (version != NULL) {
        lzr_json_key(j, "version");
        lzr_json_string(j, version);
    }
    lzr_json_key(j, "name");
    lzr_json_string(j, slash != NULL ? slash + 1 : a->path);
    write_axes(j, a);
    write_datasets(j, a);
    lzr_json_close(j, '}');
    lzr_json_close(j, ']');
    /* omero, labels and image-label are members beside multiscales in both versions: they have
     * their place here when channels and labels_of are served. */
}

void lzr_ngff_v04(struct lzr_json *j, const struct lzr_array *a)
{
    write_multiscales(j, a, "0.4");
}

void lzr_ngff_v05(struct lzr_json *j, const struct lzr_array *a)
{
    /* 0.5 has its version once, outside of multiscales. */
    lzr_json_key(j, "ome");
    lzr_json_open(j, '{');
    lzr_json_key(j, "version");
    lzr_json_string(j, "0.5");
    write_multiscales(j, a, NULL);
    lzr_json_close(j, '}');
}
