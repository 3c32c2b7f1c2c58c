/* face.h: what a format must say about itself so that the catalog can build its documents and
 * directories: one constant struct per format (zarr2.c, zarr3.c).
 *
 * A node's metadata is made of one or two parts. Those of everything inside a group are put
 * together again in the group's consolidated document, so each is written once and kept. */
#ifndef LZR_STORE_FACE_H
#define LZR_STORE_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"
#include "store/json_span.h"
#include "store/tree.h"

struct lzr_buf;

#define LZR_FACE_PARTS 2

struct lzr_parts {
    struct lzr_span part[LZR_FACE_PARTS]; /* n = 0 where a format has fewer */
};

struct lzr_face_ops {
    const char *name;   /* first segment of its keys: "zarr2" */
    const char *suffix; /* of a store's name: ".zarr" */
    unsigned nparts;
    /* Writes part k of a node. */
    void (*write_part)(struct lzr_buf *out, const struct lzr_tree_item *item, unsigned k);
    /* The document that part k is by itself, or NULL if it is none (only in a consolidated one). */
    const char *(*part_name)(const struct lzr_tree_item *item, unsigned k);
    /* A group's document of itself and everything inside; parts holds those of items i .. end. */
    void (*write_consolidated)(struct lzr_buf *out, const struct lzr_tree *t, size_t i,
                               const struct lzr_parts *parts);
    const char *consolidated_name;
    /* Whether the end of a key (behind the array's path and its slash) is one of its chunks. */
    bool (*chunk)(const struct lzr_array *a, unsigned level, const char *key, size_t n,
                  uint64_t *index);
};

extern const struct lzr_face_ops lzr_face_zarr2;
extern const struct lzr_face_ops lzr_face_zarr3;

/* The names of an array's axes as a JSON list: the user's, or dim_0, dim_1 ... (tree.h's own_dims:
 * edges_dim_0 ...), since xarray opens nothing whose dimensions have no names. */
struct lzr_json;
void lzr_face_dims(struct lzr_json *j, const struct lzr_tree_item *item);
/* A list of lengths. */
void lzr_face_lengths(struct lzr_json *j, const uint64_t *v, unsigned n);

#endif
