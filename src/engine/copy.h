/* copy.h: arrays that are another one in other chunks (store/copied.h); inside of the engine.
 *
 * Codec threads copy, no worker and no Python takes part. A chunk's needs are those of its input,
 * or its pieces, that it touches. Where the server reads the input itself there are none: its box
 * is read from there.
 *
 * Chunks that lie in the same ones of their input are copied together (lzr_copy_run): of the tasks
 * that no thread has taken, those that share some of the first one's needs go with it, each need is
 * decoded once, and what it has of each of them is put in its place. Flights become tasks when
 * their last need is there, so all that wait for a stored chunk are tasks when it comes.
 * What comes while those are being copied waits until they are, as a thread beside would decode the
 * same at the same time.
 *
 * Who asks for one series mostly asks for the next ones, and what they cost is the decoding: so
 * neighbours that are copied from the very same chunks are copied along and left in the cache where
 * their flights find them, after those that were asked for have been answered. They are as many as
 * a quarter of the budget holds of whole chunks of the array, and a thread's share of it; which
 * ones is the same whichever of them is asked for first. So a file is gone through once for each of
 * such groups. */
#ifndef LZR_ENGINE_COPY_H
#define LZR_ENGINE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/queue.h"
#include "lazarr/limits.h"

#define LZR_COPY_TOGETHER 8192 /* chunks that are copied together, at most */
#define LZR_COPY_SHARE 8       /* of the budget: what all threads together copy at a time, raw */
#define LZR_COPY_ALONG 4       /* of the budget: the chunks of a group */

/* Chunks that a thread copies now. Guarded by the driver's mu. */
struct lzr_copying {
    struct lzr_copying *next;
    const struct lzr_array *array;
    uint32_t level;
    uint64_t first[LZR_MAX_RANK], count[LZR_MAX_RANK]; /* what the first one is copied from */
    struct lzr_list late; /* flights that wait for it */
};

struct lzr_array;
struct lzr_driver;
struct lzr_flight;

/* The task of a flight whose needs are all there, and of those that go with it. Called with mu,
 * which it releases. */
void lzr_copy_run(struct lzr_driver *d, struct lzr_flight *f);
/* A group of neighbours: which array, which of its levels, and the first one's index. Of two plans
 * that make chunks of one group out of pieces the second waits for the first: it finds them there
 * then, while side by side each would hold what the other hasn't read yet. */
struct lzr_copy_group {
    uint64_t first;
    uint32_t array, level;
};

#define LZR_COPY_GROUPS 8 /* of a plan that are looked at */

struct lzr_plan;
/* The groups of what a plan makes; returns how many. */
unsigned lzr_copy_groups(const struct lzr_driver *d, const struct lzr_plan *p,
                         struct lzr_copy_group out[LZR_COPY_GROUPS]);
/* Whether a plan of so many bytes has to wait, as one that has started makes chunks of one of its
 * groups, or such plans would take much together: each holds what another hasn't read. With mu. */
bool lzr_copy_waits(const struct lzr_driver *d, const struct lzr_copy_group groups[], unsigned n,
                    uint64_t bytes);
/* What the plan of one chunk of the array holds at most, encoded; 0 where it needs none. */
uint64_t lzr_copy_most(const struct lzr_array *a);
/* The largest chunk that is decoded for it, in bytes. */
uint64_t lzr_copy_chunk(const struct lzr_array *a);

#endif
