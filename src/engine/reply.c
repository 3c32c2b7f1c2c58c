/* Codec threads: what workers answer, and making encoded chunks of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "store/codec.h"

/* A block that came out well and has to be encoded now. */
struct finished {
    struct lzr_flight *flight;
    struct lzr_slot *slot; /* a reference */
    struct lzr_worker *worker;
    bool copy; /* user code may still write there */
};

void lzr_complete(struct lzr_request *list)
{
    while (list != NULL) {
        struct lzr_request *req = list;
        list = req->next;
        req->next = NULL;
        req->done(req);
    }
}

void lzr_flight_release(struct lzr_driver *d, struct lzr_flight *f)
{
    lzr_budget_sub(&d->budget, f->reserved);
    f->reserved = 0;
    f->reserved_output = false;
}

void lzr_flight_dismiss(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request *req,
                        struct lzr_request **list)
{
    lzr_flight_leave(f, req);
    if (req->done == NULL) {
        lzr_needs_arrived(d, req->ctx);
        return;
    }
    d->waiting--;
    req->next = *list;
    *list = req;
}

void lzr_flight_fail(struct lzr_driver *d, struct lzr_flight *f, enum lzr_code code,
                     const char *text, struct lzr_request **list)
{
    uint64_t now = lzr_now_us();
    if (code != LZR_E_CANCELLED && code != LZR_E_NOMEM) {
        lzr_troubles_note(&d->troubles, f->array->id, f->level, f->index, code, text, now);
    }
    bool remembered =
        code != LZR_E_CANCELLED && code != LZR_E_NOMEM &&
        lzr_failures_note(&d->failures, f->array->id, f->level, f->index, code, text, now);
    const struct lzr_failure *noted =
        remembered ? lzr_failures_recall(&d->failures, f->array->id, f->level, f->index, now)
                   : NULL;
    f->why = (struct lzr_why){
        .code = code,
        .again = !remembered,
        .until_us = noted != NULL ? noted->until_us : 0,
        .cause = f->array,
        .text = text != NULL ? lzr_strndup(text, LZR_FAILURE_TEXT_MAX) : NULL,
    };
    lzr_needs_fail(d, f, list);
}

/* Takes the job out of its worker's list; the next one can run from now on. */
static bool take_job(struct lzr_driver *d, struct lzr_worker *w, uint64_t seq, uint32_t slot,
                     struct lzr_job *out)
{
    if (w->njobs == 0 || w->jobs[0].seq != seq || w->jobs[0].slot->id != slot) {
        return false; /* workers answer in order; anything else is garbled */
    }
    *out = w->jobs[0];
    w->njobs--;
    memmove(&w->jobs[0], &w->jobs[1], w->njobs * sizeof w->jobs[0]);
    if (w->njobs > 0) {
        w->jobs[0].deadline_us = lzr_now_us() + w->jobs[0].timeout_us;
    }
    w->jobs_done++;
    if (w->most_jobs > 0 && w->jobs_done >= w->most_jobs && w->retire == NULL) {
        w->retire = "it has done the jobs that --worker-jobs allows";
        lzr_wake_supervisor(d);
    }
    return true;
}

static void free_slot(struct lzr_slot *s)
{
    s->busy = false;
    if (!s->pinned) {
        lzr_slot_trim(s);
    }
}

static bool apply_done(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_packet *p,
                       struct finished *fin)
{
    struct lzr_job job;
    if (!take_job(d, w, p->msg.seq, p->msg.slot, &job)) {
        return false;
    }
    if ((p->msg.flags & LZR_DONE_PINNED) != 0 && !job.slot->pinned) {
        job.slot->pinned = true;
        w->npinned++;
    }
    struct lzr_flight *f = job.flight;
    uint64_t now = lzr_now_us();
    w->dump_us = 0;
    if (f == NULL) {
        free_slot(job.slot); /* it came too late: the worker is being killed for it */
        return true;
    }
    lzr_needs_free(&f->needs);
    f->state = LZR_ENCODING;
    d->encoding++;
    f->compute_us = p->msg.run_us < now - f->started_us ? p->msg.run_us : now - f->started_us;
    struct lzr_array_stats *as = &d->array_stats[f->array->id];
    as->computed++;
    as->compute_us += f->compute_us;
    as->inputs_us += f->inputs_us;
    d->stats.computed_total++;
    d->stats.compute_us_total += f->compute_us;
    *fin = (struct finished){f, lzr_slot_ref(job.slot), w, job.slot->pinned};
    return true;
}

