#include "engine/band.h"

#include "engine/engine.h"
#include "engine/needs.h"

/* Chunks first .. last on the last axis. */
struct span {
    uint64_t first, last;
};

/* The coarsest chunk that a flight is made for, by way of levels of the same array. */
static const struct lzr_flight *made_for(const struct lzr_flight *f)
{
    for (;;) {
        const struct lzr_flight *above = NULL;
        for (const struct lzr_request *r = f->waiters; r != NULL && above == NULL; r = r->next) {
            const struct lzr_need *need = r->done == NULL ? r->ctx : NULL;
            if (need != NULL && need->of->array == f->array && need->of->level > f->level &&
                need->of->encoding == LZR_ENC_ZARR) {
                above = need->of;
            }
        }
        if (above == NULL) {
            return f;
        }
        f = above;
    }
}

/* The chunks of f's level that the coarsest one will ask for; f's own if that is f itself. */
static struct span asked_for(const struct lzr_flight *f, uint64_t own)
{
    const struct lzr_flight *top = made_for(f);
    const struct lzr_level *coarse = &f->array->levels[top->level];
    const struct lzr_level *fine = &f->array->levels[f->level];
    unsigned last = fine->grid.rank - 1;
    uint64_t pos[LZR_MAX_RANK], step = coarse->factor[last] / fine->factor[last];
    if (top == f) {
        return (struct span){own, own};
    }
    lzr_grid_position(&coarse->grid, top->index, pos);
    uint64_t start = pos[last] * coarse->grid.chunks[last] * step;
    uint64_t stop = start + coarse->grid.chunks[last] * step;
    return (struct span){start / fine->grid.chunks[last], (stop - 1) / fine->grid.chunks[last]};
}

static bool claimed(const struct lzr_driver *d, const struct lzr_chunk *c)
{
    for (unsigned i = 0; i < LZR_BANDS; i++) {
        const struct lzr_band *b = &d->bands[i];
        if (b->array == c->array && b->level == c->level && c->index >= b->first &&
            c->index < b->first + b->n) {
            return true;
        }
    }
    return false;
}

/* Whether a neighbour, at position `at` of the last axis, is to be made as well. */
static bool wanted(struct lzr_driver *d, const struct lzr_chunk *c, uint64_t at, struct span asked)
{
    struct lzr_cache_key k = lzr_cache_key_of(c);
    const struct lzr_flight *g = lzr_flights_find(&d->flights, c);
    if (claimed(d, c)) {
        return false;
    }
    if (g != NULL) {
        return g->state == LZR_MAKING && g->started_us == 0;
    }
    if (at < asked.first || at > asked.last) {
        return false;
    }
    struct lzr_blob *b = lzr_cache_get(d->cache, &k, false);
    bool there = b != NULL;
    lzr_blob_unref(&b);
    return !there;
}

/* Rows of the file run along the last axis, and what is read along can be kept until it is asked
 * for. */
static bool pays(const struct lzr_driver *d, const struct lzr_flight *f)
{
    const struct lzr_array *a = f->array;
    const struct lzr_grid *g = &a->levels[f->level].grid;
    const struct lzr_data *data = a->levels[f->level - 1].data;
    uint64_t bytes = g->chunk_elements * a->dtype.size * LZR_BAND_CHUNKS;
    return d->keep && data->file != NULL && data->strides[g->rank - 1] == a->dtype.size &&
           bytes <= d->budget.limit / 32;
}

struct lzr_band lzr_band_claim(struct lzr_driver *d, const struct lzr_flight *f)
{
    const struct lzr_grid *g = &f->array->levels[f->level].grid;
    struct lzr_band band = {.array = f->array, .level = f->level, .n = 1, .first = f->index};
    uint64_t pos[LZR_MAX_RANK];
    if (!pays(d, f)) {
        return band;
    }
    lzr_grid_position(g, f->index, pos);
    uint64_t own = pos[g->rank - 1], group = own - own % LZR_BAND_CHUNKS, low = own, high = own;
    struct lzr_chunk c = {f->array, f->level, LZR_ENC_ZARR, f->index};
    pthread_mutex_lock(&d->mu);
    const struct lzr_flight *own_flight = lzr_flights_find(&d->flights, &c); /* f may be a copy */
    unsigned place = 0;
    while (place < LZR_BANDS && d->bands[place].array != NULL) {
        place++;
    }
    if (place < LZR_BANDS && own_flight != NULL && !claimed(d, &c)) {
        struct span asked = asked_for(own_flight, own);
        for (; low > group; low--) {
            c.index = f->index - (own - low) - 1;
            if (!wanted(d, &c, low - 1, asked)) {
                break;
            }
        }
        for (; high + 1 < g->counts[g->rank - 1] && high + 1 < group + LZR_BAND_CHUNKS; high++) {
            c.index = f->index + (high + 1 - own);
            if (!wanted(d, &c, high + 1, asked)) {
                break;
            }
        }
        band.first = f->index - (own - low);
        band.n = (unsigned)(high - low + 1);
        d->bands[place] = band;
    }
    pthread_mutex_unlock(&d->mu);
    return band;
}

void lzr_band_release(struct lzr_driver *d, const struct lzr_band *b)
{
    pthread_mutex_lock(&d->mu);
    for (unsigned i = 0; i < LZR_BANDS; i++) {
        struct lzr_band *mine = &d->bands[i];
        if (mine->array == b->array && mine->level == b->level && mine->first == b->first &&
            mine->n == b->n) {
            mine->array = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&d->mu);
}
