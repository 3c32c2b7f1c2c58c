/* copy_box.h: where copied chunks lie, and their neighbours; inside of copy.c and copy_group.c. */
#ifndef LZR_ENGINE_COPY_BOX_H
#define LZR_ENGINE_COPY_BOX_H

#include <stdint.h>

#include "store/copied.h"

struct lzr_driver;

/* Where a chunk lies, and the chunks that it is copied from. */
struct lzr_copy_box {
    const struct lzr_grid *own;
    struct lzr_copied_from from;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK]; /* cut to the array */
    uint64_t first[LZR_MAX_RANK], count[LZR_MAX_RANK], n;
};

struct lzr_copy_box lzr_copy_box_of(const struct lzr_array *a, uint32_t level, uint64_t index);

/* Chunks that are copied from the very same ones as b: a box of positions, and b's place in it. */
struct lzr_neighbours {
    uint64_t low[LZR_MAX_RANK], n[LZR_MAX_RANK], all, own;
};

struct lzr_neighbours lzr_neighbours_of(const struct lzr_copy_box *b);
/* Index of the at-th of them. */
uint64_t lzr_neighbours_at(const struct lzr_grid *g, const struct lzr_neighbours *s, uint64_t at);
/* Bytes that a codec thread may take raw for chunks that are asked for, and as many for neighbours,
 * where one chunk isn't more: all threads together take a quarter of the budget. */
uint64_t lzr_copy_share(const struct lzr_driver *d);
/* How many neighbours may be copied along, the first one among them. */
uint64_t lzr_neighbours_most(const struct lzr_driver *d, const struct lzr_array *a, uint32_t level);

#endif
