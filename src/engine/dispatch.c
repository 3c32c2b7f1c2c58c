/* Which queued flight goes to which worker. */
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "engine/stalled.h"
#include "store/codec.h"

/* The worker's i-th job, which will not be run, leaves its list: its flight is queued again. */
static void take_back(struct lzr_driver *d, struct lzr_worker *w, unsigned i)
{
    lzr_job_return(d, &w->jobs[i]);
    w->njobs--;
    memmove(&w->jobs[i], &w->jobs[i + 1], (w->njobs - i) * sizeof w->jobs[0]);
    if (i == 0 && w->njobs > 0) {
        w->jobs[0].deadline_us = lzr_now_us() + w->jobs[0].timeout_us;
    }
}

/* Sends a job to a worker. This is done under mu, so that a worker gets its jobs in the order in
 * which they are in its list; it is one packet on a local socket and never blocks. A worker that is
 * gone is noticed by its end; its jobs are then taken care of. One whose socket is full of jobs
 * that were withdrawn before it looked at them gets no more until there is room (watchdog.c). */
static void send_job(struct lzr_driver *d, struct lzr_worker *w, struct lzr_msg *m,
                     const struct lzr_msg_input inputs[], unsigned ninputs)
{
    struct lzr_err err;
    if (lzr_channel_send(w->channel, m, inputs, (uint32_t)(ninputs * sizeof inputs[0]), -1, &err) ==
        LZR_E_BUSY) {
        w->full_us = lzr_now_us();
        /* It never heard of it, so it can't have begun it, whatever stands in its memory. */
        (void)lzr_slot_withdraw(w->jobs[w->njobs - 1].slot, m->seq);
        take_back(d, w, w->njobs - 1);
    }
}

static uint64_t block_bytes(const struct lzr_flight *f)
{
    const struct lzr_grid *g = &f->array->levels[f->level].grid;
    uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    lzr_grid_position(g, f->index, pos);
    lzr_grid_block(g, pos, start, extent);
    uint64_t n = f->array->dtype.size;
    for (unsigned i = 0; i < g->rank; i++) {
        n *= extent[i];
    }
    return n;
}

/* Bytes that making this block's chunk takes beside its slot: the encoded result at its worst and,
 * where the block has to be padded, the full chunk. */
static uint64_t reservation(const struct lzr_flight *f, uint64_t block_bytes)
{
    const struct lzr_array *a = f->array;
    uint64_t raw = a->levels[f->level].grid.chunk_elements * a->dtype.size;
    uint64_t padding = block_bytes == raw ? 0 : raw;
    return lzr_blob_charge(lzr_codec_bound(&a->codec, (size_t)raw)) + padding;
}

uint64_t lzr_flight_output_bytes(const struct lzr_flight *f)
{
    if (f->recipe->worker) {
        return reservation(f, block_bytes(f));
    }
    const struct lzr_array *a = f->array;
    uint64_t raw = a->levels[f->level].grid.chunk_elements * a->dtype.size;
    return lzr_blob_charge(lzr_codec_bound(&a->codec, (size_t)raw));
}

bool lzr_make_room(struct lzr_driver *d, uint64_t need)
{
    uint64_t kept = lzr_cache_stats(d->cache).bytes;
    kept += d->decoded != NULL ? lzr_cache_stats(d->decoded).bytes : 0;
    if (lzr_budget_in_vain(&d->budget, kept, need)) {
        return false; /* in vain: what is cached would be lost, and nothing gained */
    }
    /* Decoded chunks last: there are few, and without them everything that is started takes longer.
     */
    return lzr_cache_make_room(d->cache, need) ||
           (d->decoded != NULL && lzr_cache_make_room(d->decoded, need));
}

/* Reserve before you start: true when the budget has the bytes. With nothing under way it always
 * has, so that something always moves (the budget is never less than a block a worker). */
static bool reserve(struct lzr_driver *d, struct lzr_flight *f, struct lzr_slot *s, uint64_t bytes)
{
    uint64_t need = f->reserved_output ? 0 : reservation(f, bytes);
    uint64_t inputs = f->needs != NULL ? lzr_inputs_layout(f, NULL) : 0;
    uint64_t more = need + lzr_slot_more(s, bytes, inputs);
    if (!lzr_make_room(d, more) && (d->active > 0 || !lzr_may_overdraw(d))) {
        return false;
    }
    lzr_slot_touch(s, bytes, inputs);
    lzr_budget_add(&d->budget, need);
    f->reserved += need;
    f->reserved_output = true;
    return true;
}