static bool apply_failed(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p,
                         struct lzr_request **list)
{
    struct lzr_job job;
    if (!take_job(d, w, p->msg.seq, p->msg.slot, &job)) {
        return false;
    }
    if ((p->msg.flags & LZR_DONE_PINNED) != 0 && !job.slot->pinned) {
        job.slot->pinned = true;
        w->npinned++;
    }
    free_slot(job.slot);
    w->dump_us = 0;
    struct lzr_flight *f = job.flight;
    if (f == NULL) {
        return true;
    }
    if ((p->msg.flags & LZR_FAILED_CANCELLED) != 0 && job.interrupted_us != 0) {
        d->stats.cancelled_total++;
        if (lzr_flight_unwanted(f, lzr_now_us())) {
            lzr_flight_drop(d, f);
        } else {
            lzr_flight_requeue(d, f); /* somebody came when the function knew already */
        }
        return true;
    }
    struct lzr_array_stats *as = &d->array_stats[f->array->id];
    as->computed++;
    as->failed++;
    d->stats.computed_total++;
    d->stats.compute_failures_total++;
    f->compute_us = p->msg.run_us;
    size_t line = strnlen(p->text, p->msg.len);
    bool more = line + 1 < p->msg.len;
    lzr_log_as(d->log, LZR_LOG_ERROR, lzr_failing(d, f), "%s/%s: chunk %llu: %.*s%s%s",
               f->array->store->name, f->array->path, (unsigned long long)f->index, (int)line,
               p->text, more ? "\n" : "", more ? p->text + line + 1 : "");
    if (more) {
        p->text[line] = '\n';
    }
    lzr_flight_fail(d, f, LZR_E_USER, p->text, list);
    return true;
}

static bool apply_unpinned(struct lzr_worker *w, uint32_t id)
{
    struct lzr_slot *s = w->slots;
    while (s != NULL && s->id != id) {
        s = s->next;
    }
    if (s == NULL || !s->pinned) {
        return false;
    }
    s->pinned = false;
    w->npinned--;
    if (!s->busy) {
        lzr_slot_trim(s);
    }
    return true;
}

/* The loader has said all: its manifests are those that every other worker's are compared with. If
 * it opened what nobody needs to keep, a fresh worker takes its place. */
static bool apply_loaded(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_packet *p)
{
    if (d->handover.facts_fd < 0) {
        return false;
    }
    for (size_t i = 0; i < d->nstores; i++) {
        d->manifests[i] = lzr_buf_detach(&w->manifests[i], &d->manifest_lens[i]);
        if (d->manifests[i] == NULL) {
            return false;
        }
    }
    if ((p->msg.flags & LZR_READY_END) != 0) {
        struct lzr_msg m = {.type = LZR_MSG_QUIT};
        (void)lzr_channel_send(w->channel, &m, NULL, 0, -1, NULL);
        w->state = LZR_WORKER_ENDING;
        w->retire = "it has opened the sources for all";
    }
    return true;
}

/* Keeps what a starting worker says of its stores. */
static bool apply_load(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p)
{
    if (w->state == LZR_WORKER_ENDING) {
        return true; /* it was told to end, or killed, while it said this */
    }
    if (w->state != LZR_WORKER_STARTING) {
        return false;
    }
    if (p->msg.type == LZR_MSG_DATA || p->msg.type == LZR_MSG_FACTS) {
        if (!w->loader || !lzr_handover_take(&d->handover, p)) {
            return false;
        }
        lzr_send_facts(d);
        return true;
    }
    if (p->msg.type == LZR_MSG_MANIFEST_PART) {
        if (p->msg.store >= d->nstores) {
            return false;
        }
        struct lzr_buf *b = &w->manifests[p->msg.store];
        lzr_buf_add(b, p->text, p->msg.len);
        return !lzr_buf_failed(b);
    }
    if (p->msg.type == LZR_MSG_LOAD_FAILED) {
        size_t line = strnlen(p->text, p->msg.len);
        lzr_worker_forget_why(w);
        w->said_why = true;
        w->load_error = lzr_strndup(p->text, line);
        w->load_traceback =
            line + 1 < p->msg.len ? lzr_strndup(p->text + line + 1, p->msg.len - line - 1) : NULL;
        pthread_cond_broadcast(&d->started);
        return true;
    }
    /* READY. While the driver opens, start.c compares the manifests; later it is done here. */
    if (d->opened) {
        for (size_t i = 0; i < d->nstores; i++) {
            if (w->manifests[i].len != d->manifest_lens[i] ||
                memcmp(w->manifests[i].data, d->manifests[i], d->manifest_lens[i]) != 0) {
                lzr_log(d->log, LZR_LOG_ERROR,
                        "%s: a restarted worker sees another manifest than at start: has the file "
                        "changed? " LZR_SAY_RELOAD,
                        d->stores[i].path);
                return false;
            }
        }
        for (size_t i = 0; i < d->nstores; i++) {
            lzr_buf_release(&w->manifests[i]);
        }
    }
    w->state = LZR_WORKER_READY;
    w->start_cost_us = lzr_now_us() - w->began_us;
    w->loaded = true;
    w->failed_starts = 0;
    lzr_worker_forget_why(w);
    if (w->loader && !apply_loaded(d, w, p)) {
        return false;
    }
    pthread_cond_broadcast(&d->started);
    return true;
}

