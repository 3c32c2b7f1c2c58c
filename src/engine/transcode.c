#include "engine/transcode.h"

#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "store/codec.h"
#include "store/region.h"
#include "store/transcode.h"

/* One Zarr chunk that a flight waits for; its result is read when all are there. */
struct input {
    struct lzr_request req;
    struct lzr_flight *of;
    struct lzr_driver *driver;
};

struct lzr_gather {
    uint64_t n;
    uint64_t pending; /* inputs without a result, and one while they are being asked for */
    bool abandoned;   /* the flight is out of the table; who ends the last pending frees it */
    struct input inputs[];
};

void lzr_sources_init(struct lzr_sources *it, const struct lzr_chunk *c)
{
    struct lzr_view v;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    *it = (struct lzr_sources){.of = c, .n = 1};
    if (c->encoding == LZR_ENC_ZARR) {
        return;
    }
    LZR_CHECK(lzr_view_of(c->array, c->level, c->encoding, &v, NULL)); /* the catalog asked */
    lzr_view_box(&v, c->index, start, extent);
    it->n = lzr_view_sources(&c->array->levels[c->level].grid, start, extent, it->first, it->count);
}

bool lzr_sources_next(struct lzr_sources *it, struct lzr_chunk *out)
{
    const struct lzr_chunk *c = it->of;
    const struct lzr_grid *g = &c->array->levels[c->level].grid;
    uint64_t pos[LZR_MAX_RANK], at = it->next;
    if (at >= it->n) {
        return false;
    }
    it->next++;
    *out = *c;
    if (c->encoding != LZR_ENC_ZARR) {
        for (unsigned i = g->rank; i-- > 0;) {
            pos[i] = it->first[i] + at % it->count[i];
            at /= it->count[i];
        }
        out->encoding = LZR_ENC_ZARR;
        out->index = lzr_grid_index(g, pos);
    }
    return true;
}

static struct lzr_chunk chunk_of(const struct lzr_flight *f)
{
    return (struct lzr_chunk){f->array, f->level, f->encoding, f->index};
}

void lzr_gather_free(struct lzr_gather *g)
{
    for (uint64_t i = 0; g != NULL && i < g->n; i++) {
        lzr_blob_unref(&g->inputs[i].req.result.blob);
        lzr_free(g->inputs[i].req.result.text);
    }
    lzr_free(g);
}

bool lzr_gather_prepare(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_chunk c = chunk_of(f);
    struct lzr_sources it;
    lzr_sources_init(&it, &c);
    struct lzr_gather *g = lzr_calloc(1, sizeof *g + (size_t)it.n * sizeof g->inputs[0]);
    if (g == NULL) {
        return false;
    }
    g->n = it.n;
    g->pending = 1;
    for (uint64_t i = 0; i < g->n; i++) {
        g->inputs[i].of = f;
        g->inputs[i].driver = d;
    }
    f->gather = g;
    f->state = LZR_GATHERING;
    return true;
}

/* Ends a flight with the failure of one of its inputs, which that one's own flight has noted. */
static void fail(struct lzr_driver *d, struct lzr_flight *f, const struct lzr_result *why,
                 struct lzr_request **list)
{
    while (f->waiters != NULL) {
        struct lzr_request *req = f->waiters;
        req->result = (struct lzr_result){.code = why->code,
                                          .again = why->again,
                                          .remembered = why->remembered,
                                          .text = why->text != NULL ? lzr_strdup(why->text) : NULL,
                                          .compute_us = why->compute_us};
        lzr_flight_dismiss(d, f, req, list);
    }
    lzr_flights_remove(&d->flights, &f);
}

/* One thing less to wait for. With mu. */
static void arrive(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_gather *g = f->gather;
    uint64_t one = 1;
    if (--g->pending > 0) {
        return;
    }
    if (g->abandoned) {
        lzr_flight_free(&f);
        return;
    }
    for (uint64_t i = 0; i < g->n; i++) {
        const struct lzr_result *res = &g->inputs[i].req.result;
        if (res->code != LZR_OK) {
            fail(d, f, res, list);
            return;
        }
        f->compute_us += res->compute_us;
    }
    f->state = LZR_TRANSCODING;
    lzr_queue_push(&d->tasks, f);
    ssize_t n = write(d->task_fd, &one, sizeof one);
    LZR_CHECK(n == (ssize_t)sizeof one);
}

