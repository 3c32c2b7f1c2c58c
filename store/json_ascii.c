#include "store/json_ascii.h"

#include <stdint.h>

#include "base/buf.h"

/* The character at p, of which n >= 1 bytes follow at least; *len is its bytes. The documents are
 * UTF-8, checked where they entered. */
static uint32_t character(const unsigned char *p, size_t n, size_t *len)
{
    size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint32_t code = p[0] & (0xffu >> (want + 1));
    *len = want < n ? want : n;
    for (size_t i = 1; i < *len; i++) {
        code = code << 6 | (p[i] & 0x3fu);
    }
    return code;
}

void lzr_json_to_ascii(struct lzr_buf *b, size_t from)
{
    struct lzr_buf out;
    size_t at = from, plain = from;
    while (at < b->len && (unsigned char)b->data[at] < 0x80) {
        at++;
    }
    if (at == b->len || lzr_buf_failed(b)) {
        return; /* nearly always */
    }
    lzr_buf_init(&out, b->limit);
    lzr_buf_add(&out, b->data, from);
    for (at = from; at < b->len;) {
        const unsigned char *p = (const unsigned char *)b->data + at;
        size_t len;
        if (*p < 0x80) {
            at++;
            continue;
        }
        uint32_t code = character(p, b->len - at, &len);
        lzr_buf_add(&out, b->data + plain, at - plain);
        if (code >= 0x10000) {
            lzr_buf_printf(&out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                           (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
        } else {
            lzr_buf_printf(&out, "\\u%04x", (unsigned)code);
        }
        plain = at += len;
    }
    lzr_buf_add(&out, b->data + plain, b->len - plain);
    if (lzr_buf_failed(&out)) {
        b->failed = true;
        lzr_buf_release(&out);
        return;
    }
    lzr_buf_release(b);
    *b = out;
}
