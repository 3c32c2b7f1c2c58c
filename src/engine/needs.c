#include "engine/needs.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/recipe.h"
#include "store/copied.h"

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
    if (s != NULL && s->shared) {
        s->shared = false;
        return;
    }
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

/* It has been read, or won't be. */
static void let_read(struct lzr_driver *d, struct lzr_need *need)
{
    struct lzr_wanted *w = need->wanted;
    if (w != NULL) {
        struct lzr_wanted_block *b = w->block;
        need->wanted = NULL;
        lzr_wanted_read(d, w);
        lzr_wanted_block_unref(d, &b);
    }
}

/* All needs are there. */
static void gathered(struct lzr_driver *d, struct lzr_flight *f)
{
    f->inputs_us = lzr_now_us() - (f->begun_us != 0 ? f->begun_us : f->needs->started_us);
    lzr_plan_over(d, f, NULL);
    f->holds = f->recipe->eager;
    d->holding += f->holds;
    if (f->recipe->worker) {
        f->state = LZR_QUEUED;
        /* Behind the few that wait: at the front, one plan's would never let another's through. */
        lzr_queue_push_urgent(&d->queue, f);
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
    let_read(d, need);
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

/* A need's chunk has no flight and no plan: one in the place of a request, which plans for
 * itself. */
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
        lzr_task_push(d, g);
    } else {
        lzr_queue_push(&d->queue, g);
    }
    return g;
}

