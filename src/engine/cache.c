#include "engine/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/policy.h"
#include "store/catalog.h"

enum { FIRST_BUCKETS = 1024 };

struct entry {
    struct lzr_policy_node order; /* first: a node is its entry */
    struct entry *hash_next;
    struct lzr_blob *blob;
    struct lzr_cache_key key;
};

static_assert(sizeof(struct entry) + 16 <= LZR_CACHE_ENTRY_BYTES, "an entry is what is charged");

struct lzr_cache {
    pthread_mutex_t mu;
    struct lzr_budget *budget;
    uint64_t most; /* bytes the cache may take */
    const struct lzr_cache_policy *policy;
    void *order;
    struct entry **buckets;
    uint64_t nbuckets; /* a power of two */
    bool retired;      /* keeps nothing */
    struct lzr_cache_stats stats;
};

struct lzr_cache_key lzr_cache_key_of(const struct lzr_chunk *c)
{
    return (struct lzr_cache_key){.array = c->array->id,
                                  .level = (uint16_t)c->level,
                                  .encoding = (uint16_t)c->encoding,
                                  .index = c->index};
}

struct lzr_cache *lzr_cache_new(struct lzr_budget *budget, uint64_t most)
{
    struct lzr_cache *c = lzr_calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->policy = &lzr_policy_lru;
    c->order = lzr_calloc(1, c->policy->state_bytes);
    c->buckets = lzr_calloc(FIRST_BUCKETS, sizeof *c->buckets);
    if (c->order == NULL || c->buckets == NULL) {
        lzr_free(c->order);
        lzr_free(c->buckets);
        lzr_free(c);
        return NULL;
    }
    c->nbuckets = FIRST_BUCKETS;
    c->budget = budget;
    c->most = most;
    c->stats.bytes = FIRST_BUCKETS * sizeof *c->buckets;
    lzr_budget_add(budget, c->stats.bytes);
    c->policy->init(c->order);
    LZR_ZERO(pthread_mutex_init(&c->mu, NULL));
    return c;
}

void lzr_cache_set_most(struct lzr_cache *c, uint64_t most)
{
    c->most = most;
}

static struct entry **find(struct lzr_cache *c, const struct lzr_cache_key *k)
{
    struct entry **p = &c->buckets[lzr_hash64(k, sizeof *k, 0) & (c->nbuckets - 1)];
    while (*p != NULL && memcmp(&(*p)->key, k, sizeof *k) != 0) {
        p = &(*p)->hash_next;
    }
    return p;
}

/* Doubling may fail for lack of memory or room: the chains only get longer. */
static void grow(struct lzr_cache *c)
{
    uint64_t n = c->nbuckets * 2, more = c->nbuckets * sizeof *c->buckets;
    struct entry **b = lzr_calloc(n, sizeof *b);
    if (b == NULL) {
        return;
    }
    for (uint64_t i = 0; i < c->nbuckets; i++) {
        struct entry *e = c->buckets[i];
        while (e != NULL) {
            struct entry *next = e->hash_next;
            struct entry **p = &b[lzr_hash64(&e->key, sizeof e->key, 0) & (n - 1)];
            e->hash_next = *p;
            *p = e;
            e = next;
        }
    }
    lzr_free(c->buckets);
    c->buckets = b;
    c->nbuckets = n;
    c->stats.bytes += more;
    lzr_budget_add(c->budget, more);
}

/* What an entry counts for: its blob and the bookkeeping. */
static uint64_t weight(const struct entry *e)
{
    return lzr_blob_charge(e->blob->len) + LZR_CACHE_ENTRY_BYTES;
}

/* Takes an entry out and puts it on a list of what is freed once the mutex is released. The blob's
 * own charge ends when its last holder lets go. */
static void unlink_entry(struct lzr_cache *c, struct entry **p, struct entry **dead)
{
    struct entry *e = *p;
    *p = e->hash_next;
    c->policy->remove(c->order, &e->order);
    lzr_blob_let_go(e->blob);
    c->stats.entries--;
    c->stats.bytes -= weight(e);
    lzr_budget_sub(c->budget, LZR_CACHE_ENTRY_BYTES);
    e->hash_next = *dead;
    *dead = e;
}

static void bury(struct entry *dead)
{
    while (dead != NULL) {
        struct entry *next = dead->hash_next;
        lzr_blob_unref(&dead->blob);
        lzr_free(dead);
        dead = next;
    }
}

static bool evict_one(struct lzr_cache *c, struct entry **dead)
{
    struct lzr_policy_node *n = c->policy->victim(c->order);
    if (n == NULL) {
        return false;
    }
    struct entry *e = (struct entry *)(void *)n;
    unlink_entry(c, find(c, &e->key), dead);
    c->stats.evictions++;
    return true;
}

void lzr_cache_drop(struct lzr_cache *c, const struct lzr_cache_key *k)
{
    struct entry *dead = NULL;
    pthread_mutex_lock(&c->mu);
    struct entry **p = find(c, k);
    if (*p != NULL) {
        unlink_entry(c, p, &dead);
    }
    pthread_mutex_unlock(&c->mu);
    bury(dead);
}

void lzr_cache_clear(struct lzr_cache *c)
{
    struct entry *dead = NULL;
    pthread_mutex_lock(&c->mu);
    while (evict_one(c, &dead)) {
        c->stats.evictions--; /* cleared, not evicted */
    }
    pthread_mutex_unlock(&c->mu);
    bury(dead);
}

