#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum lzr_code lzr_err_set(struct lzr_err *err, enum lzr_code code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        char text[sizeof err->msg]; /* fmt's arguments may point into err->msg */
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        err->code = code;
        err->sys = 0;
        memcpy(err->msg, text, sizeof text);
    }
    return code;
}

enum lzr_code lzr_err_sys(struct lzr_err *err, const char *fmt, ...)
{
    int sys = errno;
    if (err != NULL) {
        va_list ap;
        char text[sizeof err->msg], reason[128];
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        err->code = LZR_E_SYS;
        err->sys = sys;
        (void)snprintf(err->msg, sizeof err->msg, "%.380s: %s", text,
                       strerror_r(sys, reason, sizeof reason));
    }
    return LZR_E_SYS;
}

enum lzr_code lzr_err_prefix(struct lzr_err *err, const char *fmt, ...)
{
    if (err == NULL) {
        return LZR_E_INVAL;
    }
    va_list ap;
    char prefix[256], old[sizeof err->msg];
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    memcpy(old, err->msg, sizeof old);
    (void)snprintf(err->msg, sizeof err->msg, "%s: %.250s", prefix, old);
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
