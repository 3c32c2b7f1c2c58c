/* needs.h: the chunks that a flight is made from: asked for, awaited, failed, let go; inside of the
 * engine.
 *
 * A need waits on the flight of its chunk as a request does, so a chunk that several flights and
 * requests want is made once. Results wait encoded: a reference to the blob.
 *
 * Order and memory. A root's flight starts when its turn comes (queue.h) and its plan, which is all
 * that it is made of, fits in the budget (planner.h). Flights of what plans want are launched in
 * the plans' orders, in turns, a few at a time (pump.c): only while few computations wait, and the
 * budget has room for the result. When it hasn't and nothing is under way one is launched all the
 * same, so something always moves. Needs of one that is launched are there or being made, since all
 * of them stand before it in its plan's order.
 *
 * Computations that wait for a busy home (homes.h) don't count as waiting, but as long as too many
 * wait with them, what is made of such arrays is passed over, in plans and among roots.
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
    uint64_t index;
    struct lzr_wanted *wanted; /* counts this as a reader; else NULL */
};

struct lzr_needs {
    uint64_t n;
    uint64_t asked;   /* items before this one have been asked for */
    uint64_t pending; /* ... and so many of them have no result yet */
    uint64_t started_us;
    bool shared; /* a thread that was given up has it still: the next lzr_needs_free leaves it */
    struct lzr_need items[];
};

struct lzr_needs *lzr_needs_new(uint64_t n); /* NULL: no memory */
void lzr_needs_set(struct lzr_needs *s, uint64_t i, const struct lzr_chunk *c);
void lzr_needs_free(struct lzr_needs **s); /* nothing of it may be pending; NULL is fine */

/* Asks for all needs of a flight, which is GATHERING from now on: an eager one, which has been
 * joined already, or one that a plan launches. It may fail at once. */
void lzr_needs_begin(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list);
/* A new flight that codec threads make: where all its needs are cached (and they are few), it is
 * nobody's turn that it takes, so it becomes a task at once. */
bool lzr_needs_cached(struct lzr_driver *d, struct lzr_flight *f);
/* pump.c: starts roots and launches what plans want, as far as order and budget allow; called by
 * lzr_dispatch. */
void lzr_needs_pump(struct lzr_driver *d, struct lzr_request **list);
/* A need's result is there (req.result, not a failure), and it has left its flight. */
void lzr_needs_arrived(struct lzr_driver *d, struct lzr_need *need);

/* Ends a flight with f->why, and all that need its chunk with it; waiters go to *list. */
void lzr_needs_fail(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list);
/* The same with f->why made of this; text is copied. It isn't remembered. */
void lzr_needs_fail_with(struct lzr_driver *d, struct lzr_flight *f, enum lzr_code code,
                         const char *text, struct lzr_request **list);
/* Drops the flights of a list (work_next, ending), that nobody wants, as far as they can be. */
void lzr_flights_drop(struct lzr_driver *d, struct lzr_flight *work);
/* Why f fails: a chunk that it needs, by any number of others, has failed as `of` says. */
void lzr_why_derive(struct lzr_driver *d, struct lzr_flight *f, const struct lzr_flight *of);
/* A chunk can't be made since another one has failed: remembered as long as that one. */
void lzr_why_note(struct lzr_driver *d, const struct lzr_flight *f);
/* Fills a why from a failure that is remembered. */
struct lzr_failure;
struct lzr_why lzr_why_remembered(const struct lzr_failure *fail);
/* What a user is told: "a <- b: ZeroDivisionError ..." and the cause's traceback; NULL: no text or
 * no memory. The caller's. */
char *lzr_why_text(const struct lzr_why *why);

#endif
