#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/ring.h"

/* By the caller itself: nobody else does, or this is a forked child. */
static void write_now(const struct lzr_log *log, bool client, const char *text, size_t n)
{
    char line[LZR_LOG_LINE + 1];
    ssize_t done = write(log->fd, line, lzr_log_show(line, text, n, client));
    (void)done; /* a log that can't be written must not stop the program */
}

static void put(const struct lzr_log *log, struct lzr_log_how how, const char *fmt, va_list ap)
{
    char text[LZR_RING_RECORD];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n < 0) {
        return;
    }
    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    if (log->ring == NULL || !lzr_ring_put(log->ring, how.client ? LZR_RING_CLIENT : 0, how.same,
                                           text, len, "", 0)) {
        write_now(log, how.client, text, len);
    }
}

enum lzr_code lzr_log_start(struct lzr_log *log, struct lzr_err *err)
{
    return lzr_ring_new(log->fd, LZR_LOG_RING, &log->ring, err);
}

void lzr_log_flush(const struct lzr_log *log, uint64_t still_us, uint64_t most_us)
{
    if (log->ring != NULL) {
        lzr_ring_flush(log->ring, still_us, most_us);
    }
}

void lzr_log_end(const struct lzr_log *log, uint64_t still_us, uint64_t most_us)
{
    if (log->ring != NULL) {
        lzr_ring_end(log->ring, still_us, most_us);
    }
}

void lzr_log_free(struct lzr_log *log)
{
    lzr_ring_free(&log->ring);
}

size_t lzr_log_left(const struct lzr_log *log)
{
    return log->ring != NULL ? lzr_ring_left(log->ring) : 0;
}

uint64_t lzr_log_lost(const struct lzr_log *log)
{
    return log != NULL && log->ring != NULL ? lzr_ring_lost(log->ring) : 0;
}

void lzr_log(const struct lzr_log *log, enum lzr_log_level level, const char *fmt, ...)
{
    va_list ap;
    if (log == NULL || level > log->level) {
        return;
    }
    va_start(ap, fmt);
    put(log, (struct lzr_log_how){.client = false}, fmt, ap);
    va_end(ap);
}

void lzr_log_as(const struct lzr_log *log, enum lzr_log_level level, struct lzr_log_how how,
                const char *fmt, ...)
{
    va_list ap;
    if (log == NULL || level > log->level) {
        return;
    }
    va_start(ap, fmt);
    put(log, how, fmt, ap);
    va_end(ap);
}

static void put_from(const struct lzr_log *log, const char *who, const char *text, size_t n)
{
    char head[512];
    int len = snprintf(head, sizeof head, "%s: ", who);
    size_t nhead = (size_t)len < sizeof head ? (size_t)len : sizeof head - 1;
    if (log->ring != NULL && lzr_ring_put(log->ring, 0, 0, head, nhead, text, n)) {
        return;
    }
    char line[LZR_RING_RECORD];
    n = n < sizeof line - nhead ? n : sizeof line - nhead;
    memcpy(line, head, nhead);
    memcpy(line + nhead, text, n);
    write_now(log, false, line, nhead + n);
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
        put_from(log, who, text, len);
        len += end != NULL;
        text += len;
        n -= len;
    }
}

void lzr_log_text(const struct lzr_log *log, const char *text, size_t n)
{
    if (log->ring == NULL || !lzr_ring_put_text(log->ring, text, n)) {
        ssize_t done = write(log->fd, text, n);
        (void)done;
    }
}
