/* queue.h: in which order flights get what they wait for: a worker, or the start of their
 * gathering.
 *
 *   1. Urgent flights: what a started flight waits for, blocks whose inputs are all there, retries.
 *      They end what has been begun and free what it holds, and are never more than a few, since a
 *      gathering flight is asked for its next need only while few are waiting (needs.c). But what a
 *      coarse level of a large image is made of are thousands of blocks: after LZR_URGENT_RUN of
 *      them in a row a root has its turn, and then after each LZR_URGENT_SHARE of them. So what is
 *      made of a few blocks is made without a break, a viewer's fine chunks don't wait for an
 *      overview to be ready, and the overview still gets most of the workers.
 *   2. Roots, what requests ask for; one that has needs of its own stands here, holding nothing,
 *      until its turn to start comes. Of roots,
 *      a. clients take turns;
 *      b. of a client, what has waited for LZR_QUEUE_PATIENCE_US, oldest first, has every other
 *         turn as long as there are newer bursts, and all of them when there aren't;
 *      c. its newest burst of requests has the others (viewers pan: what was asked last is on the
 *         screen); in a burst, arrays take turns; of an array, the order of arrival (viewers ask
 *         for the centre first).
 *
 * This is design 4, but for the age: there nothing overtakes what is older than 5 s. As first
 * built, over all clients, a script that asked for more than 5 s of work was all that was served;
 * counted among one client's requests, a viewer beside a script had a backlog of that age itself,
 * and its screen waited behind it. Taking turns, the backlog goes on and the screen has half
 * (bench/order.py). A burst is what one client asks without pausing for LZR_BURST_PAUSE_US; a
 * client is a number that the HTTP front makes of address and User-Agent. Numbers of bursts only
 * grow, over all clients.
 *
 * A worker runs blocks of one folder only (folders.h). What a client wants of each folder stands in
 * a place of its own, so that finding the next for a worker never walks over another folder's.
 *
 * Nothing here allocates after init: flights carry the links, clients live in a fixed table (more
 * clients than it has places share them: they then take turns as one). Every call is O(1) but for
 * rare ones that walk one client's flights of one array. Guarded by the driver's mutex. */
#ifndef LZR_ENGINE_QUEUE_H
#define LZR_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "lazarr/limits.h"

struct lzr_flight;

#define LZR_QUEUE_PATIENCE_US (UINT64_C(5) * 1000000)
#define LZR_BURST_PAUSE_US UINT64_C(50000)
#define LZR_URGENT_RUN 16     /* urgent flights in a row, and then ... */
#define LZR_URGENT_SHARE 3    /* ... so many for each root */
/* A root that has waited for so long has its turn after LZR_URGENT_SHARE of them, and for so long
 * after one: long blocks make long runs. */
#define LZR_URGENT_LONG_US UINT64_C(300000)
#define LZR_URGENT_TOO_LONG_US UINT64_C(700000)
#define LZR_QUEUE_CLIENTS 256 /* places for clients, one for each folder that they want of */
#define LZR_QUEUE_LOOK 256    /* flights of a row that may be passed over */
#define LZR_QUEUE_LANES 8     /* a client's flights by array, hashed */

/* Flights in a row, linked by their prev and next: a flight is in one list at most. */
struct lzr_list {
    struct lzr_flight *head, *tail;
    uint32_t n;
};

void lzr_list_push(struct lzr_list *l, struct lzr_flight *f);
void lzr_list_push_front(struct lzr_list *l, struct lzr_flight *f);
/* before: one of the list; NULL: at the end. */
void lzr_list_insert(struct lzr_list *l, struct lzr_flight *f, struct lzr_flight *before);
void lzr_list_remove(struct lzr_list *l, struct lzr_flight *f);

/* How roots are ordered; the last two are there to be measured against. */
enum lzr_order {
    LZR_ORDER_BURSTS, /* as above */
    LZR_ORDER_ARRIVAL,
    LZR_ORDER_NEWEST /* last in, first out */
};

struct lzr_queue_client; /* queue.c */

struct lzr_queue {
    enum lzr_order order;
    uint32_t nroots;
    struct lzr_list urgent;
    uint32_t run; /* urgent ones taken since the last root was, while roots waited */
    bool was_urgent; /* the last one taken */
    struct lzr_queue_client *clients;      /* LZR_QUEUE_CLIENTS of them */
    struct lzr_queue_client *first, *last; /* those with flights, whose turn is next first */
    uint64_t last_burst;
    uint32_t waiting[LZR_MAX_STORES];   /* by folder: flights in the queue ... */
    uint32_t urgent_of[LZR_MAX_STORES]; /* ... of them urgent */
};

enum lzr_code lzr_queue_init(struct lzr_queue *q, enum lzr_order order, struct lzr_err *err);
void lzr_queue_release(struct lzr_queue *q); /* flights that are still in it stay the caller's */

/* The burst to which a request that this client makes now belongs. */
uint64_t lzr_queue_burst(struct lzr_queue *q, uint64_t client, uint64_t now_us);
void lzr_queue_push(struct lzr_queue *q, struct lzr_flight *f); /* a root, by client and burst */
void lzr_queue_push_urgent(struct lzr_queue *q,
                           struct lzr_flight *f);                     /* behind other urgent ones */
void lzr_queue_push_front(struct lzr_queue *q, struct lzr_flight *f); /* before all others */
/* A request of a newer burst wants a flight that is queued: it moves there, but keeps its age. */
void lzr_queue_renew(struct lzr_queue *q, struct lzr_flight *f, uint64_t client, uint64_t burst);
/* Takes a flight out that will not be run. */
void lzr_queue_remove(struct lzr_queue *q, struct lzr_flight *f);
/* The same for one that gets a worker or is started: its client's and its array's turn is over. */
void lzr_queue_take(struct lzr_queue *q, struct lzr_flight *f);
uint32_t lzr_queue_n(const struct lzr_queue *q);
/* Which flights may have their turn now: those that may not are passed over, and keep their place.
 * No more than LZR_QUEUE_LOOK of a row are passed over, for the time it takes, but those of another
 * folder don't count. fits NULL: all may. */
struct lzr_filter {
    bool (*fits)(const void *ctx, const struct lzr_flight *f);
    const void *ctx;
    uint32_t folder; /* + 1; 0: of any folder */
};
/* The next flight for a worker (fresh: it has run nothing yet), still queued; NULL if none fits, or
 * if it is a root's turn that has to be started first. A fresh one is given a retry before all
 * else. */
struct lzr_flight *lzr_queue_next(const struct lzr_queue *q, bool fresh, uint64_t now_us,
                                  struct lzr_filter filter);
/* It is a root's turn although there is urgent work. */
bool lzr_queue_turn(const struct lzr_queue *q, uint64_t now_us);
/* The root had its turn, but there was no room for it: the next turn comes as if it had gone. */
void lzr_queue_pass(struct lzr_queue *q);
/* The root whose turn is next, still queued. */
struct lzr_flight *lzr_queue_root(const struct lzr_queue *q, uint64_t now_us,
                                  struct lzr_filter filter);
/* Of those that fit, the one that was asked for first; NULL: none does. */
const struct lzr_flight *lzr_queue_oldest(const struct lzr_queue *q, struct lzr_filter filter);
/* Of a full queue: the root that has to give way to one of this client and folder, the last one of
 * the client that has most, or NULL when that is this client itself. */
struct lzr_flight *lzr_queue_victim(const struct lzr_queue *q, uint64_t client, uint32_t folder);

#endif
