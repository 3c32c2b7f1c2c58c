/* The public calls of lazarr/driver.h. */
#include "lazarr/driver.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/transcode.h"

const struct lzr_catalog *lzr_driver_catalog(const struct lzr_driver *d)
{
    return d->catalog;
}

uint64_t lzr_driver_nonce(const struct lzr_driver *d)
{
    return d->nonce;
}

const char *lzr_driver_manifest(const struct lzr_driver *d, size_t i, size_t *len)
{
    LZR_CHECK(i < d->nstores);
    *len = d->manifest_lens[i];
    return d->manifests[i];
}

static bool now_with(struct lzr_request *req, struct lzr_blob *b, struct lzr_digest digest)
{
    req->result = (struct lzr_result){.code = LZR_OK, .hit = true, .blob = b, .digest = digest};
    return true;
}

static struct lzr_digest digest_of(const struct lzr_array *a, const struct lzr_blob *b)
{
    return a->deterministic ? (struct lzr_digest){0, 0} : lzr_digest(b->data, b->len, 0);
}

static void fail_now(struct lzr_request *req, enum lzr_code code, bool again, bool remembered,
                     const char *text)
{
    req->result = (struct lzr_result){.code = code,
                                      .again = again,
                                      .remembered = remembered,
                                      .text = text != NULL ? lzr_strdup(text) : NULL};
}

/* What can be answered at once although it isn't cached. With mu. */
static bool answer_now(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_flight *f,
                       struct lzr_request *req)
{
    if (d->draining) {
        fail_now(req, LZR_E_CANCELLED, true, false, "lazarr is stopping");
        return true;
    }
    if (f != NULL) {
        return f->blob != NULL && now_with(req, lzr_blob_ref(f->blob), f->digest);
    }
    if (c->encoding != LZR_ENC_ZARR) {
        return false; /* its Zarr chunks tell */
    }
    const struct lzr_failure *fail =
        lzr_failures_recall(&d->failures, c->array->id, c->level, c->index, lzr_now_us());
    if (fail != NULL) {
        d->stats.remembered_failures_total++;
        fail_now(req, fail->code, false, true, fail->text);
        return true;
    }
    if (d->queue.n >= LZR_MAX_WAITING) {
        d->stats.refused_total++;
        fail_now(req, LZR_E_BUSY, true, false, "too many chunks are waiting to be computed");
        return true;
    }
    return false;
}

bool lzr_driver_try(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_request *req)
{
    struct lzr_cache_key k = lzr_cache_key_of(c);
    struct lzr_blob *b = lzr_cache_get(d->cache, &k, true);
    req->flight = NULL;
    if (b == NULL) {
        return false;
    }
    __atomic_fetch_add(&d->array_stats[c->array->id].hits, 1, __ATOMIC_RELAXED);
    return now_with(req, b, digest_of(c->array, b));
}

enum lzr_got lzr_driver_get(struct lzr_driver *d, const struct lzr_chunk *c,
                            struct lzr_request *req)
{
    return lzr_driver_try(d, c, req) ? LZR_GOT_NOW : lzr_driver_start(d, c, req);
}

/* A flight for a chunk that has none. With mu. */
static enum lzr_code take_off(struct lzr_driver *d, const struct lzr_chunk *c,
                              struct lzr_flight **out)
{
    struct lzr_flight *f = lzr_flights_add(&d->flights, c, lzr_now_us());
    if (f == NULL) {
        return LZR_E_NOMEM;
    }
    if (c->encoding == LZR_ENC_ZARR) {
        d->stats.flights_total++;
        lzr_queue_push(&d->queue, f);
    } else if (!lzr_gather_prepare(d, f)) {
        lzr_flights_remove(&d->flights, &f);
        return LZR_E_NOMEM;
    }
    *out = f;
    return LZR_OK;
}

/* Joins or starts a flight; *gather is one whose inputs are to be asked for, without mu. */
static enum lzr_got board(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_request *req,
                          struct lzr_flight **gather)
{
    struct lzr_cache_key k = lzr_cache_key_of(c);
    struct lzr_flight *f = lzr_flights_find(&d->flights, c);
    *gather = NULL;
    if (f == NULL) {
        /* The flight may have ended between the look into the cache and now. */
        struct lzr_blob *b = lzr_cache_get(d->cache, &k, false);
        if (b != NULL) {
            now_with(req, b, digest_of(c->array, b));
            return LZR_GOT_NOW;
        }
    }
    if (answer_now(d, c, f, req)) {
        return LZR_GOT_NOW;
    }
    if (f != NULL) {
        d->stats.joined_total++;
    } else if (take_off(d, c, &f) == LZR_OK) {
        *gather = f->gather != NULL ? f : NULL;
    } else {
        fail_now(req, LZR_E_NOMEM, true, false, "out of memory");
        return LZR_GOT_NOW;
    }
    lzr_flight_join(f, req);
    d->waiting++;
    if (f->state == LZR_QUEUED) {
        lzr_dispatch(d);
    }
    return LZR_GOT_LATER;
}

enum lzr_got lzr_driver_start(struct lzr_driver *d, const struct lzr_chunk *c,
                              struct lzr_request *req)
{
    struct lzr_flight *gather;
    req->flight = NULL;
    pthread_mutex_lock(&d->mu);
    d->array_stats[c->array->id].misses++;
    enum lzr_got got = board(d, c, req, &gather);
    pthread_mutex_unlock(&d->mu);
    if (gather != NULL) {
        lzr_gather_ask(d, gather);
    }
    return got;
}

