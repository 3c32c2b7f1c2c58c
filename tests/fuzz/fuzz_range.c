/* Any text as Range, as a list of entity tags and as header names: a part lies inside the whole. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "http/condition.h"
#include "http/cors.h"
#include "http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096];
    uint64_t total = 0;
    if (size < sizeof total || size - sizeof total >= sizeof text) {
        return 0;
    }
    memcpy(&total, data, sizeof total);
    memcpy(text, data + sizeof total, size - sizeof total);
    text[size - sizeof total] = '\0';
    struct lzr_range r = lzr_range_parse(text, total);
    if (r.kind == LZR_RANGE_PART) {
        LZR_CHECK(r.len > 0 && r.first < total && r.len <= total - r.first);
    }
    bool weak = lzr_etag_matches(text, "\"0123\"", true);
    LZR_CHECK(weak || !lzr_etag_matches(text, "\"0123\"", false)); /* strong implies weak */
    (void)lzr_origin_is_loopback(text);
    (void)lzr_cors_headers_safe(text);
    return 0;
}
