#include "engine/homes.h"

#include "base/mem.h"
#include "engine/engine.h"

enum lzr_code lzr_homes_init(struct lzr_driver *d, struct lzr_err *err)
{
    size_t n = lzr_catalog_narrays(d->catalog);
    bool wanted = false;
    for (size_t i = 0; i < n; i++) {
        wanted = wanted || lzr_catalog_array(d->catalog, i)->slots > 0;
    }
    if (!wanted) {
        return LZR_OK;
    }
    d->homes = lzr_calloc(n, sizeof *d->homes);
    if (d->homes == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for slots");
    }
    unsigned bit = 0;
    for (size_t i = 0; i < n; i++) {
        const struct lzr_array *a = lzr_catalog_array(d->catalog, i);
        d->homes[a->id].own = a->slots > 0 ? UINT64_C(1) << bit++ % 64 : 0;
    }
    /* Inputs may come after what is made of them: again until nothing is new. */
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < n; i++) {
            const struct lzr_array *a = lzr_catalog_array(d->catalog, i);
            struct lzr_home *h = &d->homes[a->id];
            uint64_t above = h->own;
            for (unsigned j = 0; j < a->ninputs; j++) {
                above |= d->homes[a->inputs[j].array->id].above;
            }
            more = more || above != h->above;
            h->above = above;
        }
    }
    return LZR_OK;
}

static bool is_home(const struct lzr_home *h, unsigned worker)
{
    return (h->workers[worker / 64] >> worker % 64 & 1) != 0;
}

static bool idle(const struct lzr_worker *w)
{
    return w->state == LZR_WORKER_READY && w->retire == NULL && w->njobs == 0 &&
           w->next.flight == NULL && lzr_worker_free_slot(w) != NULL;
}

bool lzr_home_fits(const struct lzr_driver *d, const struct lzr_worker *w,
                   const struct lzr_flight *f)
{
    const struct lzr_array *a = f->array;
    const struct lzr_home *h = d->homes != NULL ? &d->homes[a->id] : NULL;
    if (a->slots == 0 || is_home(h, w->number)) {
        return true;
    }
    if (h->n >= a->slots) {
        return false;
    }
    /* A retry has to have a worker that has run nothing: what is better otherwise doesn't count. */
    for (unsigned i = 0; i < d->nworkers && !f->needs_fresh; i++) {
        const struct lzr_worker *other = &d->workers[i];
        if (other->folder == w->folder && idle(other) &&
            (is_home(h, i) || (other->nhomes < w->nhomes && other != w))) {
            return false;
        }
    }
    return true;
}

static bool any_free(const struct lzr_driver *d, const struct lzr_array *a)
{
    const struct lzr_home *h = d->homes != NULL ? &d->homes[a->id] : NULL;
    if (a->slots == 0 || h->n < a->slots) {
        return true;
    }
    for (unsigned i = 0; i < d->nworkers; i++) {
        if (is_home(h, i) && idle(&d->workers[i])) {
            return true;
        }
    }
    return false;
}

bool lzr_home_free(const struct lzr_driver *d, const struct lzr_flight *f)
{
    return any_free(d, f->array);
}

uint64_t lzr_homes_busy(const struct lzr_driver *d)
{
    uint64_t busy = 0;
    size_t n = d->homes != NULL ? lzr_catalog_narrays(d->catalog) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct lzr_array *a = lzr_catalog_array(d->catalog, i);
        busy |= any_free(d, a) ? 0 : d->homes[a->id].own;
    }
    return busy;
}

bool lzr_home_waits(const struct lzr_driver *d, const struct lzr_array *a)
{
    return d->blocked != 0 && (d->homes[a->id].above & d->blocked) != 0;
}

void lzr_home_settle(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_flight *f)
{
    struct lzr_home *h = d->homes != NULL ? &d->homes[f->array->id] : NULL;
    if (f->array->slots > 0 && !is_home(h, w->number)) {
        h->workers[w->number / 64] |= UINT64_C(1) << w->number % 64;
        h->n++;
        w->nhomes++;
        /* The last slot: a retry that waits for a worker that has run nothing has no other now. */
        for (struct lzr_flight *r = h->n == f->array->slots ? d->queue.urgent.head : NULL;
             r != NULL; r = r->next) {
            if (r->array == f->array && r->needs_fresh) {
                r->fresh_until_us = 0;
            }
        }
    }
}

void lzr_homes_leave(struct lzr_driver *d, struct lzr_worker *w)
{
    size_t n = w->nhomes > 0 ? lzr_catalog_narrays(d->catalog) : 0;
    for (size_t i = 0; i < n; i++) {
        struct lzr_home *h = &d->homes[i];
        if (is_home(h, w->number)) {
            h->workers[w->number / 64] &= ~(UINT64_C(1) << w->number % 64);
            h->n--;
        }
    }
    w->nhomes = 0;
}
