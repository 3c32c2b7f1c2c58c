/* planner.h: plans of roots, from listing to their end (design 4: plan before you start); inside of
 * the engine.
 *
 * When it is a root's turn to start, all that it is made of is listed (listing.h): a short list at
 * once, a long one by codec threads, a slice at a time, one root after another. Then it
 *   starts      where the most that it holds at a time fits in the budget beside what is started:
 *               what it lists is wanted (wanted.h) and launched in the plan's order (pump.c);
 *   waits       where that isn't so: it holds nothing, stands in the queue, and is listed again
 *               when there is room. Smaller ones pass it, for LZR_QUEUE_PATIENCE_US at most;
 *   is refused  where it would never fit: a failure that is remembered.
 * A part (plan.h) starts like a whole; when all of it is made the rest is listed. Neighbouring
 * parts may both make what they share, a halo, so what fits whole, its list too, goes whole.
 *
 * A plan ends when its root has all its needs, fails or is dropped: what no other plan lists is let
 * go then, and what is being made for nobody else dropped. All with the driver's mutex. */
#ifndef LZR_ENGINE_PLANNER_H
#define LZR_ENGINE_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/copy.h"
#include "engine/plan.h"
#include "engine/wanted.h"

struct lzr_driver;
struct lzr_flight;
struct lzr_request;
struct lzr_listing;
struct lzr_merge; /* planner.c */

/* A list of more nodes or expansions than these is long. */
#define LZR_PLAN_SHORT 160
#define LZR_PLAN_SHORT_EXPANSIONS 12
/* Nodes of a plan at most: some 65 MB while it is started. */
#define LZR_PLAN_NODES (UINT32_C(1) << 19)
/* A plan that takes less than this share of the budget is small. */
#define LZR_PLAN_SMALL 16

struct lzr_started {
    struct lzr_started *prev, *next;
    struct lzr_flight *root;
    struct lzr_wanted_block *block;
    struct lzr_wanted **all; /* nmake of n in the order of making; then what is there */
    uint32_t n, nmake;
    uint32_t next_at; /* those before it have been launched */
    uint32_t made_at; /* those before it are made, or wanted no more */
    uint64_t bytes;   /* that it counts for */
    uint64_t start_us;
    uint64_t live[LZR_PLAN_STEPS]; /* by steps; else all 0, and bytes count always */
    struct lzr_copy_group groups[LZR_COPY_GROUPS]; /* of chunks that it makes of pieces */
    unsigned ngroups;
    bool small, by_steps, part, is_long;
};

struct lzr_planner {
    struct lzr_wanted_table wanted;
    struct lzr_started *head, *tail; /* the first one's turn is next */
    uint32_t nstarted, nlong;
    uint32_t run;                    /* launches of short plans since one of a long one */
    /* Of what is started: that goes depth first, that goes by steps, and what is small. */
    uint64_t bytes, live[LZR_PLAN_STEPS], small_bytes;
    uint64_t share;              /* of the budget that blocks being computed take, beside plans */
    struct lzr_listing *listing; /* the long one; NULL: none */
    struct lzr_merge *merge;     /* ... that is being started; no other plan starts meanwhile */
    bool due;                    /* a thread is to go on with it */
    bool had_turn;               /* the last thing that a thread did was that */
    uint64_t epoch;              /* changes when a plan starts or ends */
    struct lzr_flight *waiter;   /* that waits for room, the first that had to; NULL: none */
};

enum lzr_code lzr_planner_init(struct lzr_driver *d, struct lzr_err *err);
/* Once no thread runs. */
void lzr_planner_release(struct lzr_driver *d);

/* Whether a root may be begun now; for lzr_queue_root's filter. */
bool lzr_plan_may_begin(const struct lzr_driver *d, const struct lzr_flight *f);
/* A queued root's turn to start: lists it, or has it listed, or starts it, or fails it. force: with
 * nothing under way it starts whatever is started. False: it has to wait. */
bool lzr_plan_begin_root(struct lzr_driver *d, struct lzr_flight *f, bool force,
                         struct lzr_request **list);
/* A queued root whose turn it isn't: where its list is long it is listed, and starts as above. */
void lzr_plan_measure_root(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list);
/* Fails a root whose plan takes more than there can be: remembered. */
void lzr_plan_refuse(struct lzr_driver *d, struct lzr_flight *f, uint64_t bytes,
                     struct lzr_request **list);
/* All of a part is made: lists what is left. No other root may be listed now. */
void lzr_plan_go_on(struct lzr_driver *d, struct lzr_started *p, struct lzr_request **list);
/* A flight's plan and listing are over, if it has any. work: as in lzr_wanted_forget. */
void lzr_plan_over(struct lzr_driver *d, struct lzr_flight *f, struct lzr_flight **work);
/* Whether a root's own plan alone wants it: nobody else's does, and it keeps no work alive. */
bool lzr_plan_is_alone(const struct lzr_flight *f);
/* The plan of a chunk that has failed: their roots fail as well, and are put before *work. */
void lzr_plan_failed(struct lzr_driver *d, struct lzr_flight *f, struct lzr_flight **work);

/* Whether a codec thread's turn is to go on with a listing, not a task. With mu. */
bool lzr_planner_turn(struct lzr_driver *d);
/* That; without mu. */
void lzr_planner_slice(struct lzr_driver *d);

#endif