void lzr_cache_retire(struct lzr_cache *c)
{
    pthread_mutex_lock(&c->mu);
    c->retired = true;
    pthread_mutex_unlock(&c->mu);
    lzr_cache_clear(c);
}

void lzr_cache_free(struct lzr_cache **cp)
{
    struct lzr_cache *c = *cp;
    *cp = NULL;
    if (c == NULL) {
        return;
    }
    lzr_cache_clear(c);
    lzr_budget_sub(c->budget, c->nbuckets * sizeof *c->buckets);
    LZR_ZERO(pthread_mutex_destroy(&c->mu));
    lzr_free(c->buckets);
    lzr_free(c->order);
    lzr_free(c);
}

struct lzr_blob *lzr_cache_get(struct lzr_cache *c, const struct lzr_cache_key *k, bool count)
{
    struct lzr_blob *b = NULL;
    pthread_mutex_lock(&c->mu);
    struct entry *e = *find(c, k);
    if (e != NULL) {
        b = lzr_blob_ref(e->blob);
        c->policy->touch(c->order, &e->order);
    }
    c->stats.hits += count && e != NULL;
    c->stats.misses += count && e == NULL;
    pthread_mutex_unlock(&c->mu);
    return b;
}

/* Bytes that are to be freed by evicting are only given back once their last holder lets go, so the
 * loop counts what it has taken out itself: the list is buried after the mutex is released. */
static bool make_room(struct lzr_cache *c, uint64_t need, uint64_t more_cache, struct entry **dead)
{
    uint64_t freed = 0;
    for (;;) {
        uint64_t used = atomic_load_explicit(&c->budget->used, memory_order_relaxed);
        used = used > freed ? used - freed : 0;
        /* What the cache itself may have only counts for what is put into it. */
        bool room = used + need <= c->budget->limit &&
                    (more_cache == 0 || c->stats.bytes + more_cache <= c->most);
        if (room) {
            return true;
        }
        struct entry *before = *dead;
        if (!evict_one(c, dead)) {
            return false;
        }
        struct lzr_blob *b = (*dead != before) ? (*dead)->blob : NULL;
        if (b != NULL && atomic_load_explicit(&b->refs, memory_order_relaxed) == 1) {
            freed += lzr_blob_charge(b->len);
        }
    }
}

bool lzr_cache_make_room(struct lzr_cache *c, uint64_t need)
{
    struct entry *dead = NULL;
    pthread_mutex_lock(&c->mu);
    bool ok = make_room(c, need, 0, &dead);
    pthread_mutex_unlock(&c->mu);
    bury(dead);
    return ok;
}

bool lzr_cache_put(struct lzr_cache *c, const struct lzr_cache_key *k, struct lzr_blob *b,
                   uint64_t cost_us)
{
    struct entry *dead = NULL;
    struct entry *e = lzr_malloc(sizeof *e);
    uint64_t bytes = lzr_blob_charge(b->len) + LZR_CACHE_ENTRY_BYTES;
    if (e == NULL) {
        return false;
    }
    *e = (struct entry){.key = *k};
    pthread_mutex_lock(&c->mu);
    struct entry **old = find(c, k);
    if (*old != NULL) {
        unlink_entry(c, old, &dead);
    }
    /* The blob is charged already; only the bookkeeping is new to the budget. */
    bool ok = !c->retired && bytes <= c->most / 8 &&
              !lzr_budget_in_vain(c->budget, c->stats.bytes, LZR_CACHE_ENTRY_BYTES) &&
              make_room(c, LZR_CACHE_ENTRY_BYTES, bytes, &dead);
    if (ok) {
        if (c->stats.entries >= c->nbuckets) {
            grow(c);
        }
        struct entry **p = find(c, k);
        e->blob = lzr_blob_ref(b);
        lzr_blob_kept(b);
        *p = e;
        c->policy->insert(c->order, &e->order, bytes, cost_us);
        c->stats.entries++;
        c->stats.bytes += bytes;
        c->stats.inserts++;
        lzr_budget_add(c->budget, LZR_CACHE_ENTRY_BYTES);
    } else {
        c->stats.refused++;
    }
    pthread_mutex_unlock(&c->mu);
    bury(dead);
    if (!ok) {
        lzr_free(e);
    }
    return ok;
}

void lzr_cache_move(struct lzr_cache *c, struct lzr_cache *from,
                    bool (*map)(void *ctx, struct lzr_cache_key *k), void *ctx)
{
    for (bool more = true; more;) {
        struct entry *one = NULL;
        pthread_mutex_lock(&from->mu);
        more = evict_one(from, &one);
        from->stats.evictions -= more;
        pthread_mutex_unlock(&from->mu);
        struct lzr_cache_key k;
        if (more && (k = one->key, map(ctx, &k))) {
            struct lzr_blob *b = lzr_blob_dup(one->blob->data, one->blob->len, c->budget);
            if (b != NULL) {
                (void)lzr_cache_put(c, &k, b, 0);
            }
            lzr_blob_unref(&b);
        }
        bury(one);
    }
}

struct lzr_cache_stats lzr_cache_stats(struct lzr_cache *c)
{
    pthread_mutex_lock(&c->mu);
    struct lzr_cache_stats s = c->stats;
    pthread_mutex_unlock(&c->mu);
    return s;
}
