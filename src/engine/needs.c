#include "engine/needs.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/recipe.h"
#include "store/codec.h"

enum { CACHED_MOST = 64 }; /* needs that are looked for in the cache before it is a flight's turn */
enum { PATH_HOPS = 8 }; /* a longer path from a failure to its cause is told without its middle */

struct lzr_needs *lzr_needs_new(uint64_t n)
{
    return lzr_calloc(1, sizeof(struct lzr_needs) + (size_t)n * sizeof(struct lzr_need));
}

void lzr_needs_set(struct lzr_needs *s, uint64_t i, const struct lzr_chunk *c)
{
    LZR_CHECK(c->encoding == LZR_ENC_ZARR);
    s->items[i].array = c->array;
    s->items[i].level = c->level;
    s->items[i].index = c->index;
    s->n = i + 1;
}

void lzr_needs_free(struct lzr_needs **sp)
{
    struct lzr_needs *s = *sp;
    *sp = NULL;
    for (uint64_t i = 0; s != NULL && i < s->n; i++) {
        lzr_blob_unref(&s->items[i].req.result.blob);
        lzr_free(s->items[i].req.result.text);
    }
    lzr_free(s);
}

static struct lzr_chunk chunk_of(const struct lzr_flight *f)
{
    return (struct lzr_chunk){f->array, f->level, f->encoding, f->index};
}

static struct lzr_chunk chunk_needed(const struct lzr_need *need)
{
    return (struct lzr_chunk){need->array, need->level, LZR_ENC_ZARR, need->index};
}

/* What a need's result takes at its worst. */
static uint64_t need_bytes(const struct lzr_need *need)
{
    const struct lzr_array *a = need->array;
    uint64_t raw = a->levels[need->level].grid.chunk_elements * a->dtype.size;
    return lzr_blob_charge(lzr_codec_bound(&a->codec, (size_t)raw));
}

static void unreserve(struct lzr_driver *d, struct lzr_need *need)
{
    if (need->reserved) {
        uint64_t bytes = need_bytes(need);
        need->reserved = false;
        need->of->reserved -= bytes;
        lzr_budget_sub(&d->budget, bytes);
    }
}

static void unstack(struct lzr_driver *d, struct lzr_flight *f)
{
    if (f->stacked) {
        lzr_list_remove(&d->stack, f);
        f->stacked = false;
    }
}

static void stack(struct lzr_driver *d, struct lzr_flight *f)
{
    lzr_list_push_front(&d->stack, f);
    f->stacked = true;
    f->state = LZR_GATHERING;
}

/* All needs are there. */
static void gathered(struct lzr_driver *d, struct lzr_flight *f)
{
    f->inputs_us = lzr_now_us() - f->needs->started_us;
    if (f->recipe->worker) {
        f->state = LZR_QUEUED;
        lzr_queue_push_front(&d->queue, f);
    } else {
        for (uint64_t i = 0; i < f->needs->n; i++) {
            f->compute_us += f->needs->items[i].req.result.compute_us;
        }
        lzr_task_push(d, f);
    }
}

void lzr_needs_arrived(struct lzr_driver *d, struct lzr_need *need)
{
    struct lzr_flight *f = need->of;
    struct lzr_needs *s = f->needs;
    unreserve(d, need);
    s->pending--;
    if (s->pending == 0 && s->asked == s->n && !f->ending) {
        gathered(d, f);
    }
}

static bool from_cache(struct lzr_driver *d, struct lzr_need *need)
{
    struct lzr_chunk c = chunk_needed(need);
    struct lzr_cache_key k = lzr_cache_key_of(&c);
    need->req.result.blob = lzr_cache_get(d->cache, &k, false);
    return need->req.result.blob != NULL;
}

/* A need's chunk has no flight: one that is more urgent than any root, unless it is asked for in
 * the place of a request. */
