/* The public calls of lazarr/driver.h. */
#include "lazarr/driver.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "engine/transcode.h"

const struct lzr_catalog *lzr_driver_catalog(const struct lzr_driver *d)
{
    return d->catalog;
}

void lzr_driver_retire(struct lzr_driver *d)
{
    lzr_cache_retire(d->cache);
    if (d->decoded != NULL) {
        lzr_cache_retire(d->decoded);
    }
}

void lzr_driver_python(const struct lzr_driver *d, char *out, size_t n)
{
    const struct lzr_pyenv *p = &d->pyenv;
    (void)snprintf(out, n, "Python %s of %s%s%s", p->version, p->prefix,
                   p->source != NULL ? ", from " : "", p->source != NULL ? p->source : "");
}

uint64_t lzr_driver_salt(const struct lzr_driver *d, const struct lzr_array *a)
{
    return d->salts[a->id];
}

bool lzr_driver_has(const struct lzr_driver *d, const char *name)
{
    return lzr_keep_find(d->catalog, name) > 0;
}

const char *lzr_driver_manifest(const struct lzr_driver *d, size_t i, size_t *len)
{
    LZR_CHECK(i < d->nstores);
    *len = d->manifest_lens[i];
    return d->manifests[i];
}

static const char too_many[] = "too many chunks are waiting to be computed";

static bool now_with(struct lzr_request *req, struct lzr_blob *b, struct lzr_digest digest)
{
    req->result = (struct lzr_result){.code = LZR_OK, .hit = true, .blob = b, .digest = digest};
    return true;
}

static struct lzr_digest digest_of(const struct lzr_array *a, const struct lzr_blob *b)
{
    return a->deterministic ? (struct lzr_digest){0, 0} : lzr_digest(b->data, b->len, 0);
}

static void fail_now(struct lzr_request *req, enum lzr_code code, const char *text)
{
    req->result = (struct lzr_result){.code = code, .again = true, .text = lzr_strdup(text)};
}

static struct lzr_result remembered(const struct lzr_failure *fail)
{
    struct lzr_why why = {.path = fail->path, .text = fail->text};
    return (struct lzr_result){.code = fail->code, .remembered = true, .text = lzr_why_text(&why)};
}

/* Room in a full queue for one more flight of a client: another client, one that has more there,
 * loses its last one. False: this client has most itself. With mu. */
static bool make_way(struct lzr_driver *d, const struct lzr_chunk *c, uint64_t client,
                     struct lzr_request **list)
{
    struct lzr_flight *f = lzr_queue_victim(&d->queue, client, d->folders.of[c->array->id]);
    if (f == NULL) {
        return false;
    }
    f->why = (struct lzr_why){.code = LZR_E_BUSY, .again = true, .text = lzr_strdup(too_many)};
    lzr_needs_fail(d, f, list);
    return true;
}

/* Whether something has to be made for this chunk that nobody makes yet: itself, or a Zarr chunk
 * that it is made from. With mu. */
static bool takes_place(struct lzr_driver *d, const struct lzr_chunk *c)
{
    struct lzr_sources it;
    struct lzr_chunk source;
    bool takes = false;
    lzr_sources_init(&it, c);
    while (!takes && lzr_sources_next(&it, &source)) {
        if (lzr_flights_find(&d->flights, &source) == NULL) {
            struct lzr_blob *b = lzr_driver_peek(d, &source);
            takes = b == NULL;
            lzr_blob_unref(&b);
        }
    }
    return takes;
}

