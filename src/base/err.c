#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONG = 8192 }; /* bytes of a text before it is made to fit */

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Copies a text of n bytes; of one that is too long the middle is left out: a path that goes on for
 * ever stands before the reason as often as behind it. Between characters. */
static void fit(char *out, size_t size, const char *text, size_t n)
{
    static const char gap[] = "…";
    if (n < size) {
        memcpy(out, text, n + 1);
        return;
    }
    size_t head = size / 3, tail = size - head - sizeof gap, from = n - tail;
    while (head > 0 && continues(text[head])) {
        head--;
    }
    while (from < n && continues(text[from])) {
        from++;
    }
    memcpy(out, text, head);
    memcpy(out + head, gap, sizeof gap - 1);
    memcpy(out + head + sizeof gap - 1, text + from, n - from + 1);
}

/* What snprintf made of so many bytes. */
static size_t made(int n, size_t size)
{
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

enum lzr_code lzr_err_set(struct lzr_err *err, enum lzr_code code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        char text[LONG]; /* fmt's arguments may point into err->msg */
        va_start(ap, fmt);
        size_t n = made(vsnprintf(text, sizeof text, fmt, ap), sizeof text);
        va_end(ap);
        err->code = code;
        err->sys = 0;
        fit(err->msg, sizeof err->msg, text, n);
    }
    return code;
}

enum lzr_code lzr_err_sys(struct lzr_err *err, const char *fmt, ...)
{
    int sys = errno;
    if (err != NULL) {
        va_list ap;
        char text[LONG], reason[128];
        va_start(ap, fmt);
        size_t n = made(vsnprintf(text, sizeof text - sizeof reason, fmt, ap),
                        sizeof text - sizeof reason);
        va_end(ap);
        err->code = LZR_E_SYS;
        err->sys = sys;
        n += made(snprintf(text + n, sizeof text - n, ": %s",
                           strerror_r(sys, reason, sizeof reason)),
                  sizeof text - n);
        fit(err->msg, sizeof err->msg, text, n);
    }
    return LZR_E_SYS;
}

enum lzr_code lzr_err_prefix(struct lzr_err *err, const char *fmt, ...)
{
    if (err == NULL) {
        return LZR_E_INVAL;
    }
    va_list ap;
    char text[LONG];
    const size_t most = sizeof text - sizeof err->msg - 2;
    va_start(ap, fmt);
    size_t n = made(vsnprintf(text, most, fmt, ap), most);
    va_end(ap);
    n += made(snprintf(text + n, sizeof text - n, ": %s", err->msg), sizeof text - n);
    fit(err->msg, sizeof err->msg, text, n);
    return err->code;
}

const char *lzr_code_text(enum lzr_code code)
{
    static const char *const texts[] = {
#define TEXT(name, text) text,
        LZR_CODES(TEXT)
#undef TEXT
    };
    return (unsigned)code < sizeof texts / sizeof texts[0] ? texts[code] : "unknown error";
}