static void input_done(struct lzr_request *req)
{
    struct input *in = req->ctx;
    struct lzr_driver *d = in->driver;
    struct lzr_request *list = NULL;
    pthread_mutex_lock(&d->mu);
    arrive(d, in->of, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
}

/* Takes an input's wish back. True: it won't be answered any more. With mu. */
static bool let_go(struct lzr_driver *d, struct input *in)
{
    struct lzr_flight *source = in->req.flight;
    if (source == NULL) {
        return false;
    }
    lzr_flight_leave(source, &in->req);
    d->waiting--;
    if (lzr_flight_unwanted(source, lzr_now_us())) {
        lzr_flight_abandon(d, source);
    }
    return true;
}

void lzr_gather_ask(struct lzr_driver *d, struct lzr_flight *f)
{
    /* f lives until pending is 0, which the one that prepare counted prevents. */
    struct lzr_gather *g = f->gather;
    struct lzr_chunk c = chunk_of(f), source;
    struct lzr_request *list = NULL;
    struct lzr_sources it;
    lzr_sources_init(&it, &c);
    for (uint64_t i = 0; lzr_sources_next(&it, &source); i++) {
        struct input *in = &g->inputs[i];
        pthread_mutex_lock(&d->mu);
        bool stop = g->abandoned;
        g->pending += !stop;
        pthread_mutex_unlock(&d->mu);
        if (stop) {
            break;
        }
        in->req.done = input_done;
        in->req.ctx = in;
        if (lzr_source_get(d, &source, &in->req) == LZR_GOT_NOW) {
            input_done(&in->req);
            continue;
        }
        pthread_mutex_lock(&d->mu);
        if (g->abandoned && let_go(d, in)) {
            g->pending--; /* abandoned while this one was being asked for */
        }
        pthread_mutex_unlock(&d->mu);
    }
    pthread_mutex_lock(&d->mu);
    arrive(d, f, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
}

void lzr_gather_abandon(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_gather *g = f->gather;
    if (f->state != LZR_GATHERING) {
        return; /* nearly done: its result goes into the cache */
    }
    lzr_flights_unlink(&d->flights, f);
    g->abandoned = true;
    for (uint64_t i = 0; i < g->n; i++) {
        g->pending -= let_go(d, &g->inputs[i]);
    }
    d->stats.dropped_total++;
    if (g->pending == 0) {
        lzr_flight_free(&f);
    }
}

void lzr_gather_check(struct lzr_driver *d, uint64_t now_us)
{
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        struct lzr_flight *next;
        for (struct lzr_flight *f = d->flights.buckets[b]; f != NULL; f = next) {
            next = f->hash_next;
            if (f->state == LZR_GATHERING && f->held_until_us != 0 &&
                lzr_flight_unwanted(f, now_us)) {
                lzr_gather_abandon(d, f);
                /* Letting go of inputs may have freed what came next: from the start again. */
                next = d->flights.buckets[b];
            }
        }
    }
}

/* Decodes the inputs and puts what the box has of each into values. */
static enum lzr_code gather_box(const struct lzr_flight *f, struct lzr_region box, void *values,
                                void *scratch, struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct lzr_grid *g = &a->levels[f->level].grid;
    size_t bytes = (size_t)(g->chunk_elements * a->dtype.size);
    struct lzr_chunk c = chunk_of(f), source;
    struct lzr_sources it;
    lzr_sources_init(&it, &c);
    for (uint64_t i = 0; lzr_sources_next(&it, &source); i++) {
        const struct lzr_blob *blob = f->gather->inputs[i].req.result.blob;
        uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK];
        const void *from = scratch != NULL ? scratch : values;
        if (a->codec.id == LZR_CODEC_NONE && blob->len == bytes && scratch != NULL) {
            from = blob->data;
        } else {
            enum lzr_code code = lzr_codec_decode(&a->codec, blob->data, blob->len,
                                                  scratch != NULL ? scratch : values, bytes, err);
            if (code != LZR_OK) {
                return code;
            }
        }
        if (scratch == NULL) {
            return LZR_OK; /* the box is this whole chunk */
        }
        lzr_grid_position(g, source.index, pos);
        for (unsigned k = 0; k < g->rank; k++) {
            start[k] = pos[k] * g->chunks[k];
        }
        lzr_region_copy(g->rank, a->dtype.size, (struct lzr_region){start, g->chunks}, from, box,
                        values);
    }
    return LZR_OK;
}