/* One message; false if the worker broke the protocol. With mu held. */
static bool apply(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p,
                  struct finished *fin, struct lzr_request **list)
{
    switch (p->msg.type) {
    case LZR_MSG_MANIFEST_PART:
    case LZR_MSG_READY:
    case LZR_MSG_LOAD_FAILED:
    case LZR_MSG_DATA:
    case LZR_MSG_FACTS:
        return apply_load(d, w, p);
    case LZR_MSG_DONE:
        return apply_done(d, w, p, fin);
    case LZR_MSG_FAILED:
        return apply_failed(d, w, p, list);
    case LZR_MSG_UNPINNED:
        return apply_unpinned(w, p->msg.slot);
    default:
        return false;
    }
}

/* What the block is encoded from: the slot itself where it is a full chunk that nobody else can
 * write to, else a padded or plain copy, which the caller frees. NULL: no memory. */
static const void *snapshot(const struct finished *fin, void **copy)
{
    const struct lzr_flight *f = fin->flight;
    const struct lzr_grid *g = &f->array->levels[f->level].grid;
    uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    uint64_t elements = 1;
    lzr_grid_position(g, f->index, pos);
    lzr_grid_block(g, pos, start, extent);
    for (unsigned i = 0; i < g->rank; i++) {
        elements *= extent[i];
    }
    *copy = NULL;
    if (elements == g->chunk_elements && !fin->copy) {
        return fin->slot->map;
    }
    *copy = lzr_malloc((size_t)(g->chunk_elements * f->array->dtype.size));
    if (*copy != NULL) {
        lzr_chunk_pad(g, extent, fin->slot->map, f->array->dtype.size, f->array->fill, *copy);
    }
    return *copy;
}

/* What was reserved for the result becomes its own charge. f->reserved is this thread's alone while
 * the flight is ENCODING; further encodings are charged as they come. */
static enum lzr_code encode(struct lzr_driver *d, struct lzr_flight *f, const void *raw,
                            struct lzr_blob **out, struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    size_t n = (size_t)(a->levels[f->level].grid.chunk_elements * a->dtype.size);
    uint64_t charge = lzr_blob_charge(lzr_codec_bound(&a->codec, n));
    if (f->reserved >= charge) {
        lzr_budget_sub(&d->budget, charge);
        f->reserved -= charge;
    }
    return lzr_chunk_encode(d, a, f->level, raw, out, err);
}

void lzr_flight_land(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b,
                     struct lzr_digest digest, struct lzr_request **list)
{
    f->blob = b;
    f->digest = digest;
    lzr_needs_over(d, f);
    while (f->waiters != NULL) {
        struct lzr_request *req = f->waiters;
        req->result = (struct lzr_result){
            .code = LZR_OK,
            .blob = lzr_blob_ref(b),
            .digest = digest,
            .queue_us = f->started_us - f->queued_us - f->inputs_us,
            .inputs_us = f->inputs_us,
            .compute_us = f->compute_us,
            .encode_us = f->encode_us,
        };
        lzr_flight_dismiss(d, f, req, list);
    }
    if (lzr_now_us() < f->held_until_us) {
        f->state = LZR_HELD;
        f->prev = NULL;
        f->next = d->held;
        if (d->held != NULL) {
            d->held->prev = f;
        }
        d->held = f;
        return;
    }
    lzr_flights_remove(&d->flights, &f);
}

/* The end of an ENCODING flight that went well. With mu held. */
static void land(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b,
                 struct lzr_digest digest, struct lzr_request **list)
{
    struct lzr_array_stats *as = &d->array_stats[f->array->id];
    d->stats.encoded_total++;
    d->stats.encoded_bytes_total += b->len;
    d->stats.encode_us_total += f->encode_us;
    as->encoded++;
    as->encoded_bytes += b->len;
    d->active--;
    d->encoding--;
    lzr_flight_release(d, f);
    lzr_failures_forget(&d->failures, f->array->id, f->level, f->index);
    lzr_flight_land(d, f, b, digest, list);
}