/* What can be answered at once although it isn't cached. With mu. */
static bool answer_now(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_flight *f,
                       struct lzr_request *req, struct lzr_request **list)
{
    if (d->draining) {
        fail_now(req, LZR_E_CANCELLED, "lazarr is stopping");
        return true;
    }
    if (f != NULL) {
        return f->blob != NULL && now_with(req, lzr_blob_ref(f->blob), f->digest);
    }
    const struct lzr_failure *fail =
        c->encoding != LZR_ENC_ZARR
            ? NULL /* its Zarr chunks tell */
            : lzr_failures_recall(&d->failures, c->array->id, c->level, c->index, lzr_now_us());
    if (fail != NULL) {
        d->stats.remembered_failures_total++;
        req->result = remembered(fail);
        return true;
    }
    bool tasks = d->tasks.n + d->reads.waiting.n + d->kept_back.n >= LZR_MAX_WAITING;
    bool roots = d->queue.nroots >= LZR_MAX_WAITING;
    if ((tasks || roots) && takes_place(d, c)) {
        d->stats.refused_total++;
        if (tasks || !make_way(d, c, req->client, list)) {
            fail_now(req, LZR_E_BUSY, too_many);
            return true;
        }
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

struct lzr_flight *lzr_flight_new(struct lzr_driver *d, const struct lzr_chunk *c)
{
    struct lzr_flight *f = lzr_flights_add(&d->flights, c, lzr_now_us());
    if (f != NULL) {
        f->recipe = lzr_recipe_of(c);
        f->folder = d->folders.of[c->array->id];
        f->unstarted = f->recipe->list != NULL && !f->recipe->eager;
        f->again = c->encoding == LZR_ENC_ZARR &&
                   lzr_drops_has(&d->drops, c->array->id, c->level, c->index);
        d->stats.flights_total += c->encoding == LZR_ENC_ZARR;
    }
    return f;
}

/* Joins or starts a flight. With mu. */
static enum lzr_got board(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_request *req,
                          struct lzr_request **list)
{
    struct lzr_cache_key k = lzr_cache_key_of(c);
    struct lzr_flight *f = lzr_flights_find(&d->flights, c);
    if (f == NULL) {
        /* The flight may have ended between the look into the cache and now. */
        struct lzr_blob *b = lzr_cache_get(d->cache, &k, false);
        const struct lzr_wanted *w = b == NULL ? lzr_wanted_find(d, c) : NULL;
        b = w != NULL && w->blob != NULL ? lzr_blob_ref(w->blob) : b; /* a plan keeps it */
        if (b != NULL) {
            now_with(req, b, digest_of(c->array, b));
            return LZR_GOT_NOW;
        }
    }
    if (answer_now(d, c, f, req, list)) {
        return LZR_GOT_NOW;
    }
    uint64_t burst = lzr_queue_burst(&d->queue, req->client, lzr_now_us());
    if (f != NULL) {
        d->stats.joined_total++;
        if (f->state == LZR_QUEUED) {
            lzr_queue_renew(&d->queue, f, req->client, burst);
        }
        lzr_flight_join(f, req);
        d->waiting++;
        return LZR_GOT_LATER;
    }
    f = lzr_flight_new(d, c);
    if (f == NULL) {
        fail_now(req, LZR_E_NOMEM, "out of memory");
        return LZR_GOT_NOW;
    }
    f->client = req->client;
    f->burst = burst;
    lzr_flight_join(f, req);
    d->waiting++;
    if (f->recipe->list != NULL && f->recipe->eager) {
        lzr_needs_begin(d, f, list);
    } else if (f->recipe->list == NULL && !f->recipe->worker) {
        lzr_task_push(d, f);
    } else if (f->recipe->worker || !lzr_needs_cached(d, f)) {
        lzr_queue_push(&d->queue, f);
    }
    lzr_dispatch(d, list);
    return LZR_GOT_LATER;
}

enum lzr_got lzr_driver_start(struct lzr_driver *d, const struct lzr_chunk *c,
                              struct lzr_request *req)
{
    struct lzr_request *list = NULL;
    req->flight = NULL;
    pthread_mutex_lock(&d->mu);
    d->array_stats[c->array->id].misses++;
    enum lzr_got got = board(d, c, req, &list);
    if (lzr_code_hopeless(d, d->folders.of[c->array->id]) != NULL) {
        lzr_code_check(d, &list);
    }
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
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
        *out = remembered(fail);
    }
    pthread_mutex_unlock(&d->mu);
    return fail != NULL;
}

bool lzr_driver_cancel(struct lzr_driver *d, struct lzr_request *req, bool hold)
{
    struct lzr_request *list = NULL;
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
        lzr_dispatch(d, &list);
    }
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    return true;
}

