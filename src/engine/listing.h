/* listing.h: the plan of one root (plan.h) being listed; inside of the engine.
 *
 * What is there already is held meanwhile, so that it is still there when the plan starts: blobs of
 * the cache, and what other plans keep or make. What another plan will make is listed as well, and
 * held. If the plan has to wait, all holds go; it is listed anew when its turn comes again.
 *
 * With the driver's mutex, or (lzr_listing_go with locked false) taking it for each chunk that is
 * met: listing takes some microseconds a chunk. */
#ifndef LZR_ENGINE_LISTING_H
#define LZR_ENGINE_LISTING_H

#include "engine/flight.h"
#include "engine/plan.h"

struct lzr_driver;
struct lzr_wanted;

/* What is held for a node: one of both, in the order of nodes. */
struct lzr_listing_hold {
    uint32_t node;
    struct lzr_blob *blob;
    struct lzr_wanted *wanted;
};

/* What of the cache is used for a plan. All of it is held until it is read: where that is too
 * much, */
enum lzr_plan_mode {
    LZR_PLAN_CACHED,
    LZR_PLAN_ANEW, /* nothing is: where much is read several times, by neighbours, ... */
    LZR_PLAN_PARTS /* so much at a time: ... and else, as in a tree */
};

struct lzr_listing {
    struct lzr_driver *d;
    struct lzr_flight *root; /* NULL: it is gone, and the listing is to be freed */
    struct lzr_plan plan;
    struct lzr_listing_hold *holds;
    uint32_t nholds, holds_room;
    enum lzr_plan_mode mode;
    bool locked, nomem;
    bool shares;    /* with other plans */
    bool force;     /* its plan starts whatever is started */
    bool whole;     /* it may be longer than one that goes in parts: then it has to fit whole */
    uint64_t epoch; /* of the planner when it began */
    unsigned tries;
    uint64_t charged; /* to the budget */
    /* A chunk that it needs has failed, which is remembered: why. */
    const struct lzr_array *bad;
    struct lzr_why why;
};

/* Worst, or as measured: what an encoded chunk takes. With mu. */
uint64_t lzr_chunk_estimate(const struct lzr_driver *d, const struct lzr_array *a, uint32_t level);
/* A root's listing, nothing listed yet. With mu. NULL: no memory. */
struct lzr_listing *lzr_listing_new(struct lzr_driver *d, struct lzr_flight *root, uint32_t most);
/* Goes on with so many expansions; as lzr_plan_go. */
enum lzr_plan_state lzr_listing_go(struct lzr_listing *l, bool locked, uint32_t expansions,
                                   struct lzr_err *err);
/* Lets go of what it holds, and frees it. With mu. */
void lzr_listing_free(struct lzr_listing **l);

/* The chunk of a plan's item. */
struct lzr_chunk lzr_listing_chunk(const struct lzr_driver *d, struct lzr_plan_item item);

#endif