/* Encodes a block and ends its flight. */
static void finish(struct lzr_driver *d, struct finished *fin)
{
    struct lzr_flight *f = fin->flight;
    struct lzr_request *list = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_blob *b = NULL;
    struct lzr_digest digest = {0, 0};
    void *copy;
    const void *raw = snapshot(fin, &copy);
    uint64_t t0 = lzr_now_us();
    enum lzr_code code = raw == NULL ? lzr_err_set(&err, LZR_E_NOMEM, "no memory for a chunk")
                                     : encode(d, f, raw, &b, &err);
    lzr_free(copy);
    uint64_t us = lzr_now_us() - t0;
    bool keep = code == LZR_OK && lzr_keeps(d);
    if (keep) {
        const struct lzr_chunk c = {f->array, f->level, LZR_ENC_ZARR, f->index};
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        lzr_cache_put(d->cache, &k, b, f->compute_us + us);
    }
    if (code == LZR_OK && !f->array->deterministic) {
        digest = lzr_digest(b->data, b->len, 0);
    }
    pthread_mutex_lock(&d->mu);
    if (keep) {
        lzr_kept(d);
    }
    free_slot(fin->slot);
    if (code == LZR_OK) {
        f->encode_us = us;
        land(d, f, b, digest, &list);
    } else {
        lzr_log_as(d->log, LZR_LOG_ERROR, lzr_failing(d, f), "%s/%s: chunk %llu: %s",
                   f->array->store->name, f->array->path, (unsigned long long)f->index, err.msg);
        lzr_flight_fail(d, f, code, err.msg, &list);
    }
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    lzr_slot_unref(&fin->slot);
}

/* One message taken and applied in order; the lasting part of its consequences in *fin. */
static enum lzr_received read_one(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p,
                                  struct finished *fin)
{
    struct lzr_request *list = NULL;
    bool ready = false;
    fin->flight = NULL;
    pthread_mutex_lock(&w->read_mu);
    pthread_mutex_lock(&d->mu);
    struct lzr_channel *c = w->channel != NULL ? lzr_channel_ref(w->channel) : NULL;
    pthread_mutex_unlock(&d->mu);
    if (c == NULL) {
        pthread_mutex_unlock(&w->read_mu);
        return LZR_RECEIVED_NOTHING;
    }
    enum lzr_received got = lzr_channel_receive(c, p);
    if (got == LZR_RECEIVED) {
        pthread_mutex_lock(&d->mu);
        if (!apply(d, w, p, fin, &list)) {
            got = LZR_RECEIVED_GARBAGE;
        }
        lzr_packet_close(p);
        ready = d->opened && p->msg.type == LZR_MSG_READY;
        lzr_dispatch(d, &list);
        pthread_mutex_unlock(&d->mu);
    }
    if (got == LZR_RECEIVED_GARBAGE || got == LZR_RECEIVED_END) {
        /* Without its socket it is of no use. The channel tells whether it is still the same
         * process: a new one may have taken its place. */
        pthread_mutex_lock(&d->mu);
        if (w->channel == c) {
            if (got == LZR_RECEIVED_GARBAGE) {
                lzr_log(d->log, LZR_LOG_ERROR, "worker %u broke the protocol and is killed",
                        w->number);
            }
            lzr_worker_kill(d, w);
        }
        pthread_mutex_unlock(&d->mu);
    }
    pthread_mutex_unlock(&w->read_mu);
    if (ready && got == LZR_RECEIVED) {
        lzr_worker_provide_slots(d, w);
    }
    lzr_complete(list);
    lzr_channel_unref(&c);
    return got;
}

void lzr_worker_read(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_packet *p = lzr_malloc(sizeof *p);
    struct finished fin;
    while (p != NULL && read_one(d, w, p, &fin) == LZR_RECEIVED) {
        if (fin.flight != NULL) {
            finish(d, &fin);
        }
    }
    lzr_free(p);
}

/* Lets the worker's socket wake a codec thread again. */
static void rearm(struct lzr_driver *d, struct lzr_worker *w)
{
    pthread_mutex_lock(&d->mu);
    if (w->channel != NULL) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = w};
        (void)epoll_ctl(d->codec_epoll, EPOLL_CTL_MOD, w->channel->fd, &ev);
    }
    pthread_mutex_unlock(&d->mu);
}

void *lzr_codec_main(void *driver)
{
    struct lzr_driver *d = driver;
    /* Not allocated: a reload starts threads as well, and must not fail here. */
    struct lzr_packet p;
    for (;;) {
        struct epoll_event ev;
        int n = epoll_wait(d->codec_epoll, &ev, 1, -1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        LZR_CHECK(n == 1);
        if (ev.data.ptr == NULL) {
            break; /* the driver closes; the eventfd stays readable for the other threads */
        }
        if (ev.data.ptr == d) {
            lzr_task_run(d);
            continue;
        }
        struct lzr_worker *w = ev.data.ptr;
        struct finished fin;
        enum lzr_received got = read_one(d, w, &p, &fin);
        if (got == LZR_RECEIVED || got == LZR_RECEIVED_NOTHING) {
            rearm(d, w); /* before encoding: the next answer needn't wait for this one */
        }
        if (fin.flight != NULL) {
            if (fin.copy) {
                lzr_worker_provide_slots(d, w); /* in place of the one that user code keeps */
            }
            finish(d, &fin);
        }
    }
    return NULL;
}
