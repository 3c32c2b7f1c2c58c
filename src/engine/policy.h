/* policy.h: which cached chunk goes first. The cache knows entries and bytes; a policy knows order.
 *
 * The cache calls these under its mutex: they must be O(1) or nearly, and never call out. A policy
 * keeps its links inside the entry (struct lzr_policy_node), so it allocates nothing an entry. */
#ifndef LZR_ENGINE_POLICY_H
#define LZR_ENGINE_POLICY_H

#include <stdint.h>

struct lzr_policy_node {
    struct lzr_policy_node *prev, *next;
};

struct lzr_cache_policy {
    const char *name;
    /* state: the policy's own, sized by state_bytes and zeroed by the cache. */
    uint64_t state_bytes;
    void (*init)(void *state);
    void (*insert)(void *state, struct lzr_policy_node *n, uint64_t bytes, uint64_t cost_us);
    void (*touch)(void *state, struct lzr_policy_node *n);
    void (*remove)(void *state, struct lzr_policy_node *n);
    /* The node that should be evicted next, still linked; NULL when there is none. */
    struct lzr_policy_node *(*victim)(void *state);
};

/* Least recently used goes first, whatever it cost. */
extern const struct lzr_cache_policy lzr_policy_lru;

#endif
