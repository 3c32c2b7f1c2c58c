#include "engine/policy.h"

#include <stddef.h>

/* A ring through its head: head.next was used last, head.prev goes first. */
struct lru {
    struct lzr_policy_node head;
};

static void lru_init(void *state)
{
    struct lru *l = state;
    l->head.prev = l->head.next = &l->head;
}

static void link_first(struct lru *l, struct lzr_policy_node *n)
{
    n->prev = &l->head;
    n->next = l->head.next;
    l->head.next->prev = n;
    l->head.next = n;
}

static void lru_insert(void *state, struct lzr_policy_node *n, uint64_t bytes, uint64_t cost_us)
{
    (void)bytes;
    (void)cost_us;
    link_first(state, n);
}

static void lru_remove(void *state, struct lzr_policy_node *n)
{
    (void)state;
    n->prev->next = n->next;
    n->next->prev = n->prev;
}

static void lru_touch(void *state, struct lzr_policy_node *n)
{
    struct lru *l = state;
    if (l->head.next != n) {
        lru_remove(state, n);
        link_first(l, n);
    }
}

static struct lzr_policy_node *lru_victim(void *state)
{
    struct lru *l = state;
    return l->head.prev == &l->head ? NULL : l->head.prev;
}

const struct lzr_cache_policy lzr_policy_lru = {
    .name = "lru",
    .state_bytes = sizeof(struct lru),
    .init = lru_init,
    .insert = lru_insert,
    .touch = lru_touch,
    .remove = lru_remove,
    .victim = lru_victim,
};
