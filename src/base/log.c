#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/ring.h"

#define NOW_US 2000000 /* what writing a line at once may take */

/* All of it, also to a descriptor that doesn't wait (a pipe or terminal that somebody has made
 * O_NONBLOCK), but not for ever: a log that can't be written must not stop the program. */
static void write_all(int fd, const char *text, size_t n)
{
    uint64_t until = lzr_now_us() + NOW_US;
    for (size_t at = 0; at < n;) {
        ssize_t done = write(fd, text + at, n - at);
        if (done > 0) {
            at += (size_t)done;
        } else if (done < 0 && errno == EAGAIN && lzr_now_us() < until) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, 50);
        } else if (done == 0 || errno != EINTR) {
            return;
        }
    }
}

/* By the caller itself: nobody else does, or this is a forked child. */
static void write_now(const struct lzr_log *log, bool client, const char *text, size_t n)
{
    char line[LZR_LOG_LINE + 1];
    write_all(log->fd, line, lzr_log_show(line, text, n, client));
}

static void put(const struct lzr_log *log, enum lzr_log_level level, struct lzr_log_how how,
                const char *fmt, va_list ap)
{
    unsigned flags = (how.client ? LZR_RING_CLIENT : 0u) | (unsigned)level * LZR_RING_LEVEL;
    char text[LZR_RING_RECORD];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n < 0) {
        return;
    }
    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    if (log->ring == NULL || !lzr_ring_put(log->ring, flags, how.same, text, len, "", 0)) {
        write_now(log, how.client, text, len);
    }
}

enum lzr_code lzr_log_start(struct lzr_log *log, struct lzr_err *err)
{
    return lzr_ring_new_as(log->path, log->fd, log->json, LZR_LOG_RING, &log->ring, err);
}

bool lzr_log_reopen(const struct lzr_log *log)
{
    return log->ring != NULL && lzr_ring_reopen(log->ring);
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
    put(log, level, (struct lzr_log_how){.client = false}, fmt, ap);
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
    put(log, level, how, fmt, ap);
    va_end(ap);
}

void lzr_log_bare(const struct lzr_log *log, enum lzr_log_level level, uint64_t same,
                  const char *text, size_t n)
{
    if (log == NULL || level > log->level) {
        return;
    }
    const unsigned flags = LZR_RING_BARE | LZR_RING_CLIENT | (unsigned)level * LZR_RING_LEVEL;
    if (log->ring == NULL || !lzr_ring_put(log->ring, flags, same, text, n, "", 0)) {
        write_now(log, true, text, n);
    }
}

static void put_from(const struct lzr_log *log, enum lzr_log_level level, const char *who,
                     const char *text, size_t n)
{
    char head[512];
    int len = snprintf(head, sizeof head, "%s: ", who);
    size_t nhead = (size_t)len < sizeof head ? (size_t)len : sizeof head - 1;
    if (log->ring != NULL && lzr_ring_put(log->ring, (unsigned)level * LZR_RING_LEVEL, 0, head,
                                          nhead, text, n)) {
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
        put_from(log, level, who, text, len);
        len += end != NULL;
        text += len;
        n -= len;
    }
}

void lzr_log_text(const struct lzr_log *log, const char *text, size_t n)
{
    if (log->ring == NULL || !lzr_ring_put_text(log->ring, text, n)) {
        write_all(log->fd, text, n);
    }
}
