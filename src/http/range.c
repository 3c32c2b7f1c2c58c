#include "http/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Digits to a number that saturates: a range may begin anywhere. */
static bool number(const char **p, uint64_t *out)
{
    uint64_t v = 0;
    if (**p < '0' || **p > '9') {
        return false;
    }
    while (**p >= '0' && **p <= '9') {
        unsigned digit = (unsigned)(**p - '0');
        v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
        (*p)++;
    }
    *out = v;
    return true;
}

static void blanks(const char **p)
{
    while (**p == ' ' || **p == '\t') {
        (*p)++;
    }
}

struct lzr_range lzr_range_parse(const char *header, uint64_t total)
{
    const struct lzr_range whole = {.kind = LZR_RANGE_WHOLE};
    const struct lzr_range none = {.kind = LZR_RANGE_UNSATISFIABLE};
    uint64_t first = 0, last = UINT64_MAX;
    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0) {
        return whole;
    }
    const char *p = header + 6;
    blanks(&p);
    bool has_first = number(&p, &first);
    if (*p != '-') {
        return whole;
    }
    p++;
    bool has_last = number(&p, &last);
    blanks(&p);
    if (*p != '\0' || (!has_first && !has_last)) {
        return whole; /* several ranges, or none that means anything */
    }
    if (!has_first) { /* the last so many bytes */
        if (last == 0 || total == 0) {
            return none;
        }
        uint64_t n = last < total ? last : total;
        return (struct lzr_range){LZR_RANGE_PART, total - n, n};
    }
    if (has_last && last < first) {
        return whole;
    }
    if (first >= total) {
        return none;
    }
    last = last < total - 1 ? last : total - 1;
    return (struct lzr_range){LZR_RANGE_PART, first, last - first + 1};
}
