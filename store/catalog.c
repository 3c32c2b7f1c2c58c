#include "store/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/catalog_index.h"
#include "store/codec.h"
#include "store/manifest.h"
#include "store/path.h"

/* To be counted up whenever lazarr makes other bytes from the same values: it enters every ETag. */
#define CHUNK_FORMAT 1

const struct lzr_face_ops *lzr_catalog_face(enum lzr_face face)
{
    static const struct lzr_face_ops *const FACES[LZR_FACES] = {
        [LZR_FACE_ZARR2] = &lzr_face_zarr2, [LZR_FACE_ZARR3] = &lzr_face_zarr3,
        [LZR_FACE_N5] = &lzr_face_n5,       [LZR_FACE_PRECOMPUTED] = &lzr_face_precomputed,
        [LZR_FACE_BDV] = &lzr_face_bdv,
    };
    return FACES[face];
}

static struct lzr_digest join_text(struct lzr_digest d, const char *text)
{
    return lzr_digest_join(d, text, strlen(text) + 1);
}

static struct lzr_digest join_number(struct lzr_digest d, uint64_t v)
{
    return lzr_digest_join(d, &v, sizeof v);
}

static struct lzr_digest join_codec(struct lzr_digest d, const struct lzr_codec *c)
{
    d = join_number(join_number(d, (uint64_t)c->id), (uint64_t)(int64_t)c->level);
    d = join_number(join_text(d, c->cname), (uint64_t)c->shuffle);
    return join_text(d, lzr_codec_version(c));
}

/* What Python says about the function, and everything of ours that decides the bytes. */
static struct lzr_digest array_digest(const struct lzr_array *a)
{
    char dtype[8];
    struct lzr_digest d = join_number(a->digest, CHUNK_FORMAT);
    d = join_text(join_text(d, a->store->name), a->path);
    lzr_dtype_v2(a->dtype, dtype);
    d = join_text(d, dtype);
    d = lzr_digest_join(d, a->fill, sizeof a->fill);
    d = join_codec(join_codec(d, &a->codec), &a->n5_codec);
    d = join_number(d, a->compressed_segmentation);
    for (unsigned k = 0; k < a->nlevels; k++) {
        const struct lzr_grid *g = &a->levels[k].grid;
        d = join_number(d, g->rank);
        d = lzr_digest_join(d, g->shape, g->rank * sizeof g->shape[0]);
        d = lzr_digest_join(d, g->chunks, g->rank * sizeof g->chunks[0]);
    }
    return d;
}

/* Two stores of one name would be one folder. */
static enum lzr_code check_names(const struct lzr_manifest_text *texts, size_t n,
                                 struct lzr_err *err)
{
    if (n > LZR_MAX_STORES) {
        return lzr_err_set(err, LZR_E_LIMIT, "%zu stores, the limit is %d", n, LZR_MAX_STORES);
    }
    for (size_t i = 0; i < n; i++) {
        enum lzr_code code = lzr_path_check_store(texts[i].name, err);
        if (code != LZR_OK) {
            lzr_err_prefix(err, "%.200s", texts[i].file);
            return code;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(texts[i].name, texts[k].name) == 0) {
                return lzr_err_set(err, LZR_E_INVAL,
                                   "%.180s: the store's name \"%.60s\" is also "
                                   "that of %.180s",
                                   texts[i].file, texts[i].name, texts[k].file);
            }
        }
    }
    return LZR_OK;
}

static enum lzr_code read_stores(struct lzr_catalog *c, const struct lzr_manifest_text *texts,
                                 size_t n, struct lzr_err *err)
{
    c->stores = lzr_arena_alloc(&c->arena, (n + 1) * sizeof *c->stores);
    if (c->stores == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        enum lzr_code code = lzr_manifest_read(&c->arena, texts[i].name, texts[i].file,
                                               texts[i].json, texts[i].len, &c->stores[i], err);
        if (code != LZR_OK) {
            return code;
        }
        c->nstores++;
        c->nfailed += c->stores[i].fate == LZR_FAILED;
        c->narrays += c->stores[i].narrays;
        if (c->narrays > LZR_MAX_ARRAYS) {
            return lzr_err_set(err, LZR_E_LIMIT, "%.200s: more arrays in all than the limit of %d",
                               texts[i].file, LZR_MAX_ARRAYS);
        }
    }
    return LZR_OK;
}

