/* A worker's next job: its inputs are put into the slot by a codec thread while another one runs.
 */
#include <string.h>

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

void lzr_prepare_again(struct lzr_driver *d, struct lzr_flight *f)
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
        lzr_prepare_again(d, p.flight);
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

/* Puts the inputs into the slot; where they had been put into another one, out of that. */
static enum lzr_code fill(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_slot *slot,
                          struct lzr_err *err)
{
    if (f->filled == NULL) {
        return lzr_inputs_fill(d, f, slot, err);
    }
    memcpy(slot->inputs, f->filled->inputs, (size_t)lzr_inputs_layout(f, NULL));
    return LZR_OK;
}

/* No worker waits for what was put into the slot: it is kept for the next one. */
static void keep(struct lzr_flight *f, struct lzr_slot **slot)
{
    if (f->filled == NULL) {
        f->filled = *slot;
        *slot = NULL;
    }
}

void lzr_prepare_run(struct lzr_driver *d, struct lzr_flight *f, struct lzr_reading *r)
{
    struct lzr_request *list = NULL;
    struct lzr_err err = {.code = LZR_OK};
    uint64_t t0 = lzr_now_us();
    struct lzr_slot *slot = f->slot, *from = NULL;
    f->slot = NULL;
    if (r != NULL) {
        lzr_reading_begin(d, r, f, slot);
    }
    pthread_mutex_unlock(&d->mu);
    /* Nobody frees the flight before this has put it somewhere; its needs and the reference to the
     * slot are ours. Only one that is given up in a read goes, so such a task sees its own copy. */
    enum lzr_code code = fill(d, r != NULL ? &r->view : f, slot, &err);
    if (r != NULL && lzr_pulse_over(&r->pulse)) {
        lzr_reading_lost(d, r);
        return;
    }
    uint64_t us = lzr_now_us() - t0;
    pthread_mutex_lock(&d->mu);
    if (r != NULL) {
        lzr_reading_end(d, r);
    }
    struct lzr_worker *w = worker_of(d, f);
    f->inputs_us += us;
    d->stats.gathered_total++;
    d->stats.gather_us_total += us;
    if (w != NULL && code == LZR_OK && !lzr_flight_unwanted(f, lzr_now_us())) {
        w->next.ready = true;
        from = f->filled;
        f->filled = NULL;
    } else {
        if (w != NULL) {
            w->next = (struct lzr_prepared){0};
            slot->busy = false;
        }
        lzr_prepare_again(d, f);
        if (code == LZR_E_BUSY) { /* a file that doesn't answer */
            lzr_needs_fail_with(d, f, code, err.msg, &list);
        } else if (code != LZR_OK) {
            lzr_log_as(d->log, LZR_LOG_ERROR, lzr_failing(d, f), "%s/%s: chunk %llu: %s",
                       f->array->store->name, f->array->path, (unsigned long long)f->index,
                       err.msg);
            lzr_flight_fail(d, f, code, err.msg, &list);
        } else if (lzr_flight_unwanted(f, lzr_now_us())) {
            lzr_flight_abandon(d, f);
        } else if (r != NULL) {
            keep(f, &slot);
        }
    }
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    lzr_slot_unref(&slot);
    lzr_slot_unref(&from);
}
