#include "base/blob.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/pages.h"

#define BLOB_MAGIC 0x626c6f62u
/* malloc's own share of an allocation, at its largest for small ones. */
#define MALLOC_OVERHEAD 16u

void lzr_budget_add(struct lzr_budget *b, uint64_t bytes)
{
    for (; b != NULL; b = b->parent) {
        atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
    }
}

void lzr_budget_sub(struct lzr_budget *b, uint64_t bytes)
{
    for (; b != NULL; b = b->parent) {
        uint64_t before = atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
        LZR_CHECK(before >= bytes);
    }
}

bool lzr_budget_in_vain(const struct lzr_budget *b, uint64_t kept, uint64_t need)
{
    uint64_t held = atomic_load_explicit(&b->kept_held, memory_order_relaxed);
    uint64_t there = kept > held ? kept - held : 0;
    return atomic_load_explicit(&b->used, memory_order_relaxed) + need > b->limit + there;
}

uint64_t lzr_blob_charge(size_t len)
{
    size_t bytes = sizeof(struct lzr_blob) + len;
    return bytes < LZR_PAGES_LEAST ? bytes + MALLOC_OVERHEAD
                                   : lzr_pages_round(bytes + MALLOC_OVERHEAD);
}

struct lzr_blob *lzr_blob_new(size_t len, struct lzr_budget *budget)
{
    if (len > SIZE_MAX / 2) {
        return NULL;
    }
    size_t bytes = sizeof(struct lzr_blob) + len;
    bool paged = budget != NULL && budget->pages != NULL && lzr_pages_serves(bytes);
    struct lzr_blob *b = paged ? lzr_pages_take(budget->pages, bytes) : lzr_malloc(bytes);
    if (b == NULL) {
        return NULL;
    }
    b->room = paged ? bytes : 0;
    atomic_init(&b->refs, 1);
    atomic_init(&b->sends, 0);
    b->magic = BLOB_MAGIC;
    b->len = len;
    b->budget = budget;
    if (budget != NULL) {
        lzr_budget_add(budget, lzr_blob_charge(len));
    }
    return b;
}

struct lzr_blob *lzr_blob_dup(const void *bytes, size_t len, struct lzr_budget *budget)
{
    struct lzr_blob *b = lzr_blob_new(len, budget);
    if (b != NULL && len > 0) {
        memcpy(b->data, bytes, len);
    }
    return b;
}

/* In its place, or, where it is small now, as malloc's. NULL: no memory. */
static struct lzr_blob *shrink_paged(struct lzr_blob *b, size_t len)
{
    struct lzr_pages *pages = b->budget->pages;
    size_t bytes = sizeof *b + len;
    struct lzr_blob *small = lzr_pages_serves(bytes) ? NULL : lzr_malloc(bytes);
    if (small != NULL) {
        memcpy(small, b, bytes);
        small->room = 0;
        lzr_pages_give(pages, b, b->room);
        return small;
    }
    lzr_pages_cut(pages, b, b->room, bytes);
    b->room = bytes;
    return b;
}

struct lzr_blob *lzr_blob_shrink(struct lzr_blob *b, size_t len)
{
    LZR_CHECK(b->magic == BLOB_MAGIC && atomic_load(&b->refs) == 1 && len <= b->len);
    uint64_t before = lzr_blob_charge(b->len);
    struct lzr_blob *smaller = b->room > 0 ? shrink_paged(b, len) : lzr_realloc(b, sizeof *b + len);
    if (smaller == NULL) {
        smaller = b; /* the memory stays, but not its charge: as if it had been given back */
    }
    smaller->len = len;
    if (smaller->budget != NULL) {
        lzr_budget_sub(smaller->budget, before - lzr_blob_charge(len));
    }
    return smaller;
}

/* A kept blob is, or is no longer, somebody else's, too. */
static void count_held(struct lzr_budget *at, uint64_t bytes, bool held)
{
    for (; at != NULL; at = at->parent) {
        atomic_fetch_add_explicit(&at->kept_held, held ? bytes : 0 - bytes, memory_order_relaxed);
    }
}

struct lzr_blob *lzr_blob_ref(struct lzr_blob *b)
{
    LZR_CHECK(b->magic == BLOB_MAGIC);
    if (atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed) == (LZR_BLOB_KEPT | 1)) {
        count_held(b->budget, lzr_blob_charge(b->len), true);
    }
    return b;
}

void lzr_blob_kept(struct lzr_blob *b)
{
    if (atomic_fetch_or_explicit(&b->refs, LZR_BLOB_KEPT, memory_order_relaxed) > 1) {
        count_held(b->budget, lzr_blob_charge(b->len), true);
    }
}

void lzr_blob_let_go(struct lzr_blob *b)
{
    uint32_t before = atomic_fetch_and_explicit(&b->refs, ~LZR_BLOB_KEPT, memory_order_relaxed);
    if (before > (LZR_BLOB_KEPT | 1)) {
        count_held(b->budget, lzr_blob_charge(b->len), false);
    }
}

void lzr_blob_unref(struct lzr_blob **bp)
{
    struct lzr_blob *b = *bp;
    *bp = NULL;
    if (b == NULL) {
        return;
    }
    LZR_CHECK(b->magic == BLOB_MAGIC);
    struct lzr_budget *budget = b->budget; /* b may be gone when this reference was given back */
    uint64_t bytes = lzr_blob_charge(b->len);
    uint32_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    if (before == (LZR_BLOB_KEPT | 2)) {
        count_held(budget, bytes, false);
    }
    if (before == 1) {
        if (b->budget != NULL) {
            lzr_budget_sub(b->budget, lzr_blob_charge(b->len));
        }
        b->magic = 0;
        if (b->room > 0) {
            lzr_pages_give(b->budget->pages, b, b->room);
        } else {
            lzr_free(b);
        }
    }
}

void lzr_blob_sending(struct lzr_blob *b)
{
    if (atomic_fetch_add_explicit(&b->sends, 1, memory_order_relaxed) > 0) {
        return;
    }
    for (struct lzr_budget *at = b->budget; at != NULL; at = at->parent) {
        atomic_fetch_add_explicit(&at->unsent, lzr_blob_charge(b->len), memory_order_relaxed);
    }
}

void lzr_blob_sent(struct lzr_blob *b)
{
    if (atomic_fetch_sub_explicit(&b->sends, 1, memory_order_relaxed) > 1) {
        return;
    }
    for (struct lzr_budget *at = b->budget; at != NULL; at = at->parent) {
        atomic_fetch_sub_explicit(&at->unsent, lzr_blob_charge(b->len), memory_order_relaxed);
    }
}