bool lzr_may_overdraw(const struct lzr_driver *d)
{
    return atomic_load_explicit(&d->budget.unsent, memory_order_relaxed) <= d->budget.limit / 2;
}

uint64_t lzr_mean_us(const struct lzr_driver *d, const struct lzr_array *a)
{
    const struct lzr_array_stats *s = &d->array_stats[a->id];
    return s->computed == 0 ? UINT64_MAX : s->compute_us / s->computed;
}

/* Jobs that a worker has, the one included that is being prepared for it. */
static unsigned load_of(const struct lzr_worker *w)
{
    return w->njobs + (w->next.flight != NULL);
}

void lzr_send_job(struct lzr_driver *d, struct lzr_worker *w, struct lzr_flight *f,
                  struct lzr_slot *s)
{
    uint64_t now = lzr_now_us();
    struct lzr_msg_input inputs[LZR_MAX_INPUTS];
    const struct lzr_grid *g = &f->array->levels[f->level].grid;
    uint64_t pos[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    struct lzr_msg m = {.type = LZR_MSG_JOB, .seq = ++d->next_seq};
    lzr_grid_position(g, f->index, pos);
    lzr_grid_block(g, pos, m.start, extent);
    m.bytes = f->array->dtype.size;
    for (unsigned i = 0; i < g->rank; i++) {
        m.extent[i] = extent[i];
        m.bytes *= extent[i];
    }
    m.store = d->folders.place[f->array->id];
    m.array = f->array->local_id;
    m.level = f->level;
    m.rank = g->rank;
    m.total = f->index;
    m.slot = s->id;
    if (f->needs != NULL) {
        (void)lzr_inputs_layout(f, inputs);
    }
    f->state = LZR_RUNNING;
    f->started_us = now;
    s->busy = true;
    lzr_slot_claim(s, m.seq);
    struct lzr_job *j = &w->jobs[w->njobs];
    *j = (struct lzr_job){.seq = m.seq,
                          .flight = f,
                          .slot = s,
                          .timeout_us = lzr_allowed_us(d, w, f)};
    if (w->njobs == 0) {
        j->deadline_us = now + j->timeout_us;
    }
    w->njobs++;
    send_job(d, w, &m, inputs, f->needs != NULL ? f->array->ninputs : 0);
}

void lzr_flight_requeue(struct lzr_driver *d, struct lzr_flight *f)
{
    if (f->needs == NULL) {
        lzr_flight_release(d, f); /* else it holds its needs, and goes on holding the rest */
    }
    d->active--;
    f->state = LZR_QUEUED;
    lzr_queue_push_front(&d->queue, f);
}

void lzr_job_return(struct lzr_driver *d, struct lzr_job *j)
{
    j->slot->busy = false;
    lzr_flight_requeue(d, j->flight);
}

bool lzr_worker_withdraw(struct lzr_driver *d, struct lzr_worker *w, unsigned i)
{
    bool was = lzr_slot_withdraw(w->jobs[i].slot, w->jobs[i].seq);
    if (was) {
        take_back(d, w, i);
    }
    return was;
}

bool lzr_withdraw(struct lzr_driver *d, struct lzr_flight *f)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        if (w->next.flight == f) {
            return w->next.ready && lzr_unprepare(d, w);
        }
        for (unsigned j = 0; j < w->njobs; j++) {
            if (w->jobs[j].flight == f) {
                return lzr_worker_withdraw(d, w, j);
            }
        }
    }
    return false;
}

/* Whether a worker's job is of those behind which others are taken back (watchdog.c). */
static bool is_slow(const struct lzr_job *j)
{
    return lzr_now_us() > j->deadline_us - j->timeout_us + LZR_TICK_US / 2;
}

/* Whether a flight may be sent to a worker behind what that has already. */
static bool may_go_ahead(const struct lzr_driver *d, const struct lzr_worker *w,
                         const struct lzr_flight *f)
{
    const struct lzr_flight *before = w->njobs > 0 ? w->jobs[0].flight : w->next.flight;
    return w->jobs_done > 0 && f->deaths == 0 && !(w->njobs > 0 && is_slow(&w->jobs[0])) &&
           lzr_mean_us(d, f->array) <= LZR_AHEAD_US &&
           lzr_mean_us(d, before->array) <= LZR_AHEAD_US;
}

