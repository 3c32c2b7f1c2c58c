#include "engine/flight.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/needs.h"
#include "engine/planner.h"
#include "engine/slot.h"

enum { FIRST_BUCKETS = 1024 };

enum lzr_code lzr_flights_init(struct lzr_flights *t, struct lzr_err *err)
{
    t->n = 0;
    t->nbuckets = FIRST_BUCKETS;
    t->buckets = lzr_calloc(t->nbuckets, sizeof *t->buckets);
    return t->buckets != NULL ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory for flights");
}

void lzr_flights_release(struct lzr_flights *t)
{
    LZR_CHECK(t->n == 0);
    lzr_free(t->buckets);
    t->buckets = NULL;
}

static struct lzr_flight **bucket(const struct lzr_flights *t, const struct lzr_array *a,
                                  uint32_t level, enum lzr_encoding encoding, uint64_t index)
{
    uint64_t key[2] = {((uint64_t)a->id << 32) | (uint64_t)encoding << 16 | level, index};
    return &t->buckets[lzr_hash64(key, sizeof key, 0) & (t->nbuckets - 1)];
}

struct lzr_flight *lzr_flights_find(const struct lzr_flights *t, const struct lzr_chunk *c)
{
    struct lzr_flight *f = *bucket(t, c->array, c->level, c->encoding, c->index);
    while (f != NULL && (f->index != c->index || f->array != c->array || f->level != c->level ||
                         f->encoding != c->encoding)) {
        f = f->hash_next;
    }
    return f;
}

/* Doubling may fail for lack of memory: the chains only get longer. */
static void grow(struct lzr_flights *t)
{
    struct lzr_flights bigger = {.nbuckets = t->nbuckets * 2, .n = t->n};
    bigger.buckets = lzr_calloc(bigger.nbuckets, sizeof *bigger.buckets);
    if (bigger.buckets == NULL) {
        return;
    }
    for (uint32_t i = 0; i < t->nbuckets; i++) {
        struct lzr_flight *f = t->buckets[i];
        while (f != NULL) {
            struct lzr_flight *next = f->hash_next;
            struct lzr_flight **b = bucket(&bigger, f->array, f->level, f->encoding, f->index);
            f->hash_next = *b;
            *b = f;
            f = next;
        }
    }
    lzr_free(t->buckets);
    *t = bigger;
}

struct lzr_flight *lzr_flights_add(struct lzr_flights *t, const struct lzr_chunk *c,
                                   uint64_t now_us)
{
    struct lzr_flight *f = lzr_calloc(1, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    if (t->n >= t->nbuckets) {
        grow(t);
    }
    f->array = c->array;
    f->level = c->level;
    f->encoding = c->encoding;
    f->index = c->index;
    f->state = LZR_QUEUED;
    f->queued_us = now_us;
    struct lzr_flight **b = bucket(t, c->array, c->level, c->encoding, c->index);
    f->hash_next = *b;
    *b = f;
    t->n++;
    return f;
}

void lzr_flights_unlink(struct lzr_flights *t, struct lzr_flight *f)
{
    LZR_CHECK(f->waiters == NULL);
    struct lzr_flight **p = bucket(t, f->array, f->level, f->encoding, f->index);
    while (*p != f) {
        LZR_CHECK(*p != NULL);
        p = &(*p)->hash_next;
    }
    *p = f->hash_next;
    t->n--;
}

void lzr_flight_free(struct lzr_flight **f)
{
    lzr_blob_unref(&(*f)->blob);
    lzr_needs_free(&(*f)->needs);
    lzr_slot_unref(&(*f)->slot);
    lzr_slot_unref(&(*f)->filled);
    lzr_free((*f)->why.path);
    lzr_free((*f)->why.text);
    lzr_free(*f);
    *f = NULL;
}

void lzr_flights_remove(struct lzr_flights *t, struct lzr_flight **f)
{
    lzr_flights_unlink(t, *f);
    lzr_flight_free(f);
}

void lzr_flight_join(struct lzr_flight *f, struct lzr_request *req)
{
    req->flight = f;
    req->prev = NULL;
    req->next = f->waiters;
    if (f->waiters != NULL) {
        f->waiters->prev = req;
    }
    f->waiters = req;
    f->nwaiters++;
}

void lzr_flight_leave(struct lzr_flight *f, struct lzr_request *req)
{
    LZR_CHECK(req->flight == f);
    if (req->prev != NULL) {
        req->prev->next = req->next;
    } else {
        f->waiters = req->next;
    }
    if (req->next != NULL) {
        req->next->prev = req->prev;
    }
    req->flight = NULL;
    req->prev = req->next = NULL;
    f->nwaiters--;
}

bool lzr_flight_unwanted(const struct lzr_flight *f, uint64_t now_us)
{
    return f->nwaiters == 0 && now_us >= f->held_until_us &&
           (f->wanted == NULL || lzr_plan_is_alone(f));
}