/* Makes the chunk. Memory beside the result is charged to the budget while it is used; as many of
 * these run as there are codec threads. Without mu. */
static enum lzr_code make(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_blob **out,
                          struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct lzr_grid *g = &a->levels[f->level].grid;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    bool whole = f->gather->n == 1;
    struct lzr_view v;
    LZR_CHECK(lzr_view_of(a, f->level, f->encoding, &v, NULL));
    lzr_view_box(&v, f->index, start, extent);
    for (unsigned i = 0; i < g->rank; i++) {
        whole = whole && extent[i] == g->chunks[i];
    }
    size_t room = lzr_transcode_room(&v, extent, a->dtype.size), len = 0;
    size_t most = whole ? 0 : (size_t)(g->chunk_elements * a->dtype.size);
    size_t bound = lzr_transcode_bound(&v, extent);
    (void)lzr_cache_make_room(d->cache, room + most + lzr_blob_charge(bound));
    lzr_budget_add(&d->budget, room + most);
    void *values = lzr_malloc(room), *scratch = whole ? NULL : lzr_malloc(most);
    struct lzr_blob *b = lzr_blob_new(bound, &d->budget);
    enum lzr_code code = LZR_OK;
    if (values == NULL || (!whole && scratch == NULL) || b == NULL) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    if (code == LZR_OK) {
        code = gather_box(f, (struct lzr_region){start, extent}, values, scratch, err);
    }
    if (code == LZR_OK) {
        code = lzr_transcode(&v, extent, a->dtype, values, b->data, b->len, &len, err);
    }
    lzr_free(values);
    lzr_free(scratch);
    lzr_budget_sub(&d->budget, room + most);
    if (code != LZR_OK) {
        lzr_blob_unref(&b);
        return code;
    }
    *out = lzr_blob_shrink(b, len);
    return LZR_OK;
}

void lzr_transcode_one(struct lzr_driver *d)
{
    struct lzr_request *list = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_blob *b = NULL;
    struct lzr_digest digest = {0, 0};
    uint64_t one, t0 = lzr_now_us();
    if (read(d->task_fd, &one, sizeof one) != (ssize_t)sizeof one) {
        return; /* another thread has it */
    }
    pthread_mutex_lock(&d->mu);
    struct lzr_flight *f = d->tasks.head;
    LZR_CHECK(f != NULL);
    lzr_queue_remove(&d->tasks, f);
    f->started_us = t0;
    pthread_mutex_unlock(&d->mu);
    /* Nobody frees the flight while it is TRANSCODING, and its inputs are ours. */
    enum lzr_code code = make(d, f, &b, &err);
    uint64_t us = lzr_now_us() - t0;
    if (code == LZR_OK) {
        struct lzr_chunk c = chunk_of(f);
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        if (d->keep) {
            lzr_cache_put(d->cache, &k, b, us);
        }
        if (!f->array->deterministic) {
            digest = lzr_digest(b->data, b->len, 0);
        }
    }
    pthread_mutex_lock(&d->mu);
    lzr_gather_free(f->gather);
    f->gather = NULL;
    f->encode_us = us;
    if (code == LZR_OK) {
        d->stats.transcoded_total++;
        d->stats.transcode_us_total += us;
        lzr_flight_land(d, f, b, digest, &list);
    } else {
        const struct lzr_result why = {.code = code, .again = code == LZR_E_NOMEM, .text = err.msg};
        lzr_log(d->log, LZR_LOG_ERROR, "%s/%s: chunk %llu: %s", f->array->store->name,
                f->array->path, (unsigned long long)f->index, err.msg);
        fail(d, f, &why, &list);
    }
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
}
