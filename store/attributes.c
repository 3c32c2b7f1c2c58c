#include "store/attributes.h"

#include <string.h>

#include "base/buf.h"
#include "store/json_span.h"

const char *const lzr_attributes_zarr[] = {"multiscales", "ome",    "_ARRAY_DIMENSIONS",
                                           "omero",       "labels", "image-label",
                                           NULL};

const char *const lzr_attributes_plain[] = {"_ARRAY_DIMENSIONS", "_FillValue", NULL};

const char *const lzr_attributes_n5[] = {"n5",
                                         "dimensions",
                                         "blockSize",
                                         "dataType",
                                         "compression",
                                         "compressionType",
                                         "codecs",
                                         "axes",
                                         "units",
                                         "resolution",
                                         "pixelResolution",
                                         "downsamplingFactors",
                                         "scales",
                                         "coordinateArrays",
                                         "multiscales",
                                         "multiScale",
                                         "ome",
                                         "omero",
                                         "image-label",
                                         "transform",
                                         NULL};

static bool is_reserved(struct lzr_span key, const char *const *reserved)
{
    for (; reserved != NULL && *reserved != NULL; reserved++) {
        if (lzr_json_key_is(key, *reserved)) {
            return true;
        }
    }
    return false;
}

struct lzr_span lzr_attributes_object(const char *attributes, const char *name)
{
    const struct lzr_span none = {NULL, 0};
    struct lzr_span found, key, first;
    if (!lzr_json_member((struct lzr_span){attributes, strlen(attributes)}, name, &found)) {
        return none;
    }
    if (found.n > 0 && found.p[0] == '[') {
        struct lzr_json_iter it;
        lzr_json_iter_init(&it, found);
        if (!lzr_json_next(&it, &key, &first)) {
            return none;
        }
        found = first;
    }
    return found.n > 0 && found.p[0] == '{' ? found : none;
}

void lzr_attributes_merge(struct lzr_json *j, const char *attributes, const char *const *reserved)
{
    lzr_attributes_merge_span(j, (struct lzr_span){attributes, strlen(attributes)}, reserved);
}

void lzr_attributes_merge_span(struct lzr_json *j, struct lzr_span object,
                               const char *const *reserved)
{
    struct lzr_json_iter it;
    struct lzr_span key, value;
    lzr_json_iter_init(&it, object);
    while (lzr_json_next(&it, &key, &value)) {
        if (!is_reserved(key, reserved)) {
            lzr_json_raw(j, key.p, key.n);
            lzr_buf_putc(j->out, ':');
            lzr_buf_add(j->out, value.p, value.n);
        }
    }
}
