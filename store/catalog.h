/* catalog.h: all stores of one server as a tree of keys, the way a reader sees them.
 *
 * A key is a path without a leading slash: "zarr3/brain.zarr/t1/0/c/0/0/0". The catalog answers
 * what a key is: a metadata document (its bytes are ready), a directory (its entries are), a chunk
 * (computed by the engine), a folder of chunks (named without computing), something of a store that
 * failed to load, or nothing. Only canonical keys exist: no empty segment, no "." or "..", no sign,
 * no leading zero, no index beyond the grid. It never allocates in a lookup; a lookup takes a hash
 * probe for a document or a directory, one more for a chunk's array (with '/' in Zarr v2, where a
 * key doesn't say how many of its segments are the chunk's, one per axis at most), and one for the
 * store where any has failed.
 *
 * Made once from manifests, immutable, read by any thread. */
#ifndef LZR_STORE_CATALOG_H
#define LZR_STORE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "store/array.h"
#include "store/view.h"

/* The formats, and so the faces of a server: the first segment of a key. */
enum lzr_face {
    LZR_FACE_ZARR2,
    LZR_FACE_ZARR3,
    LZR_FACE_N5,
    LZR_FACE_PRECOMPUTED,
    LZR_FACE_BDV,
    LZR_FACES
};

enum lzr_node {
    LZR_NODE_NONE,
    LZR_NODE_DOC,
    LZR_NODE_DIR,
    LZR_NODE_CHUNK,
    LZR_NODE_FAILED, /* whatever the key names, its store has failed to load */
    LZR_NODE_FOLDER  /* of an array's chunks, or of folders of them, below the array's own */
};

struct lzr_doc {
    const char *key;  /* whole key */
    const char *data; /* the document's bytes */
    size_t len;
    struct lzr_digest digest; /* of the bytes: its ETag */
    const char *type;         /* "application/json" */
    /* Of BigDataViewer's dataset.xml the image: a server writes it anew for each who asks, with the
     * URL that it was asked by (bdv.h). NULL of all others. */
    const struct lzr_array *asked;
};

struct lzr_dir_entry {
    const char *name; /* without a slash */
    bool is_dir;
};

struct lzr_dir {
    const char *key; /* without a trailing slash; "" is the server's root */
    size_t n;
    const struct lzr_dir_entry *entries; /* directories first, each sorted by name */
};

struct lzr_chunk {
    const struct lzr_array *array;
    uint32_t level;
    enum lzr_encoding encoding;
    uint64_t index; /* flat, in the grid of the encoding's view (view.h) */
};

struct lzr_tree_item;

struct lzr_hit {
    enum lzr_node node;
    const struct lzr_doc *doc;
    const struct lzr_dir *dir;
    const struct lzr_store *failed;
    struct lzr_chunk chunk;
    /* Whose chunks a folder holds besides; NULL: nobody's. */
    const struct lzr_tree_item *holder;
    enum lzr_face face; /* of such a folder, and of a chunk */
    unsigned depth; /* of the folder below the array's own (names.h) */
};

struct lzr_catalog;

/* One store's manifest, as a worker reported it. */
struct lzr_manifest_text {
    const char *name; /* store name: the file's stem */
    const char *file; /* as the user gave it, for error texts */
    const char *json;
    size_t len;
};

/* Reads and validates the manifests (manifest.h) and builds every document. err->msg is complete:
 * 'brain.py: array "edges": chunks must be >= 1, got 0 on axis 2'. */
enum lzr_code lzr_catalog_new(const struct lzr_manifest_text *texts, size_t n,
                              struct lzr_catalog **out, struct lzr_err *err);
void lzr_catalog_free(struct lzr_catalog **c);

/* Also those that aren't loaded: see struct lzr_store. */
size_t lzr_catalog_nstores(const struct lzr_catalog *c);
size_t lzr_catalog_count(const struct lzr_catalog *c, enum lzr_fate fate); /* stores of that fate */
const struct lzr_store *lzr_catalog_store(const struct lzr_catalog *c, size_t i);
size_t lzr_catalog_narrays(const struct lzr_catalog *c); /* of all stores; ids are below it */
const struct lzr_array *lzr_catalog_array(const struct lzr_catalog *c, size_t id);
/* Raw bytes of the largest chunk of all arrays that workers compute or the server reads. */
uint64_t lzr_catalog_max_chunk_bytes(const struct lzr_catalog *c);

/* key: n bytes, percent-decoded, no leading slash, at most one trailing slash (which only a
 * directory may have; "a/" and "a" are the same directory). */
struct lzr_hit lzr_catalog_lookup(const struct lzr_catalog *c, const char *key, size_t n);

/* The names of the chunks and their folders that a hit's folder holds (names.h), at the hit's
 * depth. False: it holds none. */
struct lzr_names;
bool lzr_catalog_names(const struct lzr_hit *hit, struct lzr_names *out);

/* The digest an ETag of a chunk is made from: the array's, level, index, encoding, and nonce unless
 * the array is versioned. */
struct lzr_digest lzr_chunk_digest(const struct lzr_chunk *c, uint64_t nonce);

/* How many bytes a chunk has, where that is known before it is made. */
bool lzr_chunk_length(const struct lzr_chunk *c, uint64_t *bytes);

/* Whether a format holds an array; why (nullable, LZR_WHY_BYTES) says why not. */
bool lzr_face_holds(const struct lzr_array *a, enum lzr_face face, char *why);

/* "zarr3/brain.zarr/t1": an array's directory in a face, an image's multiscale group; with level,
 * an image's finest level: "zarr3/brain.zarr/t1/0", "n5/brain.n5/t1/s0". BigDataViewer's is its
 * dataset.xml. */
struct lzr_buf;
void lzr_array_key(struct lzr_buf *out, const struct lzr_array *a, enum lzr_face face, bool level);

#endif
