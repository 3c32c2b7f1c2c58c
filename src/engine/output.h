/* output.h: what a worker's process prints, cut into lines of the log.
 *
 * A line comes as soon as its newline does, with the block that printed it before it: "s/a, chunk
 * 1, worker 0: text". A line that goes on under another name is ended there. Which block it is say
 * marks in what was read (lazarr/protocol.h), else the caller. Its memory is bounded: a longer line
 * is several. Not thread-safe: the supervisor's. */
#ifndef LZR_ENGINE_OUTPUT_H
#define LZR_ENGINE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/log_line.h"
#include "lazarr/protocol.h"

struct lzr_label {
    bool known;                     /* a mark has said it; "" then means: of no block */
    char text[LZR_MAX_LABEL + 1];
};

struct lzr_output {
    struct lzr_buf text;     /* lines of `whose` that aren't said yet; the last may go on */
    struct lzr_label whose;  /* of that text */
    struct lzr_label now;    /* of what comes next */
    char mark[LZR_MAX_LABEL + 3];
    size_t nmark;            /* bytes of a mark that has begun; 0: none has */
    unsigned worker;
    const struct lzr_log *log; /* borrowed; set before anything is added */
};

void lzr_output_init(struct lzr_output *o, unsigned worker);
void lzr_output_release(struct lzr_output *o);
/* What was read next. */
void lzr_output_add(struct lzr_output *o, const char *bytes, size_t n);
/* Nothing more is to be read now: whole lines without a mark are said as those of `running` (""
 * for none). With last also what has no newline; the process has ended, and a next may begin. */
void lzr_output_settle(struct lzr_output *o, const char *running, bool last);

#endif
