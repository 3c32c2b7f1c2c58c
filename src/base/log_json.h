/* log_json.h: what a line of the log looks like with --log-format json: one object a line.
 *
 *   {"time":"2026-12-01T04:37:00Z","level":"error","message":"…"}
 *
 * Always UTF-8 and whole, also where the text is neither: what log_line.h escapes is \\xNN here,
 * and what doesn't fit is cut between characters. Pure. */
#ifndef LZR_BASE_LOG_JSON_H
#define LZR_BASE_LOG_JSON_H

#include "base/log_line.h"

/* Writes the object and a newline; returns how many bytes. time and level as they are to stand. */
size_t lzr_log_json(char out[LZR_LOG_LINE + 1], const char *time, const char *level,
                    const char *text, size_t n, bool client);
/* Writes a JSON string, its quotes included, in at most size bytes (at least 2), no NUL behind it;
 * returns how many. */
size_t lzr_log_json_string(char *out, size_t size, const char *text, size_t n, bool client);

#endif
