/* A worker's next job: its inputs are put into the slot by a codec thread while another one runs.
 */
#include "base/check.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/needs.h"

void lzr_prepare(struct lzr_driver *d, struct lzr_worker *w, struct lzr_flight *f,
                 struct lzr_slot *s)
{
    LZR_CHECK(w->next.flight == NULL);
    lzr_queue_take(&d->queue, f);
    f->state = LZR_PREPARING;
    f->slot = lzr_slot_ref(s);
    d->active++;
    s->busy = true;
    w->next = (struct lzr_prepared){.flight = f, .slot = s};
    lzr_task_add(d, f, true); /* a worker may be waiting for it */
}

/* Back to where it came from. */
static void requeue(struct lzr_driver *d, struct lzr_flight *f)
{
    d->active--;
    f->state = LZR_QUEUED;
    lzr_queue_push_front(&d->queue, f);
}

bool lzr_unprepare(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_prepared p = w->next;
    if (p.flight == NULL) {
        return false;
    }
    w->next = (struct lzr_prepared){0};
    if (p.ready) {
        p.slot->busy = false;
        requeue(d, p.flight);
    }
    return p.ready;
}

static struct lzr_worker *worker_of(struct lzr_driver *d, const struct lzr_flight *f)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        if (d->workers[i].next.flight == f) {
            return &d->workers[i];
        }
    }
    return NULL;
}

void lzr_prepare_run(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_request *list = NULL;
    struct lzr_err err = {.code = LZR_OK};
    uint64_t t0 = lzr_now_us();
    /* Nobody frees the flight before this has put it somewhere; its needs and the reference to the
     * slot are ours. */
    enum lzr_code code = lzr_inputs_fill(d, f, f->slot, &err);
    uint64_t us = lzr_now_us() - t0;
    struct lzr_slot *slot = f->slot;
    pthread_mutex_lock(&d->mu);
    struct lzr_worker *w = worker_of(d, f);
    f->slot = NULL;
    f->inputs_us += us;
    d->stats.gathered_total++;
    d->stats.gather_us_total += us;
    if (w != NULL && code == LZR_OK && !lzr_flight_unwanted(f, lzr_now_us())) {
        w->next.ready = true;
    } else {
        if (w != NULL) {
            w->next = (struct lzr_prepared){0};
            slot->busy = false;
        }
        requeue(d, f);
        if (code != LZR_OK) {
            lzr_log_as(d->log, LZR_LOG_ERROR, lzr_failing(d, f), "%s/%s: chunk %llu: %s",
                       f->array->store->name, f->array->path, (unsigned long long)f->index,
                       err.msg);
            lzr_flight_fail(d, f, code, err.msg, &list);
        } else if (lzr_flight_unwanted(f, lzr_now_us())) {
            lzr_flight_abandon(d, f);
        }
    }
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    lzr_slot_unref(&slot);
}
