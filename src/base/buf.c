#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* What an empty buffer points to: never written. */
static char nothing[1];

void lzr_buf_init(struct lzr_buf *b, size_t limit)
{
    *b = (struct lzr_buf){.data = nothing, .limit = limit};
}

void lzr_buf_release(struct lzr_buf *b)
{
    if (b->cap > 0) {
        lzr_free(b->data);
    }
    lzr_buf_init(b, b->limit);
}

void lzr_buf_clear(struct lzr_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->cap > 0) {
        b->data[0] = '\0';
    }
}

/* Room for n more bytes and the NUL, or the sticky flag. */
static bool reserve(struct lzr_buf *b, size_t n)
{
    if (b->failed || n > b->limit - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + n + 1;
    if (need <= b->cap) {
        return true;
    }
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }
    char *p = lzr_realloc(b->cap > 0 ? b->data : NULL, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void lzr_buf_add(struct lzr_buf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n)) {
        return;
    }
    if (n > 0) {
        memcpy(b->data + b->len, bytes, n);
    }
    b->len += n;
    b->data[b->len] = '\0';
}

void lzr_buf_puts(struct lzr_buf *b, const char *s)
{
    lzr_buf_add(b, s, strlen(s));
}

void lzr_buf_putc(struct lzr_buf *b, char c)
{
    lzr_buf_add(b, &c, 1);
}

void lzr_buf_vprintf(struct lzr_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        b->failed = true;
    } else if (reserve(b, (size_t)n)) {
        (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void lzr_buf_printf(struct lzr_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    lzr_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

char *lzr_buf_detach(struct lzr_buf *b, size_t *len)
{
    if (b->failed || !reserve(b, 0)) {
        return NULL;
    }
    char *out = b->data;
    out[b->len] = '\0';
    if (len != NULL) {
        *len = b->len;
    }
    lzr_buf_init(b, b->limit);
    return out;
}
