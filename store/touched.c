#include "store/touched.h"

#include "store/boundary.h"

enum { STRETCHES = 16 };

struct interval {
    uint64_t low, high; /* chunks, high included */
};

/* Chunks in the union of intervals. */
static uint64_t united(struct interval all[], unsigned n)
{
    uint64_t total = 0, next = 0; /* chunks before next are counted */
    for (unsigned i = 1; i < n; i++) {
        for (unsigned k = i; k > 0 && all[k].low < all[k - 1].low; k--) {
            struct interval t = all[k];
            all[k] = all[k - 1];
            all[k - 1] = t;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t low = all[i].low > next ? all[i].low : next;
        if (all[i].high + 1 > low) {
            total += all[i].high + 1 - low;
            next = all[i].high + 1;
        }
    }
    return total;
}

/* Chunks that n voxels from `at` on touch, by the boundary's rule. */
static uint64_t touched_at(const struct lzr_touching *t, int64_t at, uint64_t n, uint64_t counts)
{
    struct interval all[STRETCHES];
    unsigned found = 0;
    for (unsigned i = 0; n > 0; i++) {
        if (i == STRETCHES) {
            return counts; /* the axis is repeated again and again */
        }
        struct lzr_stretch s = lzr_boundary_stretch(t->boundary, t->length, at, n);
        if (!s.outside) {
            uint64_t more = s.step == 0 ? 0 : s.n - 1;
            uint64_t far = s.step < 0 ? s.from - more : s.from + more;
            uint64_t low = (s.from < far ? s.from : far) / t->chunk;
            all[found++] = (struct interval){low, (s.from < far ? far : s.from) / t->chunk};
        }
        at += (int64_t)s.n;
        n -= s.n;
    }
    return united(all, found);
}

static uint64_t common(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Of blocks that lie anywhere in chunks, as far as strides let them. */
static uint64_t touched_anywhere(const struct lzr_touching *t)
{
    uint64_t g = common(t->stride, t->chunk), n = t->size + t->lower + t->upper;
    uint64_t first = t->start % g + (g - t->lower % g), r = t->chunk - g + first % g;
    uint64_t most = (r + n + t->chunk - 1) / t->chunk;
    bool repeats = t->boundary == LZR_BOUND_REFLECT || t->boundary == LZR_BOUND_SYMMETRIC ||
                   t->boundary == LZR_BOUND_WRAP;
    return most + (repeats && t->lower + t->upper > 0 ? 2 : 0);
}

uint64_t lzr_touched_most(const struct lzr_touching *t)
{
    uint64_t counts = t->length / t->chunk + (t->length % t->chunk != 0), most = 1;
    if (t->blocks > LZR_TOUCHED_EXACT) {
        most = touched_anywhere(t);
    }
    for (uint64_t k = 0; t->blocks <= LZR_TOUCHED_EXACT && k < t->blocks; k++) {
        uint64_t at = t->start + k * t->stride, end = at + t->size;
        end = end < t->length ? end : t->length;
        uint64_t n = (end > at ? end - at : 0) + t->lower + t->upper;
        uint64_t touched = touched_at(t, (int64_t)at - (int64_t)t->lower, n, counts);
        most = touched > most ? touched : most;
    }
    most = most < counts ? most : counts;
    return most > 0 ? most : 1;
}

uint64_t lzr_touched_input(const struct lzr_array *a, unsigned level, const struct lzr_input *in,
                           unsigned i)
{
    const struct lzr_grid *own = &a->levels[level].grid;
    const struct lzr_grid *g = &in->array->levels[in->levels[level]].grid;
    struct lzr_touching t = {.length = g->shape[i],
                             .chunk = g->chunks[i],
                             .blocks = 1,
                             .start = in->fixed[level][i][0],
                             .stride = 1,
                             .size = in->fixed[level][i][1] - in->fixed[level][i][0],
                             .lower = in->lower[i],
                             .upper = in->upper[i],
                             .boundary = in->boundary};
    if (in->axis[i] >= 0) {
        t.start = 0;
        t.blocks = own->counts[in->axis[i]];
        t.stride = t.size = own->chunks[in->axis[i]];
    }
    return lzr_touched_most(&t);
}
