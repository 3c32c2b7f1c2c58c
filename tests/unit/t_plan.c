/* plan.h: graphs of any shape are listed once, in an order that holds little; what that is, is compared with
 * a simulation that makes node after node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/plan.h"

enum { KINDS = 64 };

/* A graph: node (kind, index) reads what this says. */
struct graph {
    /* Writes up to 512 needs; returns how many. */
    unsigned (*needs)(const struct graph *g, struct lzr_plan_item item, struct lzr_plan_item out[]);
    unsigned depth, fan, size; /* its own */
    uint64_t bytes;
    /* What is there already, or shared: by kind; 0: nothing. */
    uint32_t there_kind, shared_kind;
    bool stop;
    uint32_t looks, expansions;
    /* Of several requests: what plans before it have made and keep, by kind and index. */
    unsigned char *made;
    uint64_t made_size;
};

static enum lzr_plan_found look(void *ctx, uint32_t node, struct lzr_plan_item item, uint64_t *bytes)
{
    struct graph *g = ctx;
    assert_int_equal(node, ++g->looks); /* the root is 0 */
    *bytes = g->bytes;
    if (g->stop) {
        return LZR_PLAN_STOP;
    }
    if (g->made != NULL && g->made[item.kind * g->made_size + item.index]) {
        return LZR_PLAN_THERE;
    }
    if (g->shared_kind != 0 && item.kind == g->shared_kind) {
        *bytes = 0;
        return LZR_PLAN_SHARED;
    }
    return g->there_kind != 0 && item.kind == g->there_kind ? LZR_PLAN_THERE : LZR_PLAN_MAKE;
}

