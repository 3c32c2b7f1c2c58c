/* printed.h: what C code prints to stdout goes out line by line, as at a terminal, and the server
 * is told of which block it is. What Python's streams write says so itself (lazarr._output); the
 * marks are in protocol.h. */
#ifndef LZR_WORKER_PRINTED_H
#define LZR_WORKER_PRINTED_H

#include <stdint.h>

#include "worker/interp.h"

/* The worker's own descriptor of the pipe that it prints to, and which pipe that is: user code may
 * close it, and open something else by its number. Without LAZARR_WORKER in the environment nothing
 * is marked: who reads it is no server. */
struct lzr_printed {
    int fd; /* -1: none */
    uint64_t inode;
};

/* Before anything is printed: lines of stdio's stdout go out as they come, with PYTHONUNBUFFERED
 * each byte. Once a process. */
struct lzr_printed lzr_printed_begin(void);
/* At the end of a job: what is in the pipe still and has no mark was printed by this job. Nothing
 * is asked of Python where the pipe is empty. Main thread, with the GIL, without an error set. */
void lzr_printed_close(const struct lzr_printed *out, const struct lzr_interp *in);

#endif
