/* mem.h: allocation that can be made to fail, and sizes that can't overflow.
 *
 * All of base, store and engine allocate through these. Any thread. A test calls
 * lzr_mem_fail_after(n) to make the (n+1)th following allocation of this thread, and all after it,
 * fail; lzr_mem_fail_after(-1) ends that. */
#ifndef LZR_BASE_MEM_H
#define LZR_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *lzr_malloc(size_t n); /* NULL when out of memory; n = 0 gives a unique pointer */
void *lzr_calloc(size_t n, size_t size);
void *lzr_realloc(void *p, size_t n); /* p is untouched on failure */
char *lzr_strdup(const char *s);
char *lzr_strndup(const char *s, size_t n);
void lzr_free(void *p); /* NULL is fine */

void lzr_mem_fail_after(long n);
void lzr_mem_fail_at(long n); /* only that one fails; -1: none */
bool lzr_mem_allowed(void);   /* counts one; false: it is to fail. For allocators of other kinds */
bool lzr_mem_failed(void);    /* whether one has failed since the last of these calls */

/* a * b and a + b; false on overflow, and then *out is untouched. */
static inline bool lzr_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;
    if (__builtin_mul_overflow(a, b, &r)) {
        return false;
    }
    *out = r;
    return true;
}

static inline bool lzr_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;
    if (__builtin_add_overflow(a, b, &r)) {
        return false;
    }
    *out = r;
    return true;
}

#endif
