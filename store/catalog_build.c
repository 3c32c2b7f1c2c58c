#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "store/catalog_index.h"

/* One store in one face, while its nodes are made. */
struct work {
    struct lzr_catalog *c;
    const struct lzr_store *store;
    const struct lzr_face_ops *ops;
    enum lzr_face face;
    struct lzr_tree tree;
    struct lzr_parts *parts; /* by item */
    struct lzr_err *err;     /* nullable */
};

static enum lzr_code no_memory(struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_NOMEM, "out of memory while building metadata documents");
}

static struct lzr_catalog_node *add_node(struct lzr_catalog *c, const char *key)
{
    LZR_CHECK(c->nnodes < c->cap);
    struct lzr_catalog_node *node = &c->nodes[c->nnodes++];
    node->key = key;
    node->len = strlen(key);
    node->hash = lzr_hash64(key, node->len, 0);
    return node;
}

/* "zarr2/brain.zarr", then "/path", then "/name", in the arena. */
static const char *make_key(const struct work *w, const char *path, const char *name)
{
    char key[LZR_MAX_KEY];
    int n =
        snprintf(key, sizeof key, "%s/%s%s%s%s%s%s", w->ops->name, w->store->name, w->ops->suffix,
                 path[0] != '\0' ? "/" : "", path, name[0] != '\0' ? "/" : "", name);
    /* Face, store, path and name are each bounded well below this when they enter. */
    LZR_CHECK(n > 0 && (size_t)n < sizeof key);
    return lzr_arena_strndup(&w->c->arena, key, (size_t)n);
}

/* Moves a finished text into the arena. */
static enum lzr_code keep(struct work *w, struct lzr_buf *b, struct lzr_span *out)
{
    const char *copy = lzr_buf_failed(b) ? NULL : lzr_arena_strndup(&w->c->arena, b->data, b->len);
    if (copy == NULL) {
        return no_memory(w->err);
    }
    *out = (struct lzr_span){copy, b->len};
    w->c->document_bytes += b->len;
    return LZR_OK;
}

static enum lzr_code add_doc(struct work *w, const char *path, const char *name,
                             struct lzr_span text, const struct lzr_array *asked)
{
    struct lzr_doc *doc = lzr_arena_alloc(&w->c->arena, sizeof *doc);
    const char *key = make_key(w, path, name);
    if (doc == NULL || key == NULL) {
        return no_memory(w->err);
    }
    *doc = (struct lzr_doc){.key = key,
                            .data = text.p,
                            .len = text.n,
                            .digest = lzr_digest(text.p, text.n, 0),
                            .asked = asked,
                            .type = strstr(name, ".xml") != NULL ? "text/xml; charset=utf-8"
                                                                 : "application/json"};
    add_node(w->c, key)->doc = doc;
    return LZR_OK;
}

static enum lzr_code write_parts(struct work *w, size_t i)
{
    const struct lzr_tree_item *item = &w->tree.items[i];
    enum lzr_code code = LZR_OK;
    for (unsigned k = 0; code == LZR_OK && k < w->ops->nparts; k++) {
        struct lzr_buf b;
        lzr_buf_init(&b, LZR_MAX_DOCUMENTS);
        w->ops->write_part(&b, &w->tree, i, k);
        code = keep(w, &b, &w->parts[i].part[k]);
        lzr_buf_release(&b);
        const char *name = w->ops->part_name(item, k);
        if (code == LZR_OK && name != NULL) {
            bool xml = w->face == LZR_FACE_BDV && item->role == LZR_ROLE_IMAGE && k == 0;
            code = add_doc(w, item->path, name, w->parts[i].part[k], xml ? item->array : NULL);
        }
    }
    return code;
}

/* A deep chain of groups holds every text once a level: the limit is checked before the text is
 * made, so that what a hostile manifest costs is bounded too. */
static enum lzr_code check_documents(const struct work *w, size_t i)
{
    uint64_t bytes = w->c->document_bytes;
    for (size_t m = i; m < w->tree.items[i].end; m++) {
        bytes += 2 * strlen(w->tree.items[m].path) + 64;
        for (unsigned k = 0; k < w->ops->nparts; k++) {
            bytes += w->parts[m].part[k].n;
        }
    }
    if (bytes > LZR_MAX_DOCUMENTS) {
        return lzr_err_set(w->err, LZR_E_LIMIT,
                           "%s: the metadata documents of all stores exceed the limit of %llu "
                           "bytes at group \"%.200s\"",
                           w->store->file, (unsigned long long)LZR_MAX_DOCUMENTS,
                           w->tree.items[i].path);
    }
    return LZR_OK;
}

