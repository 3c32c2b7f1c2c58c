/* catalog_index.h: the catalog's inside, shared by catalog.c (lookups) and catalog_build.c
 * (documents and directories); private to them.
 *
 * Every document and every directory is a node; one hash table by key finds them. Nodes, keys,
 * texts and the table live in one arena. */
#ifndef LZR_STORE_CATALOG_INDEX_H
#define LZR_STORE_CATALOG_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/catalog.h"
#include "store/face.h"

struct lzr_catalog_node {
    uint64_t hash;
    const char *key;
    size_t len;
    const struct lzr_doc *doc;          /* a document, or */
    const struct lzr_dir *dir;          /* a directory */
    const struct lzr_store *failed;     /* a store's folder that isn't there, as that has failed */
    const struct lzr_tree_item *chunks; /* whose chunks are in this directory; NULL if none are */
    enum lzr_face face;
};

struct lzr_catalog {
    struct lzr_arena arena;
    size_t nstores, narrays, nfailed;
    struct lzr_store *stores;
    const struct lzr_array **arrays; /* by id */
    uint64_t max_chunk_bytes;
    size_t nnodes, cap;
    struct lzr_catalog_node *nodes;
    size_t mask;     /* slots - 1; slots is a power of two */
    uint32_t *slots; /* place in nodes + 1; 0 is empty */
    uint64_t document_bytes;
};

/* The formats by enum lzr_face. */
const struct lzr_face_ops *lzr_catalog_face(enum lzr_face face);

/* Makes every node of a catalog whose stores are read. */
enum lzr_code lzr_catalog_build(struct lzr_catalog *c, struct lzr_err *err);

#endif
