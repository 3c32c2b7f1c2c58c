/* queue.h: in which order flights get what they wait for: a worker, or the start of their
 * gathering.
 *
 * Two lists. `urgent`: what a started flight waits for, blocks whose inputs are all there, retries.
 * `roots`: what requests ask for, in the order of arrival; a root that has needs of its own stands
 * here, holding nothing, until its turn to start comes. Urgent ones go first: they end what has
 * been begun and free what it holds, and they are never more than a few, since a gathering flight
 * is asked for its next need only while few are waiting (needs.c).
 *
 * This file is the one place for the policy: which root is next (newest burst first, fairness
 * between clients and arrays: design 4). Guarded by the driver's mutex. */
#ifndef LZR_ENGINE_QUEUE_H
#define LZR_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct lzr_flight;

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

struct lzr_queue {
    struct lzr_list urgent, roots;
};

void lzr_queue_push(struct lzr_queue *q, struct lzr_flight *f); /* a root */
void lzr_queue_push_urgent(struct lzr_queue *q,
                           struct lzr_flight *f);                     /* behind other urgent ones */
void lzr_queue_push_front(struct lzr_queue *q, struct lzr_flight *f); /* before all others */
void lzr_queue_remove(struct lzr_queue *q, struct lzr_flight *f);
uint32_t lzr_queue_n(const struct lzr_queue *q);
/* The next flight for a worker (fresh: it has run nothing yet), still queued; NULL if none fits, or
 * if it is a root's turn that has to be started first. */
struct lzr_flight *lzr_queue_next(const struct lzr_queue *q, bool fresh, uint64_t now_us);
/* The root whose turn is next, still queued. */
struct lzr_flight *lzr_queue_root(const struct lzr_queue *q);

#endif
