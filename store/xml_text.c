#include "store/xml_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static void put_byte(struct lzr_buf *out, char c)
{
    switch (c) {
    case '<':
        lzr_buf_puts(out, "&lt;");
        return;
    case '>':
        lzr_buf_puts(out, "&gt;");
        return;
    case '&':
        lzr_buf_puts(out, "&amp;");
        return;
    case '"':
        lzr_buf_puts(out, "&quot;");
        return;
    default:
        if ((unsigned char)c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
            lzr_buf_puts(out, "&#xFFFD;");
        } else {
            lzr_buf_putc(out, c);
        }
    }
}

void lzr_xml_text(struct lzr_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        put_byte(out, *text);
    }
}

/* Four hex digits, which the check of the document saw. */
static uint32_t read_hex(const char *p)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++) {
        char c = p[i];
        v = v * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static void put_code(struct lzr_buf *out, uint32_t code)
{
    bool control = code < 0x20 && code != '\t' && code != '\n' && code != '\r';
    if (control || (code & 0xfffe) == 0xfffe) {
        code = 0xfffd;
    }
    lzr_buf_printf(out, "&#x%X;", (unsigned)code);
}

/* What stands behind a backslash; returns how many bytes that was. */
static size_t put_escape(struct lzr_buf *out, const char *p)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *known = strchr(from, *p);
    if (*p == 'u') {
        uint32_t code = read_hex(p + 1);
        if (code >= 0xd800 && code < 0xdc00) { /* never alone: "\uD83E\uDDE0" */
            put_code(out, 0x10000 + ((code - 0xd800) << 10) + (read_hex(p + 7) - 0xdc00));
            return 11;
        }
        put_code(out, code);
        return 5;
    }
    put_byte(out, known != NULL ? to[known - from] : *p);
    return 1;
}

void lzr_xml_json_string(struct lzr_buf *out, struct lzr_span json)
{
    size_t end = json.n - 1;
    for (size_t i = 1; i < end;) {
        if (json.p[i] == '\\') {
            i += 1 + put_escape(out, json.p + i + 1);
        } else if (i + 2 < end && memcmp(json.p + i, "\xef\xbf", 2) == 0 &&
                   (unsigned char)json.p[i + 2] >= 0xbe) {
            lzr_buf_puts(out, "&#xFFFD;"); /* U+FFFE and U+FFFF are none of XML's characters */
            i += 3;
        } else {
            put_byte(out, json.p[i++]);
        }
    }
}
