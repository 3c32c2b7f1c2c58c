/* pages.h: memory in whole pages for what is large and lives as long as it likes: cached chunks.
 *
 * malloc keeps what was freed between two that live on, in each of its arenas: under a cache whose
 * chunks come and go, a fifth of it and more. Here the pages of what was given back go back to the
 * kernel but for `keep` bytes, which are used again first, so that a steady coming and going costs
 * few page faults. What is resident is never more than what is taken, each in whole pages,
 * `keep`, and for each 16 MiB of address space 192 KiB of bookkeeping at most.
 *
 * Any thread. A lock is held for list operations and, where addresses run out, for one mmap; never
 * while pages go back to the kernel. */
#ifndef LZR_BASE_PAGES_H
#define LZR_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#define LZR_PAGES_LEAST ((size_t)16384)  /* smaller ones are malloc's: rounding costs too much */
#define LZR_PAGES_MOST ((size_t)8 << 20) /* larger ones are mapped one by one, by malloc as well */

struct lzr_pages;

/* NULL: no memory. */
struct lzr_pages *lzr_pages_new(size_t keep);
/* Everything must have been given back. NULL is fine; NULLs the pointer. */
void lzr_pages_free(struct lzr_pages **pp);

static inline bool lzr_pages_serves(size_t bytes)
{
    return bytes >= LZR_PAGES_LEAST && bytes <= LZR_PAGES_MOST;
}
/* Rounded up to whole pages. */
size_t lzr_pages_round(size_t bytes);

/* bytes: 1 to LZR_PAGES_MOST. Aligned to a page, with anything in it. NULL: no memory. */
void *lzr_pages_take(struct lzr_pages *p, size_t bytes);
/* Gives the end of what was taken back; to: at least 1. */
void lzr_pages_cut(struct lzr_pages *p, void *at, size_t from, size_t to);
/* bytes: as it was taken, or cut to. */
void lzr_pages_give(struct lzr_pages *p, void *at, size_t bytes);

/* For tests and figures. */
struct lzr_pages_stats {
    size_t taken, kept; /* bytes in whole pages: in use; free and perhaps resident */
    size_t mapped;      /* of address space */
};
struct lzr_pages_stats lzr_pages_stats(struct lzr_pages *p);

#endif
