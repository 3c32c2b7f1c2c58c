/* flight.h: one chunk being made, and everybody who waits for it.
 *
 * A flight exists from the first wish for a chunk that isn't cached until it is made (or it
 * failed). There is never more than one for a chunk, so it is made once however many ask: requests
 * join, at any stage. How a chunk comes about is its recipe (recipe.h): a worker computes it, or
 * codec threads make it; either way it may have needs, chunks that must be there before (needs.h).
 *
 *   QUEUED ──► (GATHERING ──► QUEUED ──► PREPARING ──►) RUNNING ──DONE──► ENCODING ──► (HELD)
 *                                ▲                        │ worker died, first time
 *                                └────────────────────────┘
 *   by codec threads:  (QUEUED ──►) GATHERING ──► MAKING ──► (HELD)
 *
 * Needs are waited for as a request waits, without a thread and without a worker, so chains of any
 * depth can't deadlock.
 *
 * A result goes to all who wait for it whether or not the cache keeps it. HELD: somebody was told
 * to come back later (503, an impatient HEAD); the results stay until held_until_us even if the
 * cache kept nothing.
 *
 * All of this is guarded by the driver's mutex; nothing here takes it, calls back or blocks. */
#ifndef LZR_ENGINE_FLIGHT_H
#define LZR_ENGINE_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "engine/queue.h"
#include "lazarr/driver.h"
#include "store/catalog.h"

/* How long a flight is kept for one who was sent away (design 3). */
#define LZR_HOLD_US (UINT64_C(60) * 1000000)

enum lzr_flight_state {
    LZR_QUEUED,    /* in the queue: waits for its turn to start, or for a worker */
    LZR_GATHERING, /* started: waits for its needs */
    LZR_PREPARING, /* bound to a worker; its inputs are being put into the slot, or are there */
    LZR_RUNNING,
    LZR_ENCODING,
    LZR_MAKING, /* a task of the codec threads */
    LZR_HELD
};

struct lzr_slot;
struct lzr_needs;  /* needs.h */
struct lzr_listing;
struct lzr_started;
struct lzr_wanted;
struct lzr_recipe; /* recipe.h */
struct lzr_reading; /* reads.h */

/* Why a flight failed, on its way up to those that need its chunk. */
struct lzr_why {
    enum lzr_code code;
    bool again, remembered;
    uint64_t until_us;             /* until when it is remembered */
    unsigned hops;                 /* arrays between this one and the cause */
    const struct lzr_array *cause; /* whose function failed */
    char *path; /* "a <- b": this array and those down to the cause; NULL: none */
    char *text; /* the cause's own: line '\n' traceback; may be NULL */
};

struct lzr_flight {
    const struct lzr_array *array;
    uint32_t level;
    enum lzr_encoding encoding;
    uint64_t index;
    uint32_t folder; /* of its store (folders.h): a worker that has it computes the chunk */
    const struct lzr_recipe *recipe;
    enum lzr_flight_state state;
    struct lzr_flight *hash_next;
    struct lzr_flight *prev, *next; /* in the queue (QUEUED), the tasks (MAKING and PREPARING, until
                                     * a thread takes it) or the list of held ones (HELD) */
    struct lzr_flight *work_next;   /* in a list of flights that fail, or are dropped, together */
    bool urgent;                    /* which list of the queue it is in */
    struct lzr_queue_client *place; /* queue.c's, of a queued root, as are the next two */
    struct lzr_flight *older, *newer;
    uint64_t client, burst;  /* of the newest request that wants it (queue.h) */
    bool unstarted;          /* has needs, and its plan hasn't started (planner.h) */
    bool short_plan;         /* its list is short, as far as is known ... */
    bool long_plan;          /* or long: codec threads make it */
    bool counted;            /* in need_tasks */
    bool ending;             /* is in a work list: about to fail or to be dropped */
    bool gathers;            /* is counted among those that are made of others */
    bool holds;              /* an eager one that has all it needs, and is counted for it */
    struct lzr_listing *listing; /* a root that codec threads list the needs of */
    struct lzr_started *plan;    /* a root whose plan has started */
    uint64_t plan_bytes;         /* what that would take, of one that waits for room; else 0 */
    uint64_t plan_seen;          /* the planner's epoch then, if it shares with others; else 0 */
    uint64_t plan_group;         /* the planner's epoch when it waited for such (copy.h); or 0 */
    uint8_t plan_mode;           /* enum lzr_plan_mode */
    bool in_parts;               /* its list is too long for a whole plan */
    uint64_t begun_us;           /* when it started */
    struct lzr_wanted *wanted;   /* by plans */
    struct lzr_needs *needs; /* once launched; NULL for a chunk made from nothing */
    struct lzr_slot *slot;   /* a reference, until a thread prepares it */
    struct lzr_slot *filled; /* a reference: has its inputs already (reads.h); else NULL */
    struct lzr_reading *reading; /* of a reading thread's own copy; else NULL */
    struct lzr_why why;      /* while it fails */

    struct lzr_request *waiters; /* doubly linked, newest first */
    uint32_t nwaiters;
    uint64_t held_until_us;

    struct lzr_blob *blob; /* once it is made */
    struct lzr_digest digest;

    uint32_t deaths;                /* workers that died over it */
    bool again;                     /* was dropped while it ran, and is asked for again: once it
                                     * has begun it is computed to its end (drops.h) */
    bool needs_fresh;               /* run it in a worker that has run nothing yet */
    uint64_t fresh_until_us;        /* ... but not for longer than this */
    uint64_t reserved;              /* bytes reserved in the budget: of needs that aren't there yet,
                                     * and of what making it takes */
    bool reserved_output;           /* ... the latter included */
    uint64_t queued_us, started_us; /* lzr_now_us() */
    uint64_t compute_us, encode_us;
    uint64_t inputs_us; /* from its start until its needs were there, and putting them together */
};

/* The table of flights by chunk. */
struct lzr_flights {
    struct lzr_flight **buckets;
    uint32_t nbuckets; /* a power of two */
    uint32_t n;
};

enum lzr_code lzr_flights_init(struct lzr_flights *t, struct lzr_err *err);
void lzr_flights_release(struct lzr_flights *t); /* the table must be empty */
struct lzr_flight *lzr_flights_find(const struct lzr_flights *t, const struct lzr_chunk *c);
/* A new flight, QUEUED, in the table but in no queue yet. NULL: no memory. */
struct lzr_flight *lzr_flights_add(struct lzr_flights *t, const struct lzr_chunk *c,
                                   uint64_t now_us);
/* Takes it out of the table; nobody may wait for it any more. It is the caller's to free. */
void lzr_flights_unlink(struct lzr_flights *t, struct lzr_flight *f);
/* Frees one that is out of the table, its needs included. */
void lzr_flight_free(struct lzr_flight **f);
/* Both. */
void lzr_flights_remove(struct lzr_flights *t, struct lzr_flight **f);

void lzr_flight_join(struct lzr_flight *f, struct lzr_request *req);
void lzr_flight_leave(struct lzr_flight *f, struct lzr_request *req);
/* Nobody waits, no plan wants it, and nobody was promised anything. */
bool lzr_flight_unwanted(const struct lzr_flight *f, uint64_t now_us);

#endif