static struct lzr_flight *take_off(struct lzr_driver *d, const struct lzr_chunk *c,
                                   const struct lzr_flight *f)
{
    struct lzr_flight *g = lzr_flight_new(d, c);
    if (g == NULL) {
        return NULL;
    }
    g->client = f->client;
    g->burst = f->burst;
    if (g->recipe->list == NULL && !g->recipe->worker) {
        g->counted = true;
        d->need_tasks++;
        lzr_task_push(d, g);
    } else if (f->recipe->eager) {
        lzr_queue_push(&d->queue, g);
    } else if (g->unstarted) {
        stack(d, g);
    } else {
        lzr_queue_push_urgent(&d->queue, g);
    }
    return g;
}

/* A flight that has been there, and that a started flight waits for now. */
static void promote(struct lzr_driver *d, struct lzr_flight *g)
{
    if (g->state == LZR_QUEUED && !g->urgent) {
        lzr_queue_remove(&d->queue, g);
        if (g->unstarted) {
            stack(d, g);
        } else {
            lzr_queue_push_urgent(&d->queue, g);
        }
    } else if (g->stacked) {
        unstack(d, g);
        stack(d, g);
    }
}

static void fail_with(struct lzr_driver *d, struct lzr_flight *f, enum lzr_code code,
                      const char *text, struct lzr_request **list)
{
    f->why = (struct lzr_why){.code = code,
                              .again = true,
                              .cause = f->array,
                              .text = text != NULL ? lzr_strdup(text) : NULL};
    lzr_needs_fail(d, f, list);
}

static void derive(struct lzr_flight *f, const struct lzr_flight *of,
                   const struct lzr_array *array);

/* A chunk that can't be made since another one has failed: remembered as long as that one. */
static void note(struct lzr_driver *d, const struct lzr_flight *f)
{
    uint64_t now = lzr_now_us();
    if (f->encoding == LZR_ENC_ZARR && f->why.until_us > now) {
        lzr_failures_note_why(&d->failures, f->array->id, f->level, f->index, &f->why, now);
        char *text = lzr_why_text(&f->why);
        lzr_troubles_note(&d->troubles, f->array->id, f->level, f->index, f->why.code, text, now);
        lzr_free(text);
    }
}

/* Asks for a flight's next need. False: the flight has failed over it and is gone. */
static bool ask(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_needs *s = f->needs;
    struct lzr_need *need = &s->items[s->asked];
    struct lzr_chunk c = chunk_needed(need);
    s->asked++;
    if (need->req.result.blob != NULL) {
        return true; /* it was cached when the flight started */
    }
    struct lzr_flight *g = lzr_flights_find(&d->flights, &c);
    if (g != NULL && g->blob != NULL) {
        need->req.result.blob = lzr_blob_ref(g->blob);
        unreserve(d, need);
        return true;
    }
    if (g == NULL && from_cache(d, need)) {
        unreserve(d, need);
        return true;
    }
    if (g == NULL) {
        const struct lzr_failure *fail =
            lzr_failures_recall(&d->failures, c.array->id, c.level, c.index, lzr_now_us());
        if (fail != NULL) {
            struct lzr_flight failed = {.array = c.array, .why = lzr_why_remembered(fail)};
            d->stats.remembered_failures_total++;
            failed.why.cause = failed.why.cause != NULL ? failed.why.cause : c.array;
            derive(f, &failed, c.array);
            lzr_free(failed.why.path);
            lzr_free(failed.why.text);
            note(d, f);
            lzr_needs_fail(d, f, list);
            return false;
        }
        g = take_off(d, &c, f);
        if (g == NULL) {
            fail_with(d, f, LZR_E_NOMEM, "out of memory", list);
            return false;
        }
    } else {
        d->stats.joined_total++;
        if (!f->recipe->eager) {
            promote(d, g);
        } else if (g->state == LZR_QUEUED) {
            lzr_queue_renew(&d->queue, g, f->client, f->burst);
        }
    }
    s->pending++;
    lzr_flight_join(g, &need->req);
    return true;
}

