#include "engine/queue.h"

#include "base/check.h"
#include "engine/flight.h"

void lzr_list_push(struct lzr_list *l, struct lzr_flight *f)
{
    lzr_list_insert(l, f, NULL);
}

void lzr_list_push_front(struct lzr_list *l, struct lzr_flight *f)
{
    lzr_list_insert(l, f, l->head);
}

void lzr_list_insert(struct lzr_list *l, struct lzr_flight *f, struct lzr_flight *before)
{
    f->next = before;
    f->prev = before != NULL ? before->prev : l->tail;
    if (f->prev != NULL) {
        f->prev->next = f;
    } else {
        l->head = f;
    }
    if (before != NULL) {
        before->prev = f;
    } else {
        l->tail = f;
    }
    l->n++;
}

void lzr_list_remove(struct lzr_list *l, struct lzr_flight *f)
{
    LZR_CHECK(l->n > 0);
    if (f->prev != NULL) {
        f->prev->next = f->next;
    } else {
        l->head = f->next;
    }
    if (f->next != NULL) {
        f->next->prev = f->prev;
    } else {
        l->tail = f->prev;
    }
    f->prev = f->next = NULL;
    l->n--;
}

void lzr_queue_push(struct lzr_queue *q, struct lzr_flight *f)
{
    f->urgent = false;
    lzr_list_push(&q->roots, f);
}

void lzr_queue_push_urgent(struct lzr_queue *q, struct lzr_flight *f)
{
    f->urgent = true;
    lzr_list_push(&q->urgent, f);
}

void lzr_queue_push_front(struct lzr_queue *q, struct lzr_flight *f)
{
    f->urgent = true;
    lzr_list_push_front(&q->urgent, f);
}

void lzr_queue_remove(struct lzr_queue *q, struct lzr_flight *f)
{
    lzr_list_remove(f->urgent ? &q->urgent : &q->roots, f);
}

uint32_t lzr_queue_n(const struct lzr_queue *q)
{
    return q->urgent.n + q->roots.n;
}

struct lzr_flight *lzr_queue_root(const struct lzr_queue *q)
{
    return q->roots.head;
}

struct lzr_flight *lzr_queue_next(const struct lzr_queue *q, bool fresh, uint64_t now_us)
{
    struct lzr_flight *f = q->urgent.head;
    /* Retries stand at the front, so this looks at no more than they are. */
    while (f != NULL && f->needs_fresh && !fresh && now_us < f->fresh_until_us) {
        f = f->next;
    }
    if (f == NULL) {
        f = lzr_queue_root(q);
    }
    return f != NULL && f->unstarted ? NULL : f;
}
