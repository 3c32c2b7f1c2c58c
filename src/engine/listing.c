#include "engine/listing.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "store/codec.h"

/* A mean of fewer chunks than these says little of the others. */
enum { MEASURED = 8 };

uint64_t lzr_chunk_estimate(const struct lzr_driver *d, const struct lzr_array *a, uint32_t level)
{
    const struct lzr_array_stats *s = &d->array_stats[a->id];
    uint64_t raw = a->levels[level].grid.chunk_elements * a->dtype.size;
    uint64_t worst = lzr_blob_charge(lzr_codec_bound(&a->codec, (size_t)raw));
    if (s->encoded < MEASURED) {
        return worst;
    }
    /* A quarter more, as chunks differ. */
    uint64_t mean = s->encoded_bytes / s->encoded;
    uint64_t measured = lzr_blob_charge((size_t)(mean + mean / 4));
    return measured < worst ? measured : worst;
}

static struct lzr_plan_item item_of(const struct lzr_array *a, uint32_t level, uint64_t index)
{
    return (struct lzr_plan_item){index, a->id * LZR_MAX_LEVELS + level};
}

struct lzr_chunk lzr_listing_chunk(const struct lzr_driver *d, struct lzr_plan_item item)
{
    return (struct lzr_chunk){lzr_catalog_array(d->catalog, item.kind / LZR_MAX_LEVELS),
                              item.kind % LZR_MAX_LEVELS, LZR_ENC_ZARR, item.index};
}

/* False: no memory. */
static bool hold(struct lzr_listing *l, struct lzr_listing_hold h)
{
    if (l->nholds == l->holds_room) {
        uint32_t room = l->holds_room == 0 ? 32 : 2 * l->holds_room;
        struct lzr_listing_hold *more = lzr_realloc(l->holds, room * sizeof *more);
        if (more == NULL) {
            l->nomem = true;
            return false;
        }
        l->holds = more;
        l->holds_room = room;
    }
    if (h.wanted != NULL) {
        h.wanted->readers++;
        h.wanted->plans++;
        h.wanted->block->refs++;
    }
    l->holds[l->nholds++] = h;
    return true;
}

/* One that is made: its needs are read, or are being read. */
static bool is_launched(const struct lzr_flight *f)
{
    return f->state != LZR_QUEUED && !(f->state == LZR_GATHERING && f->needs == NULL);
}

/* With mu. */
static enum lzr_plan_found look_locked(struct lzr_listing *l, uint32_t node, struct lzr_chunk c,
                                       uint64_t *bytes)
{
    struct lzr_driver *d = l->d;
    struct lzr_wanted *w = lzr_wanted_find(d, &c);
    if (w != NULL) {
        if (!hold(l, (struct lzr_listing_hold){.node = node, .wanted = w})) {
            return LZR_PLAN_STOP;
        }
        l->shares = l->plan.beside = true;
        return w->blob != NULL || w->issued ? LZR_PLAN_THERE : LZR_PLAN_SHARED;
    }
    struct lzr_blob *b = l->mode != LZR_PLAN_ANEW ? lzr_driver_peek(d, &c) : NULL;
    if (b != NULL) {
        if (!hold(l, (struct lzr_listing_hold){.node = node, .blob = b})) {
            lzr_blob_unref(&b);
            return LZR_PLAN_STOP;
        }
        *bytes = lzr_blob_charge(b->len);
        return LZR_PLAN_THERE;
    }
    const struct lzr_failure *fail =
        lzr_failures_recall(&d->failures, c.array->id, c.level, c.index, lzr_now_us());
    if (fail != NULL && lzr_flights_find(&d->flights, &c) == NULL) {
        d->stats.remembered_failures_total++;
        l->bad = c.array;
        l->why = lzr_why_remembered(fail);
        l->why.cause = l->why.cause != NULL ? l->why.cause : c.array;
        return LZR_PLAN_STOP;
    }
    *bytes = lzr_chunk_estimate(d, c.array, c.level);
    return LZR_PLAN_MAKE;
}

static enum lzr_plan_found look(void *ctx, uint32_t node, struct lzr_plan_item item,
                                uint64_t *bytes)
{
    struct lzr_listing *l = ctx;
    struct lzr_chunk c = lzr_listing_chunk(l->d, item);
    if (!l->locked) {
        pthread_mutex_lock(&l->d->mu);
    }
    enum lzr_plan_found found = look_locked(l, node, c, bytes);
    if (!l->locked) {
        pthread_mutex_unlock(&l->d->mu);
    }
    return found;
}

