#include "http/xarray.h"

#include <string.h>

/* Arrays of a group that are looked at, names of axes in it, and arrays that a line names: beyond
 * them the line is left out, since a person reads it and a page has many. */
enum { MAX_ARRAYS = 1000, MAX_AXES = 64, MAX_DROPPED = 32 };

/* How long the group's part of a path is: "g" of "g/a", nothing of "a". */
static size_t group_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) : 0;
}

/* Images are groups, so only plain arrays are variables. */
static bool lies_beside(const struct lzr_array *a, const struct lzr_array *b)
{
    size_t n = group_length(a->path);
    return b->kind == LZR_PLAIN && group_length(b->path) == n && strncmp(a->path, b->path, n) == 0;
}

struct axes {
    unsigned n;
    const char *name[MAX_AXES];
    uint64_t length[MAX_AXES];
};

/* Adds an array's axes; false if one is known with another length, or there are too many. */
static bool agrees(struct axes *all, const struct lzr_array *a)
{
    for (unsigned i = 0; a->has_dims && i < a->levels[0].grid.rank; i++) {
        unsigned k = 0;
        while (k < all->n && strcmp(all->name[k], a->dims[i]) != 0) {
            k++;
        }
        if (k == MAX_AXES) {
            return false;
        }
        if (k == all->n) {
            all->name[k] = a->dims[i];
            all->length[k] = a->levels[0].grid.shape[i];
            all->n++;
        } else if (all->length[k] != a->levels[0].grid.shape[i]) {
            return false;
        }
    }
    return true;
}

/* The other arrays of a's group, as a list, if they have to be dropped. */
static bool drop_others(const struct lzr_array *a, struct lzr_buf *out)
{
    const struct lzr_store *s = a->store;
    struct axes all = {0};
    bool agree = agrees(&all, a);
    size_t others = 0;
    if (s->narrays > MAX_ARRAYS) {
        return false;
    }
    for (size_t i = 0; i < s->narrays; i++) {
        const struct lzr_array *b = &s->arrays[i];
        if (b != a && lies_beside(a, b)) {
            agree = agree && agrees(&all, b);
            others++;
        }
    }
    if (agree) {
        return true;
    }
    if (others > MAX_DROPPED) {
        return false;
    }
    const char *before = ", drop_variables=[";
    for (size_t i = 0; i < s->narrays; i++) {
        const struct lzr_array *b = &s->arrays[i];
        if (b != a && lies_beside(a, b)) {
            const char *slash = strrchr(b->path, '/');
            lzr_buf_printf(out, "%s\"%s\"", before, slash != NULL ? slash + 1 : b->path);
            before = ", ";
        }
    }
    lzr_buf_puts(out, "]");
    return true;
}

bool lzr_xarray_opens(const struct lzr_array *a, char *key, struct lzr_buf *behind)
{
    bool ok = true;
    lzr_buf_puts(behind, "\"");
    if (a->kind == LZR_PLAIN) {
        ok = drop_others(a, behind);
        char *slash = strrchr(key, '/'); /* there is one: a store's name stands before */
        if (slash == NULL) {
            return false;
        }
        lzr_buf_printf(behind, ")[\"%s\"]", slash + 1);
        *slash = '\0';
    } else {
        for (unsigned i = 1; i < a->nlevels; i++) {
            lzr_buf_printf(behind, "%s\"%u\"", i == 1 ? ", drop_variables=[" : ", ", i);
        }
        lzr_buf_puts(behind, a->nlevels > 1 ? "])" : ")");
    }
    return ok && !lzr_buf_failed(behind);
}
