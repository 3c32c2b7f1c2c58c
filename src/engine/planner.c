#include "engine/planner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/listing.h"
#include "engine/merge.h"
#include "engine/needs.h"
#include "engine/recipe.h"

enum { SLICE_EXPANSIONS = 256, SLICE_MERGED = 4096 };

enum lzr_code lzr_planner_init(struct lzr_driver *d, struct lzr_err *err)
{
    return lzr_wanted_init(&d->planner.wanted, err);
}

/* Wakes a codec thread for the listing. */
static void wake(struct lzr_driver *d)
{
    uint64_t one = 1;
    d->planner.due = true;
    ssize_t n = write(d->task_fd, &one, sizeof one);
    LZR_CHECK(n == (ssize_t)sizeof one);
}

static void unlink_started(struct lzr_planner *pl, struct lzr_started *p)
{
    *(p->prev != NULL ? &p->prev->next : &pl->head) = p->next;
    *(p->next != NULL ? &p->next->prev : &pl->tail) = p->prev;
    p->prev = p->next = NULL;
}

static void append_started(struct lzr_planner *pl, struct lzr_started *p)
{
    p->next = NULL;
    p->prev = pl->tail;
    *(pl->tail != NULL ? &pl->tail->next : &pl->head) = p;
    pl->tail = p;
}

/* What a plan takes while it is started: sign 1 when it starts, -1 when it ends. */
static void count(struct lzr_planner *pl, const struct lzr_started *p, int sign)
{
    if (p->small) {
        pl->small_bytes += (uint64_t)sign * p->bytes;
    } else if (!p->by_steps) {
        pl->bytes += (uint64_t)sign * p->bytes;
    } else {
        for (unsigned i = 0; i < LZR_PLAN_STEPS; i++) {
            pl->live[i] += (uint64_t)sign * p->live[i];
        }
    }
}

static void end_started(struct lzr_driver *d, struct lzr_started *p, struct lzr_flight **work)
{
    struct lzr_planner *pl = &d->planner;
    unlink_started(pl, p);
    pl->nstarted--;
    pl->nlong -= p->is_long;
    count(pl, p, -1);
    p->root->plan = NULL;
    lzr_started_free(d, p, work);
}

/* The long listing is over. */
static void end_listing(struct lzr_driver *d, struct lzr_flight **work)
{
    struct lzr_planner *pl = &d->planner;
    if (pl->listing->root != NULL) {
        pl->listing->root->listing = NULL;
    }
    lzr_merge_free(d, &pl->merge, work);
    lzr_listing_free(&pl->listing);
}

void lzr_planner_release(struct lzr_driver *d)
{
    struct lzr_planner *pl = &d->planner;
    while (pl->head != NULL) {
        end_started(d, pl->head, NULL);
    }
    if (pl->listing != NULL) {
        end_listing(d, NULL);
    }
    if (pl->wanted.buckets != NULL) {
        lzr_wanted_release(&pl->wanted);
    }
}

/* What plans that aren't small take together; live: of one more, by steps, that goes side by side
 * with those it shares with; NULL: nothing. */
static uint64_t together(const struct lzr_planner *pl, const uint64_t live[])
{
    uint64_t most = 0;
    for (unsigned i = 0; i < LZR_PLAN_STEPS; i++) {
        uint64_t now = pl->live[i] + (live != NULL ? live[i] : 0);
        most = now > most ? now : most;
    }
    return pl->bytes + most;
}

/* Whether a plan of so many bytes may start beside what is started; live: as above. */
static bool fits(const struct lzr_driver *d, const struct lzr_flight *f, uint64_t bytes,
                 const uint64_t live[])
{
    const struct lzr_planner *pl = &d->planner;
    uint64_t limit = d->budget.limit, room = limit > pl->share ? limit - pl->share : 0;
    if (pl->nstarted == 0) {
        return true;
    }
    if (live != NULL && together(pl, live) + pl->small_bytes <= limit) {
        return true;
    }
    if (bytes <= limit / LZR_PLAN_SMALL) {
        return together(pl, NULL) + pl->small_bytes + bytes <= limit ||
               pl->small_bytes + bytes <= limit / (LZR_PLAN_SMALL / 2);
    }
    bool passed = pl->waiter != NULL && pl->waiter != f &&
                  lzr_now_us() >= pl->waiter->queued_us + LZR_QUEUE_PATIENCE_US;
    return !passed && together(pl, NULL) + bytes <= room;
}

bool lzr_plan_may_begin(const struct lzr_driver *d, const struct lzr_flight *f)
{
    const struct lzr_planner *pl = &d->planner;
    return pl->merge == NULL && f->listing == NULL && !(f->long_plan && pl->listing != NULL) &&
           (f->plan_group == 0 || f->plan_group != pl->epoch) &&
           (f->plan_bytes == 0 || fits(d, f, f->plan_bytes, NULL) ||
            (f->plan_seen != 0 && f->plan_seen != pl->epoch));
}

