#include "store/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "store/path.h"

static int compare_items(const void *a, const void *b)
{
    return lzr_path_compare(((const struct lzr_tree_item *)a)->path,
                            ((const struct lzr_tree_item *)b)->path);
}

static bool make_room(struct lzr_tree *t)
{
    if (t->n < t->cap) {
        return true;
    }
    size_t cap = t->cap == 0 ? 64 : t->cap * 2;
    struct lzr_tree_item *items = lzr_arena_alloc(t->arena, cap * sizeof *items);
    if (items == NULL) {
        return false;
    }
    if (t->n > 0) {
        memcpy(items, t->items, t->n * sizeof *items);
    }
    t->items = items; /* the old ones stay in the arena: less than as much again */
    t->cap = cap;
    return true;
}

void lzr_tree_add(struct lzr_tree *t, struct lzr_tree_item item, const char *fmt, ...)
{
    char path[LZR_MAX_KEY];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    /* An array's path and what a face adds to it are each bounded well below this. */
    LZR_CHECK(n >= 0 && (size_t)n < sizeof path);
    item.path = t->failed ? NULL : lzr_arena_strndup(t->arena, path, (size_t)n);
    if (item.path == NULL || !make_room(t)) {
        t->failed = true;
        return;
    }
    t->items[t->n++] = item;
}

/* Where each group's contents end. Walked backwards: an item is inside every group whose path holds
 * its own, so a group ends where the first item behind its last known member does not belong. */
static void find_ends(struct lzr_tree *t)
{
    for (size_t i = t->n; i-- > 0;) {
        size_t end = i + 1;
        while (lzr_is_group(&t->items[i]) && end < t->n &&
               lzr_path_holds(t->items[i].path, t->items[end].path)) {
            end = t->items[end].end; /* a child's whole subtree at once */
        }
        t->items[i].end = end;
    }
}

/* What dim_0, dim_1 ... mean in a group. */
struct lengths {
    unsigned known;
    uint64_t length[LZR_MAX_RANK];
};

/* Arrays without dims get dim_0, dim_1 ... as names. xarray opens a group only if a name means one
 * length there, and a tree of groups if it means the same in the groups above. So all that differ
 * in a length from the first one, there or above, get names with their lengths. of: what the names
 * mean in each group; the group's own is what it takes over, and then what its groups do. */
static void name_dims(struct lzr_tree *t, size_t group, struct lengths *of)
{
    struct lengths *here = &of[group];
    for (size_t m = group + 1; m < t->items[group].end; m = t->items[m].end) {
        struct lzr_tree_item *item = &t->items[m];
        if (lzr_is_group(item) || item->array->has_dims) {
            continue;
        }
        const struct lzr_grid *g = &item->array->levels[0].grid;
        for (unsigned i = 0; i < g->rank && i < here->known; i++) {
            item->own_dims = item->own_dims || here->length[i] != g->shape[i];
        }
        for (unsigned i = here->known; i < g->rank && !item->own_dims; i++) {
            here->length[here->known++] = g->shape[i];
        }
    }
    for (size_t m = group + 1; m < t->items[group].end; m = t->items[m].end) {
        of[m] = *here;
    }
}

enum lzr_code lzr_tree_build(struct lzr_arena *arena, const struct lzr_store *store,
                             lzr_tree_expand *expand, struct lzr_tree *out, struct lzr_err *err)
{
    struct lzr_tree t = {.arena = arena, .store = store};
    for (size_t i = 0; i < store->ngroups; i++) {
        lzr_tree_add(&t,
                     (struct lzr_tree_item){.role = LZR_ROLE_GROUP,
                                            .attributes = store->groups[i].attributes},
                     "%s", store->groups[i].path);
    }
    for (size_t i = 0; i < store->narrays; i++) {
        expand(&t, &store->arrays[i]);
    }
    if (t.failed) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    qsort(t.items, t.n, sizeof *t.items, compare_items);
    find_ends(&t);
    struct lengths *of = t.n > 0 ? lzr_calloc(t.n, sizeof *of) : NULL;
    if (of == NULL && t.n > 0) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < t.n; i++) {
        if (lzr_is_group(&t.items[i])) {
            name_dims(&t, i, of);
        }
    }
    free(of);
    *out = t;
    return LZR_OK;
}

const char *lzr_tree_below(const struct lzr_tree_item *ancestor, const struct lzr_tree_item *item)
{
    size_t n = strlen(ancestor->path);
    return item->path + (n > 0 ? n + 1 : 0);
}
