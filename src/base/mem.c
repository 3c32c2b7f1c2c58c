#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Allocations of this thread that may still succeed; negative: all. Only tests set it. */
static _Thread_local long remaining = -1;
static _Thread_local bool only_one; /* those behind the one that fails succeed again */
static _Thread_local bool failed;

void lzr_mem_fail_after(long n)
{
    remaining = n;
    only_one = failed = false;
}

void lzr_mem_fail_at(long n)
{
    remaining = n;
    only_one = true;
    failed = false;
}

bool lzr_mem_failed(void)
{
    return failed;
}

bool lzr_mem_allowed(void)
{
    if (remaining < 0) {
        return true;
    }
    if (remaining == 0) {
        remaining = only_one ? -1 : 0;
        failed = true;
        return false;
    }
    remaining--;
    return true;
}

void *lzr_malloc(size_t n)
{
    return lzr_mem_allowed() ? malloc(n > 0 ? n : 1) : NULL;
}

void *lzr_calloc(size_t n, size_t size)
{
    return lzr_mem_allowed() ? calloc(n > 0 ? n : 1, size > 0 ? size : 1) : NULL;
}

void *lzr_realloc(void *p, size_t n)
{
    return lzr_mem_allowed() ? realloc(p, n > 0 ? n : 1) : NULL;
}

char *lzr_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *out = lzr_malloc(len + 1);
    if (out != NULL) {
        memcpy(out, s, len);
        out[len] = '\0';
    }
    return out;
}

char *lzr_strdup(const char *s)
{
    return lzr_strndup(s, strlen(s));
}

void lzr_free(void *p)
{
    free(p);
}
