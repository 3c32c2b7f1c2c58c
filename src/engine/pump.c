/* Which root's plan starts next, and which of what plans want is launched. */
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"

/* From the first of a plan that isn't made to the last that is launched: so many, and so many more
 * a worker. Wide enough that none waits where one takes long; what is launched and waits for needs
 * holds room for its result. */
enum { WINDOW = 64, WINDOW_WORKER = 16 };
/* Roots that are listed in a row without room for their plans; the next ones at the next event. */
enum { REFUSED_MOST = 8 };
/* Launches of short plans for one of a long one; roots whose length is looked at ahead of their
 * turn. */
enum { SHORT_RUN = 3, AHEAD_MOST = 4 };
enum { HOLD_BACK_US = 500000 };

/* Nothing is under way that could free memory. */
static bool idle(const struct lzr_driver *d)
{
    return d->active == 0 && d->making == 0 && d->queue.urgent.n == 0 && lzr_may_overdraw(d);
}

static bool may_begin(const void *driver, const struct lzr_flight *f)
{
    const struct lzr_driver *d = driver;
    return lzr_home_free(d, f) && !lzr_home_waits(d, f->array) && !d->full[f->folder] &&
           (!f->unstarted || lzr_plan_may_begin(d, f));
}

/* Any root that hasn't started, whether or not there is room for its plan. */
static bool may_be_forced(const void *driver, const struct lzr_flight *f)
{
    const struct lzr_driver *d = driver;
    return f->unstarted && f->listing == NULL && d->planner.merge == NULL &&
           !(f->long_plan && d->planner.listing != NULL);
}

/* Few enough computations wait that more may be asked for, of some folder at least: of those of
 * which too many wait (d->full) nothing is. Those that no worker may take now, since all homes of
 * their arrays are busy, leave the other workers to others: they don't count, but nothing is asked
 * for that is made of such arrays, so they stay few. Sets d->blocked and d->full. */
static bool few_wait(struct lzr_driver *d)
{
    uint32_t most = 2 * d->nworkers, seen = 0, n[LZR_MAX_STORES];
    bool few = false;
    d->blocked = 0;
    memset(d->full, 0, d->folders.n * sizeof d->full[0]);
    if (d->queue.urgent.n < most) {
        return true;
    }
    uint64_t busy = d->homes != NULL ? lzr_homes_busy(d) : 0;
    memcpy(n, d->queue.urgent_of, d->folders.n * sizeof n[0]);
    for (const struct lzr_flight *f = busy != 0 ? d->queue.urgent.head : NULL;
         f != NULL && seen < LZR_QUEUE_LOOK; f = f->next, seen++) {
        n[f->folder] -= (d->homes[f->array->id].own & busy) != 0;
    }
    for (uint32_t i = 0; i < d->folders.n; i++) {
        d->full[i] = n[i] >= most;
        few = few || !d->full[i];
    }
    d->blocked = few ? busy : 0;
    return few;
}

/* Launched already, made, or wanted no more. */
static bool is_done(const struct lzr_wanted *w)
{
    return w->issued || w->blob != NULL || !w->in_table;
}

static bool is_made(const struct lzr_wanted *w)
{
    return w->blob != NULL || !w->in_table;
}

/* The next of a plan that may be launched; NULL: none now. */
static struct lzr_wanted *next_of(const struct lzr_driver *d, struct lzr_started *p)
{
    while (p->made_at < p->nmake && is_made(p->all[p->made_at])) {
        p->made_at++;
    }
    p->next_at = p->next_at < p->made_at ? p->made_at : p->next_at;
    while (p->next_at < p->nmake && is_done(p->all[p->next_at])) {
        p->next_at++;
    }
    if (p->next_at == p->nmake ||
        p->next_at - p->made_at > WINDOW + WINDOW_WORKER * d->nworkers ||
        lzr_home_waits(d, p->all[p->next_at]->array) ||
        d->full[d->folders.of[p->all[p->next_at]->array->id]]) {
        return NULL;
    }
    return p->all[p->next_at];
}

