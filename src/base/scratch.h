/* scratch.h: a few buffers that are used again and again, so that what is worked in isn't memory
 * that the kernel has to find and clear each time (a new page costs more than decoding into it).
 *
 * lzr_scratch_take gives a buffer of at least that many bytes, 16-aligned, with anything in it;
 * it belongs to the caller until lzr_scratch_give. At most LZR_SCRATCH_BUFFERS of at most
 * LZR_SCRATCH_KEPT bytes are kept; all else is plain malloc and free. Any thread, no lock. The
 * pool itself must be zeroed before its first use, and released when nobody has a buffer any more.
 */
#ifndef LZR_BASE_SCRATCH_H
#define LZR_BASE_SCRATCH_H

#include <stdatomic.h>
#include <stddef.h>

#define LZR_SCRATCH_BUFFERS 4
#define LZR_SCRATCH_KEPT (((size_t)2 << 20) + 65536) /* 64^3 of 8 bytes, and what codecs add */

struct lzr_scratch {
    size_t cap;
    _Alignas(16) unsigned char data[];
};

struct lzr_scratch_pool {
    _Atomic(struct lzr_scratch *) kept[LZR_SCRATCH_BUFFERS];
};

/* NULL: no memory. */
struct lzr_scratch *lzr_scratch_take(struct lzr_scratch_pool *pool, size_t bytes);
/* Takes the buffer back and NULLs the pointer; NULL is fine. */
void lzr_scratch_give(struct lzr_scratch_pool *pool, struct lzr_scratch **sp);
void lzr_scratch_release(struct lzr_scratch_pool *pool);

#endif
