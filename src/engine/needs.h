/* needs.h: the chunks that a flight is made from: asked for, awaited, failed, let go; inside of the
 * engine.
 *
 * A need waits on the flight of its chunk as a request does, so a chunk that several flights and
 * requests want is made once. Results wait encoded: a reference to the blob.
 *
 * Order and memory. A flight starts when its turn comes (queue.h) and the budget has room for all
 * its needs at their worst and for its own result; until then it holds nothing. Started flights
 * that have needs to ask for stand in a stack, whose top is asked for one need at a time, and only
 * while few computations wait: so a need that has needs itself is gone into first (depth first),
 * however wide and deep the graph is. When the budget has no room and nothing is under way, the top
 * goes on all the same, one need at a time: all that is started belongs to one root then (the
 * stack was empty when it started), so what is held beyond the budget is at most its depth times
 * one block's needs, and something always moves.
 *
 * Computations that wait for a busy home (homes.h) don't count as waiting, but as long as too many
 * wait with them, what is made of such arrays is passed over, in the stack and among roots.
 *
 * No recursion: failing and dropping run through lists of flights. All with the driver's mutex. */
#ifndef LZR_ENGINE_NEEDS_H
#define LZR_ENGINE_NEEDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "lazarr/driver.h"

struct lzr_flight;
struct lzr_why;

struct lzr_need {
    struct lzr_request req; /* done is NULL: that is how waiters tell; result.blob once it came */
    struct lzr_flight *of;
    const struct lzr_array *array; /* a Zarr chunk */
    uint32_t level;
    bool reserved; /* its worst size is part of of->reserved */
    uint64_t index;
};

struct lzr_needs {
    uint64_t n;
    uint64_t asked;   /* items before this one have been asked for */
    uint64_t pending; /* ... and so many of them have no result yet */
    bool forced;      /* started without room: one at a time */
    uint64_t started_us;
    struct lzr_need items[];
};

struct lzr_needs *lzr_needs_new(uint64_t n); /* NULL: no memory */
void lzr_needs_set(struct lzr_needs *s, uint64_t i, const struct lzr_chunk *c);
void lzr_needs_free(struct lzr_needs **s); /* nothing of it may be pending; NULL is fine */

/* Begins an eager flight, which has been joined already. It may fail at once. */
void lzr_needs_begin(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list);
/* A new flight that codec threads make: where all its needs are cached (and they are few), it is
 * nobody's turn that it takes, so it becomes a task at once. */
bool lzr_needs_cached(struct lzr_driver *d, struct lzr_flight *f);
/* Asks for needs as far as order and budget allow; called by lzr_dispatch. */
void lzr_needs_pump(struct lzr_driver *d, struct lzr_request **list);
/* A need's result is there (req.result, not a failure), and it has left its flight. */
void lzr_needs_arrived(struct lzr_driver *d, struct lzr_need *need);

/* Ends a flight with f->why, and all that need its chunk with it; waiters go to *list. */
void lzr_needs_fail(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list);
/* Fills a why from a failure that is remembered. */
struct lzr_failure;
struct lzr_why lzr_why_remembered(const struct lzr_failure *fail);
/* What a user is told: "a <- b: ZeroDivisionError ..." and the cause's traceback; NULL: no text or
 * no memory. The caller's. */
char *lzr_why_text(const struct lzr_why *why);

#endif
