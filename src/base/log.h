/* log.h: lines on stderr (or any descriptor), whole or not at all.
 *
 * A line is "lazarr: " and the text; control bytes other than tab in it are shown as \xNN, newlines
 * in a text begin further lines with four blanks. Any thread; one write() a line, so lines don't
 * mix. Nothing here allocates. Access log lines are the http module's and go through lzr_log too.
 */
#ifndef LZR_BASE_LOG_H
#define LZR_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum lzr_log_level { LZR_LOG_ERROR, LZR_LOG_WARN, LZR_LOG_INFO, LZR_LOG_DEBUG };

struct lzr_log {
    int fd;
    enum lzr_log_level level; /* immutable after start; lines above it are dropped */
};

void lzr_log(const struct lzr_log *log, enum lzr_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A block of n bytes that a worker wrote to its stdout or stderr, each line with "who: " before it.
 */
void lzr_log_lines(const struct lzr_log *log, enum lzr_log_level level, const char *who,
                   const char *text, size_t n);

#endif
