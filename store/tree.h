/* tree.h: a store as the Zarr faces see it: one list of groups and arrays, sorted by path, in which
 * an image is a group and its levels are arrays. What is inside a group stands right behind it.
 *
 * Made for building documents and listings; thrown away afterwards. */
#ifndef LZR_STORE_TREE_H
#define LZR_STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "store/array.h"

struct lzr_tree_item {
    const char *path;              /* in the store; "" is its root, always the first */
    const struct lzr_array *array; /* NULL for a group that is no image */
    unsigned level;                /* of an array */
    bool group;                    /* a group, images included */
    bool own_dims;                 /* an array without dims whose dim_0 ... are named after it */
    const char *attributes;        /* the user's own here: text of a JSON object */
    size_t end;                    /* one past the last item inside; own place + 1 for an array */
};

struct lzr_tree {
    size_t n;
    struct lzr_tree_item *items;
};

/* Allocates in arena. Only memory can fail. */
enum lzr_code lzr_tree_build(struct lzr_arena *arena, const struct lzr_store *store,
                             struct lzr_tree *out, struct lzr_err *err);

/* The part of an item's path behind its ancestor's and the slash. */
const char *lzr_tree_below(const struct lzr_tree_item *ancestor, const struct lzr_tree_item *item);

#endif