void lzr_needs_fail_with(struct lzr_driver *d, struct lzr_flight *f, enum lzr_code code,
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
void lzr_why_note(struct lzr_driver *d, const struct lzr_flight *f)
{
    uint64_t now = lzr_now_us();
    if (f->encoding == LZR_ENC_ZARR && f->why.until_us > now) {
        lzr_failures_note_why(&d->failures, f->array->id, f->level, f->index, &f->why, now);
        if (f->array->copied && lzr_copied_pieces(f->array, f->level)) {
            return; /* nobody knows it: what is made of it has troubles */
        }
        char *text = lzr_why_text(&f->why);
        lzr_troubles_note(&d->troubles, f->array->id, f->level, f->index, f->why.code, text, now);
        d->array_stats[f->array->id].failed++;
        lzr_free(text);
    }
}

/* A need's chunk, where a plan keeps it or it is cached. */
static bool is_there(struct lzr_driver *d, struct lzr_need *need, const struct lzr_wanted *w,
                     const struct lzr_flight *g)
{
    if (w != NULL && w->blob != NULL) {
        need->req.result.blob = lzr_blob_ref(w->blob);
    } else if (g != NULL && g->blob != NULL) {
        need->req.result.blob = lzr_blob_ref(g->blob);
    } else if (g != NULL || !from_cache(d, need)) {
        return false;
    }
    let_read(d, need);
    return true;
}

/* Asks for a flight's next need. False: the flight has failed over it and is gone. */
static bool ask(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_needs *s = f->needs;
    struct lzr_need *need = &s->items[s->asked];
    struct lzr_chunk c = chunk_needed(need);
    s->asked++;
    struct lzr_wanted *w = lzr_wanted_find(d, &c);
    need->wanted = f->wanted != NULL ? w : NULL;
    if (need->wanted != NULL) {
        need->wanted->block->refs++;
    }
    struct lzr_flight *g = lzr_flights_find(&d->flights, &c);
    if (is_there(d, need, w, g)) {
        return true;
    }
    if (g == NULL) {
        const struct lzr_failure *fail =
            lzr_failures_recall(&d->failures, c.array->id, c.level, c.index, lzr_now_us());
        if (fail != NULL) {
            struct lzr_flight failed = {.array = c.array, .why = lzr_why_remembered(fail)};
            d->stats.remembered_failures_total++;
            failed.why.cause = failed.why.cause != NULL ? failed.why.cause : c.array;
            let_read(d, need);
            derive(f, &failed, c.array);
            lzr_free(failed.why.path);
            lzr_free(failed.why.text);
            lzr_why_note(d, f);
            lzr_needs_fail(d, f, list);
            return false;
        }
        g = take_off(d, &c, f);
        if (g == NULL) {
            let_read(d, need);
            lzr_needs_fail_with(d, f, LZR_E_NOMEM, "out of memory", list);
            return false;
        }
    } else {
        d->stats.joined_total += f->recipe->eager || need->wanted == NULL;
        if (g->state == LZR_QUEUED && !g->urgent) {
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
        lzr_needs_fail_with(d, f, code, err.msg, list);
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

/* A step on the way down an array's inputs. */
struct step {
    const struct lzr_array *array;
    unsigned next; /* input to look at */
};

/* Finds a way from an array down its inputs to another one: steps[0] is `from`, the last one is
 * `to`; returns how many there are, 0: there is no way. steps and seen have room for one an
 * array. */
static size_t find_way(const struct lzr_array *from, const struct lzr_array *to,
                       struct step steps[], bool seen[])
{
    size_t n = 1;
    steps[0] = (struct step){.array = from};
    seen[from->id] = true;
    while (n > 0 && steps[n - 1].array != to) {
        struct step *s = &steps[n - 1];
        const struct lzr_array *a =
            s->next < s->array->ninputs ? s->array->inputs[s->next++].array : NULL;
        if (a == NULL) {
            n--;
        } else if (!seen[a->id]) {
            seen[a->id] = true;
            steps[n++] = (struct step){.array = a};
        }
    }
    return n;
}

void lzr_why_derive(struct lzr_driver *d, struct lzr_flight *f, const struct lzr_flight *of)
{
    size_t narrays = lzr_catalog_narrays(d->catalog);
    struct step *steps = lzr_calloc(narrays + 1, sizeof *steps);
    bool *seen = lzr_calloc(narrays + 1, sizeof *seen);
    size_t n = steps != NULL && seen != NULL ? find_way(f->array, of->array, steps, seen) : 0;
    struct lzr_flight below = {.array = of->array, .why = of->why};
    for (size_t i = n > 1 ? n - 1 : 0; i-- > 1;) { /* those between; without memory none */
        struct lzr_flight above = {.array = steps[i].array};
        derive(&above, &below, below.array);
        if (below.array != of->array) {
            lzr_free(below.why.text);
            lzr_free(below.why.path);
        }
        below = above;
    }
    derive(f, &below, below.array);
    if (below.array != of->array) {
        lzr_free(below.why.text);
        lzr_free(below.why.path);
    }
    lzr_free(steps);
    lzr_free(seen);
}

void lzr_needs_over(struct lzr_driver *d, struct lzr_flight *f)
{
    d->holding -= f->holds;
    f->holds = false;
    if (f->gathers) {
        f->gathers = false;
        d->gathering--;
        lzr_kept(d);
    }
}

/* Takes a flight out of whatever list it is in and lets its reservations go. What its plan wanted
 * and nobody else does is put before *work. */
static void detach(struct lzr_driver *d, struct lzr_flight *f, struct lzr_flight **work)
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
    lzr_plan_over(d, f, work);
    lzr_wanted_lost(f);
    lzr_flight_release(d, f);
}

/* Takes the wishes of a flight that ends back; those of its needs' flights that nobody else wants
 * are put before *work. */
static void let_go(struct lzr_driver *d, struct lzr_flight *f, struct lzr_flight **work)
{
    struct lzr_needs *s = f->needs;
    uint64_t now = lzr_now_us();
    for (uint64_t i = 0; s != NULL && i < s->asked; i++) {
        struct lzr_flight *g = s->items[i].req.flight;
        let_read(d, &s->items[i]);
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

void lzr_flights_drop(struct lzr_driver *d, struct lzr_flight *work)
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
        f->ending = true; /* what its plan lets go is put before work, and it may list itself */
        detach(d, f, &work);
        let_go(d, f, &work);
        lzr_flights_remove(&d->flights, &f);
        d->stats.dropped_total++;
    }
}

void lzr_flight_abandon(struct lzr_driver *d, struct lzr_flight *f)
{
    f->work_next = NULL;
    lzr_flights_drop(d, f);
}

void lzr_flight_drop(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_flight *work = NULL;
    f->ending = true; /* as above */
    detach(d, f, &work);
    let_go(d, f, &work);
    lzr_flights_remove(&d->flights, &f);
    lzr_flights_drop(d, work);
}

void lzr_needs_fail(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_flight *work = f, *unwanted = NULL;
    f->ending = true;
    f->work_next = NULL;
    while (work != NULL) {
        f = work;
        work = f->work_next;
        lzr_plan_failed(d, f, &work);
        detach(d, f, &unwanted);
        let_go(d, f, &unwanted);
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
            let_read(d, need);
            g->needs->pending--;
            if (!g->ending) {
                g->ending = true;
                derive(g, f, f->array);
                lzr_why_note(d, g);
                g->work_next = work;
                work = g;
            }
        }
        lzr_flights_remove(&d->flights, &f);
    }
    lzr_flights_drop(d, unwanted);
}
