#include "store/cost.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Levels of arrays that are visited in all, for all images of a store. */
#define MOST_VISITS 2000000

/* One level of an array, and what of it is wanted for the chunk that is looked at. */
struct node {
    const struct lzr_array *array;
    uint32_t level;
    bool wanted;
    uint64_t start[LZR_MAX_RANK], stop[LZR_MAX_RANK]; /* voxels */
};

struct search {
    const struct lzr_store *store;
    struct node *nodes;   /* of all levels of all arrays */
    size_t *first;        /* of an array: its level 0 */
    struct node **wanted; /* all that the image is made of; sorted once they are known */
    size_t nwanted, visits;
    bool listing; /* they are being found out, their boxes don't matter yet */
};

static struct node *node_of(struct search *s, const struct lzr_array *a, uint32_t level)
{
    return &s->nodes[s->first[a->local_id] + level];
}

static void want(struct search *s, struct node *n, const uint64_t start[], const uint64_t stop[])
{
    const struct lzr_grid *g = &n->array->levels[n->level].grid;
    for (unsigned i = 0; i < g->rank; i++) {
        /* Whole chunks, and within the array. */
        uint64_t low = start[i] - start[i] % g->chunks[i], rest = stop[i] % g->chunks[i];
        uint64_t high = rest > 0 ? stop[i] - rest + g->chunks[i] : stop[i];
        high = high < g->shape[i] ? high : g->shape[i];
        n->start[i] = n->wanted && n->start[i] < low ? n->start[i] : low;
        n->stop[i] = n->wanted && n->stop[i] > high ? n->stop[i] : high;
    }
    if (!n->wanted && s->listing) {
        s->wanted[s->nwanted++] = n;
    }
    n->wanted = true;
}

static void want_below(struct search *s, const struct node *n)
{
    uint64_t step[LZR_MAX_RANK], start[LZR_MAX_RANK], stop[LZR_MAX_RANK];
    const struct lzr_grid *below = &n->array->levels[n->level - 1].grid;
    lzr_level_step(n->array, n->level, step);
    for (unsigned i = 0; i < below->rank; i++) {
        start[i] = n->start[i] * step[i];
        stop[i] = n->stop[i] * step[i] < below->shape[i] ? n->stop[i] * step[i] : below->shape[i];
    }
    want(s, node_of(s, n->array, n->level - 1), start, stop);
}

static void want_input(struct search *s, const struct node *n, const struct lzr_input *in)
{
    uint64_t start[LZR_MAX_RANK], stop[LZR_MAX_RANK];
    uint32_t level = in->levels[n->level];
    const struct lzr_grid *g = &in->array->levels[level].grid;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t low = in->axis[i] >= 0 ? n->start[in->axis[i]] : in->fixed[n->level][i][0];
        uint64_t high = in->axis[i] >= 0 ? n->stop[in->axis[i]] : in->fixed[n->level][i][1];
        bool outside = low < in->lower[i] || high + in->upper[i] > g->shape[i];
        bool all = outside && in->boundary == LZR_BOUND_WRAP; /* the other end, too */
        start[i] = all || low < in->lower[i] ? 0 : low - in->lower[i];
        stop[i] = all || high + in->upper[i] > g->shape[i] ? g->shape[i] : high + in->upper[i];
    }
    want(s, node_of(s, in->array, level), start, stop);
}

/* Inputs stand before what reads them (order), finer levels before coarser ones: going down, a
 * node comes when all that wants it has been seen. */
static int compare(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->array != y->array) {
        return x->array->order < y->array->order ? 1 : -1;
    }
    return x->level < y->level ? 1 : x->level > y->level ? -1 : 0;
}

