#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINE = 16384 }; /* bytes of one log line at most; more is cut */

struct line {
    char text[LINE + 8];
    size_t len;
};

static void put(struct line *l, const char *s)
{
    size_t n = strlen(s);
    n = n < LINE - l->len ? n : LINE - l->len;
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

/* Control bytes can't forge a line or move the cursor of whoever reads the log. */
static void put_safe(struct line *l, const char *s, size_t n)
{
    for (size_t i = 0; i < n && l->len < LINE; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '\n') {
            put(l, i + 1 < n ? "\n    " : "");
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            char hex[8];
            (void)snprintf(hex, sizeof hex, "\\x%02x", c);
            put(l, hex);
        } else {
            l->text[l->len++] = (char)c;
        }
    }
}

static void write_line(const struct lzr_log *log, struct line *l)
{
    l->text[l->len++] = '\n';
    ssize_t n = write(log->fd, l->text, l->len);
    (void)n; /* a log that can't be written must not stop the server */
}

void lzr_log(const struct lzr_log *log, enum lzr_log_level level, const char *fmt, ...)
{
    char text[LINE];
    struct line l = {.len = 0};
    if (log == NULL || level > log->level) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return;
    }
    put(&l, "lazarr: ");
    put_safe(&l, text, strnlen(text, sizeof text));
    write_line(log, &l);
}

void lzr_log_lines(const struct lzr_log *log, enum lzr_log_level level, const char *who,
                   const char *text, size_t n)
{
    if (log == NULL || level > log->level) {
        return;
    }
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t len = end != NULL ? (size_t)(end - text) : n;
        struct line l = {.len = 0};
        put(&l, "lazarr: ");
        put(&l, who);
        put(&l, ": ");
        put_safe(&l, text, len);
        write_line(log, &l);
        len += end != NULL;
        text += len;
        n -= len;
    }
}
