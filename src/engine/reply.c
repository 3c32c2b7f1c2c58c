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
#include "engine/load.h"
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
        d->array_stats[f->array->id].failed++;
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
    w->late_reads = 0;
    w->unread = false;
    memmove(&w->jobs[0], &w->jobs[1], w->njobs * sizeof w->jobs[0]);
    if (w->njobs > 0) {
        w->jobs[0].deadline_us = lzr_now_us() + w->jobs[0].timeout_us;
    }
    w->jobs_done++;
    w->used_us = lzr_now_us();
    if (w->most_jobs > 0 && w->jobs_done >= w->most_jobs && w->retire == NULL) {
        w->retire = "it has done the jobs that --worker-jobs allows";
        lzr_wake_supervisor(d);
    }
    return true;
}

/* What an answer says of its slot. */
static void note_slot(struct lzr_worker *w, struct lzr_slot *s, uint32_t flags)
{
    s->lost = s->lost || (flags & LZR_DONE_FORKED) != 0;
    if ((flags & LZR_DONE_PINNED) != 0 && !s->pinned) {
        s->pinned = true;
        w->npinned++;
    }
}

/* Whether it is killed since it didn't say which code it runs: its answers aren't taken, and its
 * job is a dead worker's. */
static bool is_untold(const struct lzr_worker *w)
{
    return w->stray && w->state == LZR_WORKER_ENDING && w->killed != LZR_KILLED_CODE;
}

/* What a worker with other code than its edition's says of a job counts for nothing: another one
 * runs it, and this one is killed. */
static void forget_job(struct lzr_driver *d, struct lzr_worker *w, struct lzr_job *job)
{
    struct lzr_flight *f = job->flight;
    lzr_worker_free(w, job->slot);
    w->killed = LZR_KILLED_CODE;
    lzr_worker_kill(d, w);
    if (f != NULL && lzr_flight_unwanted(f, lzr_now_us())) {
        lzr_flight_drop(d, f);
    } else if (f != NULL) {
        lzr_flight_requeue(d, f);
    }
}

