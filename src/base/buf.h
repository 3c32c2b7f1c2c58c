/* buf.h: a growing byte buffer with a ceiling.
 *
 *   struct lzr_buf b;
 *   lzr_buf_init(&b, 1 << 20);
 *   lzr_buf_printf(&b, "{\"zarr_format\": %d}", 2);
 *   if (lzr_buf_failed(&b)) ...
 *   lzr_buf_release(&b);
 *
 * Invariants: `data` is always NUL-terminated once something was appended, and the NUL is not
 * counted in `len`; data is "" before. A failed append (out of memory, or past the limit) leaves
 * the buffer as it was and sets a sticky flag, so that a chain of appends needs one check at its
 * end. Not thread-safe; owned by whoever initialised it. */
#ifndef LZR_BASE_BUF_H
#define LZR_BASE_BUF_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

struct lzr_buf {
    char *data;
    size_t len;
    size_t cap;
    size_t limit; /* bytes it may hold at most */
    bool failed;
};

void lzr_buf_init(struct lzr_buf *b, size_t limit);
void lzr_buf_release(struct lzr_buf *b); /* frees the contents; the buffer may be used again */
void lzr_buf_clear(struct lzr_buf *b);   /* empties it and keeps the memory; clears the flag */

void lzr_buf_add(struct lzr_buf *b, const void *bytes, size_t n);
void lzr_buf_puts(struct lzr_buf *b, const char *s);
void lzr_buf_putc(struct lzr_buf *b, char c);
void lzr_buf_printf(struct lzr_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lzr_buf_vprintf(struct lzr_buf *b, const char *fmt, va_list ap);

static inline bool lzr_buf_failed(const struct lzr_buf *b)
{
    return b->failed;
}

/* Moves the contents out (malloc'ed through lzr_malloc, NUL-terminated; the caller frees with
 * lzr_free) and leaves an empty buffer. NULL if the buffer has failed or memory is out. */
char *lzr_buf_detach(struct lzr_buf *b, size_t *len);

#endif