/* It has been made in the meantime, or has failed, or somebody else makes it. */
static bool settled(struct lzr_driver *d, struct lzr_wanted *w, struct lzr_flight *f,
                    struct lzr_request **list)
{
    struct lzr_chunk c = lzr_wanted_chunk(w);
    if (f != NULL) {
        bool launched = f->state != LZR_QUEUED && !(f->state == LZR_GATHERING && f->needs == NULL);
        if (launched && f->blob != NULL) {
            lzr_wanted_keep(d, w, lzr_blob_ref(f->blob)); /* HELD */
        } else if (launched) {
            lzr_wanted_adopt(w, f);
        }
        return launched;
    }
    struct lzr_blob *b = lzr_driver_peek(d, &c);
    if (b != NULL) {
        lzr_wanted_keep(d, w, b);
        return true;
    }
    const struct lzr_failure *fail =
        lzr_failures_recall(&d->failures, w->array->id, w->level, w->index, lzr_now_us());
    f = fail != NULL ? lzr_flight_new(d, &c) : NULL;
    if (f != NULL) {
        d->stats.remembered_failures_total++;
        lzr_wanted_adopt(w, f);
        f->state = LZR_GATHERING;
        f->why = lzr_why_remembered(fail);
        f->why.cause = f->why.cause != NULL ? f->why.cause : f->array;
        lzr_needs_fail(d, f, list);
    }
    return f != NULL;
}

/* Launches what a plan wants next. False: there is no room for it, or no memory. */
static bool launch(struct lzr_driver *d, struct lzr_started *p, struct lzr_wanted *w,
                   struct lzr_request **list)
{
    struct lzr_chunk c = lzr_wanted_chunk(w);
    struct lzr_flight *f = lzr_flights_find(&d->flights, &c);
    if (settled(d, w, f, list)) {
        return true;
    }
    if (f == NULL) {
        f = lzr_flight_new(d, &c);
        if (f == NULL) {
            lzr_needs_fail_with(d, p->root, LZR_E_NOMEM, "out of memory", list);
            return false;
        }
        f->client = p->root->client;
        f->burst = p->root->burst;
    } else if (f->state == LZR_QUEUED) {
        lzr_queue_remove(&d->queue, f);
    }
    uint64_t bytes = lzr_flight_output_bytes(f);
    f->unstarted = false;
    f->state = LZR_GATHERING;
    f->reserved += bytes;
    f->reserved_output = true;
    lzr_budget_add(&d->budget, bytes);
    lzr_wanted_adopt(w, f);
    if (f->recipe->list != NULL) {
        lzr_needs_begin(d, f, list);
    } else if (f->recipe->worker) {
        f->state = LZR_QUEUED;
        lzr_queue_push_urgent(&d->queue, f);
    } else {
        f->counted = true;
        d->need_tasks++;
        lzr_task_push(d, f);
    }
    return true;
}

static uint64_t output_of(const struct lzr_driver *d, const struct lzr_wanted *w)
{
    const struct lzr_chunk c = lzr_wanted_chunk(w);
    struct lzr_flight f = {
        .array = c.array, .level = c.level, .index = c.index, .recipe = lzr_recipe_of(&c)};
    (void)d;
    return lzr_flight_output_bytes(&f);
}

static void rotate(struct lzr_planner *pl, struct lzr_started *p)
{
    if (p->next == NULL) {
        return;
    }
    *(p->prev != NULL ? &p->prev->next : &pl->head) = p->next;
    p->next->prev = p->prev;
    p->prev = pl->tail;
    p->next = NULL;
    pl->tail->next = p;
    pl->tail = p;
}

/* A long plan that has just started, while another root is listed: what came at the same time is
 * listed before what they share is let go. */
static bool holds_back(const struct lzr_driver *d, const struct lzr_started *p)
{
    return p->is_long && d->planner.listing != NULL && lzr_now_us() < p->start_us + HOLD_BACK_US;
}

enum went { WENT, NO_NEXT, NO_MEMORY };

