#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK = 16384 };

struct lzr_arena_block {
    struct lzr_arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void lzr_arena_init(struct lzr_arena *a)
{
    *a = (struct lzr_arena){0};
}

void lzr_arena_release(struct lzr_arena *a)
{
    while (a->head != NULL) {
        struct lzr_arena_block *b = a->head;
        a->head = b->next;
        lzr_free(b);
    }
    a->total = 0;
}

void *lzr_arena_alloc(struct lzr_arena *a, size_t n)
{
    if (n > SIZE_MAX / 4) {
        return NULL;
    }
    n = (n + 15) & ~(size_t)15;
    struct lzr_arena_block *b = a->head;
    if (b == NULL || b->size - b->used < n) {
        size_t size = n > BLOCK ? n : BLOCK;
        b = lzr_calloc(1, sizeof *b + size);
        if (b == NULL) {
            return NULL;
        }
        b->size = size;
        a->total += sizeof *b + size;
        if (n > BLOCK / 4 && a->head != NULL) {
            /* A large piece gets a block of its own behind the one that is being filled. */
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    void *p = b->data + b->used;
    b->used += n;
    return p;
}

char *lzr_arena_strndup(struct lzr_arena *a, const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *out = lzr_arena_alloc(a, len + 1);
    if (out != NULL) {
        memcpy(out, s, len);
    }
    return out;
}
