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
    return d->homes != NULL ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory for slots");
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
        if (idle(other) && (is_home(h, i) || (other->nhomes < w->nhomes && other != w))) {
            return false;
        }
    }
    return true;
}

bool lzr_home_free(const struct lzr_driver *d, const struct lzr_flight *f)
{
    const struct lzr_array *a = f->array;
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

void lzr_home_settle(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_flight *f)
{
    struct lzr_home *h = d->homes != NULL ? &d->homes[f->array->id] : NULL;
    if (f->array->slots > 0 && !is_home(h, w->number)) {
        h->workers[w->number / 64] |= UINT64_C(1) << w->number % 64;
        h->n++;
        w->nhomes++;
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
