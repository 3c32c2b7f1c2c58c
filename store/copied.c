#include "store/copied.h"

#include <string.h>

#include "base/mem.h"
#include "lazarr/limits.h"
#include "store/touched.h"

static bool has_pieces(const struct lzr_array *a, uint32_t level)
{
    return a->levels[a->nlevels + level].grid.chunk_elements > 0;
}

bool lzr_copied_pieces(const struct lzr_array *a, uint32_t level)
{
    return level >= a->nlevels;
}

struct lzr_copied_from lzr_copied_from(const struct lzr_array *a, uint32_t level)
{
    struct lzr_copied_from from = {.array = a, .level = a->nlevels + level};
    if (level >= a->nlevels || !has_pieces(a, level)) {
        const struct lzr_input *in = &a->inputs[0];
        from.array = in->array;
        from.level = in->levels[level >= a->nlevels ? level - a->nlevels : level];
    }
    from.grid = &from.array->levels[from.level].grid;
    return from;
}

/* Chunks of one grid that a chunk of the other touches along an axis, at most. */
static uint64_t touched(const struct lzr_grid *own, const struct lzr_grid *from, unsigned axis)
{
    const struct lzr_touching t = {.length = from->shape[axis],
                                   .chunk = from->chunks[axis],
                                   .blocks = own->counts[axis],
                                   .stride = own->chunks[axis],
                                   .size = own->chunks[axis] < own->shape[axis]
                                               ? own->chunks[axis]
                                               : own->shape[axis]};
    return lzr_touched_most(&t);
}

/* UINT64_MAX: more than can be counted. */
static uint64_t touched_in_all(const struct lzr_grid *own, const struct lzr_grid *from)
{
    uint64_t n = 1;
    for (unsigned i = 0; i < own->rank; i++) {
        uint64_t along = touched(own, from, i);
        if (!lzr_mul_u64(n, along > 0 ? along : 1, &n)) {
            return UINT64_MAX;
        }
    }
    return n;
}

uint64_t lzr_copied_most(const struct lzr_array *a, uint32_t level)
{
    struct lzr_copied_from from = lzr_copied_from(a, level);
    return touched_in_all(&a->levels[level].grid, from.grid);
}

/* The axis along which the chunks are the longest in chunks of `from`; rank: along none are they
 * longer than one. */
static unsigned longest(const struct lzr_grid *g, const struct lzr_grid *from)
{
    unsigned axis = g->rank;
    uint64_t most = 1;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t n = (g->chunks[i] + from->chunks[i] - 1) / from->chunks[i];
        if (n > most) {
            most = n;
            axis = i;
        }
    }
    return axis;
}

/* Shortens chunks until one touches few chunks of `from`; along an axis that is cut they are a
 * multiple of those. False: they were short enough. */
static bool cut(struct lzr_grid *g, const struct lzr_grid *from, uint64_t few)
{
    bool was = false;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t length = g->shape[i] > 0 ? g->shape[i] : 1;
        g->chunks[i] = g->chunks[i] < length ? g->chunks[i] : length;
        g->counts[i] = (g->shape[i] + g->chunks[i] - 1) / g->chunks[i];
    }
    while (touched_in_all(g, from) > few) {
        unsigned axis = longest(g, from);
        if (axis == g->rank) {
            break;
        }
        uint64_t n = (g->chunks[axis] + from->chunks[axis] - 1) / from->chunks[axis];
        g->chunks[axis] = (n + 1) / 2 * from->chunks[axis];
        g->counts[axis] = (g->shape[axis] + g->chunks[axis] - 1) / g->chunks[axis];
        was = true;
    }
    return was;
}

static enum lzr_code give_pieces(struct lzr_array *a, unsigned k, struct lzr_err *err)
{
    const struct lzr_input *in = &a->inputs[0];
    const struct lzr_grid *from = &in->array->levels[in->levels[k]].grid;
    struct lzr_level *pieces = &a->levels[a->nlevels + k];
    uint64_t raw = from->chunk_elements * a->dtype.size, few = LZR_PIECE_BYTES / raw;
    struct lzr_grid g = a->levels[k].grid;
    /* The server reads boxes of a source; and levels are numbered in a few bits. */
    if (g.total == 0 || in->array->levels[in->levels[k]].data != NULL ||
        a->nlevels + k >= LZR_MAX_LEVELS || !cut(&g, from, few > 0 ? few : 1)) {
        return LZR_OK;
    }
    enum lzr_code code = lzr_grid_init(&g, err);
    if (code == LZR_OK) {
        *pieces = a->levels[k];
        pieces->grid = g;
        pieces->data = NULL;
    }
    return code;
}

/* Its input as it is: one array, whole, of the same dtype and rank. */
static bool is_copy(const struct lzr_array *a)
{
    const struct lzr_input *in = a->inputs;
    bool same = a->ninputs == 1 && in->array->dtype.kind == a->dtype.kind &&
                in->array->dtype.size == a->dtype.size && in->array->dtype.big == a->dtype.big &&
                in->array->levels[0].grid.rank == a->levels[0].grid.rank;
    for (unsigned i = 0; same && i < a->levels[0].grid.rank; i++) {
        same = in->axis[i] == (int)i && in->lower[i] == 0 && in->upper[i] == 0;
    }
    return same && lzr_array_run_levels(a) == a->nlevels;
}

enum lzr_code lzr_copied_init(struct lzr_arena *arena, struct lzr_array *a, struct lzr_err *err)
{
    if (!is_copy(a)) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "copied must have one input, with its dtype and axes, at all levels");
    }
    struct lzr_level *levels = lzr_arena_alloc(arena, 2 * (size_t)a->nlevels * sizeof *levels);
    if (levels == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    memset(levels, 0, 2 * (size_t)a->nlevels * sizeof *levels);
    memcpy(levels, a->levels, a->nlevels * sizeof *levels);
    a->levels = levels;
    enum lzr_code code = LZR_OK;
    for (unsigned k = 0; code == LZR_OK && k < a->nlevels; k++) {
        code = give_pieces(a, k, err);
        struct lzr_copied_from from = lzr_copied_from(a, k);
        bool read = from.array->levels[from.level].data != NULL;
        if (code == LZR_OK && !read &&
            (lzr_copied_most(a, k) > LZR_MAX_NEEDS ||
             (has_pieces(a, k) && lzr_copied_most(a, a->nlevels + k) > LZR_MAX_NEEDS))) {
            code = lzr_err_set(err, LZR_E_LIMIT,
                               "a chunk of level %u would be copied from more than %d chunks, or "
                               "pieces of %d MiB: smaller chunks",
                               k, LZR_MAX_NEEDS, (int)(LZR_PIECE_BYTES >> 20));
        }
    }
    return code;
}
