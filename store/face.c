#include "store/face.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/attributes.h"
#include "store/json_writer.h"

/* An image's group and its levels; folder ends in a slash or is empty. */
static void add_image(struct lzr_tree *t, const struct lzr_array *a, bool in_labels,
                      const char *folder, const char *name)
{
    struct lzr_tree_item group = {.role = LZR_ROLE_IMAGE,
                                  .array = a,
                                  .in_labels = in_labels,
                                  .attributes = a->attributes};
    lzr_tree_add(t, group, "%s%s", folder, name);
    for (unsigned k = 0; k < a->nlevels; k++) {
        struct lzr_tree_item level = {.role = LZR_ROLE_ARRAY,
                                      .array = a,
                                      .level = k,
                                      .attributes = "{}"};
        lzr_tree_add(t, level, "%s%s/%u", folder, name, k);
    }
}

struct lzr_grid lzr_face_grid(const struct lzr_tree_item *item)
{
    struct lzr_grid g = item->array->levels[item->level].grid;
    if (item->array->text) {
        g.rank--;
        g.chunk_elements /= g.chunks[g.rank];
    }
    return g;
}

void lzr_face_dims(struct lzr_json *j, const struct lzr_tree_item *item)
{
    const struct lzr_array *a = item->array;
    const uint64_t *shape = a->levels[0].grid.shape;
    unsigned rank = lzr_face_grid(item).rank;
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < rank; i++) {
        if (a->has_dims) {
            lzr_json_string(j, a->dims[i]);
        } else {
            char name[48];
            int n = snprintf(name, sizeof name, "dim_%u", i);
            if (item->own_dims) {
                snprintf(name + n, sizeof name - (size_t)n, "_%" PRIu64, shape[i]);
            }
            lzr_json_string(j, name);
        }
    }
    lzr_json_close(j, ']');
}

void lzr_face_attributes(struct lzr_json *j, const struct lzr_tree_item *item)
{
    const struct lzr_array *a = item->array;
    lzr_attributes_merge(j, item->attributes,
                         a == NULL                ? NULL
                         : a->kind == LZR_PLAIN ? lzr_attributes_plain
                                                  : lzr_attributes_zarr);
}

void lzr_face_expand_zarr(struct lzr_tree *t, const struct lzr_array *a)
{
    if (a->kind == LZR_PLAIN) {
        lzr_tree_add(t,
                     (struct lzr_tree_item){.role = LZR_ROLE_ARRAY,
                                            .array = a,
                                            .attributes = a->attributes},
                     "%s", a->path);
        return;
    }
    add_image(t, a, false, "", a->path);
    if (a->labels != NULL) {
        lzr_tree_add(
            t, (struct lzr_tree_item){.role = LZR_ROLE_LABELS, .array = a, .attributes = "{}"},
            "%s/labels", a->path);
    }
    for (const struct lzr_array *l = a->labels; l != NULL; l = l->next_labels) {
        const char *slash = strrchr(l->path, '/');
        char folder[LZR_MAX_PATH + 16];
        (void)snprintf(folder, sizeof folder, "%s/labels/", a->path);
        add_image(t, l, true, folder, slash != NULL ? slash + 1 : l->path);
    }
}

void lzr_face_lengths_reversed(struct lzr_json *j, const uint64_t *v, unsigned n)
{
    lzr_json_open(j, '[');
    for (unsigned i = n; i-- > 0;) {
        lzr_json_u64(j, v[i]);
    }
    lzr_json_close(j, ']');
}

void lzr_face_lengths(struct lzr_json *j, const uint64_t *v, unsigned n)
{
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < n; i++) {
        lzr_json_u64(j, v[i]);
    }
    lzr_json_close(j, ']');
}
