#include "store/face.h"

#include <stdio.h>
#include <string.h>

#include "store/json_writer.h"

void lzr_face_dims(struct lzr_json *j, const struct lzr_tree_item *item)
{
    const struct lzr_array *a = item->array;
    const char *slash = strrchr(item->path, '/');
    const char *own = slash != NULL ? slash + 1 : item->path;
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < a->levels[0].grid.rank; i++) {
        if (a->has_dims) {
            lzr_json_string(j, a->dims[i]);
        } else {
            char name[LZR_MAX_NAME + 16];
            snprintf(name, sizeof name, "%s%sdim_%u", item->own_dims ? own : "",
                     item->own_dims ? "_" : "", i);
            lzr_json_string(j, name);
        }
    }
    lzr_json_close(j, ']');
}

void lzr_face_lengths(struct lzr_json *j, const uint64_t *v, unsigned n)
{
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < n; i++) {
        lzr_json_u64(j, v[i]);
    }
    lzr_json_close(j, ']');
}
