/* json_span.h: the raw text of parts of a JSON document.
 *
 * cJSON keeps numbers as doubles, so a user's attributes are never taken through it: they are cut
 * out of the text they came in. lzr_json_check validates a whole document once; everything else
 * here works on spans of a document that passed, and can't fail but for "there is none".
 * Pure functions, nothing allocates, recursion is bounded by LZR_MAX_JSON_DEPTH. */
#ifndef LZR_STORE_JSON_SPAN_H
#define LZR_STORE_JSON_SPAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct lzr_span {
    const char *p;
    size_t n;
};

enum lzr_json_flags {
    LZR_JSON_ANY = 0,
    /* Also refuses what cJSON reads wrongly: U+0000 in a string (it cuts there) and numbers of more
     * than 63 characters (it reads the first 63). */
    LZR_JSON_FOR_CJSON = 1,
};

/* RFC 8259, strictly: one value, UTF-8, no lone surrogates, at most LZR_MAX_JSON_DEPTH deep. */
enum lzr_code lzr_json_check(const char *text, size_t n, unsigned flags, struct lzr_err *err);

/* Walks the members of an object or the elements of an array:
 *   struct lzr_json_iter it;
 *   lzr_json_iter_init(&it, container);
 *   while (lzr_json_next(&it, &key, &value)) ...
 * key is the raw text with its quotes, empty in arrays. A value that is no container has none. */
struct lzr_json_iter {
    const char *p, *end;
    bool object;
};

void lzr_json_iter_init(struct lzr_json_iter *it, struct lzr_span container);
bool lzr_json_next(struct lzr_json_iter *it, struct lzr_span *key, struct lzr_span *value);

/* Whether a raw key means this ASCII name, escapes undone. */
bool lzr_json_key_is(struct lzr_span key, const char *name);
/* The first member of that name. */
bool lzr_json_member(struct lzr_span object, const char *name, struct lzr_span *value);

#endif