/* Of the long plans, or of the others, in turns: launches one of what they want. */
static enum went go_on(struct lzr_driver *d, bool of_long, struct lzr_request **list)
{
    struct lzr_planner *pl = &d->planner;
    for (struct lzr_started *p = pl->head, *next; p != NULL; p = next) {
        next = p->next;
        struct lzr_wanted *w =
            p->is_long == of_long && !holds_back(d, p) ? next_of(d, p) : NULL;
        if (of_long && w == NULL && p->part && p->made_at == p->nmake && pl->listing == NULL) {
            lzr_plan_go_on(d, p, list);
            return WENT;
        }
        if (w == NULL) {
            continue;
        }
        if (!lzr_make_room(d, output_of(d, w))) {
            if (!idle(d)) {
                return NO_MEMORY;
            }
            uint64_t kept = pl->wanted.kept + output_of(d, w);
            if (kept > d->budget.limit) {
                /* Its chunks are larger than the ones that were measured; where others are started
                 * too, it may well be theirs that take the room: it is no fault of the chunk. */
                if (pl->nstarted > 1) {
                    lzr_needs_fail_with(d, p->root, LZR_E_BUSY,
                                        "what is asked for beside it takes the memory", list);
                } else {
                    lzr_plan_refuse(d, p->root, kept, list);
                }
                return WENT;
            }
        }
        if (of_long) {
            rotate(pl, p);
        }
        pl->run = of_long ? 0 : pl->run + 1;
        (void)launch(d, p, w, list);
        return WENT;
    }
    return NO_NEXT;
}

/* What has been started goes on: short plans first, one after the other, but of each SHORT_RUN + 1
 * launches a long one has one. False: none can. */
static bool go_on_all(struct lzr_driver *d, struct lzr_request **list)
{
    bool first = d->planner.run >= SHORT_RUN;
    enum went went = go_on(d, first, list);
    went = went == NO_NEXT ? go_on(d, !first, list) : went;
    return went == WENT;
}

/* Roots that nobody knows the length of. */
static bool is_new(const void *driver, const struct lzr_flight *f)
{
    return f->unstarted && !f->short_plan && !f->long_plan && f->plan_bytes == 0 &&
           may_begin(driver, f);
}

/* Beside a long plan other long ones are listed at once, before what both are made of is let go. */
static void look_ahead(struct lzr_driver *d, struct lzr_request **list)
{
    struct lzr_planner *pl = &d->planner;
    const struct lzr_filter filter = {is_new, d, 0};
    for (unsigned i = 0; i < AHEAD_MOST && pl->nlong > 0 && pl->listing == NULL; i++) {
        struct lzr_flight *f = lzr_queue_root(&d->queue, lzr_now_us(), filter);
        if (f == NULL || !is_new(d, f)) {
            return;
        }
        lzr_plan_measure_root(d, f, list);
    }
}

enum begun { BEGUN, NO_ROOM, NOBODY };

/* Begins the root whose turn it is. NO_ROOM: it waits for room now, and another one's turn may
 * come. NOBODY: none can be begun now, or the one whose turn it is only needs a worker. */
static enum begun begin(struct lzr_driver *d, bool force, struct lzr_request **list)
{
    struct lzr_filter filter = {force ? may_be_forced : may_begin, d, 0};
    struct lzr_flight *f = lzr_queue_root(&d->queue, lzr_now_us(), filter);
    if (f == NULL || !f->unstarted) {
        return NOBODY;
    }
    return lzr_plan_begin_root(d, f, force, list) ? BEGUN : NO_ROOM;
}

void lzr_needs_pump(struct lzr_driver *d, struct lzr_request **list)
{
    bool turn = lzr_queue_turn(&d->queue, lzr_now_us());
    unsigned refused = 0;
    if (!d->closing && !d->draining) {
        look_ahead(d, list); /* also while all workers are busy */
    }
    while (!d->closing && !d->draining && few_wait(d) && d->need_tasks < 2 * d->ncodecs) {
        enum begun begun = NOBODY;
        if (!turn && go_on_all(d, list)) {
            continue;
        }
        if (refused < REFUSED_MOST) {
            begun = begin(d, false, list);
        }
        if (begun == BEGUN) {
            turn = lzr_queue_turn(&d->queue, lzr_now_us());
        } else if (begun == NO_ROOM) {
            refused++;
        } else if (turn) {
            turn = false; /* what has been started goes on */
        } else if (!idle(d) || d->planner.listing != NULL || begin(d, true, list) != BEGUN) {
            return; /* else what is started waits for what isn't, and nothing is under way */
        }
    }
}
