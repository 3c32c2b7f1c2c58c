/* Which folder each worker is for. What is known of the folders is put together here, the rule is
 * share.h's. Nothing of it is done with one folder. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"

/* A start that takes longer than this, and than four times the last one, is given up for others;
 * twice as long each time. */
#define SLOW_START_US UINT64_C(5000000)

/* Whether a worker that has done nothing yet could begin a flight. */
static bool could_begin(const void *driver, const struct lzr_flight *f)
{
    const struct lzr_driver *d = driver;
    return !f->unstarted && lzr_home_free(d, f) && !lzr_home_waits(d, f->array);
}

/* The folder that a worker has, or is on its way to. */
static uint32_t is_for(const struct lzr_worker *w)
{
    return w->to != LZR_NO_FOLDER ? w->to : w->folder;
}

/* It has nothing to do, and could do something. */
static bool is_idle(const struct lzr_worker *w)
{
    return w->state == LZR_WORKER_READY && w->retire == NULL && w->full_us == 0 &&
           w->njobs == 0 && w->next.flight == NULL && lzr_worker_free_slot(w) != NULL;
}

void lzr_turns_look(struct lzr_driver *d, uint64_t now)
{
    for (uint32_t i = 0; i < d->folders.n; i++) {
        const struct lzr_folder *f = &d->folders.at[i];
        const struct lzr_filter filter = {could_begin, d, i + 1};
        const struct lzr_flight *oldest =
            d->queue.waiting[i] > 0 ? lzr_queue_oldest(&d->queue, filter) : NULL;
        d->shares[i] = (struct lzr_share){.cost_us = f->cost_us, .not_before_us = f->restart_us};
        if (oldest != NULL) {
            d->shares[i].waiting = d->queue.waiting[i];
            d->shares[i].since_us =
                oldest->queued_us > f->lost_us ? oldest->queued_us : f->lost_us;
        }
    }
    for (unsigned k = 0; k < d->nworkers; k++) {
        const struct lzr_worker *w = &d->workers[k];
        if (is_for(w) == LZR_NO_FOLDER) {
            continue;
        }
        struct lzr_share *s = &d->shares[is_for(w)];
        bool fails = w->state == LZR_WORKER_DOWN && w->restart_us > now;
        s->workers++;
        s->coming += w->state != LZR_WORKER_READY || w->slots == NULL;
        s->idle += is_idle(w);
        s->not_before_us =
            fails && w->restart_us > s->not_before_us ? w->restart_us : s->not_before_us;
    }
    d->asked = false;
    for (uint32_t i = 0; i < d->folders.n && !d->asked; i++) {
        d->asked = lzr_share_asks(&d->shares[i], now);
    }
}

static uint32_t pick(const struct lzr_driver *d, const struct lzr_worker *w, bool busy,
                     uint64_t now)
{
    const struct lzr_share_place p = {.folder = w->folder,
                                      .busy = busy,
                                      .idle_us = w->state == LZR_WORKER_READY ? w->used_us : 0,
                                      .held_us = w->held_us,
                                      .cost_us = w->start_cost_us};
    return lzr_share_pick(d->shares, d->folders.n, &p, now);
}

/* Whether it has been loading its folder for so long that others needn't wait for it. */
static bool is_overdue(const struct lzr_driver *d, const struct lzr_worker *w, uint64_t now)
{
    if (w->state != LZR_WORKER_STARTING || w->to != LZR_NO_FOLDER) {
        return false;
    }
    uint64_t most = 4 * lzr_folder_of(d, w)->cost_us;
    most = most > SLOW_START_US ? most : SLOW_START_US;
    return now >= w->began_us + (most << (w->failed_starts < 8 ? w->failed_starts : 8));
}

/* Changes a worker's folder: at once where it has no process, else when that has ended. */
static void change(struct lzr_driver *d, struct lzr_worker *w, uint32_t to, uint64_t now)
{
    struct lzr_folder *f = &d->folders.at[to];
    if (w->folder != LZR_NO_FOLDER) {
        struct lzr_share *own = &d->shares[w->folder];
        own->workers--;
        own->idle -= is_idle(w) && own->idle > 0;
        if (own->workers == 0) {
            lzr_folder_of(d, w)->lost_us = now;
        }
    }
    d->shares[to].workers++;
    d->shares[to].coming++;
    d->stats.worker_switches_total++;
    lzr_log_as(d->log, LZR_LOG_INFO, (struct lzr_log_how){.same = d->nonce | 1},
               "worker %u is for %s now", w->number, f->root[0] != '\0' ? f->root : "data files");
    if (w->state == LZR_WORKER_DOWN) {
        lzr_folder_enter(d, w, to);
        lzr_wake_supervisor(d);
        return;
    }
    w->to = to;
    if (w->state == LZR_WORKER_STARTING) { /* a failed start of the folder that it leaves */
        lzr_worker_give_up(d, w, "it loads for longer than usual, and another folder waits");
        return;
    }
    struct lzr_msg m = {.type = LZR_MSG_QUIT};
    (void)lzr_channel_send(w->channel, &m, NULL, 0, -1, NULL);
    w->state = LZR_WORKER_ENDING;
    w->retire = "its place is another folder's";
    w->quit_us = now + LZR_QUIT_US;
}

bool lzr_turn_over(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    uint32_t to = d->shares[w->folder].waiting > 0 ? pick(d, w, true, now) : w->folder;
    if (to != w->folder && is_idle(w)) {
        change(d, w, to, now);
        return true;
    }
    if (to != w->folder) {
        (void)lzr_unprepare(d, w); /* another worker has that, or this place's next turn */
    }
    return to != w->folder;
}

/* Its place can be given away: whether it is busy with its own folder. */
static bool is_free(const struct lzr_driver *d, const struct lzr_worker *w, uint64_t now,
                    bool *busy)
{
    *busy = w->state == LZR_WORKER_STARTING ||
            (w->state == LZR_WORKER_DOWN && w->restart_us <= now && w->folder != LZR_NO_FOLDER &&
             d->shares[w->folder].waiting > 0);
    return w->to == LZR_NO_FOLDER && !w->launching &&
           (is_idle(w) || w->state == LZR_WORKER_DOWN || is_overdue(d, w, now));
}

/* Without a process first, then the one that was used longest ago. */
static bool is_better(const struct lzr_worker *a, const struct lzr_worker *b)
{
    bool down = a->state == LZR_WORKER_DOWN, other = b->state == LZR_WORKER_DOWN;
    return down != other ? down : a->used_us < b->used_us;
}

void lzr_turns_give(struct lzr_driver *d, uint64_t now)
{
    struct lzr_worker *best = NULL;
    do {
        uint32_t to = LZR_NO_FOLDER;
        best = NULL;
        for (unsigned i = 0; i < d->nworkers && d->asked; i++) {
            struct lzr_worker *w = &d->workers[i];
            bool busy;
            if (!is_free(d, w, now, &busy) || (best != NULL && !is_better(w, best))) {
                continue;
            }
            uint32_t picked = pick(d, w, busy, now);
            if (picked != w->folder) {
                best = w;
                to = picked;
            }
        }
        if (best != NULL) {
            change(d, best, to, now);
        }
    } while (best != NULL);
}
