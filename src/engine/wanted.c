#include "engine/wanted.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/engine.h"

enum { FIRST_BUCKETS = 1024 };

enum lzr_code lzr_wanted_init(struct lzr_wanted_table *t, struct lzr_err *err)
{
    *t = (struct lzr_wanted_table){.nbuckets = FIRST_BUCKETS};
    t->buckets = lzr_calloc(t->nbuckets, sizeof(struct lzr_wanted *));
    return t->buckets != NULL ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory for plans");
}

void lzr_wanted_release(struct lzr_wanted_table *t)
{
    LZR_CHECK(t->n == 0);
    lzr_free((void *)t->buckets);
    t->buckets = NULL;
}

struct lzr_wanted_block *lzr_wanted_block_new(struct lzr_driver *d, uint32_t n)
{
    uint64_t bytes = sizeof(struct lzr_wanted_block) + (uint64_t)n * sizeof(struct lzr_wanted);
    (void)lzr_make_room(d, bytes);
    struct lzr_wanted_block *b = lzr_malloc((size_t)bytes);
    if (b != NULL) {
        *b = (struct lzr_wanted_block){.refs = 1, .bytes = bytes, .room = n};
        lzr_budget_add(&d->budget, bytes);
    }
    return b;
}

void lzr_wanted_block_unref(struct lzr_driver *d, struct lzr_wanted_block **bp)
{
    struct lzr_wanted_block *b = *bp;
    *bp = NULL;
    if (b != NULL && --b->refs == 0) {
        lzr_budget_sub(&d->budget, b->bytes);
        lzr_free(b);
    }
}

static struct lzr_wanted **bucket(const struct lzr_wanted_table *t, uint32_t array, uint32_t level,
                                  uint64_t index)
{
    uint64_t key[2] = {(uint64_t)array << 32 | level, index};
    return &t->buckets[lzr_hash64(key, sizeof key, 0) & (t->nbuckets - 1)];
}

/* Doubling may fail for lack of memory: the chains only get longer. */
static void grow(struct lzr_wanted_table *t)
{
    struct lzr_wanted_table bigger = {.nbuckets = t->nbuckets * 2, .n = t->n};
    bigger.buckets = lzr_calloc(bigger.nbuckets, sizeof(struct lzr_wanted *));
    if (bigger.buckets == NULL) {
        return;
    }
    for (uint32_t i = 0; i < t->nbuckets; i++) {
        struct lzr_wanted *next;
        for (struct lzr_wanted *w = t->buckets[i]; w != NULL; w = next) {
            next = w->hash_next;
            struct lzr_wanted **b = bucket(&bigger, w->array->id, w->level, w->index);
            w->hash_next = *b;
            *b = w;
        }
    }
    bigger.kept = t->kept;
    lzr_free((void *)t->buckets);
    *t = bigger;
}

struct lzr_wanted *lzr_wanted_find(const struct lzr_driver *d, const struct lzr_chunk *c)
{
    const struct lzr_wanted_table *t = &d->planner.wanted;
    if (t->n == 0 || c->encoding != LZR_ENC_ZARR) {
        return NULL;
    }
    struct lzr_wanted *w = *bucket(t, c->array->id, c->level, c->index);
    while (w != NULL && (w->index != c->index || w->array != c->array || w->level != c->level)) {
        w = w->hash_next;
    }
    return w;
}

struct lzr_wanted *lzr_wanted_add(struct lzr_driver *d, struct lzr_wanted_block *b,
                                  const struct lzr_chunk *c)
{
    struct lzr_wanted_table *t = &d->planner.wanted;
    LZR_CHECK(b->used < b->room);
    struct lzr_wanted *w = &b->items[b->used++];
    if (t->n >= t->nbuckets) {
        grow(t);
    }
    struct lzr_wanted **at = bucket(t, c->array->id, c->level, c->index);
    *w = (struct lzr_wanted){.hash_next = *at,
                             .array = c->array,
                             .index = c->index,
                             .level = c->level,
                             .block = b,
                             .in_table = true};
    *at = w;
    t->n++;
    return w;
}

struct lzr_chunk lzr_wanted_chunk(const struct lzr_wanted *w)
{
    return (struct lzr_chunk){w->array, w->level, LZR_ENC_ZARR, w->index};
}

void lzr_wanted_keep(struct lzr_driver *d, struct lzr_wanted *w, struct lzr_blob *b)
{
    LZR_CHECK(w->blob == NULL && w->in_table);
    d->planner.wanted.kept += lzr_blob_charge(b->len);
    w->blob = b;
    w->issued = true;
}

void lzr_wanted_adopt(struct lzr_wanted *w, struct lzr_flight *f)
{
    LZR_CHECK(f->wanted == NULL && w->flight == NULL);
    w->flight = f;
    w->issued = true;
    f->wanted = w;
}

void lzr_wanted_forget(struct lzr_driver *d, struct lzr_wanted *w, struct lzr_flight **work)
{
    struct lzr_wanted_table *t = &d->planner.wanted;
    if (!w->in_table) {
        return;
    }
    struct lzr_wanted **p = bucket(t, w->array->id, w->level, w->index);
    while (*p != w) {
        LZR_CHECK(*p != NULL);
        p = &(*p)->hash_next;
    }
    *p = w->hash_next;
    t->n--;
    w->in_table = false;
    if (w->blob != NULL && d->keep) {
        struct lzr_chunk c = lzr_wanted_chunk(w);
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        struct lzr_blob *cached = lzr_cache_get(d->cache, &k, false);
        if (cached == NULL) {
            (void)lzr_cache_put(d->cache, &k, w->blob, 0);
        }
        lzr_blob_unref(&cached);
    }
    t->kept -= w->blob != NULL ? lzr_blob_charge(w->blob->len) : 0;
    lzr_blob_unref(&w->blob);
    struct lzr_flight *f = w->flight;
    w->flight = NULL;
    if (f != NULL) {
        f->wanted = NULL;
        if (work != NULL && !f->ending && lzr_flight_unwanted(f, lzr_now_us())) {
            f->ending = true;
            f->work_next = *work;
            *work = f;
        }
    }
}

void lzr_wanted_read(struct lzr_driver *d, struct lzr_wanted *w)
{
    if (w->readers > 0 && --w->readers == 0) {
        lzr_wanted_forget(d, w, NULL);
    }
}

void lzr_wanted_made(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b)
{
    struct lzr_chunk c = {f->array, f->level, f->encoding, f->index};
    struct lzr_wanted *w = f->wanted != NULL ? f->wanted : lzr_wanted_find(d, &c);
    if (w != NULL && w->blob == NULL) {
        lzr_wanted_keep(d, w, lzr_blob_ref(b));
    }
    if (f->wanted != NULL) {
        f->wanted->flight = NULL;
        f->wanted = NULL;
    }
}

void lzr_wanted_lost(struct lzr_flight *f)
{
    if (f->wanted != NULL) {
        f->wanted->flight = NULL;
        f->wanted->issued = false;
        f->wanted = NULL;
    }
}