/* Lists a flight's needs. */
static enum lzr_code list_needs(struct lzr_driver *d, struct lzr_flight *f, struct lzr_err *err)
{
    struct lzr_chunk c = chunk_of(f);
    enum lzr_code code = f->recipe->list(&c, &f->needs, err);
    if (code == LZR_OK) {
        f->needs->started_us = lzr_now_us();
        d->gathering += !f->gathers;
        f->gathers = true;
        for (uint64_t i = 0; i < f->needs->n; i++) {
            f->needs->items[i].of = f;
            f->needs->items[i].req.ctx = &f->needs->items[i];
        }
    }
    return code;
}

void lzr_needs_begin(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_err err = {.code = LZR_OK};
    enum lzr_code code = list_needs(d, f, &err);
    f->state = LZR_GATHERING;
    f->unstarted = false;
    if (code != LZR_OK) {
        fail_with(d, f, code, err.msg, list);
        return;
    }
    while (f->needs->asked < f->needs->n) {
        if (!ask(d, f, list)) {
            return;
        }
    }
    if (f->needs->pending == 0) {
        gathered(d, f);
    }
}

bool lzr_needs_cached(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_err err;
    bool all = list_needs(d, f, &err) == LZR_OK && f->needs->n <= CACHED_MOST;
    for (uint64_t i = 0; all && i < f->needs->n; i++) {
        all = from_cache(d, &f->needs->items[i]);
    }
    if (!all) {
        lzr_needs_free(&f->needs);
        lzr_needs_over(d, f);
        return false;
    }
    f->unstarted = false;
    f->needs->asked = f->needs->n;
    gathered(d, f);
    return true;
}

/* Nothing is under way that could free memory. */
static bool idle(const struct lzr_driver *d)
{
    return d->active == 0 && d->making == 0 && d->queue.urgent.n == 0 && lzr_may_overdraw(d);
}

/* Starts a flight: takes what is cached, reserves for the rest and for the result. False: no room,
 * and it holds nothing. */
static bool start(struct lzr_driver *d, struct lzr_flight *f, bool force)
{
    struct lzr_needs *s = f->needs;
    uint64_t bytes = lzr_flight_output_bytes(f) + s->n * sizeof s->items[0];
    for (uint64_t i = 0; i < s->n; i++) {
        if (!from_cache(d, &s->items[i])) {
            bytes += need_bytes(&s->items[i]);
        }
    }
    bool room = lzr_make_room(d, bytes);
    if (!room && !force) {
        return false;
    }
    for (uint64_t i = 0; i < s->n; i++) {
        s->items[i].reserved = s->items[i].req.result.blob == NULL;
    }
    lzr_budget_add(&d->budget, bytes);
    f->reserved = bytes;
    f->reserved_output = true;
    f->unstarted = false;
    s->forced = !room;
    return true;
}

static bool home_free(const void *driver, const struct lzr_flight *f)
{
    return lzr_home_free(driver, f) && !lzr_home_waits(driver, f);
}

/* Few enough computations wait that more may be asked for. Those that no worker may take now, since
 * all homes of their arrays are busy, leave the other workers to others: they don't count, but
 * nothing is asked for that is made of such arrays, so they stay few. Sets d->blocked. */
static bool few_wait(struct lzr_driver *d)
{
    uint32_t most = 2 * d->nworkers, n = 0, seen = 0;
    d->blocked = 0;
    if (d->queue.urgent.n < most || d->homes == NULL) {
        return d->queue.urgent.n < most;
    }
    uint64_t busy = lzr_homes_busy(d);
    for (const struct lzr_flight *f = busy != 0 ? d->queue.urgent.head : NULL;
         f != NULL && n < most && seen < LZR_QUEUE_LOOK; f = f->next, seen++) {
        n += (d->homes[f->array->id].own & busy) == 0;
    }
    if (busy == 0 || n >= most || seen < d->queue.urgent.n) {
        return false;
    }
    d->blocked = busy;
    return true;
}

/* The first of the stack that may ask for needs. */
static struct lzr_flight *stack_top(const struct lzr_driver *d)
{
    struct lzr_flight *f = d->stack.head;
    for (unsigned i = 0; f != NULL && lzr_home_waits(d, f); i++) {
        f = i < LZR_QUEUE_LOOK ? f->next : NULL;
    }
    return f;
}