/* A root's plan starts. */
static void start(struct lzr_driver *d, struct lzr_listing *l, struct lzr_merge *m)
{
    struct lzr_planner *pl = &d->planner;
    struct lzr_flight *f = l->root, *work = NULL;
    struct lzr_started *s = lzr_merge_take(l, m);
    s->root = f;
    s->part = l->plan.part;
    s->bytes = l->plan.bytes;
    s->by_steps = l->plan.by_steps;
    s->is_long = f->long_plan;
    s->start_us = lzr_now_us();
    pl->nlong += s->is_long;
    s->small = s->bytes <= d->budget.limit / LZR_PLAN_SMALL && !(l->shares && s->by_steps);
    memcpy(s->live, l->plan.live, sizeof s->live);
    s->ngroups = lzr_copy_groups(d, &l->plan, s->groups);
    count(pl, s, 1);
    pl->nstarted++;
    pl->epoch++;
    pl->waiter = pl->waiter == f ? NULL : pl->waiter;
    if (f->state == LZR_QUEUED) {
        lzr_queue_take(&d->queue, f);
        f->state = LZR_GATHERING;
    }
    if (f->plan != NULL) {
        end_started(d, f->plan, &work); /* the part before: what is left of it is held here */
    }
    f->unstarted = false;
    f->plan = s;
    f->begun_us = f->begun_us == 0 ? lzr_now_us() : f->begun_us;
    d->gathering += !f->gathers;
    f->gathers = true;
    append_started(pl, s);
    lzr_flights_drop(d, work);
}

void lzr_plan_refuse(struct lzr_driver *d, struct lzr_flight *f, uint64_t bytes,
                     struct lzr_request **list)
{
    char text[280];
    uint64_t mib = UINT64_C(1) << 20;
    (void)snprintf(text, sizeof text,
                   "%.80s/%.80s: needs about %" PRIu64 " MiB at once, the budget is %" PRIu64
                   " MiB: raise --cache",
                   f->array->store->name, f->array->path, (bytes + mib - 1) / mib,
                   d->budget.limit / mib);
    lzr_log(d->log, LZR_LOG_ERROR, "%s", text);
    lzr_flight_fail(d, f, LZR_E_LIMIT, text, list);
}

/* A listing that failed: its root fails. */
static void fail_root(struct lzr_driver *d, struct lzr_listing *l, const struct lzr_err *err,
                      struct lzr_request **list)
{
    struct lzr_flight *f = l->root;
    if (l->bad != NULL) {
        struct lzr_flight failed = {.array = l->bad, .why = l->why};
        lzr_why_derive(d, f, &failed);
        lzr_why_note(d, f);
    } else {
        f->why = (struct lzr_why){.code = err->code,
                                  .again = true,
                                  .cause = f->array,
                                  .text = lzr_strdup(err->msg)};
    }
    lzr_needs_fail(d, f, list);
}

/* Nodes of a long list, at most. One that goes in parts leaves room for three at once: the wanted
 * chunks of the part before, and those and the list of the next. A whole one that starts alone has
 * only its own: they may take three quarters of the budget. */
static uint32_t list_most(uint64_t limit, bool whole)
{
    uint64_t part = limit / 2 / (2 * sizeof(struct lzr_wanted));
    uint64_t each = sizeof(struct lzr_wanted) + sizeof(struct lzr_plan_node) + sizeof(uint32_t) +
                    2 * sizeof(void *); /* merge.c's, and where it stands in the order */
    uint64_t most = whole ? limit / 4 * 3 / each : part;
    return most < 1024 ? 1024 : most < LZR_PLAN_NODES ? (uint32_t)most : LZR_PLAN_NODES;
}

enum decided { STARTS, WAITS, REFUSED, AGAIN };

