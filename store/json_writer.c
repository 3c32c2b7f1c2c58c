#include "store/json_writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "store/real.h"

void lzr_json_init(struct lzr_json *j, struct lzr_buf *out)
{
    j->out = out;
    j->comma = false;
}

void lzr_json_value(struct lzr_json *j)
{
    if (j->comma) {
        lzr_buf_putc(j->out, ',');
    }
    j->comma = true;
}

void lzr_json_open(struct lzr_json *j, char bracket)
{
    lzr_json_value(j);
    lzr_buf_putc(j->out, bracket);
    j->comma = false;
}

void lzr_json_close(struct lzr_json *j, char bracket)
{
    lzr_buf_putc(j->out, bracket);
    j->comma = true;
}

/* Bytes of the UTF-8 sequence that s[0..n) begins with; 0 if that is none (RFC 3629). */
static size_t utf8_length(const char *s, size_t n)
{
    unsigned char c = (unsigned char)s[0], second = n > 1 ? (unsigned char)s[1] : 0;
    size_t len = c >= 0xc2 && c <= 0xdf   ? 2
                 : c >= 0xe0 && c <= 0xef ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (len == 0 || len > n || (c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f)) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* Quotes and escapes. A manifest's texts are UTF-8, checked where they entered; what user code says
 * of its errors may be anything, and be cut anywhere: what is no UTF-8 becomes U+FFFD. */
static void put_quoted(struct lzr_buf *b, const char *s, size_t n)
{
    lzr_buf_putc(b, '"');
    size_t plain = 0; /* where the run of bytes that need no escape began */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        size_t sequence = c >= 0x80 ? utf8_length(s + i, n - i) : 0;
        if (sequence > 0) {
            i += sequence - 1;
            continue;
        }
        if (c >= 0x20 && c != '"' && c != '\\' && c < 0x7f) {
            continue;
        }
        lzr_buf_add(b, s + plain, i - plain);
        plain = i + 1;
        if (c >= 0x80) {
            lzr_buf_puts(b, "\\ufffd");
        } else if (c == '"' || c == '\\') {
            lzr_buf_putc(b, '\\');
            lzr_buf_putc(b, (char)c);
        } else if (c == '\n') {
            lzr_buf_puts(b, "\\n");
        } else if (c == '\t') {
            lzr_buf_puts(b, "\\t");
        } else {
            lzr_buf_printf(b, "\\u%04x", (unsigned)c);
        }
    }
    lzr_buf_add(b, s + plain, n - plain);
    lzr_buf_putc(b, '"');
}

void lzr_json_key_n(struct lzr_json *j, const char *name, size_t n)
{
    lzr_json_value(j);
    put_quoted(j->out, name, n);
    lzr_buf_putc(j->out, ':');
    j->comma = false;
}

void lzr_json_key(struct lzr_json *j, const char *name)
{
    lzr_json_key_n(j, name, strlen(name));
}

void lzr_json_string_n(struct lzr_json *j, const char *s, size_t n)
{
    lzr_json_value(j);
    put_quoted(j->out, s, n);
}

void lzr_json_string(struct lzr_json *j, const char *s)
{
    lzr_json_string_n(j, s, strlen(s));
}

void lzr_json_u64(struct lzr_json *j, uint64_t v)
{
    lzr_json_value(j);
    lzr_buf_printf(j->out, "%" PRIu64, v);
}

void lzr_json_int(struct lzr_json *j, int v)
{
    lzr_json_value(j);
    lzr_buf_printf(j->out, "%d", v);
}

void lzr_json_real(struct lzr_json *j, double v)
{
    char text[LZR_REAL_TEXT];
    lzr_real_text(v, 64, text);
    lzr_json_raw(j, text, strlen(text));
}

void lzr_json_bool(struct lzr_json *j, bool v)
{
    lzr_json_value(j);
    lzr_buf_puts(j->out, v ? "true" : "false");
}

void lzr_json_null(struct lzr_json *j)
{
    lzr_json_value(j);
    lzr_buf_puts(j->out, "null");
}

void lzr_json_raw(struct lzr_json *j, const char *text, size_t n)
{
    lzr_json_value(j);
    lzr_buf_add(j->out, text, n);
}
