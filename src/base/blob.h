/* blob.h: immutable, refcounted bytes, and the one byte budget they are charged to.
 *
 * A blob is made with lzr_blob_new, filled by its maker, and from then on immutable. Refs may be
 * taken and dropped on any thread; the last unref frees it and gives its charge back to the budget
 * it was made under. The charge is the whole allocation, header included, in whole pages where it
 * is made of such (pages.h), so the sum of live blobs is what the budget says, whoever holds them:
 * the cache, a flight, a response being sent.
 *
 * The budget is a number, not a gate: lzr_blob_new never refuses for the budget's sake. Whoever
 * starts work asks first (engine: reserve before you start). */
#ifndef LZR_BASE_BLOB_H
#define LZR_BASE_BLOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LZR_BLOB_KEPT 0x80000000u

struct lzr_pages;

struct lzr_budget {
    _Atomic uint64_t used; /* bytes charged now */
    uint64_t limit;        /* immutable after start */
    /* Part of used that waits for clients to read it, a blob once however many answers have it: it
     * can't be given back by evicting, and goes only as fast as they read. */
    _Atomic uint64_t unsent;
    /* Part of used that a cache keeps and others have, too: evicting it gives nothing back. */
    _Atomic uint64_t kept_held;
    /* Where its larger blobs lie, which must outlive them; NULL: where malloc puts them. */
    struct lzr_pages *pages;
    struct lzr_budget *parent; /* where all of it is charged, too; or NULL */
};

struct lzr_blob {
    /* Who has it, and LZR_BLOB_KEPT: one number, so that of two threads one sees what the other
     * did. */
    _Atomic uint32_t refs;
    uint32_t magic;
    _Atomic uint32_t sends;    /* answers on their way that it is part of */
    size_t len;                /* bytes in data */
    size_t room;               /* bytes taken of the budget's pages; 0: it is malloc's */
    struct lzr_budget *budget; /* may be NULL: not charged */
    unsigned char data[];      /* len bytes, written by the maker before it is shared */
};

/* A blob of len uninitialised bytes with one reference, charged to budget (nullable). NULL when
 * out of memory. */
struct lzr_blob *lzr_blob_new(size_t len, struct lzr_budget *budget);
/* The same with a copy of the bytes. */
struct lzr_blob *lzr_blob_dup(const void *bytes, size_t len, struct lzr_budget *budget);
/* Shrinks a blob that nobody else has seen yet (refs == 1) to len bytes and returns it, possibly
 * moved; the charge follows. Takes the caller's reference and gives it back in the result. */
struct lzr_blob *lzr_blob_shrink(struct lzr_blob *b, size_t len);
struct lzr_blob *lzr_blob_ref(struct lzr_blob *b);
void lzr_blob_unref(struct lzr_blob **b); /* NULLs the pointer; a NULL blob is fine */
/* A blob is, and is no longer, part of an answer on its way. */
void lzr_blob_sending(struct lzr_blob *b);
void lzr_blob_sent(struct lzr_blob *b);
/* A cache that has a reference keeps it, and keeps it no longer (it still has its reference). One
 * cache at a time. */
void lzr_blob_kept(struct lzr_blob *b);
void lzr_blob_let_go(struct lzr_blob *b);
/* Bytes that a blob of this many bytes is charged. */
uint64_t lzr_blob_charge(size_t len);

void lzr_budget_add(struct lzr_budget *b, uint64_t bytes);
void lzr_budget_sub(struct lzr_budget *b, uint64_t bytes);
/* Whether need more bytes wouldn't fit though all that caches keep (kept bytes) were evicted: what
 * others hold of it stays. Any thread. */
bool lzr_budget_in_vain(const struct lzr_budget *b, uint64_t kept, uint64_t need);

#endif