/* All is listed: what becomes of the root. AGAIN: it is listed in another way (a long list). */
static enum decided decide(struct lzr_driver *d, struct lzr_listing *l, bool force)
{
    struct lzr_planner *pl = &d->planner;
    struct lzr_plan *p = &l->plan;
    struct lzr_flight *f = l->root;
    /* Plans themselves take memory. */
    uint64_t own = (uint64_t)lzr_merge_count(l) * sizeof(struct lzr_wanted) + p->n * sizeof(void *);
    p->bytes += own;
    for (unsigned i = 0; i < LZR_PLAN_STEPS; i++) {
        p->live[i] += p->live[i] > 0 ? own : 0;
    }
    if (p->n > list_most(d->budget.limit, false) && l->whole &&
        (p->part || p->bytes > d->budget.limit)) {
        f->in_parts = true;
        return AGAIN;
    }
    if (p->bytes > d->budget.limit && p->there > 0 && l->mode == LZR_PLAN_CACHED) {
        f->plan_mode = p->readers > 2 * (uint64_t)p->n ? LZR_PLAN_ANEW : LZR_PLAN_PARTS;
        f->long_plan = true;
        return AGAIN;
    }
    if (p->bytes > d->budget.limit) {
        return REFUSED;
    }
    struct lzr_copy_group groups[LZR_COPY_GROUPS];
    if (f->plan == NULL && !force &&
        lzr_copy_waits(d, groups, lzr_copy_groups(d, p, groups), p->bytes)) {
        f->plan_group = pl->epoch;
        return WAITS;
    }
    if (f->plan != NULL || force ||
        fits(d, f, p->bytes, l->shares && p->by_steps ? p->live : NULL)) {
        return STARTS;
    }
    f->plan_bytes = p->bytes;
    f->plan_seen = l->shares ? pl->epoch : 0;
    pl->waiter = pl->waiter == NULL ? f : pl->waiter;
    return WAITS;
}

/* Has a root listed by codec threads. */
static void list_long(struct lzr_driver *d, struct lzr_flight *f, unsigned tries, bool force,
                      struct lzr_request **list)
{
    struct lzr_planner *pl = &d->planner;
    uint32_t part = list_most(d->budget.limit, false), most = list_most(d->budget.limit, true);
    bool whole = most > part && pl->nstarted == 0 && !f->in_parts && f->plan_mode != LZR_PLAN_PARTS;
    LZR_CHECK(pl->listing == NULL);
    pl->listing = lzr_listing_new(d, f, whole ? most : part);
    if (pl->listing == NULL) {
        lzr_needs_fail_with(d, f, LZR_E_NOMEM, "out of memory", list);
        return;
    }
    f->listing = pl->listing;
    pl->listing->whole = whole;
    pl->listing->tries = tries;
    pl->listing->force = force;
    wake(d);
}

bool lzr_plan_begin_root(struct lzr_driver *d, struct lzr_flight *f, bool force,
                         struct lzr_request **list)
{
    struct lzr_err err = {.code = LZR_OK};
    if (f->long_plan) {
        list_long(d, f, 0, force, list);
        return true;
    }
    struct lzr_listing *l = lzr_listing_new(d, f, LZR_PLAN_SHORT);
    if (l == NULL) {
        lzr_needs_fail_with(d, f, LZR_E_NOMEM, "out of memory", list);
        return true;
    }
    enum lzr_plan_state state = lzr_listing_go(l, true, LZR_PLAN_SHORT_EXPANSIONS, &err);
    bool moved = true;
    if (state == LZR_PLAN_FAILED) {
        fail_root(d, l, &err, list);
    } else if (state == LZR_PLAN_MORE || l->plan.part) {
        f->long_plan = true;
    } else {
        enum decided decided = decide(d, l, force);
        struct lzr_merge *m = decided == STARTS ? lzr_merge_new(d, l) : NULL;
        if (decided == REFUSED) {
            lzr_plan_refuse(d, f, l->plan.bytes, list);
        } else if (decided == WAITS) {
            moved = false;
        } else if (decided == STARTS && m == NULL) {
            lzr_needs_fail_with(d, f, LZR_E_NOMEM, "out of memory", list);
        } else if (decided == STARTS) {
            enum lzr_merged merged = lzr_merge_some(d, l, m, UINT32_MAX);
            LZR_CHECK(merged == LZR_MERGE_DONE);
            start(d, l, m);
            lzr_merge_free(d, &m, NULL);
        }
    }
    lzr_listing_free(&l);
    return moved;
}

void lzr_plan_measure_root(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request **list)
{
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_listing *l = lzr_listing_new(d, f, LZR_PLAN_SHORT);
    f->short_plan = true;
    if (l != NULL) {
        enum lzr_plan_state state = lzr_listing_go(l, true, LZR_PLAN_SHORT_EXPANSIONS, &err);
        f->long_plan =
            state == LZR_PLAN_MORE || (state == LZR_PLAN_LISTED && l->plan.part);
        f->short_plan = !f->long_plan;
        lzr_listing_free(&l);
    }
    if (f->long_plan) {
        list_long(d, f, 0, false, list);
    }
}

void lzr_plan_go_on(struct lzr_driver *d, struct lzr_started *p, struct lzr_request **list)
{
    list_long(d, p->root, 0, false, list);
}

