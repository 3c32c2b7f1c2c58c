#include "engine/plan.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { FIRST_NODES = 32 };
enum { UNSEEN, OPEN, DONE };

#define STEP_MOST UINT16_MAX

/* A node whose needs are being listed. */
struct lzr_plan_frame {
    uint32_t node, n, at;
    uint32_t *needs;
};

static uint32_t slot_of(const struct lzr_plan *p, struct lzr_plan_item item)
{
    uint64_t key[2] = {item.kind, item.index};
    uint32_t at = (uint32_t)lzr_hash64(key, sizeof key, 0) & (p->ntable - 1);
    for (; p->table[at] != 0; at = (at + 1) & (p->ntable - 1)) {
        const struct lzr_plan_node *n = &p->nodes[p->table[at] - 1];
        if (n->item.index == item.index && n->item.kind == item.kind) {
            break;
        }
    }
    return at;
}

/* Doubles the room for nodes, and the table with it: that is at most half full. */
static enum lzr_code grow(struct lzr_plan *p, struct lzr_err *err)
{
    uint32_t room = p->room == 0 ? FIRST_NODES : 2 * p->room;
    struct lzr_plan_node *nodes = lzr_realloc(p->nodes, room * sizeof *nodes);
    if (nodes == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    p->nodes = nodes;
    uint32_t *table = lzr_calloc(2 * (size_t)room, sizeof *table);
    if (table == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    lzr_free(p->table);
    p->table = table;
    p->ntable = 2 * room;
    p->room = room;
    for (uint32_t i = 0; i < p->n; i++) {
        p->table[slot_of(p, p->nodes[i].item)] = i + 1;
    }
    return LZR_OK;
}

static enum lzr_code add_node(struct lzr_plan *p, struct lzr_plan_item item, uint32_t *out,
                              struct lzr_err *err)
{
    if (p->n == p->room && grow(p, err) != LZR_OK) {
        return LZR_E_NOMEM;
    }
    *out = p->n;
    p->table[slot_of(p, item)] = p->n + 1;
    p->nodes[p->n++] = (struct lzr_plan_node){.item = item, .step = 1, .last_step = 1};
    return LZR_OK;
}

enum lzr_code lzr_plan_begin(struct lzr_plan *p, struct lzr_plan_item root, bool shared,
                             uint64_t bytes, uint32_t most, uint64_t there_most, uint64_t limit,
                             struct lzr_err *err)
{
    uint32_t node;
    *p = (struct lzr_plan){.most = most, .there_most = there_most, .limit = limit};
    enum lzr_code code = add_node(p, root, &node, err);
    if (code == LZR_OK) {
        p->nodes[node].bytes = bytes;
        p->nodes[node].found = shared ? LZR_PLAN_SHARED : LZR_PLAN_MAKE;
        p->nodes[node].kept = true;
    }
    return code;
}

/* The node of a chunk that is needed, a new one where it wasn't met before. */
static enum lzr_code meet(struct lzr_plan *p, const struct lzr_plan_world *w,
                          struct lzr_plan_item item, uint32_t *out, struct lzr_err *err)
{
    uint32_t known = p->table[slot_of(p, item)];
    if (known != 0) {
        *out = known - 1;
        return LZR_OK;
    }
    enum lzr_code code = add_node(p, item, out, err);
    if (code != LZR_OK) {
        return code;
    }
    uint64_t bytes = 0;
    enum lzr_plan_found found = w->look(w->ctx, *out, item, &bytes);
    struct lzr_plan_node *n = &p->nodes[*out];
    n->found = (uint8_t)found;
    n->bytes = bytes;
    if (found == LZR_PLAN_THERE) {
        n->state = DONE;
        n->step = n->last_step = 0;
        p->there += bytes;
    }
    return found == LZR_PLAN_STOP ? lzr_err_set(err, LZR_E_CANCELLED, "stopped") : LZR_OK;
}

static enum lzr_code open_node(struct lzr_plan *p, const struct lzr_plan_world *w, uint32_t node,
                               struct lzr_err *err)
{
    if (p->nframes == p->frames_room) {
        uint32_t room = p->frames_room == 0 ? 16 : 2 * p->frames_room;
        struct lzr_plan_frame *more = lzr_realloc(p->frames, room * sizeof *more);
        if (more == NULL) {
            return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
        }
        p->frames = more;
        p->frames_room = room;
    }
    struct lzr_plan_item *items = NULL;
    struct lzr_plan_frame f = {.node = node};
    p->nodes[node].state = OPEN;
    enum lzr_code code = w->needs(w->ctx, p->nodes[node].item, &items, &f.n, err);
    if (code == LZR_OK && f.n > 0) {
        f.needs = lzr_malloc(f.n * sizeof *f.needs);
        code = f.needs != NULL ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; code == LZR_OK && i < f.n; i++) {
        code = meet(p, w, items[i], &f.needs[i], err);
    }
    lzr_free(items);
    if (code != LZR_OK) {
        lzr_free(f.needs);
        return code;
    }
    p->frames[p->nframes++] = f;
    return LZR_OK;
}

/* All needs of the top are listed: it is the next one to be made. */
static enum lzr_code close_top(struct lzr_plan *p, struct lzr_err *err)
{
    struct lzr_plan_frame *f = &p->frames[p->nframes - 1];
    struct lzr_plan_node *n = &p->nodes[f->node];
    for (uint32_t i = 0; i < f->n; i++) {
        const struct lzr_plan_node *need = &p->nodes[f->needs[i]];
        n->step = need->step >= n->step && need->step < STEP_MOST ? (uint16_t)(need->step + 1)
                                                                  : n->step;
    }
    n->last_step = n->step;
    if ((p->norder & (p->norder - 1)) == 0) {
        uint32_t *more = lzr_realloc(p->order, 2 * (p->norder + (size_t)1) * sizeof *more);
        if (more == NULL) {
            return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
        }
        p->order = more;
    }
    n->last = p->norder;
    for (uint32_t i = 0; i < f->n; i++) {
        struct lzr_plan_node *need = &p->nodes[f->needs[i]];
        need->readers += n->found != LZR_PLAN_SHARED;
        need->shared += n->found == LZR_PLAN_SHARED;
        p->readers += n->found != LZR_PLAN_SHARED;
        need->last = p->norder;
        need->last_step = n->step > need->last_step ? n->step : need->last_step;
    }
    p->order[p->norder++] = f->node;
    n->state = DONE;
    lzr_free(f->needs);
    p->nframes--;
    return LZR_OK;
}

/* What is open is left out; what it reads of the others stays to the end. */
static void cut(struct lzr_plan *p)
{
    p->part = true;
    p->nodes[0].kept = false;
    for (uint32_t i = 0; i < p->nframes; i++) {
        for (uint32_t k = 0; k < p->frames[i].n; k++) {
            struct lzr_plan_node *need = &p->nodes[p->frames[i].needs[k]];
            need->kept = need->kept || need->state == DONE;
        }
    }
}

/* The most that is held at a time when nodes are made depth first. from: zeroed, norder + 2. */
static uint64_t held_depth_first(const struct lzr_plan *p, int64_t at[])
{
    for (uint32_t i = 0; i < p->norder; i++) {
        const struct lzr_plan_node *n = &p->nodes[p->order[i]];
        at[i] += (int64_t)n->bytes;
        at[n->kept ? p->norder : n->last + 1] -= (int64_t)n->bytes;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        const struct lzr_plan_node *n = &p->nodes[i];
        if (n->found == LZR_PLAN_THERE) {
            at[0] += (int64_t)n->bytes;
            at[n->kept ? p->norder : n->last + 1] -= (int64_t)n->bytes;
        }
    }
    int64_t now = 0, most = 0;
    for (uint32_t i = 0; i < p->norder; i++) {
        now += at[i];
        most = now > most ? now : most;
    }
    return (uint64_t)most;
}

/* ... step by step. at: zeroed, steps + 2. */
static uint64_t held_by_steps(struct lzr_plan *p, uint32_t steps, int64_t at[])
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct lzr_plan_node *n = &p->nodes[i];
        if (n->state == DONE) {
            at[n->step] += (int64_t)n->bytes;
            at[n->kept ? steps + 1 : n->last_step + 1U] -= (int64_t)n->bytes;
        }
    }
    int64_t now = 0, most = 0;
    for (uint32_t i = 0; i <= steps; i++) {
        uint64_t *live = &p->live[i < LZR_PLAN_STEPS ? i : LZR_PLAN_STEPS - 1];
        now += at[i];
        most = now > most ? now : most;
        *live = (uint64_t)now > *live ? (uint64_t)now : *live;
    }
    return (uint64_t)most;
}