enum lzr_got lzr_source_get(struct lzr_driver *d, const struct lzr_chunk *c,
                            struct lzr_request *req)
{
    struct lzr_cache_key k = lzr_cache_key_of(c);
    struct lzr_blob *b = lzr_cache_get(d->cache, &k, false);
    struct lzr_flight *gather;
    LZR_CHECK(c->encoding == LZR_ENC_ZARR);
    req->flight = NULL;
    if (b != NULL) {
        now_with(req, b, (struct lzr_digest){0, 0});
        return LZR_GOT_NOW;
    }
    pthread_mutex_lock(&d->mu);
    enum lzr_got got = board(d, c, req, &gather);
    pthread_mutex_unlock(&d->mu);
    return got;
}

struct lzr_blob *lzr_driver_peek(struct lzr_driver *d, const struct lzr_chunk *c)
{
    struct lzr_cache_key k = lzr_cache_key_of(c);
    return lzr_cache_get(d->cache, &k, false);
}

bool lzr_driver_recall(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_result *out)
{
    struct lzr_sources it;
    struct lzr_chunk source;
    const struct lzr_failure *fail = NULL;
    lzr_sources_init(&it, c);
    pthread_mutex_lock(&d->mu);
    while (fail == NULL && lzr_sources_next(&it, &source)) {
        fail = lzr_failures_recall(&d->failures, source.array->id, source.level, source.index,
                                   lzr_now_us());
    }
    if (fail != NULL) {
        *out = (struct lzr_result){.code = fail->code,
                                   .remembered = true,
                                   .text = fail->text != NULL ? lzr_strdup(fail->text) : NULL};
    }
    pthread_mutex_unlock(&d->mu);
    return fail != NULL;
}

void lzr_flight_abandon(struct lzr_driver *d, struct lzr_flight *f)
{
    if (f->gather != NULL) {
        lzr_gather_abandon(d, f);
        return;
    }
    if (f->state == LZR_QUEUED) {
        lzr_queue_remove(&d->queue, f);
        lzr_flights_remove(&d->flights, &f);
        d->stats.dropped_total++;
        return;
    }
    for (unsigned i = 0; i < d->nworkers && f->state == LZR_RUNNING; i++) {
        struct lzr_worker *w = &d->workers[i];
        for (unsigned j = 0; j < w->njobs; j++) {
            if (w->jobs[j].flight == f && lzr_worker_withdraw(d, w, j)) {
                lzr_queue_remove(&d->queue, f);
                lzr_flights_remove(&d->flights, &f);
                d->stats.dropped_total++;
                return;
            }
        }
    }
}

bool lzr_driver_cancel(struct lzr_driver *d, struct lzr_request *req, bool hold)
{
    pthread_mutex_lock(&d->mu);
    struct lzr_flight *f = req->flight;
    if (f == NULL) {
        pthread_mutex_unlock(&d->mu);
        return false; /* done was or is being called */
    }
    uint64_t now = lzr_now_us();
    lzr_flight_leave(f, req);
    d->waiting--;
    if (hold) {
        f->held_until_us = now + LZR_HOLD_US;
    }
    if (lzr_flight_unwanted(f, now)) {
        lzr_flight_abandon(d, f);
        lzr_dispatch(d);
    }
    pthread_mutex_unlock(&d->mu);
    return true;
}

void lzr_driver_stats(struct lzr_driver *d, struct lzr_stats *out)
{
    struct lzr_cache_stats cs = lzr_cache_stats(d->cache);
    pthread_mutex_lock(&d->mu);
    *out = d->stats;
    out->queued = d->queue.n;
    out->running = d->active - d->encoding;
    out->waiting = d->waiting;
    for (unsigned i = 0; i < d->nworkers; i++) {
        out->workers += d->workers[i].state == LZR_WORKER_READY;
        out->slots_pinned += d->workers[i].npinned;
    }
    pthread_mutex_unlock(&d->mu);
    out->cache_hits_total = cs.hits;
    out->cache_misses_total = cs.misses;
    out->cache_evictions_total = cs.evictions;
    out->cache_inserts_total = cs.inserts;
    out->cache_entries = cs.entries;
    out->cache_bytes = cs.bytes;
    out->budget_bytes = atomic_load(&d->budget.used);
    out->budget_limit_bytes = d->budget.limit;
}

void lzr_driver_array_stats(struct lzr_driver *d, uint32_t array_id, struct lzr_array_stats *out)
{
    LZR_CHECK(array_id < lzr_catalog_narrays(d->catalog));
    const struct lzr_array_stats *s = &d->array_stats[array_id];
    pthread_mutex_lock(&d->mu);
    /* hits is counted without mu, so the struct is not copied as a whole. */
    *out = (struct lzr_array_stats){.computed = s->computed,
                                    .failed = s->failed,
                                    .compute_us = s->compute_us,
                                    .encoded = s->encoded,
                                    .encoded_bytes = s->encoded_bytes,
                                    .hits = __atomic_load_n(&s->hits, __ATOMIC_RELAXED),
                                    .misses = s->misses};
    pthread_mutex_unlock(&d->mu);
}

size_t lzr_driver_workers(struct lzr_driver *d, struct lzr_worker_info *out, size_t n)
{
    pthread_mutex_lock(&d->mu);
    for (unsigned i = 0; i < d->nworkers && i < n; i++) {
        const struct lzr_worker *w = &d->workers[i];
        const char *state = w->state == LZR_WORKER_DOWN       ? "backing off"
                            : w->state == LZR_WORKER_STARTING ? "starting"
                            : w->state == LZR_WORKER_ENDING   ? "ending"
                            : w->njobs > 0                    ? "busy"
                                                              : "ready";
        out[i] = (struct lzr_worker_info){.pid = (int)w->pid,
                                          .state = state,
                                          .jobs = w->jobs_done,
                                          .deaths = w->deaths};
    }
    pthread_mutex_unlock(&d->mu);
    return d->nworkers;
}
