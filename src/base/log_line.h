/* log_line.h: what a line of the log looks like.
 *
 * Control bytes but the tab are written as \xNN, so that nobody can forge a line or move the cursor
 * of whoever reads it; a newline begins a further line with four blanks. Of bytes above 127, UTF-8
 * stays, as authors and their paths have it; what isn't, and C1 controls (which terminals obey), is
 * escaped. In a line of a client's bytes all of them are. Pure. */
#ifndef LZR_BASE_LOG_LINE_H
#define LZR_BASE_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LZR_LOG_LINE 16384 /* bytes of a line at most; more is cut */

/* Bytes of the UTF-8 character that begins here and may be shown; 0: none. n: at least 1. */
size_t lzr_log_character(const char *text, size_t n);
/* Writes "lazarr: ", the text and a newline; returns how many bytes. */
size_t lzr_log_show(char out[LZR_LOG_LINE + 1], const char *text, size_t n, bool client);

#endif