static enum lzr_code write_consolidated(struct work *w, size_t i)
{
    enum lzr_code code = check_documents(w, i);
    if (code != LZR_OK) {
        return code;
    }
    struct lzr_buf b;
    struct lzr_span text;
    lzr_buf_init(&b, LZR_MAX_DOCUMENTS);
    w->ops->write_consolidated(&b, &w->tree, i, w->parts);
    code = keep(w, &b, &text);
    lzr_buf_release(&b);
    if (code == LZR_OK) {
        code = add_doc(w, w->tree.items[i].path, w->ops->consolidated_name, text, NULL);
    }
    return code;
}

static enum lzr_code add_dir(struct lzr_catalog *c, const char *key,
                             const struct lzr_dir_entry *entries, size_t n,
                             struct lzr_catalog_node **node, struct lzr_err *err)
{
    struct lzr_dir *dir = lzr_arena_alloc(&c->arena, sizeof *dir);
    if (dir == NULL || key == NULL) {
        return no_memory(err);
    }
    *dir = (struct lzr_dir){.key = key, .n = n, .entries = entries};
    *node = add_node(c, key);
    (*node)->dir = dir;
    return LZR_OK;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct lzr_dir_entry *)a)->name, ((const struct lzr_dir_entry *)b)->name);
}

static enum lzr_code list_item(struct work *w, size_t i)
{
    const struct lzr_tree_item *item = &w->tree.items[i];
    size_t children = 0;
    for (size_t m = i + 1; m < item->end; m = w->tree.items[m].end) {
        children++;
    }
    struct lzr_dir_entry *entries =
        lzr_arena_alloc(&w->c->arena, (children + LZR_FACE_PARTS + 1) * sizeof *entries);
    if (entries == NULL) {
        return no_memory(w->err);
    }
    size_t n = 0;
    for (size_t m = i + 1; m < item->end; m = w->tree.items[m].end) {
        entries[n++] = (struct lzr_dir_entry){lzr_tree_below(item, &w->tree.items[m]), true};
    }
    for (unsigned k = 0; k < w->ops->nparts; k++) {
        const char *name = w->ops->part_name(item, k);
        if (name != NULL) {
            entries[n++] = (struct lzr_dir_entry){name, false};
        }
    }
    if (lzr_is_group(item) && w->ops->consolidated_name != NULL) {
        entries[n++] = (struct lzr_dir_entry){w->ops->consolidated_name, false};
    }
    qsort(entries + children, n - children, sizeof *entries, compare_entries);
    struct lzr_catalog_node *node;
    enum lzr_code code = add_dir(w->c, make_key(w, item->path, ""), entries, n, &node, w->err);
    if (code == LZR_OK && item->role == LZR_ROLE_ARRAY) {
        node->chunks = item;
        node->face = w->face;
    }
    return code;
}

static enum lzr_code build_store(struct work *w)
{
    w->parts = lzr_calloc(w->tree.n, sizeof *w->parts);
    if (w->parts == NULL) {
        return no_memory(w->err);
    }
    enum lzr_code code = LZR_OK;
    /* Backwards: what is inside a group is finished before the group needs it. */
    for (size_t i = w->tree.n; code == LZR_OK && i-- > 0;) {
        code = write_parts(w, i);
        if (code == LZR_OK && lzr_is_group(&w->tree.items[i]) &&
            w->ops->write_consolidated != NULL) {
            code = write_consolidated(w, i);
        }
        if (code == LZR_OK) {
            code = list_item(w, i);
        }
    }
    lzr_free(w->parts);
    return code;
}

/* What answers for all that a failed store would have. */
static enum lzr_code add_failed(struct work *w)
{
    const char *key = make_key(w, "", "");
    if (key == NULL) {
        return no_memory(w->err);
    }
    add_node(w->c, key)->failed = w->store;
    return LZR_OK;
}

/* The directory of a face: one entry a store, also of one that failed: who lists the stores and
 * reads them all shall come to its error. */