/* The top of the stack, or else the next root, started if it wasn't; or the root first where it is
 * its turn and there is room. NULL: nothing can go on now. */
static struct lzr_flight *top(struct lzr_driver *d, struct lzr_request **list)
{
    bool turn = lzr_queue_turn(&d->queue);
    for (;;) {
        struct lzr_flight *f = stack_top(d);
        struct lzr_err err = {.code = LZR_OK};
        if (f == NULL || turn) {
            struct lzr_flight *root =
                lzr_queue_root(&d->queue, lzr_now_us(), (struct lzr_filter){home_free, d});
            turn = f != NULL && root != NULL && root->unstarted;
            f = f == NULL || turn ? root : f;
        }
        if (f == NULL || (f->state == LZR_QUEUED && !f->unstarted)) {
            return NULL; /* a root that only needs a worker */
        }
        if (!f->unstarted) {
            return !f->needs->forced || idle(d) ? f : NULL;
        }
        enum lzr_code code = list_needs(d, f, &err);
        if (code != LZR_OK) {
            fail_with(d, f, code, err.msg, list);
            continue;
        }
        if (!start(d, f, idle(d) && !turn)) {
            lzr_needs_free(&f->needs);
            lzr_needs_over(d, f);
            if (turn) {
                turn = false; /* what has been started goes on */
                lzr_queue_pass(&d->queue);
                continue;
            }
            d->starved = true;
            return NULL;
        }
        if (f->state == LZR_QUEUED) {
            lzr_queue_take(&d->queue, f);
            stack(d, f);
        }
        return f;
    }
}

void lzr_needs_pump(struct lzr_driver *d, struct lzr_request **list)
{
    while (!d->closing && !d->draining && few_wait(d) && d->need_tasks < 2 * d->ncodecs) {
        struct lzr_flight *f = top(d, list);
        if (f == NULL) {
            return;
        }
        if (f->needs->asked < f->needs->n && !ask(d, f, list)) {
            continue;
        }
        if (f->needs->asked == f->needs->n) {
            unstack(d, f);
            if (f->needs->pending == 0) {
                gathered(d, f);
            }
        }
    }
}

struct lzr_why lzr_why_remembered(const struct lzr_failure *fail)
{
    return (struct lzr_why){.code = fail->code,
                            .remembered = true,
                            .until_us = fail->until_us,
                            .hops = fail->hops,
                            .cause = fail->cause,
                            .path = fail->path != NULL ? lzr_strdup(fail->path) : NULL,
                            .text = fail->text != NULL ? lzr_strdup(fail->text) : NULL};
}

char *lzr_why_text(const struct lzr_why *why)
{
    struct lzr_buf b;
    if (why->text == NULL || why->path == NULL) {
        return why->text != NULL ? lzr_strdup(why->text) : NULL;
    }
    lzr_buf_init(&b, SIZE_MAX);
    lzr_buf_printf(&b, "%s: %s", why->path, why->text);
    char *text = lzr_buf_detach(&b, NULL);
    lzr_buf_release(&b);
    return text;
}

/* Why f fails: a chunk of `array`, which it needs, has failed as `of` says. Another encoding or
 * level of the same array adds nothing to the path. */
static void derive(struct lzr_flight *f, const struct lzr_flight *of, const struct lzr_array *array)
{
    const struct lzr_why *w = &of->why;
    struct lzr_buf b;
    f->why = *w;
    f->why.text = w->text != NULL ? lzr_strdup(w->text) : NULL;
    if (f->array == array || w->cause == NULL) {
        f->why.path = w->path != NULL ? lzr_strdup(w->path) : NULL;
        return;
    }
    f->why.hops = w->hops + 1;
    lzr_buf_init(&b, SIZE_MAX);
    if (f->why.hops <= PATH_HOPS) {
        lzr_buf_printf(&b, "%s <- %s", f->array->path, w->path != NULL ? w->path : array->path);
    } else {
        lzr_buf_printf(&b, "%s <- %s <- (%u more) <- %s", f->array->path, array->path, w->hops - 1,
                       w->cause->path);
    }
    f->why.path = lzr_buf_detach(&b, NULL);
    lzr_buf_release(&b);
}

