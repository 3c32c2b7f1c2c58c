#include "store/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/path.h"

static int compare_items(const void *a, const void *b)
{
    return lzr_path_compare(((const struct lzr_tree_item *)a)->path,
                            ((const struct lzr_tree_item *)b)->path);
}

static const char *level_path(struct lzr_arena *arena, const struct lzr_array *a, unsigned level)
{
    size_t cap = strlen(a->path) + 12;
    char *path = lzr_arena_alloc(arena, cap);
    if (path != NULL) {
        snprintf(path, cap, "%s/%u", a->path, level);
    }
    return path;
}

static enum lzr_code add_array(struct lzr_arena *arena, const struct lzr_array *a,
                               struct lzr_tree *t, struct lzr_err *err)
{
    if (a->kind == LZR_PLAIN) {
        t->items[t->n++] = (struct lzr_tree_item){
            .path = a->path, .array = a, .attributes = a->attributes};
        return LZR_OK;
    }
    t->items[t->n++] = (struct lzr_tree_item){
        .path = a->path, .array = a, .group = true, .attributes = a->attributes};
    for (unsigned k = 0; k < a->nlevels; k++) {
        const char *path = level_path(arena, a, k);
        if (path == NULL) {
            return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
        }
        t->items[t->n++] =
            (struct lzr_tree_item){.path = path, .array = a, .level = k, .attributes = "{}"};
    }
    return LZR_OK;
}

/* Where each group's contents end. Walked backwards: an item is inside every group whose path holds
 * its own, so a group ends where the first item behind its last known member does not belong. */
static void find_ends(struct lzr_tree *t)
{
    for (size_t i = t->n; i-- > 0;) {
        size_t end = i + 1;
        while (t->items[i].group && end < t->n &&
               lzr_path_holds(t->items[i].path, t->items[end].path)) {
            end = t->items[end].end; /* a child's whole subtree at once */
        }
        t->items[i].end = end;
    }
}

/* Arrays without dims get dim_0, dim_1 ... as names. xarray opens a group only if a name means one
 * length there, so within a group all that differ from the first in a length get names of their
 * own. */
static void name_dims(struct lzr_tree *t, size_t group)
{
    uint64_t length[LZR_MAX_RANK];
    unsigned known = 0;
    for (size_t m = group + 1; m < t->items[group].end; m = t->items[m].end) {
        struct lzr_tree_item *item = &t->items[m];
        if (item->group || item->array->has_dims) {
            continue;
        }
        const struct lzr_grid *g = &item->array->levels[0].grid;
        for (unsigned i = 0; i < g->rank && i < known; i++) {
            item->own_dims = item->own_dims || length[i] != g->shape[i];
        }
        for (unsigned i = known; i < g->rank && !item->own_dims; i++) {
            length[known++] = g->shape[i];
        }
    }
}

enum lzr_code lzr_tree_build(struct lzr_arena *arena, const struct lzr_store *store,
                             struct lzr_tree *out, struct lzr_err *err)
{
    size_t cap = store->ngroups;
    for (size_t i = 0; i < store->narrays; i++) {
        cap += store->arrays[i].nlevels + 1;
    }
    struct lzr_tree t = {0, lzr_arena_alloc(arena, cap * sizeof *t.items)};
    if (t.items == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < store->ngroups; i++) {
        t.items[t.n++] = (struct lzr_tree_item){.path = store->groups[i].path,
                                                .group = true,
                                                .attributes = store->groups[i].attributes};
    }
    for (size_t i = 0; i < store->narrays; i++) {
        enum lzr_code code = add_array(arena, &store->arrays[i], &t, err);
        if (code != LZR_OK) {
            return code;
        }
    }
    qsort(t.items, t.n, sizeof *t.items, compare_items);
    find_ends(&t);
    for (size_t i = 0; i < t.n; i++) {
        if (t.items[i].group) {
            name_dims(&t, i);
        }
    }
    *out = t;
    return LZR_OK;
}

const char *lzr_tree_below(const struct lzr_tree_item *ancestor, const struct lzr_tree_item *item)
{
    size_t n = strlen(ancestor->path);
    return item->path + (n > 0 ? n + 1 : 0);
}