static enum lzr_code list_face(struct lzr_catalog *c, const struct lzr_face_ops *ops,
                               struct lzr_err *err)
{
    struct lzr_dir_entry *entries = lzr_arena_alloc(&c->arena, (c->nstores + 1) * sizeof *entries);
    if (entries == NULL) {
        return no_memory(err);
    }
    size_t listed = 0;
    for (size_t i = 0; i < c->nstores; i++) {
        char name[LZR_MAX_NAME + 16];
        if (c->stores[i].fate == LZR_SKIPPED) {
            continue;
        }
        int n = snprintf(name, sizeof name, "%s%s", c->stores[i].name, ops->suffix);
        const char *kept = lzr_arena_strndup(&c->arena, name, (size_t)n);
        if (kept == NULL) {
            return no_memory(err);
        }
        entries[listed++] = (struct lzr_dir_entry){.name = kept, .is_dir = true};
    }
    qsort(entries, listed, sizeof *entries, compare_entries);
    struct lzr_catalog_node *node;
    return add_dir(c, ops->name, entries, listed, &node, err);
}

static enum lzr_code list_root(struct lzr_catalog *c, struct lzr_err *err)
{
    struct lzr_dir_entry *entries = lzr_arena_alloc(&c->arena, LZR_FACES * sizeof *entries);
    if (entries == NULL) {
        return no_memory(err);
    }
    for (int f = 0; f < LZR_FACES; f++) {
        entries[f] = (struct lzr_dir_entry){lzr_catalog_face((enum lzr_face)f)->name, true};
    }
    qsort(entries, LZR_FACES, sizeof *entries, compare_entries);
    struct lzr_catalog_node *node;
    return add_dir(c, "", entries, LZR_FACES, &node, err);
}

/* Half full at most, so that a probe for what isn't there ends soon. */
static enum lzr_code build_table(struct lzr_catalog *c, struct lzr_err *err)
{
    size_t slots = 16;
    while (slots < 2 * c->nnodes) {
        slots *= 2;
    }
    c->slots = lzr_arena_alloc(&c->arena, slots * sizeof *c->slots);
    if (c->slots == NULL) {
        return no_memory(err);
    }
    c->mask = slots - 1;
    for (size_t i = 0; i < c->nnodes; i++) {
        size_t at = (size_t)c->nodes[i].hash & c->mask;
        while (c->slots[at] != 0) {
            at = (at + 1) & c->mask;
        }
        c->slots[at] = (uint32_t)(i + 1);
    }
    return LZR_OK;
}

static enum lzr_code build_stores(struct lzr_catalog *c, const struct lzr_tree *trees,
                                  struct lzr_err *err)
{
    for (int f = 0; f < LZR_FACES; f++) {
        const struct lzr_face_ops *ops = lzr_catalog_face((enum lzr_face)f);
        for (size_t i = 0; i < c->nstores; i++) {
            struct work w = {.c = c,
                             .store = &c->stores[i],
                             .ops = ops,
                             .face = (enum lzr_face)f,
                             .tree = trees[(size_t)f * c->nstores + i],
                             .err = err};
            enum lzr_fate fate = c->stores[i].fate;
            enum lzr_code code = fate == LZR_LOADED   ? build_store(&w)
                                 : fate == LZR_FAILED ? add_failed(&w)
                                                      : LZR_OK;
            if (code != LZR_OK) {
                return code;
            }
        }
        enum lzr_code code = list_face(c, ops, err);
        if (code != LZR_OK) {
            return code;
        }
    }
    return list_root(c, err);
}

enum lzr_code lzr_catalog_build(struct lzr_catalog *c, struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    size_t items = 0;
    size_t ntrees = LZR_FACES * c->nstores;
    struct lzr_tree *trees = lzr_arena_alloc(&c->arena, (ntrees + 1) * sizeof *trees);
    if (trees == NULL) {
        code = no_memory(err);
    }
    for (size_t i = 0; code == LZR_OK && i < ntrees; i++) {
        /* In the catalog's arena: nodes refer to the items, entries to the names in their paths. */
        const struct lzr_face_ops *ops = lzr_catalog_face((enum lzr_face)(i / c->nstores));
        if (c->stores[i % c->nstores].fate != LZR_LOADED) {
            trees[i] = (struct lzr_tree){.n = 0};
            continue;
        }
        code = lzr_tree_build(&c->arena, &c->stores[i % c->nstores], ops->expand, &trees[i], err);
        items += code == LZR_OK ? trees[i].n : 0;
    }
    if (code == LZR_OK) {
        /* A node a part, one for the consolidated document, one for the directory. */
        c->cap = 1 + LZR_FACES + ntrees + items * (LZR_FACE_PARTS + 2);
        c->nodes = lzr_arena_alloc(&c->arena, c->cap * sizeof *c->nodes);
        code = c->nodes != NULL ? build_stores(c, trees, err) : no_memory(err);
    }
    if (code == LZR_OK) {
        code = build_table(c, err);
    }
    return code;
}