void lzr_plan_over(struct lzr_driver *d, struct lzr_flight *f, struct lzr_flight **work)
{
    struct lzr_planner *pl = &d->planner;
    pl->waiter = pl->waiter == f ? NULL : pl->waiter;
    if (f->listing != NULL) {
        f->listing->root = NULL; /* freed by the thread that lists, or is about to */
        f->listing = NULL;
    }
    if (f->plan != NULL) {
        end_started(d, f->plan, work);
    }
}

static bool lists(const struct lzr_started *p, const struct lzr_wanted *w)
{
    bool yes = p->block == w->block;
    for (uint32_t i = 0; !yes && i < p->n; i++) {
        yes = p->all[i] == w;
    }
    return yes;
}

bool lzr_plan_is_alone(const struct lzr_flight *f)
{
    return f->plan != NULL && f->wanted != NULL && f->wanted->plans == 1 &&
           lists(f->plan, f->wanted);
}

void lzr_plan_failed(struct lzr_driver *d, struct lzr_flight *f, struct lzr_flight **work)
{
    struct lzr_wanted *w = f->wanted;
    if (w == NULL) {
        return;
    }
    for (struct lzr_started *p = d->planner.head; p != NULL; p = p->next) {
        struct lzr_flight *root = p->root;
        if (root == f || root->ending || !lists(p, w)) {
            continue;
        }
        root->ending = true;
        lzr_why_derive(d, root, f);
        lzr_why_note(d, root);
        root->work_next = *work;
        *work = root;
    }
    lzr_wanted_forget(d, w, NULL);
}

bool lzr_planner_turn(struct lzr_driver *d)
{
    struct lzr_planner *pl = &d->planner;
    pl->had_turn = pl->due && (d->tasks.n == 0 || !pl->had_turn);
    pl->due = pl->due && !pl->had_turn;
    return pl->had_turn;
}

/* Lists the same root once more; it wakes a thread itself. */
static void anew(struct lzr_driver *d, const struct lzr_listing *l, unsigned tries,
                 struct lzr_request **list)
{
    struct lzr_flight *f = l->root, *work = NULL;
    bool force = l->force;
    end_listing(d, &work);
    lzr_flights_drop(d, work);
    list_long(d, f, tries, force, list);
}

enum settled { SETTLED, SETTLED_MORE, SETTLED_ANEW };

/* After all is listed, or while it becomes a plan. With mu. ANEW: the listing is another one. */
static enum settled settle(struct lzr_driver *d, struct lzr_listing *l, struct lzr_request **list)
{
    struct lzr_planner *pl = &d->planner;
    struct lzr_flight *f = l->root;
    if (pl->merge == NULL) {
        enum decided decided = decide(d, l, l->force);
        if (decided == AGAIN) {
            anew(d, l, 0, list);
            return SETTLED_ANEW;
        }
        if (decided == REFUSED) {
            lzr_plan_refuse(d, f, l->plan.bytes, list);
        }
        if (decided != STARTS) {
            return SETTLED;
        }
        pl->merge = lzr_merge_new(d, l);
        if (pl->merge == NULL) {
            lzr_needs_fail_with(d, f, LZR_E_NOMEM, "out of memory", list);
            return SETTLED;
        }
    }
    enum lzr_merged merged = lzr_merge_some(d, l, pl->merge, SLICE_MERGED);
    if (merged == LZR_MERGE_STALE) {
        anew(d, l, l->tries + 1, list);
        return SETTLED_ANEW;
    }
    if (merged == LZR_MERGE_DONE) {
        start(d, l, pl->merge);
    }
    return merged == LZR_MERGE_MORE ? SETTLED_MORE : SETTLED;
}

void lzr_planner_slice(struct lzr_driver *d)
{
    struct lzr_planner *pl = &d->planner;
    struct lzr_request *list = NULL;
    struct lzr_err err = {.code = LZR_OK};
    /* Only who has its turn touches the listing, but for its root. */
    struct lzr_listing *l = pl->listing;
    enum lzr_plan_state state = LZR_PLAN_LISTED;
    pthread_mutex_lock(&d->mu);
    bool gone = l->root == NULL, merging = pl->merge != NULL;
    pthread_mutex_unlock(&d->mu);
    if (!gone && !merging) {
        state = lzr_listing_go(l, false, SLICE_EXPANSIONS, &err);
    }
    pthread_mutex_lock(&d->mu);
    enum settled settled = SETTLED;
    if (l->root != NULL && state == LZR_PLAN_FAILED) {
        fail_root(d, l, &err, &list);
    } else if (l->root != NULL) {
        settled = state == LZR_PLAN_MORE ? SETTLED_MORE : settle(d, l, &list);
    }
    if (settled == SETTLED_MORE) {
        wake(d);
    } else if (settled == SETTLED) {
        struct lzr_flight *work = NULL;
        end_listing(d, &work);
        lzr_flights_drop(d, work);
    }
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
}
