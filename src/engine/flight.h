/* flight.h: one chunk being made, and everybody who waits for it.
 *
 * A flight exists from the first wish for a chunk that isn't cached until it is made (or it
 * failed). There is never more than one for a chunk, so Python runs once however many ask: requests
 * join, at any stage. There are two kinds. A Zarr chunk is computed:
 *
 *   QUEUED ──dispatch──► RUNNING ──DONE──► ENCODING ──► (HELD) ──► gone
 *     ▲                     │ worker died, first time
 *     └─────────────────────┘
 *
 * A chunk of another encoding is made from the Zarr chunks it covers (transcode.c); it waits for
 * those that aren't cached as a request does, so however many formats are asked for, Python runs
 * once:
 *
 *   GATHERING ──the last of them is there──► TRANSCODING ──► (HELD) ──► gone
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
#include "lazarr/driver.h"
#include "store/catalog.h"

/* How long a flight is kept for one who was sent away (design 3). */
#define LZR_HOLD_US (UINT64_C(60) * 1000000)

enum lzr_flight_state {
    LZR_QUEUED,
    LZR_RUNNING,
    LZR_ENCODING,
    LZR_GATHERING,
    LZR_TRANSCODING,
    LZR_HELD
};

struct lzr_gather; /* transcode.c */

struct lzr_flight {
    const struct lzr_array *array;
    uint32_t level;
    enum lzr_encoding encoding;
    uint64_t index;
    enum lzr_flight_state state;
    struct lzr_flight *hash_next;
    struct lzr_flight *prev, *next; /* in the queue (QUEUED), the tasks (TRANSCODING, until a thread
                                     * takes it) or the list of held ones (HELD) */
    struct lzr_gather *gather;      /* what it is made from; NULL for a Zarr chunk */

    struct lzr_request *waiters; /* doubly linked, newest first */
    uint32_t nwaiters;
    uint64_t held_until_us;

    struct lzr_blob *blob; /* once it is made */
    struct lzr_digest digest;

    uint32_t deaths;                /* workers that died over it */
    bool needs_fresh;               /* run it in a worker that has run nothing yet */
    uint64_t fresh_until_us;        /* ... but not for longer than this */
    uint64_t reserved;              /* bytes reserved in the budget while RUNNING and ENCODING */
    uint64_t queued_us, started_us; /* lzr_now_us() */
    uint64_t compute_us, encode_us;
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
/* Frees one that is out of the table, its gather included. */
void lzr_flight_free(struct lzr_flight **f);
/* Both. */
void lzr_flights_remove(struct lzr_flights *t, struct lzr_flight **f);

void lzr_flight_join(struct lzr_flight *f, struct lzr_request *req);
void lzr_flight_leave(struct lzr_flight *f, struct lzr_request *req);
/* Nobody waits and nobody was promised anything. */
bool lzr_flight_unwanted(const struct lzr_flight *f, uint64_t now_us);

/* The order in which queued flights get a worker: that of arrival, but a retry goes first. This is
 * the one place to change it (newest burst first, fairness between clients: design 4). */
struct lzr_queue {
    struct lzr_flight *head, *tail;
    uint32_t n;
};

void lzr_queue_push(struct lzr_queue *q, struct lzr_flight *f);
void lzr_queue_push_front(struct lzr_queue *q, struct lzr_flight *f);
void lzr_queue_remove(struct lzr_queue *q, struct lzr_flight *f);
/* The next flight for a worker (fresh: it has run nothing yet), still queued; NULL if none fits. */
struct lzr_flight *lzr_queue_next(const struct lzr_queue *q, bool fresh, uint64_t now_us);

#endif