void lzr_driver_stats(struct lzr_driver *d, struct lzr_stats *out)
{
    struct lzr_cache_stats cs = lzr_cache_stats(d->cache), ds = {0};
    if (d->decoded != NULL) {
        ds = lzr_cache_stats(d->decoded);
    }
    pthread_mutex_lock(&d->mu);
    *out = d->stats;
    out->queued = lzr_queue_n(&d->queue);
    out->running = d->active - d->encoding;
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        for (const struct lzr_flight *f = d->flights.buckets[b]; f != NULL; f = f->hash_next) {
            out->gathering += f->state == LZR_GATHERING;
        }
    }
    out->waiting = d->waiting;
    out->reads_stalled = d->reads.stalled;
    out->threads_left = d->reads.left != NULL ? atomic_load(d->reads.left) : 0;
    for (unsigned i = 0; i < d->nworkers; i++) {
        out->workers += d->workers[i].state == LZR_WORKER_READY;
        out->slots_pinned += d->workers[i].npinned;
    }
    pthread_mutex_unlock(&d->mu);
    out->decoded_hits_total = ds.hits;
    out->decoded_misses_total = ds.misses;
    out->decoded_bytes = ds.bytes;
    out->cache_hits_total = cs.hits;
    out->cache_misses_total = cs.misses;
    out->cache_evictions_total = cs.evictions;
    out->cache_inserts_total = cs.inserts;
    out->cache_entries = cs.entries;
    out->cache_bytes = cs.bytes;
    out->budget_bytes = atomic_load(&d->budget.used);
    out->unsent_bytes = atomic_load(&d->budget.unsent);
    out->budget_limit_bytes = d->budget.limit;
    for (uint32_t i = 0; i < d->folders.n; i++) {
        out->source_bytes += d->folders.at[i].handover.bytes;
    }
}

struct lzr_budget *lzr_driver_budget(struct lzr_driver *d)
{
    return &d->budget;
}

uint32_t lzr_driver_troubles(struct lzr_driver *d, struct lzr_trouble out[LZR_TROUBLES])
{
    return lzr_troubles_copy(&d->troubles, out);
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
                                    .read = s->read,
                                    .read_us = s->read_us,
                                    .inputs_us = s->inputs_us,
                                    .encoded = s->encoded,
                                    .encoded_bytes = s->encoded_bytes,
                                    .hits = __atomic_load_n(&s->hits, __ATOMIC_RELAXED),
                                    .misses = s->misses,
                                    .pace = s->pace};
    pthread_mutex_unlock(&d->mu);
}

/* Why a worker isn't ready, cut between characters. */
static void copy_error(const struct lzr_worker *w, char *out, size_t n)
{
    const char *more = w->load_traceback != NULL ? w->load_traceback : "";
    if (w->load_error == NULL || w->state == LZR_WORKER_READY) {
        return;
    }
    int len = snprintf(out, n, "%s%s%s", w->load_error, *more != '\0' ? "\n" : "", more);
    if (len >= (int)n) {
        size_t end = n - 1;
        while (end > 0 && ((unsigned char)out[end - 1] & 0xC0) == 0x80) {
            end--;
        }
        end -= end > 0 && (unsigned char)out[end - 1] >= 0xC0;
        out[end] = '\0';
    }
}

bool lzr_driver_stale(struct lzr_driver *d, char *out, size_t n)
{
    pthread_mutex_lock(&d->mu);
    const char *why = lzr_code_stale(d);
    (void)snprintf(out, n, "%s", why != NULL ? why : "");
    pthread_mutex_unlock(&d->mu);
    return why != NULL;
}

bool lzr_driver_ready(struct lzr_driver *d)
{
    bool ready = false;
    pthread_mutex_lock(&d->mu);
    for (unsigned i = 0; i < d->nworkers && !ready; i++) {
        ready = d->workers[i].state == LZR_WORKER_READY;
    }
    pthread_mutex_unlock(&d->mu);
    return ready;
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
                                          .deaths = w->deaths,
                                          .folder = w->folder != LZR_NO_FOLDER
                                                        ? lzr_folder_of(d, w)->root
                                                        : ""};
        copy_error(w, out[i].error, sizeof out[i].error);
    }
    pthread_mutex_unlock(&d->mu);
    return d->nworkers;
}
