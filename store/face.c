#include "store/face.h"

#include <stdio.h>

#include "store/json_writer.h"

void lzr_face_dims(struct lzr_json *j, const struct lzr_array *a)
{
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < a->levels[0].grid.rank; i++) {
        if (a->has_dims) {
            lzr_json_string(j, a->dims[i]);
        } else {
            char name[16];
            snprintf(name, sizeof name, "dim_%u", i);
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