/* All levels of arrays that the coarsest one is made of, as a list. */
static void reach(struct search *s, const struct lzr_array *root)
{
    static const uint64_t NOTHING[LZR_MAX_RANK];
    s->nwanted = 0;
    s->listing = true;
    want(s, node_of(s, root, root->nlevels - 1), NOTHING, NOTHING);
    for (size_t i = 0; i < s->nwanted; i++) {
        const struct node *n = s->wanted[i];
        s->visits++;
        if (lzr_level_reduced(n->array, n->level)) {
            want(s, node_of(s, n->array, n->level - 1), NOTHING, NOTHING);
            continue;
        }
        for (unsigned k = 0; k < n->array->ninputs; k++) {
            const struct lzr_input *in = &n->array->inputs[k];
            s->visits++;
            want(s, node_of(s, in->array, in->levels[n->level]), NOTHING, NOTHING);
        }
    }
    s->listing = false;
    qsort(s->wanted, s->nwanted, sizeof(struct node *), compare);
    for (size_t i = 0; i < s->nwanted; i++) {
        s->wanted[i]->wanted = false;
    }
}

static uint64_t blocks_of(const struct node *n)
{
    const struct lzr_grid *g = &n->array->levels[n->level].grid;
    uint64_t blocks = 1;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t first = n->start[i] / g->chunks[i];
        blocks *= n->stop[i] > n->start[i] ? (n->stop[i] - 1) / g->chunks[i] + 1 - first : 0;
    }
    return blocks;
}

static struct lzr_cost cost_of(struct search *s, const struct lzr_array *a)
{
    struct lzr_cost cost = {.array = a, .most = a};
    const struct lzr_grid *g = &a->levels[a->nlevels - 1].grid;
    uint64_t start[LZR_MAX_RANK], stop[LZR_MAX_RANK], most = 0;
    reach(s, a);
    for (unsigned i = 0; i < g->rank; i++) {
        start[i] = (g->counts[i] - 1) / 2 * g->chunks[i]; /* a chunk in the middle */
        stop[i] = start[i] + g->chunks[i] < g->shape[i] ? start[i] + g->chunks[i] : g->shape[i];
    }
    want(s, node_of(s, a, a->nlevels - 1), start, stop);
    for (size_t i = 0; i < s->nwanted; i++) {
        const struct node *node = s->wanted[i];
        if (lzr_level_reduced(node->array, node->level)) {
            want_below(s, node);
        } else {
            uint64_t blocks = blocks_of(node);
            cost.blocks += blocks;
            if (blocks > most) {
                most = blocks;
                cost.most = node->array;
            }
            for (unsigned k = 0; k < node->array->ninputs; k++) {
                want_input(s, node, &node->array->inputs[k]);
            }
        }
    }
    for (size_t i = 0; i < s->nwanted; i++) {
        s->wanted[i]->wanted = false;
    }
    return cost;
}

static bool empty(const struct lzr_array *a)
{
    return a->levels[a->nlevels - 1].grid.total == 0;
}

enum lzr_code lzr_cost_check(const struct lzr_store *store, uint64_t limit,
                             void (*said)(void *ctx, const struct lzr_cost *c), void *ctx,
                             struct lzr_err *err)
{
    struct search s = {.store = store};
    size_t total = 0;
    for (size_t i = 0; i < store->narrays; i++) {
        total += store->arrays[i].nlevels;
    }
    s.nodes = lzr_calloc(total + 1, sizeof *s.nodes);
    s.wanted = lzr_calloc(total + 1, sizeof(struct node *));
    s.first = lzr_calloc(store->narrays + 1, sizeof *s.first);
    enum lzr_code code = LZR_OK;
    if (s.nodes == NULL || s.wanted == NULL || s.first == NULL) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory to look at the costs of levels");
    }
    total = 0;
    for (size_t i = 0; code == LZR_OK && i < store->narrays; i++) {
        const struct lzr_array *a = &store->arrays[i];
        s.first[i] = total;
        for (uint32_t k = 0; k < a->nlevels; k++) {
            s.nodes[total].array = a;
            s.nodes[total++].level = k;
        }
    }
    for (size_t i = 0; code == LZR_OK && i < store->narrays && s.visits < MOST_VISITS; i++) {
        const struct lzr_array *a = &store->arrays[i];
        if (a->nlevels < 2 || empty(a)) {
            continue;
        }
        struct lzr_cost cost = cost_of(&s, a);
        if (cost.blocks > limit) {
            said(ctx, &cost);
        }
    }
    lzr_free(s.nodes);
    lzr_free(s.wanted);
    lzr_free(s.first);
    return code;
}
