#include "store/attributes.h"

#include <string.h>

#include "base/buf.h"
#include "store/json_span.h"

static bool is_reserved(struct lzr_span key)
{
    return lzr_json_key_is(key, "multiscales") || lzr_json_key_is(key, "ome") ||
           lzr_json_key_is(key, "_ARRAY_DIMENSIONS");
}

void lzr_attributes_merge(struct lzr_json *j, const char *attributes, bool reserve)
{
    struct lzr_json_iter it;
    struct lzr_span key, value;
    lzr_json_iter_init(&it, (struct lzr_span){attributes, strlen(attributes)});
    while (lzr_json_next(&it, &key, &value)) {
        if (!(reserve && is_reserved(key))) {
            lzr_json_raw(j, key.p, key.n);
            lzr_buf_putc(j->out, ':');
            lzr_buf_add(j->out, value.p, value.n);
        }
    }
}
