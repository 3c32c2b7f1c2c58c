/* face.h: what a format must say about itself so that the catalog can build its documents and
 * directories: one constant struct per format (zarr2.c, zarr3.c, n5.c, precomputed.c, bdv.c).
 *
 * A directory's metadata is made of one or two parts. Those of everything inside a group are put
 * together again in the group's consolidated document where the format has one, so each is written
 * once and kept. */
#ifndef LZR_STORE_FACE_H
#define LZR_STORE_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"
#include "store/json_span.h"
#include "store/names.h"
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
    /* The directories that an array becomes; none if the format can't hold it. */
    lzr_tree_expand *expand;
    /* The encoding that decides whether the format holds an array. */
    enum lzr_encoding encoding;
    /* Writes part k of item i; nothing where it has none. */
    void (*write_part)(struct lzr_buf *out, const struct lzr_tree *t, size_t i, unsigned k);
    /* The document that part k is by itself, or NULL if it is none (only in a consolidated one). */
    const char *(*part_name)(const struct lzr_tree_item *item, unsigned k);
    /* A group's document of itself and everything inside; parts holds those of items i .. end. NULL
     * where the format has none. */
    void (*write_consolidated)(struct lzr_buf *out, const struct lzr_tree *t, size_t i,
                               const struct lzr_parts *parts);
    const char *consolidated_name;
    /* Whether the end of a key (behind the directory's path and its slash) is one of its chunks. */
    bool (*chunk)(const struct lzr_tree_item *item, const char *key, size_t n, uint64_t *index);
    /* The names of all of them. */
    void (*names)(const struct lzr_tree_item *item, struct lzr_names *out);
};

extern const struct lzr_face_ops lzr_face_zarr2;
extern const struct lzr_face_ops lzr_face_zarr3;
extern const struct lzr_face_ops lzr_face_n5;
extern const struct lzr_face_ops lzr_face_precomputed;
extern const struct lzr_face_ops lzr_face_bdv;

/* What the two Zarr faces make of an array: itself, or an image's group, levels and labels/. */
void lzr_face_expand_zarr(struct lzr_tree *t, const struct lzr_array *a);

/* The grid that the Zarr faces show of an array: of texts it lacks the axis of their characters,
 * and its chunks have the same places. */
struct lzr_grid lzr_face_grid(const struct lzr_tree_item *item);

/* The names of an array's axes as a JSON list: the user's, or dim_0, dim_1 ... (tree.h's own_dims:
 * dim_0_8 ...), since xarray opens nothing whose dimensions have no names. */
struct lzr_json;
void lzr_face_dims(struct lzr_json *j, const struct lzr_tree_item *item);
/* The user's attributes in the Zarr faces, as members of the open object: of a plain array all but
 * those that xarray keeps there for itself, of an image all that no format gives a meaning. */
void lzr_face_attributes(struct lzr_json *j, const struct lzr_tree_item *item);
/* A list of lengths, in this order or the reverse. */
void lzr_face_lengths(struct lzr_json *j, const uint64_t *v, unsigned n);
void lzr_face_lengths_reversed(struct lzr_json *j, const uint64_t *v, unsigned n);

#endif
