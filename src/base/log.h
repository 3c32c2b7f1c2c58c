/* log.h: lines on stderr (or any descriptor), whole or not at all.
 *
 *   struct lzr_log log = {.fd = STDERR_FILENO, .level = LZR_LOG_INFO};
 *   if (lzr_log_start(&log, &err) != LZR_OK) ...   from now on nobody waits for who reads the log
 *   lzr_log(&log, LZR_LOG_WARN, "%s is odd", name);
 *   lzr_log_end(&log, ...);                        what is left is written, within a bound
 *
 * A line is "lazarr: " and the text, at most LZR_LOG_LINE bytes of it (log_line.h has what becomes
 * of control bytes). Any thread, under any lock: a line costs its formatting and a memcpy, a thread
 * of the log's own writes it. What comes while nobody reads is kept in a ring of LZR_LOG_RING
 * bytes; what doesn't fit is counted, and the count is a line of its own when the reader is back.
 * A log that was never started (a command that ends by itself, a test) and a forked child write
 * each line at once, and may wait for it. Nothing here allocates after the start.
 *
 * Access log lines are the http module's and go through here too.
 */
#ifndef LZR_BASE_LOG_H
#define LZR_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LZR_LOG_RING (UINT64_C(4) << 20) /* bytes of lines that wait to be written */

enum lzr_log_level { LZR_LOG_ERROR, LZR_LOG_WARN, LZR_LOG_INFO, LZR_LOG_DEBUG };

struct lzr_ring;

struct lzr_log {
    int fd;
    const char *path; /* a file in its place, which is opened again (lzr_log_reopen); borrowed */
    bool json;        /* lines are objects: log_json.h. As the others, from the start on */
    enum lzr_log_level level; /* immutable after start; lines above it are dropped */
    struct lzr_ring *ring;    /* NULL: not started */
};

/* What more is to be known of a line. */
struct lzr_log_how {
    bool client; /* the text holds bytes that a client chose: those above 127 are escaped too */
    /* Not 0: lines with this number and, but for digits, the same text are summed up (repeats.h):
     * for what a client can cause as often as it likes. */
    uint64_t same;
};

/* Starts the thread that writes; log stays where it is until it has ended. */
enum lzr_code lzr_log_start(struct lzr_log *log, struct lzr_err *err);
/* Opens its file again. False: it has none. Any thread; returns at once. */
bool lzr_log_reopen(const struct lzr_log *log);
/* Waits until all lines of now are written, for at most most_us, and not where no byte was taken
 * for still_us. Nothing to do for a log that wasn't started. */
void lzr_log_flush(const struct lzr_log *log, uint64_t still_us, uint64_t most_us);
/* Flushes like that, says what was summed up and lost, and ends the thread. Lines that come later
 * are dropped. The memory stays (a thread that was given up may still log): lzr_log_free. */
void lzr_log_end(const struct lzr_log *log, uint64_t still_us, uint64_t most_us);
/* Ends it without waiting, and frees; nobody logs any more. */
void lzr_log_free(struct lzr_log *log);
/* Bytes that aren't written yet; of a signal handler, too. */
size_t lzr_log_left(const struct lzr_log *log);
/* Lines that were lost since the start. */
uint64_t lzr_log_lost(const struct lzr_log *log);

void lzr_log(const struct lzr_log *log, enum lzr_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void lzr_log_as(const struct lzr_log *log, enum lzr_log_level level, struct lzr_log_how how,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* A line that is made already (the access log's), without a newline; LZR_RING_TIME in it is where
 * the time of now is put. */
void lzr_log_bare(const struct lzr_log *log, enum lzr_log_level level, uint64_t same,
                  const char *text, size_t n);
/* A block of n bytes that a worker wrote to its stdout or stderr, each line with "who: " before it.
 */
void lzr_log_lines(const struct lzr_log *log, enum lzr_log_level level, const char *who,
                   const char *text, size_t n);
/* n bytes as they are, whatever the level: what is meant to be copied, a traceback of the start. */
void lzr_log_text(const struct lzr_log *log, const char *text, size_t n);

#endif
