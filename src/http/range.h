/* range.h: the Range header. Pure, any thread; fuzzed. RFC 9110 §14. */
#ifndef LZR_HTTP_RANGE_H
#define LZR_HTTP_RANGE_H

#include <stdint.h>

enum lzr_range_kind {
    LZR_RANGE_WHOLE,         /* none, not understood, or several: the whole, 200 */
    LZR_RANGE_PART,          /* 206 */
    LZR_RANGE_UNSATISFIABLE, /* 416 */
};

struct lzr_range {
    enum lzr_range_kind kind;
    uint64_t first, len; /* of a PART */
};

/* header may be NULL; total: bytes of the whole. */
struct lzr_range lzr_range_parse(const char *header, uint64_t total);

#endif
