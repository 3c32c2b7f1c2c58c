#include "engine/merge.h"

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/listing.h"
#include "engine/needs.h"

enum { TRIES = 4 }; /* a list that others overtook is made anew; then it is taken as it is */

/* A listing that becomes a started plan, a slice at a time. */
struct lzr_merge {
    struct lzr_started *started;
    struct lzr_wanted **of; /* by node */
    uint32_t checked, merged, held, placed;
};

/* Frees a plan that is in no list: takes back its wishes. */
void lzr_started_free(struct lzr_driver *d, struct lzr_started *p, struct lzr_flight **work)
{
    for (uint32_t i = 0; i < p->n; i++) {
        struct lzr_wanted *w = p->all[i];
        struct lzr_wanted_block *b = w->block;
        if (--w->plans == 0) {
            lzr_wanted_forget(d, w, work);
        }
        if (b != p->block) {
            lzr_wanted_block_unref(d, &b);
        }
    }
    d->planner.epoch++;
    lzr_wanted_block_unref(d, &p->block);
    lzr_free((void *)p->all);
    lzr_free(p);
}

void lzr_merge_free(struct lzr_driver *d, struct lzr_merge **mp, struct lzr_flight **work)
{
    struct lzr_merge *m = *mp;
    *mp = NULL;
    if (m != NULL) {
        if (m->started != NULL) {
            lzr_started_free(d, m->started, work);
        }
        lzr_free((void *)m->of);
        lzr_free(m);
    }
}

/* Nodes that nobody else has listed, or that have ended since. */
uint32_t lzr_merge_count(const struct lzr_listing *l)
{
    uint32_t n = l->plan.n;
    for (uint32_t i = 0; i < l->nholds; i++) {
        n -= l->holds[i].wanted != NULL && l->holds[i].wanted->in_table;
    }
    return n;
}

/* What a node becomes: NULL: nothing reads it. */
static struct lzr_wanted *merge_node(struct lzr_driver *d, struct lzr_listing *l,
                                     struct lzr_merge *m, uint32_t i)
{
    const struct lzr_plan_node *n = &l->plan.nodes[i];
    struct lzr_chunk c = lzr_listing_chunk(d, n->item);
    struct lzr_listing_hold *h = m->held < l->nholds && l->holds[m->held].node == i
                                     ? &l->holds[m->held]
                                     : NULL;
    m->held += h != NULL;
    if (n->readers + n->shared == 0 && !n->kept) {
        return NULL;
    }
    struct lzr_wanted *w = h != NULL && h->wanted != NULL && h->wanted->in_table
                               ? h->wanted
                               : lzr_wanted_find(d, &c);
    if (w == NULL) {
        w = lzr_wanted_add(d, m->started->block, &c);
        w->readers = n->shared; /* else they count already */
    }
    w->readers += n->readers + n->kept;
    w->plans++;
    if (w->block != m->started->block) {
        w->block->refs++;
    }
    if (h != NULL && h->blob != NULL && w->blob == NULL) {
        lzr_wanted_keep(d, w, h->blob); /* that was held */
        h->blob = NULL;
    }
    struct lzr_flight *f = w->flight == NULL && w->blob == NULL ? lzr_flights_find(&d->flights, &c)
                                                               : NULL;
    if (f != NULL && f->state != LZR_QUEUED && f->plan == NULL &&
        !(f->state == LZR_GATHERING && f->needs == NULL)) {
        lzr_wanted_adopt(w, f);
    }
    return w;
}

struct lzr_merge *lzr_merge_new(struct lzr_driver *d, const struct lzr_listing *l)
{
    uint32_t n = l->plan.n;
    struct lzr_merge *m = lzr_calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->started = lzr_calloc(1, sizeof *m->started);
    m->of = lzr_calloc(n, sizeof(struct lzr_wanted *));
    if (m->started != NULL) {
        m->started->all = lzr_calloc(n, sizeof(struct lzr_wanted *));
        m->started->block = lzr_wanted_block_new(d, lzr_merge_count(l));
    }
    if (m->started == NULL || m->of == NULL || m->started->all == NULL ||
        m->started->block == NULL) {
        lzr_merge_free(d, &m, NULL);
    }
    return m;
}

/* Goes on with up to `most` nodes. STALE: others have started, or ended, what this listed. */
enum lzr_merged lzr_merge_some(struct lzr_driver *d, struct lzr_listing *l, struct lzr_merge *m,
                              uint32_t most)
{
    const struct lzr_plan *p = &l->plan;
    struct lzr_started *s = m->started;
    if (m->merged == 0 && m->checked == 0 && (l->epoch == d->planner.epoch || l->tries >= TRIES)) {
        m->checked = p->n;
    }
    for (; m->checked < p->n && most > 0; m->checked++, most--) {
        const struct lzr_plan_node *n = &p->nodes[m->checked];
        struct lzr_chunk c = lzr_listing_chunk(d, n->item);
        if (n->found == LZR_PLAN_SHARED ||
            (n->found == LZR_PLAN_MAKE && lzr_wanted_find(d, &c) != NULL)) {
            return LZR_MERGE_STALE;
        }
    }
    for (; m->checked == p->n && m->merged < p->n && most > 0; m->merged++, most--) {
        if (s->block->used == s->block->room && lzr_merge_count(l) > s->block->room) {
            return LZR_MERGE_STALE; /* what is shared has ended meanwhile */
        }
        m->of[m->merged] = merge_node(d, l, m, m->merged);
        if (m->of[m->merged] != NULL) {
            s->all[s->n++] = m->of[m->merged];
        }
    }
    return m->merged == p->n ? LZR_MERGE_DONE : LZR_MERGE_MORE;
}

/* All nodes are wanted: puts them in order. */
struct lzr_started *lzr_merge_take(const struct lzr_listing *l, struct lzr_merge *m)
{
    const struct lzr_plan *p = &l->plan;
    struct lzr_started *s = m->started;
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->norder; i++) {
        struct lzr_wanted *w = m->of[p->order[i]];
        if (w != NULL) {
            s->all[at++] = w;
        }
    }
    s->nmake = at;
    for (uint32_t i = 0; i < p->n; i++) {
        if (m->of[i] != NULL && p->nodes[i].found == LZR_PLAN_THERE) {
            s->all[at++] = m->of[i];
        }
    }
    LZR_CHECK(at == s->n);
    m->started = NULL;
    return s;
}
