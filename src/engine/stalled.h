/* stalled.h: a source that workers read and whose file doesn't answer keeps its own arrays waiting
 * only.
 *
 * A worker's read can't be taken from it. So a source of which a block takes far longer than its
 * blocks do counts as stalled until one is done again. It gets no worker then that is the last one
 * for all else; and where it had taken all of them before, and other arrays' blocks wait, one is
 * ended, whose block goes back to the queue. With a single worker there is nothing to be had: it
 * waits for the array's timeout. All with the driver's mu. */
#ifndef LZR_ENGINE_STALLED_H
#define LZR_ENGINE_STALLED_H

#include <stdbool.h>
#include <stdint.h>

struct lzr_driver;
struct lzr_flight;
struct lzr_worker;

/* Whether a flight may be given to this worker, for what this rule says. */
bool lzr_stalled_fits(const struct lzr_driver *d, const struct lzr_worker *w,
                      const struct lzr_flight *f);
/* Of a worker that is at a block, at every tick: notes a source that stalls, and ends the worker
 * where others wait for it. */
void lzr_stalled_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now);

#endif
