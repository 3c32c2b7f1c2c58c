/* stalled.h: a source that workers read and whose file doesn't answer keeps its own arrays waiting
 * only.
 *
 * A worker's read can't be taken from it. So a source of which a block takes far longer than its
 * blocks do counts as stalled until one is done again. It gets no worker then that is the last one
 * for all else; and where it had taken all of them before, and other arrays' blocks wait, one is
 * ended, whose block goes back to the queue. A single worker is shared by turns: after such an end
 * the source is left alone for as long as it had the worker, and has twice the time in its next
 * turn, so that what is only slow comes in the end. Every read has a deadline (lzr_allowed_us).
 * All with the driver's mu. */
#ifndef LZR_ENGINE_STALLED_H
#define LZR_ENGINE_STALLED_H

#include <stdbool.h>
#include <stdint.h>

struct lzr_driver;
struct lzr_flight;
struct lzr_worker;

/* How long a job of this flight may take in this worker: what its array says; a source that says
 * nothing has the time of every other read, --read-timeout. */
uint64_t lzr_allowed_us(const struct lzr_driver *d, const struct lzr_worker *w,
                        const struct lzr_flight *f);
/* Whether a flight may be given to this worker, for what this rule says. */
bool lzr_stalled_fits(const struct lzr_driver *d, const struct lzr_worker *w,
                      const struct lzr_flight *f);
/* Of a worker that is at a block, at every tick: notes a source that stalls, and ends the worker
 * where others wait for it. */
void lzr_stalled_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now);

#endif