static bool apply_done(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_packet *p,
                       struct finished *fin)
{
    struct lzr_job job;
    if (is_untold(w) || !take_job(d, w, p->msg.seq, p->msg.slot, &job)) {
        return false;
    }
    if (w->stray) {
        forget_job(d, w, &job);
        return true;
    }
    note_slot(w, job.slot, p->msg.flags);
    struct lzr_flight *f = job.flight;
    uint64_t now = lzr_now_us();
    w->dump_us = 0;
    if (f == NULL) {
        lzr_worker_free(w, job.slot); /* it came too late: the worker is being killed for it */
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
    as->stalled_us = as->stalled_until_us = 0;
    as->stalled_turns = 0;
    lzr_pace_note(&as->pace, !lzr_worker_has_done(w, f->array), f->compute_us);
    lzr_worker_note_done(d, w, f->array);
    d->stats.computed_total++;
    d->stats.compute_us_total += f->compute_us;
    *fin = (struct finished){f, lzr_slot_ref(job.slot), w,
                             job.slot->pinned || job.slot->lost};
    return true;
}

static bool apply_failed(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p,
                         struct lzr_request **list)
{
    struct lzr_job job;
    if (is_untold(w) || !take_job(d, w, p->msg.seq, p->msg.slot, &job)) {
        return false;
    }
    if (w->stray) {
        forget_job(d, w, &job);
        return true;
    }
    note_slot(w, job.slot, p->msg.flags);
    lzr_worker_free(w, job.slot);
    w->dump_us = 0;
    struct lzr_flight *f = job.flight;
    if (f == NULL) {
        return true;
    }
    if ((p->msg.flags & LZR_FAILED_CANCELLED) != 0 && job.interrupted_us != 0) {
        d->stats.cancelled_total++;
        if (lzr_flight_unwanted(f, lzr_now_us())) {
            lzr_job_dropped(d, &job);
            lzr_flight_drop(d, f);
        } else {
            f->again = true;
            lzr_flight_requeue(d, f); /* somebody came when the function knew already */
        }
        return true;
    }
    struct lzr_array_stats *as = &d->array_stats[f->array->id];
    as->computed++;
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

static bool apply_unpinned(struct lzr_worker *w, const struct lzr_msg *m)
{
    struct lzr_slot *s = w->slots;
    while (s != NULL && s->id != m->slot) {
        s = s->next;
    }
    if (s == NULL || !s->pinned) {
        return false;
    }
    s->pinned = false;
    w->npinned--;
    note_slot(w, s, m->flags & LZR_DONE_FORKED);
    if (!s->busy) {
        lzr_worker_free(w, s);
    }
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
    case LZR_MSG_MORE:
        return lzr_load_take(d, w, p);
    case LZR_MSG_CODE:
        return lzr_code_take(d, w, p->text, p->msg.len);
    case LZR_MSG_DONE:
        return apply_done(d, w, p, fin);
    case LZR_MSG_FAILED:
        return apply_failed(d, w, p, list);
    case LZR_MSG_UNPINNED:
        return apply_unpinned(w, &p->msg);
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
    lzr_wanted_made(d, f, b);
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

/* A chunk that was dropped while it ran, asked for again and finished: if nobody waits for it by
 * now, whoever asks once more finds it, also where the cache keeps nothing or has no room for one
 * like it. */
static void keep_for_who_comes_again(struct lzr_driver *d, struct lzr_flight *f)
{
    if (!f->again) {
        return;
    }
    if (f->nwaiters > 0) {
        lzr_drops_forget(&d->drops, f->array->id, f->level, f->index);
        return;
    }
    const struct lzr_chunk c = {f->array, f->level, LZR_ENC_ZARR, f->index};
    struct lzr_blob *cached = lzr_driver_peek(d, &c);
    /* What clients are still to read has a bound of its own. */
    uint64_t unsent = atomic_load(&d->budget.unsent), used = atomic_load(&d->budget.used);
    if (cached == NULL && used <= d->budget.limit + unsent) {
        f->held_until_us = lzr_now_us() + LZR_HOLD_US;
    }
    lzr_blob_unref(&cached);
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
    keep_for_who_comes_again(d, f);
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
    lzr_worker_free(fin->worker, fin->slot);
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

/* A worker that said something that makes no sense, or whose socket is closed, ends. With mu. */
static void end_liar(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_packet *p,
                     enum lzr_received got)
{
    char why[sizeof w->killed_why];
    if (got == LZR_RECEIVED_END) {
        lzr_worker_kill(d, w);
    } else if (got == LZR_RECEIVED_VERSION && w->state == LZR_WORKER_STARTING) {
        lzr_worker_outdated(d, w, p->why);
    } else if (w->killed_why[0] != '\0') { /* whoever refused the message knows better */
        (void)snprintf(why, sizeof why, "%s", w->killed_why);
        lzr_worker_give_up(d, w, "%s", why);
    } else {
        lzr_worker_give_up(d, w, "it broke the protocol: %s", p->why);
    }
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
        w->late_reads++;
        if (!apply(d, w, p, fin, &list)) {
            (void)snprintf(p->why, sizeof p->why, "a message of type %u that makes no sense",
                           p->msg.type);
            got = LZR_RECEIVED_GARBAGE;
        }
        lzr_packet_close(p);
        ready = d->opened &&
                (p->msg.type == LZR_MSG_READY || (p->msg.flags & LZR_DONE_FORKED) != 0);
        lzr_dispatch(d, &list);
        pthread_mutex_unlock(&d->mu);
    }
    if (got != LZR_RECEIVED && got != LZR_RECEIVED_NOTHING) {
        /* Without its socket it is of no use. The channel tells whether it is still the same
         * process: a new one may have taken its place. */
        pthread_mutex_lock(&d->mu);
        if (w->channel == c) {
            end_liar(d, w, p, got);
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
