/* leave.h: how a worker's process ends by itself: as an interpreter's does, but within a bound.
 *
 * Threads are joined, then atexit functions run, then what was printed goes out (lazarr._leave has
 * the order). The interpreter is not finalised, which could take for ever. Whatever is left of the
 * worker's process group ends when the server sees that its leader has. */
#ifndef LZR_WORKER_LEAVE_H
#define LZR_WORKER_LEAVE_H

#include "worker/interp.h"

enum { LZR_LEAVE_S = 2 }; /* seconds: less than the server waits (LZR_QUIT_US) */

/* Ends the process with `status`. Main thread, with the GIL. */
_Noreturn void lzr_leave(const struct lzr_interp *in, int status);

#endif