/* Sends what is prepared and has its turn. */
static void send_prepared(struct lzr_driver *d)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        struct lzr_prepared p = w->next;
        if (w->state == LZR_WORKER_READY && p.ready && w->full_us == 0 &&
            (w->njobs == 0 || (w->njobs < LZR_PIPELINE && may_go_ahead(d, w, p.flight)))) {
            w->next = (struct lzr_prepared){0};
            lzr_send_job(d, w, p.flight, p.slot);
        }
    }
}

/* For a worker that has nothing to do: what waits behind a slow job of another one goes back to the
 * queue. It has to be prepared again, which is nothing against the time of such a job. */
static bool take_prepared(struct lzr_driver *d, const struct lzr_worker *idle)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        if (w->folder == idle->folder && w->next.ready && w->njobs > 0 &&
            w->jobs[0].flight != NULL &&
            lzr_mean_us(d, w->jobs[0].flight->array) > 16 * LZR_AHEAD_US &&
            lzr_home_fits(d, idle, w->next.flight)) {
            return lzr_unprepare(d, w);
        }
    }
    return false;
}

/* Who is asked whether a flight fits. */
struct asked {
    const struct lzr_driver *d;
    const struct lzr_worker *w;
};

static bool fits(const void *ctx, const struct lzr_flight *f)
{
    const struct asked *a = ctx;
    /* One that isn't begun before a home is free doesn't keep a worker from what is behind it. */
    return lzr_home_fits(a->d, a->w, f) && lzr_stalled_fits(a->d, a->w, f) &&
           !(f->unstarted && (lzr_home_waits(a->d, f->array) || !lzr_plan_may_begin(a->d, f)));
}

enum given { GIVEN, NOTHING_FITS, NO_ROOM };

/* Gives the next flight that fits to a worker. */
static enum given give_to(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    const struct asked asked = {d, w};
    struct lzr_slot *s = lzr_worker_free_slot(w);
    bool ahead = load_of(w) > 0, fresh = w->jobs_done == 0 && !ahead;
    struct lzr_flight *f =
        s != NULL ? lzr_queue_next(&d->queue, fresh, now,
                                   (struct lzr_filter){fits, &asked, w->folder + 1})
                  : NULL;
    if (f == NULL) {
        return NOTHING_FITS;
    }
    bool prepare = f->needs != NULL;
    if (ahead && (prepare ? w->next.flight != NULL || f->deaths > 0 : !may_go_ahead(d, w, f))) {
        return NOTHING_FITS;
    }
    if (!reserve(d, f, s, block_bytes(f))) {
        return NO_ROOM;
    }
    lzr_home_settle(d, w, f);
    w->used_us = now;
    if (prepare) {
        lzr_prepare(d, w, f, s);
    } else {
        lzr_queue_take(&d->queue, f);
        d->active++;
        lzr_send_job(d, w, f, s);
    }
    return GIVEN;
}

/* Gives one queued flight to a worker, rather to one that is idle; false: none can be given now. */
static bool give_one(struct lzr_driver *d)
{
    uint64_t now = lzr_now_us();
    enum given given = NOTHING_FITS;
    for (unsigned load = 0; load < LZR_PIPELINE && given == NOTHING_FITS; load++) {
        for (unsigned i = 0; i < d->nworkers && given == NOTHING_FITS; i++) {
            struct lzr_worker *w = &d->workers[i];
            if (w->state != LZR_WORKER_READY || w->retire != NULL || w->full_us != 0 ||
                load_of(w) != load || (d->asked && lzr_turn_over(d, w, now))) {
                continue;
            }
            given = give_to(d, w, now);
            if (given == NOTHING_FITS && load == 0 && lzr_worker_free_slot(w) != NULL &&
                take_prepared(d, w)) {
                given = GIVEN;
            }
        }
    }
    return given == GIVEN;
}

void lzr_dispatch(struct lzr_driver *d, struct lzr_request **list)
{
    if (d->closing) {
        return;
    }
    lzr_tasks_go_on(d);
    const bool several = d->folders.n > 1 && d->opened;
    if (several) {
        lzr_turns_look(d, lzr_now_us());
    }
    do {
        send_prepared(d);
        lzr_needs_pump(d, list);
    } while (give_one(d));
    if (several) {
        uint64_t now = lzr_now_us();
        lzr_turns_look(d, now);
        lzr_turns_give(d, now);
    }
}