/* Sorts the order by step; of a step it stays depth first. first: zeroed, steps + 2. */
static enum lzr_code sort_by_step(struct lzr_plan *p, uint32_t steps, struct lzr_err *err)
{
    uint32_t *sorted = lzr_malloc((p->norder + (size_t)1) * sizeof *sorted);
    uint32_t *first = lzr_calloc(steps + (size_t)2, sizeof *first);
    if (sorted != NULL && first != NULL) {
        for (uint32_t i = 0; i < p->norder; i++) {
            first[p->nodes[p->order[i]].step + 1]++;
        }
        for (uint32_t s = 1; s <= steps; s++) {
            first[s + 1] += first[s];
        }
        for (uint32_t i = 0; i < p->norder; i++) {
            sorted[first[p->nodes[p->order[i]].step]++] = p->order[i];
        }
        lzr_free(p->order);
        p->order = sorted;
        sorted = NULL;
        p->by_steps = true;
    }
    enum lzr_code code =
        p->by_steps ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    lzr_free(sorted);
    lzr_free(first);
    return code;
}

/* All is listed: what only that needed goes. */
static void trim(struct lzr_plan *p)
{
    for (uint32_t i = 0; i < p->nframes; i++) {
        lzr_free(p->frames[i].needs);
    }
    lzr_free(p->frames);
    lzr_free(p->table);
    p->frames = NULL;
    p->table = NULL;
    p->nframes = p->frames_room = p->ntable = 0;
    struct lzr_plan_node *nodes = lzr_realloc(p->nodes, p->n * sizeof *nodes);
    p->nodes = nodes != NULL ? nodes : p->nodes;
    p->room = nodes != NULL ? p->n : p->room;
}

