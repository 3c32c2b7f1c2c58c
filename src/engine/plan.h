/* plan.h: what a chunk is made of, listed before anything of it is made; and in which order it is
 * made so that little is held at a time. Pure: no locks, no I/O, no clock, no driver.
 *
 * A plan lists each distinct chunk that has to be made for one root once (a node), with the number
 * of its readers: entries of the lists of needs that name it. The order is one in which each node
 * stands behind its needs. Made in this order, a node is held until its last reader has been made;
 * `bytes` is the most that is held at any time then. Two orders are weighed, and the one that holds
 * less is taken:
 *
 *   by steps     a node's step is one more than the largest of its needs'. All of a step are made
 *                before the next, so what is held is what this step makes and what it or a later
 *                one still reads: of a chain of filters two neighbouring steps, whatever its depth.
 *   depth first  what a node needs right before it. Of a tree, however deep and wide, some nodes a
 *                level are held.
 *
 * By steps also where that holds a little more but fits: plans that share nodes then go side by
 * side, and hold together what their `live` sum up to.
 *
 * Nodes beyond `most`, or more than `there_most` bytes of what is there already, end the list
 * early: then it is a part, depth first, whose nodes are those of the root's graph that are
 * complete; what the rest reads of it is `kept` to its end. After it is made the rest is listed,
 * which finds that.
 *
 * Use: lzr_plan_begin, lzr_plan_go until it doesn't say MORE, read, lzr_plan_release. A plan
 * belongs to one thread at a time. */
#ifndef LZR_ENGINE_PLAN_H
#define LZR_ENGINE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Which chunk: `kind` is the caller's number for an array's level. Packed: of nodes there are
 * hundreds of thousands. */
struct lzr_plan_item {
    uint64_t index;
    uint32_t kind;
} __attribute__((packed, aligned(4)));

enum lzr_plan_found {
    LZR_PLAN_MAKE,   /* it has to be made */
    LZR_PLAN_SHARED, /* another plan will make it: listed as well, so that this one waits for none;
                      * its bytes and what it reads are counted there */
    LZR_PLAN_THERE,  /* it is there, or nearly: nothing is made for it */
    LZR_PLAN_STOP    /* the caller knows that the root can't be made: the listing fails */
};

struct lzr_plan_world {
    void *ctx;
    /* Called once for each node, in the order of their numbers. Sets what it will take, or
     * takes. */
    enum lzr_plan_found (*look)(void *ctx, uint32_t node, struct lzr_plan_item item,
                                uint64_t *bytes);
    /* What it is made of: *out is the plan's to free (lzr_free); it may be NULL with *n = 0. */
    enum lzr_code (*needs)(void *ctx, struct lzr_plan_item item, struct lzr_plan_item **out,
                           uint32_t *n, struct lzr_err *err);
};

struct lzr_plan_node {
    struct lzr_plan_item item;
    uint32_t readers; /* entries of needs that name it, but for those of SHARED nodes, ... */
    uint64_t bytes;
    uint32_t shared;  /* which are these */
    uint32_t last;    /* the place of the last reader, depth first */
    uint16_t step, last_step;
    uint8_t found; /* enum lzr_plan_found */
    uint8_t state; /* plan.c's */
    bool kept;     /* the root, or read by what a part leaves out: held to the end */
};

struct lzr_plan_frame; /* plan.c */

#define LZR_PLAN_STEPS 64

struct lzr_plan {
    struct lzr_plan_node *nodes; /* the root is the first */
    uint32_t n, room, most;
    uint64_t limit;  /* bytes that it should fit in */
    bool beside;     /* it goes beside others that it shares with: by steps if that fits */
    uint32_t *order; /* nodes that are made, norder of them: filled when listed */
    uint32_t norder;
    uint64_t there, there_most; /* bytes of what is there */
    uint64_t readers;           /* of all nodes */
    /* Once listed: */
    uint64_t bytes;                /* the most that is held at a time */
    uint64_t live[LZR_PLAN_STEPS]; /* by steps: held in each; those from the last on as one */
    bool by_steps, part;
    uint32_t *table; /* open addressing: a node's number and one; 0: free; NULL once listed */
    uint32_t ntable;
    struct lzr_plan_frame *frames;
    uint32_t nframes, frames_room;
};

enum lzr_plan_state { LZR_PLAN_MORE, LZR_PLAN_LISTED, LZR_PLAN_FAILED };

/* The root's look is never asked for: it has to be made (shared: another plan makes it as well). */
enum lzr_code lzr_plan_begin(struct lzr_plan *p, struct lzr_plan_item root, bool shared,
                             uint64_t bytes, uint32_t most, uint64_t there_most, uint64_t limit,
                             struct lzr_err *err);
/* Asks for the needs of up to `expansions` nodes. FAILED: err says why (LZR_E_NOMEM, what the world
 * said, LZR_E_CANCELLED after STOP). */
enum lzr_plan_state lzr_plan_go(struct lzr_plan *p, const struct lzr_plan_world *world,
                                uint32_t expansions, struct lzr_err *err);
/* Bytes that the plan itself takes. */
uint64_t lzr_plan_memory(const struct lzr_plan *p);
void lzr_plan_release(struct lzr_plan *p); /* a zeroed one is fine */

#endif
