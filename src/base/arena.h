/* arena.h: many small allocations with one lifetime, freed together. Not thread-safe. */
#ifndef LZR_BASE_ARENA_H
#define LZR_BASE_ARENA_H

#include <stddef.h>

struct lzr_arena {
    struct lzr_arena_block *head;
    size_t total; /* bytes taken from the system */
};

void lzr_arena_init(struct lzr_arena *a);
void lzr_arena_release(struct lzr_arena *a);
void *lzr_arena_alloc(struct lzr_arena *a, size_t n); /* zeroed, aligned to 16; NULL: no memory */
char *lzr_arena_strndup(struct lzr_arena *a, const char *s, size_t n);

#endif