void lzr_needs_over(struct lzr_driver *d, struct lzr_flight *f)
{
    if (f->gathers) {
        f->gathers = false;
        d->gathering--;
        lzr_kept(d);
    }
}

/* Takes a flight out of whatever list it is in and lets its reservations go. */
static void detach(struct lzr_driver *d, struct lzr_flight *f)
{
    lzr_needs_over(d, f);
    if (f->state == LZR_QUEUED) {
        lzr_queue_remove(&d->queue, f);
    } else if (f->state == LZR_PREPARING || f->state == LZR_RUNNING || f->state == LZR_ENCODING) {
        d->active--;
        d->encoding -= f->state == LZR_ENCODING;
    } else if (f->state == LZR_MAKING) {
        d->making--;
    }
    unstack(d, f);
    lzr_flight_release(d, f);
}

/* Takes the wishes of a flight that ends back; those of its needs' flights that nobody else wants
 * are put before *work. */
static void let_go(struct lzr_flight *f, struct lzr_flight **work)
{
    struct lzr_needs *s = f->needs;
    uint64_t now = lzr_now_us();
    for (uint64_t i = 0; s != NULL && s->pending > 0 && i < s->asked; i++) {
        struct lzr_flight *g = s->items[i].req.flight;
        if (g == NULL) {
            continue;
        }
        lzr_flight_leave(g, &s->items[i].req);
        s->pending--;
        if (!g->ending && lzr_flight_unwanted(g, now)) {
            g->ending = true;
            g->work_next = *work;
            *work = g;
        }
    }
}

/* Drops the flights of a work list as far as they can be dropped. */
static void drop_all(struct lzr_driver *d, struct lzr_flight *work)
{
    while (work != NULL) {
        struct lzr_flight *f = work;
        work = f->work_next;
        f->ending = false;
        f->work_next = NULL;
        if ((f->state == LZR_RUNNING || f->state == LZR_PREPARING) && !lzr_withdraw(d, f)) {
            lzr_job_interrupt(d, f); /* it has begun, and is interrupted if that is worth it */
            continue;
        }
        if (f->state != LZR_QUEUED && f->state != LZR_GATHERING) {
            continue;
        }
        detach(d, f);
        let_go(f, &work);
        lzr_flights_remove(&d->flights, &f);
        d->stats.dropped_total++;
    }
}

void lzr_flight_abandon(struct lzr_driver *d, struct lzr_flight *f)
{
    f->work_next = NULL;
    drop_all(d, f);
}

void lzr_flight_drop(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_flight *work = NULL;
    detach(d, f);
    let_go(f, &work);
    lzr_flights_remove(&d->flights, &f);
    drop_all(d, work);
}

void lzr_needs_fail(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_flight *work = f, *unwanted = NULL;
    f->ending = true;
    f->work_next = NULL;
    while (work != NULL) {
        f = work;
        work = f->work_next;
        detach(d, f);
        let_go(f, &unwanted);
        while (f->waiters != NULL) {
            struct lzr_request *req = f->waiters;
            if (req->done != NULL) {
                req->result = (struct lzr_result){.code = f->why.code,
                                                  .again = f->why.again,
                                                  .remembered = f->why.remembered,
                                                  .text = lzr_why_text(&f->why),
                                                  .compute_us = f->compute_us};
                lzr_flight_dismiss(d, f, req, list);
                continue;
            }
            struct lzr_need *need = req->ctx;
            struct lzr_flight *g = need->of;
            lzr_flight_leave(f, req);
            g->needs->pending--;
            if (!g->ending) {
                g->ending = true;
                derive(g, f, f->array);
                note(d, g);
                g->work_next = work;
                work = g;
            }
        }
        lzr_flights_remove(&d->flights, &f);
    }
    drop_all(d, unwanted);
}