/* Measures both orders and takes one. */
static enum lzr_code choose(struct lzr_plan *p, struct lzr_err *err)
{
    uint32_t steps = 0;
    for (uint32_t i = 0; i < p->norder; i++) {
        uint32_t step = p->nodes[p->order[i]].step;
        steps = step > steps ? step : steps;
    }
    size_t room = (p->norder > steps ? p->norder : steps) + (size_t)2;
    int64_t *at = lzr_calloc(room, sizeof *at);
    if (at == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    p->bytes = held_depth_first(p, at);
    uint64_t by_steps = UINT64_MAX;
    if (!p->part && steps < STEP_MOST) {
        memset(at, 0, room * sizeof *at);
        by_steps = held_by_steps(p, steps, at);
    }
    lzr_free(at);
    uint64_t most = p->beside ? UINT64_MAX : p->bytes + p->bytes / 2;
    uint64_t enough = most < p->limit ? most : p->limit;
    if (by_steps > (enough > p->bytes ? enough : p->bytes)) {
        return LZR_OK;
    }
    p->bytes = by_steps;
    return sort_by_step(p, steps, err);
}

enum lzr_plan_state lzr_plan_go(struct lzr_plan *p, const struct lzr_plan_world *world,
                                uint32_t expansions, struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    if (p->nframes == 0 && p->norder == 0) {
        code = open_node(p, world, 0, err);
    }
    while (code == LZR_OK && p->nframes > 0) {
        struct lzr_plan_frame *f = &p->frames[p->nframes - 1];
        if (f->at == f->n) {
            code = close_top(p, err);
            continue;
        }
        uint32_t next = f->needs[f->at];
        if (p->nodes[next].state == DONE) {
            f->at++;
            continue;
        }
        if (p->nodes[next].state == OPEN) {
            code = lzr_err_set(err, LZR_E_INVAL, "a chunk is made of itself");
            continue;
        }
        /* At least one node is complete: each part gets something done. */
        if (p->norder > 0 && (p->n >= p->most || p->there > p->there_most)) {
            cut(p);
            break;
        }
        if (expansions-- == 0) {
            return LZR_PLAN_MORE;
        }
        f->at++;
        code = open_node(p, world, next, err);
    }
    if (code == LZR_OK) {
        trim(p);
        code = choose(p, err);
    }
    return code == LZR_OK ? LZR_PLAN_LISTED : LZR_PLAN_FAILED;
}

uint64_t lzr_plan_memory(const struct lzr_plan *p)
{
    return p->room * sizeof *p->nodes + p->ntable * sizeof *p->table +
           2 * (uint64_t)p->norder * sizeof *p->order + p->frames_room * sizeof *p->frames;
}

void lzr_plan_release(struct lzr_plan *p)
{
    for (uint32_t i = 0; i < p->nframes; i++) {
        lzr_free(p->frames[i].needs);
    }
    lzr_free(p->frames);
    lzr_free(p->nodes);
    lzr_free(p->table);
    lzr_free(p->order);
    *p = (struct lzr_plan){0};
}