/* Whether somebody makes it already, outside of all plans: what it needs is its own business. */
static bool under_way(struct lzr_listing *l, const struct lzr_chunk *c)
{
    if (!l->locked) {
        pthread_mutex_lock(&l->d->mu);
    }
    const struct lzr_flight *f = lzr_flights_find(&l->d->flights, c);
    bool yes = f != NULL && is_launched(f);
    if (!l->locked) {
        pthread_mutex_unlock(&l->d->mu);
    }
    return yes;
}

static enum lzr_code needs(void *ctx, struct lzr_plan_item item, struct lzr_plan_item **out,
                           uint32_t *n, struct lzr_err *err)
{
    struct lzr_listing *l = ctx;
    struct lzr_chunk c = lzr_listing_chunk(l->d, item);
    const struct lzr_recipe *recipe = lzr_recipe_of(&c);
    struct lzr_needs *s = NULL;
    *out = NULL;
    *n = 0;
    if (recipe->list == NULL || under_way(l, &c)) {
        return LZR_OK;
    }
    enum lzr_code code = recipe->list(&c, &s, err);
    if (code == LZR_OK && s->n > 0) {
        *out = lzr_malloc((size_t)s->n * sizeof **out);
        code = *out != NULL ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (uint64_t i = 0; code == LZR_OK && i < s->n; i++) {
        (*out)[i] = item_of(s->items[i].array, s->items[i].level, s->items[i].index);
    }
    *n = code == LZR_OK ? (uint32_t)s->n : 0;
    lzr_needs_free(&s);
    return code;
}

struct lzr_listing *lzr_listing_new(struct lzr_driver *d, struct lzr_flight *root, uint32_t most)
{
    struct lzr_listing *l = lzr_calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    struct lzr_chunk c = {root->array, root->level, LZR_ENC_ZARR, root->index};
    struct lzr_wanted *w = lzr_wanted_find(d, &c);
    l->d = d;
    l->root = root;
    l->mode = root->plan_mode;
    l->shares = w != NULL;
    l->epoch = d->planner.epoch;
    if ((w != NULL && !hold(l, (struct lzr_listing_hold){.node = 0, .wanted = w})) ||
        lzr_plan_begin(&l->plan, item_of(root->array, root->level, root->index), w != NULL,
                       w != NULL ? 0 : lzr_chunk_estimate(d, root->array, root->level), most,
                       l->mode == LZR_PLAN_PARTS ? d->budget.limit / 4 : UINT64_MAX,
                       d->budget.limit, NULL) != LZR_OK) {
        lzr_listing_free(&l);
    }
    return l;
}

enum lzr_plan_state lzr_listing_go(struct lzr_listing *l, bool locked, uint32_t expansions,
                                   struct lzr_err *err)
{
    const struct lzr_plan_world world = {l, look, needs};
    l->locked = locked;
    enum lzr_plan_state state = lzr_plan_go(&l->plan, &world, expansions, err);
    if (state == LZR_PLAN_FAILED && l->nomem) {
        lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    uint64_t now = lzr_plan_memory(&l->plan) + l->holds_room * sizeof *l->holds;
    if (now > l->charged) {
        (void)lzr_make_room(l->d, now - l->charged);
    }
    lzr_budget_add(&l->d->budget, now);
    lzr_budget_sub(&l->d->budget, l->charged);
    l->charged = now;
    return state;
}

void lzr_listing_free(struct lzr_listing **lp)
{
    struct lzr_listing *l = *lp;
    *lp = NULL;
    for (uint32_t i = 0; i < l->nholds; i++) {
        struct lzr_wanted *w = l->holds[i].wanted;
        lzr_blob_unref(&l->holds[i].blob);
        if (w != NULL) {
            struct lzr_wanted_block *b = w->block;
            if (--w->plans == 0) {
                lzr_wanted_forget(l->d, w, NULL);
            }
            lzr_wanted_read(l->d, w);
            lzr_wanted_block_unref(l->d, &b);
        }
    }
    lzr_budget_sub(&l->d->budget, l->charged);
    lzr_plan_release(&l->plan);
    lzr_free(l->holds);
    lzr_free(l->why.path);
    lzr_free(l->why.text);
    lzr_free(l);
}