static enum lzr_code needs(void *ctx, struct lzr_plan_item item, struct lzr_plan_item **out,
                           uint32_t *n, struct lzr_err *err)
{
    struct graph *g = ctx;
    static struct lzr_plan_item all[4096];
    g->expansions++;
    *n = g->needs(g, item, all);
    *out = lzr_malloc((*n + 1) * sizeof **out);
    if (*out == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    memcpy(*out, all, *n * sizeof **out);
    return LZR_OK;
}

/* A chain: kind 0 reads kind 1 .. depth; each block reads `fan` to both sides in one dimension. */
static unsigned chain(const struct graph *g, struct lzr_plan_item item, struct lzr_plan_item out[])
{
    unsigned n = 0;
    if (item.kind == g->depth) {
        return 0;
    }
    int64_t low = (int64_t)item.index - g->fan, high = (int64_t)item.index + g->fan;
    for (int64_t i = low < 0 ? 0 : low; i <= high && i < g->size; i++) {
        out[n++] = (struct lzr_plan_item){(uint64_t)i, item.kind + 1};
    }
    return n;
}

/* The root reads all of a chain's end. */
static unsigned projection(const struct graph *g, struct lzr_plan_item item, struct lzr_plan_item out[])
{
    if (item.kind > 0) {
        return chain(g, item, out);
    }
    for (unsigned i = 0; i < g->size; i++) {
        out[i] = (struct lzr_plan_item){i, 1};
    }
    return g->size;
}

/* A pyramid of `depth` levels with `fan` children, over nothing. */
static unsigned tree(const struct graph *g, struct lzr_plan_item item, struct lzr_plan_item out[])
{
    for (unsigned i = 0; item.kind < g->depth && i < g->fan; i++) {
        out[i] = (struct lzr_plan_item){item.index * g->fan + i, item.kind + 1};
    }
    return item.kind < g->depth ? g->fan : 0;
}

/* ... over two filters of its base, which read their neighbours. */
static unsigned tree_over_filters(const struct graph *g, struct lzr_plan_item item,
                                  struct lzr_plan_item out[])
{
    unsigned n = 0;
    uint64_t width = 1;
    for (unsigned i = 0; i < g->depth; i++) {
        width *= g->fan;
    }
    if (item.kind < g->depth) {
        return tree(g, item, out);
    }
    for (int64_t i = (int64_t)item.index - 1; item.kind < g->depth + 2 && i < (int64_t)item.index + 2; i++) {
        if (i >= 0 && i < (int64_t)width) {
            out[n++] = (struct lzr_plan_item){(uint64_t)i, item.kind + 1};
        }
    }
    return n;
}

static void list(struct lzr_plan *p, struct graph *g, uint64_t root, uint32_t most, uint64_t there_most)
{
    const struct lzr_plan_world world = {g, look, needs};
    struct lzr_err err = {.code = LZR_OK};
    enum lzr_plan_state state = LZR_PLAN_MORE;
    g->looks = g->expansions = 0;
    assert_int_equal(lzr_plan_begin(p, (struct lzr_plan_item){root, 0}, false, g->bytes, most, there_most, 0, &err),
                     LZR_OK);
    while (state == LZR_PLAN_MORE) {
        state = lzr_plan_go(p, &world, 7, &err);
    }
    assert_int_equal(state, LZR_PLAN_LISTED);
}

static uint32_t number_of(const struct lzr_plan *p, struct lzr_plan_item item)
{
    uint32_t i = 0;
    while (p->nodes[i].item.kind != item.kind || p->nodes[i].item.index != item.index) {
        i++;
        assert_true(i < p->n);
    }
    return i;
}

/* Makes node after node in the plan's order; returns the most bytes that are held. Checks that needs are there
 * when they are read and that each node is made once. */
static uint64_t simulate(const struct lzr_plan *p, struct graph *g)
{
    uint32_t *readers = calloc(p->n, sizeof *readers);
    bool *held = calloc(p->n, sizeof *held);
    uint64_t now = 0, most = 0;
    static struct lzr_plan_item out[4096];
    for (uint32_t i = 0; i < p->n; i++) {
        readers[i] = p->nodes[i].readers + p->nodes[i].kept;
        if (p->nodes[i].found == LZR_PLAN_THERE) {
            held[i] = true;
            now += p->nodes[i].bytes;
        }
    }
    for (uint32_t i = 0; i < p->norder; i++) {
        uint32_t node = p->order[i];
        assert_false(held[node]);
        held[node] = true;
        now += p->nodes[node].bytes;
        most = now > most ? now : most;
        unsigned n = g->needs(g, p->nodes[node].item, out);
        for (unsigned k = 0; k < n; k++) {
            uint32_t need = number_of(p, out[k]);
            assert_true(held[need] && readers[need] > 0);
            if (p->nodes[node].found != LZR_PLAN_SHARED && --readers[need] == 0) {
                now -= p->nodes[need].bytes;
            }
        }
    }
    for (uint32_t i = 0; i < p->n; i++) {
        assert_true(!held[i] || readers[i] == p->nodes[i].kept);
    }
    free(readers);
    free(held);
    return most;
}

/* Depth 2 to 50 and fan-in 1 to 64: what is held is at most two neighbouring steps and the root. */
static void test_chains(void **state)
{
    (void)state;
    const unsigned depths[] = {2, 3, 10, 50}, fans[] = {0, 1, 4, 31};
    for (unsigned d = 0; d < 4; d++) {
        for (unsigned f = 0; f < 4; f++) {
            struct graph g = {.needs = projection, .depth = depths[d], .fan = fans[f], .size = 64, .bytes = 100};
            struct lzr_plan p;
            list(&p, &g, 0, 1 << 20, UINT64_MAX);
            assert_int_equal(p.n, 1 + 64 * depths[d]);
            assert_int_equal(p.norder, p.n);
            assert_int_equal(g.expansions, p.n);
            assert_false(p.part);
            assert_true(p.bytes <= 100 * 128);
            assert_true(simulate(&p, &g) <= p.bytes);
            lzr_plan_release(&p);
        }
    }
}

/* One block of a chain with halo: a cone. */
static void test_cones(void **state)
{
    (void)state;
    for (unsigned depth = 2; depth <= 50; depth += 6) {
        struct graph g = {.needs = chain, .depth = depth, .fan = 1, .size = 1000, .bytes = 8};
        struct lzr_plan p;
        list(&p, &g, 500, 1 << 20, UINT64_MAX);
        assert_int_equal(p.n, (depth + 1) * (depth + 1));
        assert_true(p.bytes <= 8 * (4 * depth));
        assert_true(simulate(&p, &g) <= p.bytes);
        lzr_plan_release(&p);
    }
}

/* A tree goes depth first: a few nodes a level, whatever its size. */
static void test_trees(void **state)
{
    (void)state;
    struct graph g = {.needs = tree, .depth = 3, .fan = 8, .bytes = 10};
    struct lzr_plan p;
    list(&p, &g, 0, 1 << 20, UINT64_MAX);
    assert_int_equal(p.n, 585);
    assert_false(p.by_steps);
    assert_true(p.bytes <= 10 * (8 * 3 + 1));
    assert_int_equal(simulate(&p, &g), p.bytes);
    lzr_plan_release(&p);
    g = (struct graph){.needs = tree, .depth = 17, .fan = 2, .bytes = 10};
    list(&p, &g, 0, 1 << 20, UINT64_MAX);
    assert_int_equal(p.n, (1 << 18) - 1);
    assert_true(p.bytes <= 10 * (17 * 2 + 1));
    assert_true(lzr_plan_memory(&p) <= p.n * UINT64_C(48)); /* what only listing needs is gone */
    lzr_plan_release(&p);
    g = (struct graph){.needs = tree_over_filters, .depth = 9, .fan = 2, .bytes = 10};
    list(&p, &g, 0, 1 << 20, UINT64_MAX);
    assert_int_equal(p.n, 1023 + 2 * 512);
    assert_true(p.bytes < 10 * 60);
    assert_true(simulate(&p, &g) <= p.bytes);
    lzr_plan_release(&p);
}

/* What is there is held from the start, and nothing is made for it. */
static void test_what_is_there(void **state)
{
    (void)state;
    struct graph g = {.needs = projection, .depth = 5, .fan = 1, .size = 20, .bytes = 3, .there_kind = 2};
    struct lzr_plan p;
    list(&p, &g, 0, 1 << 20, UINT64_MAX);
    assert_int_equal(p.n, 41);
    assert_int_equal(p.norder, 21);
    assert_int_equal(p.there, 60);
    assert_true(p.bytes >= 60 && p.bytes <= 3 * 41);
    assert_true(simulate(&p, &g) <= p.bytes);
    lzr_plan_release(&p);
}

/* What another plan makes is listed in full, counted there, and its reading of its needs as well. */
static void test_what_is_shared(void **state)
{
    (void)state;
    struct graph g = {.needs = projection, .depth = 3, .fan = 1, .size = 10, .bytes = 3, .shared_kind = 2};
    struct lzr_plan p;
    list(&p, &g, 0, 1 << 20, UINT64_MAX);
    assert_int_equal(p.norder, 31);
    for (uint32_t i = 0; i < p.n; i++) {
        const struct lzr_plan_node *n = &p.nodes[i];
        assert_int_equal(n->bytes, n->item.kind == 2 ? 0 : 3);
        assert_true(n->item.kind != 3 || n->readers == 0);
        assert_true(n->item.kind != 2 || n->readers > 0);
    }
    lzr_plan_release(&p);
}

/* A list that would be too long is made in parts: each is whole in itself, nothing is made twice, and what the
 * rest reads is kept. */
static void parts(struct graph g, uint32_t most, uint64_t there_most, uint32_t nodes)
{
    unsigned count = 0;
    uint32_t made = 0;
    g.made_size = 1 << 14;
    g.made = calloc(KINDS, g.made_size);
    for (bool part = true; part; count++) {
        struct lzr_plan p;
        list(&p, &g, 0, most, there_most);
        assert_true(p.norder > 0 && simulate(&p, &g) <= p.bytes);
        part = p.part;
        assert_int_equal(p.nodes[0].kept, !part);
        for (uint32_t i = 0; i < p.norder; i++) {
            const struct lzr_plan_node *n = &p.nodes[p.order[i]];
            unsigned char *m = &g.made[n->item.kind * g.made_size + n->item.index];
            assert_int_equal(*m, 0);
            *m = 1;
            made++;
        }
        /* What isn't kept is let go, and must never be wanted again: a tree. */
        lzr_plan_release(&p);
    }
    assert_true(count > 3);
    assert_int_equal(made, nodes);
    free(g.made);
}

static void test_parts(void **state)
{
    (void)state;
    parts((struct graph){.needs = tree, .depth = 6, .fan = 4, .bytes = 10}, 500, UINT64_MAX, 5461);
    parts((struct graph){.needs = tree_over_filters, .depth = 9, .fan = 2, .bytes = 10}, 300, UINT64_MAX,
          1023 + 1024);
}

/* Much that is there is held in parts as well. */
static void test_parts_of_what_is_there(void **state)
{
    (void)state;
    struct graph g = {.needs = tree, .depth = 5, .fan = 4, .bytes = 10, .there_kind = 5};
    struct lzr_plan p;
    list(&p, &g, 0, 1 << 20, 400);
    assert_true(p.part && p.there <= 400 + 40 && p.bytes <= 600);
    lzr_plan_release(&p);
}

/* Several requests for parts of the same: what the first lists the second shares; both are counted once. */
static void test_several_requests(void **state)
{
    (void)state;
    struct graph g = {.needs = chain, .depth = 6, .fan = 2, .size = 64, .bytes = 5};
    struct lzr_plan first, second;
    list(&first, &g, 20, 1 << 20, UINT64_MAX);
    g.made_size = 64;
    g.made = calloc(KINDS, g.made_size);
    for (uint32_t i = 0; i < first.n; i++) {
        g.made[first.nodes[i].item.kind * 64 + first.nodes[i].item.index] = 1;
    }
    list(&second, &g, 21, 1 << 20, UINT64_MAX);
    /* One more to one side, a step: its neighbours are there. */
    assert_int_equal(second.norder, 7);
    assert_true(simulate(&second, &g) <= second.bytes);
    free(g.made);
    lzr_plan_release(&first);
    lzr_plan_release(&second);
}

static unsigned loop(const struct graph *g, struct lzr_plan_item item, struct lzr_plan_item out[])
{
    (void)g;
    out[0] = (struct lzr_plan_item){0, (item.kind + 1) % 3};
    return 1;
}

static void test_failures(void **state)
{
    (void)state;
    struct graph g = {.needs = loop, .bytes = 1};
    const struct lzr_plan_world world = {&g, look, needs};
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_plan p;
    assert_int_equal(lzr_plan_begin(&p, (struct lzr_plan_item){0, 0}, false, 1, 100, 100, 0, &err), LZR_OK);
    assert_int_equal(lzr_plan_go(&p, &world, 100, &err), LZR_PLAN_FAILED);
    assert_int_equal(err.code, LZR_E_INVAL);
    lzr_plan_release(&p);
    g = (struct graph){.needs = chain, .depth = 3, .size = 3, .stop = true};
    assert_int_equal(lzr_plan_begin(&p, (struct lzr_plan_item){0, 0}, false, 1, 100, 100, 0, &err), LZR_OK);
    assert_int_equal(lzr_plan_go(&p, &world, 100, &err), LZR_PLAN_FAILED);
    assert_int_equal(err.code, LZR_E_CANCELLED);
    lzr_plan_release(&p);
    bool failed = true;
    for (long after = 0; failed; after++) { /* each allocation fails once; giving some back may */
        g = (struct graph){.needs = projection, .depth = 3, .fan = 1, .size = 40, .bytes = 1};
        lzr_mem_fail_at(after);
        enum lzr_code code = lzr_plan_begin(&p, (struct lzr_plan_item){0, 0}, false, 1, 1000, 1000, 0, &err);
        bool listed = code == LZR_OK && lzr_plan_go(&p, &world, 1000, &err) == LZR_PLAN_LISTED;
        failed = lzr_mem_failed();
        lzr_mem_fail_at(-1);
        assert_true(listed || failed);
        assert_true(listed || err.code == LZR_E_NOMEM);
        lzr_plan_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_cones),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_what_is_there),
        cmocka_unit_test(test_what_is_shared),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_parts_of_what_is_there),
        cmocka_unit_test(test_several_requests),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
