#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/array.h"

/* Checks the lengths of every axis; afterwards the chunk fits any limit a uint64_t can hold. */
static enum lzr_code check_axes(const struct lzr_grid *g, uint64_t *chunk_elements,
                                struct lzr_err *err)
{
    uint64_t chunk = 1, elements = 1;
    bool empty = false;
    for (unsigned i = 0; i < g->rank; i++) {
        if (g->chunks[i] < 1) {
            return lzr_err_set(err, LZR_E_INVAL, "chunks must be >= 1, got 0 on axis %u", i);
        }
        if (!lzr_mul_u64(chunk, g->chunks[i], &chunk) || chunk > LZR_MAX_CHUNK_BYTES) {
            return lzr_err_set(err, LZR_E_LIMIT,
                               "a chunk has more than the limit of %" PRIu64
                               " elements at axis %u (chunks %" PRIu64 ")",
                               LZR_MAX_CHUNK_BYTES, i, g->chunks[i]);
        }
        empty = empty || g->shape[i] == 0;
    }
    for (unsigned i = 0; i < g->rank; i++) {
        /* An axis of length 0 makes the array empty, but each other axis is still held to the
         * limit, so that positions can be multiplied without a check. */
        uint64_t before = empty ? 1 : elements;
        if (!lzr_mul_u64(before, g->shape[i], &elements) || elements > LZR_MAX_ELEMENTS) {
            return lzr_err_set(err, LZR_E_LIMIT,
                               "an array has at most 2^62 elements, more at axis %u "
                               "(length %" PRIu64 ")",
                               i, g->shape[i]);
        }
    }
    *chunk_elements = chunk;
    return LZR_OK;
}

enum lzr_code lzr_grid_init(struct lzr_grid *g, struct lzr_err *err)
{
    if (g->rank > LZR_MAX_RANK) {
        return lzr_err_set(err, LZR_E_LIMIT, "an array has at most %d axes, got %u", LZR_MAX_RANK,
                           g->rank);
    }
    uint64_t chunk_elements = 1;
    enum lzr_code code = check_axes(g, &chunk_elements, err);
    if (code != LZR_OK) {
        return code;
    }
    uint64_t total = 1;
    for (unsigned i = 0; i < g->rank; i++) {
        g->counts[i] = g->shape[i] / g->chunks[i] + (g->shape[i] % g->chunks[i] != 0);
    }
    for (unsigned i = 0; i < g->rank; i++) {
        /* counts <= shape axis by axis, so the product is below the limit of elements; only in an
         * empty array could it wrap on the way to 0, so 0 wins at once. */
        if (g->counts[i] == 0) {
            total = 0;
            break;
        }
    }
    for (unsigned i = 0; i < g->rank && total != 0; i++) {
        total *= g->counts[i];
    }
    g->total = total;
    g->chunk_elements = chunk_elements;
    return LZR_OK;
}

uint64_t lzr_grid_index(const struct lzr_grid *g, const uint64_t pos[])
{
    uint64_t index = 0;
    for (unsigned i = 0; i < g->rank; i++) {
        index = index * g->counts[i] + pos[i];
    }
    return index;
}

void lzr_grid_position(const struct lzr_grid *g, uint64_t index, uint64_t pos[])
{
    for (unsigned i = g->rank; i-- > 0;) {
        pos[i] = index % g->counts[i];
        index /= g->counts[i];
    }
}

void lzr_grid_block(const struct lzr_grid *g, const uint64_t pos[], uint64_t start[],
                    uint64_t extent[])
{
    for (unsigned i = 0; i < g->rank; i++) {
        start[i] = pos[i] * g->chunks[i];
        uint64_t left = g->shape[i] - start[i];
        extent[i] = left < g->chunks[i] ? left : g->chunks[i];
    }
}

const char *lzr_array_type(const struct lzr_array *a)
{
    return a->text ? "texts" : lzr_dtype_name(a->dtype);
}

const char *lzr_pyramid_name(enum lzr_pyramid p)
{
    static const char *const NAMES[] = {
        [LZR_PYRAMID_NONE] = NULL,  [LZR_PYRAMID_MEAN] = "mean", [LZR_PYRAMID_MODE] = "mode",
        [LZR_PYRAMID_MAX] = "max",  [LZR_PYRAMID_MIN] = "min",   [LZR_PYRAMID_STRIDE] = "stride",
        [LZR_PYRAMID_EACH] = "each"};
    return NAMES[p];
}

unsigned lzr_array_run_levels(const struct lzr_array *a)
{
    return a->pyramid == LZR_PYRAMID_EACH ? a->nlevels : 1;
}

bool lzr_level_reduced(const struct lzr_array *a, unsigned level)
{
    return level > 0 && a->pyramid != LZR_PYRAMID_EACH;
}

void lzr_level_step(const struct lzr_array *a, unsigned level, uint64_t step[])
{
    for (unsigned i = 0; i < a->levels[0].grid.rank; i++) {
        step[i] = a->levels[level].factor[i] / a->levels[level - 1].factor[i];
    }
}
