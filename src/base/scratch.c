#include "base/scratch.h"

#include "base/mem.h"

struct lzr_scratch *lzr_scratch_take(struct lzr_scratch_pool *pool, size_t bytes)
{
    if (bytes <= LZR_SCRATCH_KEPT) {
        for (unsigned i = 0; i < LZR_SCRATCH_BUFFERS; i++) {
            struct lzr_scratch *s = atomic_exchange(&pool->kept[i], NULL);
            if (s != NULL && s->cap >= bytes) {
                return s;
            }
            lzr_free(s); /* too small for what is asked for now: the next one is larger */
        }
    }
    if (bytes > (size_t)-1 / 2) {
        return NULL;
    }
    struct lzr_scratch *s = lzr_malloc(sizeof *s + bytes);
    if (s != NULL) {
        s->cap = bytes;
    }
    return s;
}

void lzr_scratch_give(struct lzr_scratch_pool *pool, struct lzr_scratch **sp)
{
    struct lzr_scratch *s = *sp;
    *sp = NULL;
    for (unsigned i = 0; s != NULL && s->cap <= LZR_SCRATCH_KEPT && i < LZR_SCRATCH_BUFFERS; i++) {
        struct lzr_scratch *none = NULL;
        if (atomic_compare_exchange_strong(&pool->kept[i], &none, s)) {
            return;
        }
    }
    lzr_free(s);
}

void lzr_scratch_release(struct lzr_scratch_pool *pool)
{
    for (unsigned i = 0; i < LZR_SCRATCH_BUFFERS; i++) {
        lzr_free(atomic_exchange(&pool->kept[i], NULL));
    }
}
