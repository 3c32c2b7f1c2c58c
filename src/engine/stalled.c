#include "engine/stalled.h"

#include <poll.h>

#include "base/clock.h"
#include "engine/engine.h"

#define STALL_US UINT64_C(2000000) /* no shorter than that, and than TIMES its blocks on average */
#define TIMES 8
#define TURNS 16 /* the time of a turn is doubled no more often */
#define WAIT_US UINT64_C(1000000) /* what others wait until a worker is ended for them */
#define KEEP_US UINT64_C(10000000) /* what it counts as stalled when no worker is at it any more */

uint64_t lzr_allowed_us(const struct lzr_driver *d, const struct lzr_worker *w,
                        const struct lzr_flight *f)
{
    const struct lzr_array *a = f->array;
    bool first = w->jobs_done + w->njobs == 0;
    uint64_t us = (uint64_t)((first ? a->first_timeout_s : a->timeout_s) * 1e6);
    uint64_t read = d->reads.timeout_us;
    bool says = a->first_timeout_s == a->timeout_s; /* the default gives the first one more */
    return a->source && !says && read != 0 && read < us ? read : us;
}

static bool is_noted(const struct lzr_driver *d, const struct lzr_flight *f)
{
    uint64_t last = f->array->source ? d->array_stats[f->array->id].stalled_us : 0;
    return last != 0 && lzr_now_us() < last + KEEP_US;
}

static uint64_t run_us(const struct lzr_worker *w, uint64_t now)
{
    const struct lzr_job *j = &w->jobs[0];
    uint64_t began = j->deadline_us - j->timeout_us;
    return now > began ? now - began : 0;
}

/* A process's first block of an array opens its source, which may well take long; but not again and
 * again where it has been ended. */
static bool stalls(const struct lzr_driver *d, const struct lzr_worker *w, uint64_t now)
{
    const struct lzr_flight *f = w->njobs > 0 ? w->jobs[0].flight : NULL;
    if (f == NULL || !f->array->source) {
        return false;
    }
    unsigned turns = d->array_stats[f->array->id].stalled_turns;
    uint64_t mean = lzr_mean_us(d, f->array);
    uint64_t most = d->reads.timeout_us != 0 ? d->reads.timeout_us : UINT64_MAX;
    if (mean != UINT64_MAX && lzr_worker_has_done(w, f->array)) {
        most = TIMES * mean > STALL_US ? TIMES * mean : STALL_US;
        most <<= turns;
    } else if (turns > 0 && STALL_US << turns < most) {
        most = STALL_US << turns;
    }
    return run_us(w, now) >= most;
}

/* Whether a worker is kept by a source that stalls. */
static bool is_kept(const struct lzr_driver *d, const struct lzr_worker *w, uint64_t now)
{
    const struct lzr_flight *f = w->njobs > 0 ? w->jobs[0].flight : NULL;
    return f != NULL && is_noted(d, f) && run_us(w, now) >= STALL_US;
}

bool lzr_stalled_fits(const struct lzr_driver *d, const struct lzr_worker *w,
                      const struct lzr_flight *f)
{
    if (!is_noted(d, f)) {
        return true;
    }
    if (d->nworkers < 2) {
        return lzr_now_us() >= d->array_stats[f->array->id].stalled_until_us;
    }
    for (unsigned i = 0; i < d->nworkers; i++) {
        const struct lzr_worker *x = &d->workers[i];
        if (x != w && x->state == LZR_WORKER_READY && x->retire == NULL &&
            (x->njobs == 0 || x->jobs[0].flight == NULL || !is_noted(d, x->jobs[0].flight))) {
            return true;
        }
    }
    return false;
}

/* Whether its answer may lie in its socket, for lack of a codec thread that takes it. */
static bool may_have_answered(const struct lzr_worker *w)
{
    struct pollfd p = {.fd = w->channel->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
}

static bool is_of_others(const void *driver, const struct lzr_flight *f)
{
    const struct lzr_driver *d = driver;
    return !is_noted(d, f) && !f->unstarted;
}

/* Whether another array's block waits, and will as long as this source stalls. */
static bool others_wait(const struct lzr_driver *d, uint64_t now)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        const struct lzr_worker *x = &d->workers[i];
        if (x->state != LZR_WORKER_READY || !is_kept(d, x, now)) {
            return false;
        }
    }
    const struct lzr_flight *f =
        lzr_queue_oldest(&d->queue, (struct lzr_filter){is_of_others, d, 0});
    return f != NULL && now >= f->queued_us + WAIT_US;
}

void lzr_stalled_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    bool late = stalls(d, w, now);
    if (!late && !is_kept(d, w, now)) {
        return;
    }
    const struct lzr_flight *f = w->jobs[0].flight;
    struct lzr_array_stats *as = &d->array_stats[f->array->id];
    as->stalled_us = now;
    if (!late || !others_wait(d, now) || may_have_answered(w)) {
        return;
    }
    lzr_log(d->log, LZR_LOG_WARN,
            "worker %u is ended: the source %s/%s (chunk %llu) hasn't answered for %.1f s, and "
            "keeps all workers from what else is asked for; it is read again",
            w->number, f->array->store->name, f->array->path, (unsigned long long)f->index,
            (double)run_us(w, now) / 1e6);
    if (d->nworkers < 2) {
        as->stalled_turns += as->stalled_turns < TURNS;
        as->stalled_until_us = now + run_us(w, now);
    }
    d->stats.worker_kills_total++;
    w->killed = LZR_KILLED_STALLED;
    lzr_worker_kill(d, w);
}
