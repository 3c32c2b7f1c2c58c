/* tree.h: a store as one face sees it: one list of directories, sorted by path, groups and arrays
 * and what the format makes of them (an image is a group and its levels are arrays). What is inside
 * a directory stands right behind it.
 *
 * Made when a catalog is, in its arena; immutable afterwards. */
#ifndef LZR_STORE_TREE_H
#define LZR_STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "store/array.h"
#include "store/view.h"

/* What a directory is. */
enum lzr_role {
    LZR_ROLE_GROUP,     /* a group that is no image */
    LZR_ROLE_IMAGE,     /* an image; in precomputed any array */
    LZR_ROLE_ARRAY,     /* chunks of an array, or of one level of an image */
    LZR_ROLE_LABELS,    /* an image's labels/ */
    LZR_ROLE_BDV_N5,    /* BigDataViewer's dataset.n5, */
    LZR_ROLE_BDV_SETUP, /* setup{S} and timepoint{T} */
    LZR_ROLE_BDV_TIME,
};

struct lzr_tree_item {
    const char *path; /* in the store; "" is its root, always the first */
    enum lzr_role role;
    bool own_dims;                 /* an array without dims whose dim_0 ... say their length too */
    bool in_labels;                /* an image that stands in the labels/ of its labels_of */
    const struct lzr_array *array; /* NULL for plain groups */
    unsigned level;                /* of an array */
    enum lzr_encoding encoding;    /* of an array: which bytes its chunks have */
    uint64_t channel, timepoint;   /* in BDV: which one the chunks are of */
    const char *attributes;        /* the user's own here: text of a JSON object */
    size_t end;                    /* one past the last item inside; own place + 1 if none is */
};

struct lzr_tree {
    struct lzr_arena *arena;
    const struct lzr_store *store;
    size_t n, cap;
    struct lzr_tree_item *items;
    bool failed; /* out of memory */
};

/* Adds what a face makes of an array. */
typedef void lzr_tree_expand(struct lzr_tree *t, const struct lzr_array *a);

/* Only memory can fail. */
enum lzr_code lzr_tree_build(struct lzr_arena *arena, const struct lzr_store *store,
                             lzr_tree_expand *expand, struct lzr_tree *out, struct lzr_err *err);

/* For expand: appends an item with a path (printf) of its own. Failure is the tree's flag. */
void lzr_tree_add(struct lzr_tree *t, struct lzr_tree_item item, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The part of an item's path behind its ancestor's and the slash. */
const char *lzr_tree_below(const struct lzr_tree_item *ancestor, const struct lzr_tree_item *item);

static inline bool lzr_is_group(const struct lzr_tree_item *item)
{
    return item->role != LZR_ROLE_ARRAY;
}

#endif