static enum lzr_code number_arrays(struct lzr_catalog *c, struct lzr_err *err)
{
    c->arrays = lzr_arena_alloc(&c->arena, (c->narrays + 1) * sizeof *c->arrays);
    if (c->arrays == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    uint32_t id = 0;
    for (size_t i = 0; i < c->nstores; i++) {
        for (size_t k = 0; k < c->stores[i].narrays; k++) {
            struct lzr_array *a = &c->stores[i].arrays[k];
            a->id = id;
            a->digest = array_digest(a);
            c->arrays[id++] = a;
            for (unsigned level = 0; level < a->nlevels; level++) {
                uint64_t bytes = a->levels[level].grid.chunk_elements * a->dtype.size;
                if (!a->copied && bytes > c->max_chunk_bytes) {
                    c->max_chunk_bytes = bytes;
                }
            }
        }
    }
    return LZR_OK;
}

enum lzr_code lzr_catalog_new(const struct lzr_manifest_text *texts, size_t n,
                              struct lzr_catalog **out, struct lzr_err *err)
{
    enum lzr_code code = check_names(texts, n, err);
    if (code != LZR_OK) {
        return code;
    }
    struct lzr_catalog *c = lzr_calloc(1, sizeof *c);
    if (c == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    lzr_arena_init(&c->arena);
    code = read_stores(c, texts, n, err);
    if (code == LZR_OK) {
        code = number_arrays(c, err);
    }
    if (code == LZR_OK) {
        code = lzr_catalog_build(c, err);
    }
    if (code != LZR_OK) {
        lzr_catalog_free(&c);
        return code;
    }
    *out = c;
    return LZR_OK;
}

void lzr_catalog_free(struct lzr_catalog **c)
{
    if (*c != NULL) {
        lzr_arena_release(&(*c)->arena);
        lzr_free(*c);
        *c = NULL;
    }
}

size_t lzr_catalog_nstores(const struct lzr_catalog *c)
{
    return c->nstores;
}

const struct lzr_store *lzr_catalog_store(const struct lzr_catalog *c, size_t i)
{
    return i < c->nstores ? &c->stores[i] : NULL;
}

size_t lzr_catalog_count(const struct lzr_catalog *c, enum lzr_fate fate)
{
    size_t n = 0;
    for (size_t i = 0; i < c->nstores; i++) {
        n += c->stores[i].fate == fate;
    }
    return n;
}

size_t lzr_catalog_narrays(const struct lzr_catalog *c)
{
    return c->narrays;
}

const struct lzr_array *lzr_catalog_array(const struct lzr_catalog *c, size_t id)
{
    return id < c->narrays ? c->arrays[id] : NULL;
}

uint64_t lzr_catalog_max_chunk_bytes(const struct lzr_catalog *c)
{
    return c->max_chunk_bytes;
}

static const struct lzr_catalog_node *find(const struct lzr_catalog *c, const char *key, size_t n)
{
    uint64_t hash = lzr_hash64(key, n, 0);
    for (size_t at = (size_t)hash & c->mask; c->slots[at] != 0; at = (at + 1) & c->mask) {
        const struct lzr_catalog_node *node = &c->nodes[c->slots[at] - 1];
        if (node->hash == hash && node->len == n && memcmp(node->key, key, n) == 0) {
            return node;
        }
    }
    return NULL;
}

/* The end of a key is no chunk's, but perhaps that of a folder of chunks. */
static void find_folder(const struct lzr_catalog_node *node, const char *key, size_t n,
                        struct lzr_hit *hit)
{
    struct lzr_names names;
    lzr_catalog_face(node->face)->names(node->chunks, &names);
    if (lzr_names_at(&names, key, n, &hit->depth)) {
        hit->node = LZR_NODE_FOLDER;
        hit->holder = node->chunks;
        hit->face = node->face;
    }
}

/* The end of a key is the chunk's, but how much of it only the array tells: cut off one segment
 * after the other while they look like a chunk's (digits, dots, precomputed's '-' and '_', v3's
 * "c") until an array stands before them. At most one can, since no array lies inside another. */
static void find_chunk(const struct lzr_catalog *c, const char *key, size_t n, struct lzr_hit *hit)
{
    size_t at = n;
    for (unsigned segments = 0; segments <= LZR_MAX_RANK; segments++) {
        size_t end = at;
        while (at > 0 && ((key[at - 1] >= '0' && key[at - 1] <= '9') || key[at - 1] == '.' ||
                          key[at - 1] == '-' || key[at - 1] == '_')) {
            at--;
        }
        bool last = at > 0 && at == end && key[at - 1] == 'c'; /* v3: "c" begins the chunk's part */
        at -= last;
        if (at == end || at == 0 || key[at - 1] != '/') {
            return;
        }
        const struct lzr_catalog_node *node = find(c, key, at - 1);
        if (node != NULL && node->chunks != NULL) {
            const struct lzr_tree_item *item = node->chunks;
            uint64_t index;
            if (lzr_catalog_face(node->face)->chunk(item, key + at, n - at, &index)) {
                hit->node = LZR_NODE_CHUNK;
                hit->face = node->face;
                hit->chunk = (struct lzr_chunk){item->array, item->level, item->encoding, index};
            } else {
                find_folder(node, key + at, n - at, hit);
            }
            return;
        }
        if (last || node != NULL) {
            return;
        }
        at--; /* the slash */
    }
}

/* The store that a key lies in, by its first two segments, if it is one that failed. */
static const struct lzr_store *find_failed(const struct lzr_catalog *c, const char *key, size_t n)
{
    const char *first = memchr(key, '/', n), *end = key + n;
    const char *second = first != NULL ? memchr(first + 1, '/', (size_t)(end - first - 1)) : NULL;
    const struct lzr_catalog_node *node =
        find(c, key, second != NULL ? (size_t)(second - key) : n);
    return node != NULL ? node->failed : NULL;
}

struct lzr_hit lzr_catalog_lookup(const struct lzr_catalog *c, const char *key, size_t n)
{
    struct lzr_hit hit = {.node = LZR_NODE_NONE};
    bool slash = n > 1 && key[n - 1] == '/';
    if (n > LZR_MAX_KEY) {
        return hit;
    }
    hit.failed = c->nfailed > 0 ? find_failed(c, key, n) : NULL;
    const struct lzr_catalog_node *node = hit.failed == NULL ? find(c, key, n - slash) : NULL;
    if (hit.failed != NULL) {
        hit.node = LZR_NODE_FAILED;
    } else if (node != NULL && node->dir != NULL) {
        hit.node = LZR_NODE_DIR;
        hit.dir = node->dir;
        hit.holder = node->chunks;
        hit.face = node->face;
    } else if (node != NULL) {
        hit.node = slash ? LZR_NODE_NONE : LZR_NODE_DOC;
        hit.doc = slash ? NULL : node->doc;
    } else {
        find_chunk(c, key, n - slash, &hit);
        if (slash && hit.node == LZR_NODE_CHUNK) {
            hit.node = LZR_NODE_NONE;
        }
    }
    return hit;
}

bool lzr_catalog_names(const struct lzr_hit *hit, struct lzr_names *out)
{
    if (hit->holder == NULL) {
        return false;
    }
    lzr_catalog_face(hit->face)->names(hit->holder, out);
    return true;
}

struct lzr_digest lzr_chunk_digest(const struct lzr_chunk *c, uint64_t nonce)
{
    const uint64_t parts[4] = {c->level, (uint64_t)c->encoding, c->index,
                               c->array->versioned ? 0 : nonce};
    return lzr_digest_join(c->array->digest, parts, sizeof parts);
}

bool lzr_chunk_length(const struct lzr_chunk *c, uint64_t *bytes)
{
    struct lzr_view v;
    return lzr_view_of(c->array, c->level, c->encoding, &v, NULL) &&
           lzr_view_length(&v, c->index, bytes);
}

bool lzr_face_holds(const struct lzr_array *a, enum lzr_face face, char *why)
{
    struct lzr_view v;
    for (unsigned k = 0; k < a->nlevels; k++) {
        if (!lzr_view_of(a, k, lzr_catalog_face(face)->encoding, &v, why)) {
            return false;
        }
    }
    return true;
}

void lzr_array_key(struct lzr_buf *out, const struct lzr_array *a, enum lzr_face face, bool level)
{
    static const char *const FINEST[LZR_FACES] = {"/0", "/0", "/s0", "", ""};
    const struct lzr_face_ops *ops = lzr_catalog_face(face);
    const char *end = face == LZR_FACE_BDV            ? "/dataset.xml"
                      : level && a->kind != LZR_PLAIN ? FINEST[face]
                                                      : "";
    lzr_buf_printf(out, "%s/%s%s/%s%s", ops->name, a->store->name, ops->suffix, a->path, end);
}
