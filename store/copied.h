/* copied.h: arrays that are another one in other chunks (lazarr.rechunk): what a chunk of one is
 * copied from. Pure functions, any thread.
 *
 * A chunk that touches few chunks of its input is copied from those. One that touches many, as a
 * series through a stack of maps does, is copied from pieces: boxes of itself, each of which
 * touches few. So while it is made no more than its own pieces and one piece's chunks are held.
 * Pieces of level k have a level of their own, nlevels + k, that no face shows: its chunks are
 * made, wanted and cached as all chunks are.
 *
 *   stored chunks  (1, 721, 1440)  ──4 of them──►  piece (4, 16, 16)  ──all──►  (-1, 16, 16)
 */
#ifndef LZR_STORE_COPIED_H
#define LZR_STORE_COPIED_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/array.h"

/* Raw bytes of the input's chunks that one piece touches, where one of them isn't more: they are
 * kept decoded (engine/inputs.h) where the budget is 128 MiB or more. */
#define LZR_PIECE_BYTES (UINT64_C(16) << 20)

/* A level of an array whose chunks are copied. */
struct lzr_copied_from {
    const struct lzr_array *array;
    uint32_t level;
    const struct lzr_grid *grid;
};

/* Of a level of a copied array, one of pieces included. */
struct lzr_copied_from lzr_copied_from(const struct lzr_array *a, uint32_t level);
/* Whether a level is one of pieces, which nobody else has heard of. */
bool lzr_copied_pieces(const struct lzr_array *a, uint32_t level);
/* Chunks of what it is copied from that a chunk touches at most. */
uint64_t lzr_copied_most(const struct lzr_array *a, uint32_t level);

/* Checks an array whose inputs are read that says it is copied, and gives it its pieces. */
enum lzr_code lzr_copied_init(struct lzr_arena *arena, struct lzr_array *a, struct lzr_err *err);

#endif
