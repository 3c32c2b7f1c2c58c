#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "store/boundary.h"
#include "store/reach.h"

/* numpy.pad(numpy.arange(n), 9, mode); wrap as numpy.take(..., mode="wrap"), which numpy.pad is as
 * well since NumPy 1.25. */
static const struct {
    uint64_t n;
    enum lzr_boundary mode;
    const char *padded;
} tables[] = {
    {1, LZR_BOUND_EDGE, "0000000000000000000"},
    {1, LZR_BOUND_REFLECT, "0000000000000000000"},
    {1, LZR_BOUND_SYMMETRIC, "0000000000000000000"},
    {1, LZR_BOUND_WRAP, "0000000000000000000"},
    {2, LZR_BOUND_EDGE, "00000000001111111111"},
    {2, LZR_BOUND_REFLECT, "10101010101010101010"},
    {2, LZR_BOUND_SYMMETRIC, "00110011001100110011"},
    {2, LZR_BOUND_WRAP, "10101010101010101010"},
    {3, LZR_BOUND_EDGE, "000000000012222222222"},
    {3, LZR_BOUND_REFLECT, "101210121012101210121"},
    {3, LZR_BOUND_SYMMETRIC, "210012210012210012210"},
    {3, LZR_BOUND_WRAP, "012012012012012012012"},
    {4, LZR_BOUND_EDGE, "0000000000123333333333"},
    {4, LZR_BOUND_REFLECT, "3210123210123210123210"},
    {4, LZR_BOUND_SYMMETRIC, "0012332100123321001233"},
    {4, LZR_BOUND_WRAP, "3012301230123012301230"},
};

/* The source of every voxel from `at` on, as stretches of at most `most` say; -1: none. */
static void sources(enum lzr_boundary mode, uint64_t length, int64_t at, uint64_t n, uint64_t most,
                    int64_t out[])
{
    for (uint64_t i = 0; i < n;) {
        uint64_t left = n - i < most ? n - i : most;
        struct lzr_stretch s = lzr_boundary_stretch(mode, length, at + (int64_t)i, left);
        assert_in_range(s.n, 1, left);
        for (uint64_t k = 0; k < s.n; k++) {
            out[i++] = s.outside ? -1 : (int64_t)s.from + (int64_t)k * s.step;
        }
    }
}

static void modes_are_those_of_numpy(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (uint64_t most = 1; most < 30; most++) {
            int64_t got[32];
            char text[32];
            uint64_t n = tables[t].n + 18;
            sources(tables[t].mode, tables[t].n, -9, n, most, got);
            for (uint64_t i = 0; i < n; i++) {
                text[i] = (char)('0' + got[i]);
            }
            text[n] = '\0';
            assert_string_equal(text, tables[t].padded);
        }
    }
}

static void constant_has_no_sources_outside(void **state)
{
    (void)state;
    const int64_t want[] = {-1, -1, 0, 1, 2, -1, -1};
    int64_t got[7];
    sources(LZR_BOUND_CONSTANT, 3, -2, 7, 7, got);
    assert_memory_equal(got, want, sizeof want);
    for (int mode = LZR_BOUND_CONSTANT; mode <= LZR_BOUND_WRAP; mode++) {
        sources((enum lzr_boundary)mode, 0, -2, 5, 5, got);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(got[i], -1);
        }
    }
}

static void far_away_is_as_near(void **state)
{
    (void)state;
    const int64_t far = INT64_C(1) << 60;
    struct lzr_stretch s = lzr_boundary_stretch(LZR_BOUND_REFLECT, 5, -far, 100);
    assert_int_equal(s.from, 0); /* 2^60 is a multiple of the period 8 */
    assert_int_equal(s.n, 4);
    s = lzr_boundary_stretch(LZR_BOUND_EDGE, 5, far, UINT64_C(1) << 40);
    assert_int_equal(s.from, 4);
    assert_int_equal(s.n, UINT64_C(1) << 40);
}

/* ---- whole regions against a plain loop ---- */

static uint64_t seed = 88172645463325252u;

static uint64_t next(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Another way to say the same: steps from the array towards the voxel, one by one. */
static int64_t source_of(enum lzr_boundary mode, int64_t n, int64_t at)
{
    int64_t p = 0, dir = 1;
    if (n == 0 || (mode == LZR_BOUND_CONSTANT && (at < 0 || at >= n))) {
        return -1;
    }
    if (mode == LZR_BOUND_EDGE) {
        return at < 0 ? 0 : at >= n ? n - 1 : at;
    }
    for (int64_t i = 0; i < (at < 0 ? -at : at); i++) {
        if (mode == LZR_BOUND_WRAP || mode == LZR_BOUND_CONSTANT) {
            p = at < 0 ? (p + n - 1) % n : (p + 1) % n;
            continue;
        }
        if (at < 0 && i == 0) {
            dir = -1;
        }
        int64_t to = p + dir;
        if (to < 0 || to >= n) {
            dir = -dir;
            to = mode == LZR_BOUND_SYMMETRIC || n == 1 ? p : p + dir;
        }
        p = to;
    }
    return p;
}

struct made {
    struct lzr_array a, own;
    struct lzr_level level, own_level;
    struct lzr_input in;
    uint64_t fixed[1][LZR_MAX_RANK][2];
    uint32_t levels[1];
    unsigned char *whole;
};

static void make_input(struct made *m, bool big)
{
    const uint8_t sizes[] = {1, 2, 4, 8, 16};
    unsigned rank = 1 + (unsigned)next(3), own = 0;
    *m = (struct made){0};
    m->a.levels = &m->level;
    m->own.levels = &m->own_level;
    m->a.nlevels = m->own.nlevels = 1;
    m->a.dtype = (struct lzr_dtype){'u', sizes[next(4)], false};
    if (next(5) == 0) {
        m->a.dtype = (struct lzr_dtype){'c', 16, false};
    }
    m->a.dtype.big = big && m->a.dtype.size > 1;
    for (unsigned i = 0; i < m->a.dtype.size; i++) {
        m->a.fill[i] = (unsigned char)(200 + i);
    }
    m->in.array = &m->a;
    m->in.levels = m->levels;
    m->in.fixed = m->fixed;
    m->in.boundary = (enum lzr_boundary)next(5);
    m->level.grid.rank = rank;
    for (unsigned i = 0; i < rank; i++) {
        struct lzr_grid *g = &m->level.grid;
        g->shape[i] = 1 + next(next(4) == 0 ? 3 : 13);
        g->chunks[i] = 1 + next(7);
        m->in.lower[i] = next(3) == 0 ? next(25) : next(3);
        m->in.upper[i] = next(3) == 0 ? next(25) : next(3);
        m->in.axis[i] = -1;
        if (next(4) != 0) {
            m->own_level.grid.shape[own] = g->shape[i];
            m->own_level.grid.chunks[own] = 1 + next(9);
            m->in.axis[i] = (int)own++;
        } else {
            m->fixed[0][i][0] = next(g->shape[i]);
            m->fixed[0][i][1] = m->fixed[0][i][0] + 1 + next(g->shape[i] - m->fixed[0][i][0]);
        }
    }
    m->own_level.grid.rank = own;
    assert_int_equal(lzr_grid_init(&m->level.grid, NULL), LZR_OK);
    assert_int_equal(lzr_grid_init(&m->own_level.grid, NULL), LZR_OK);
    uint64_t n = m->a.dtype.size;
    for (unsigned i = 0; i < rank; i++) {
        n *= m->level.grid.shape[i];
    }
    m->whole = malloc(n);
    for (uint64_t i = 0; i < n; i++) {
        m->whole[i] = (unsigned char)next(256);
    }
}

/* The chunk as it is decoded: padded with bytes that must never be seen. */
static void cut_chunk(const struct made *m, uint64_t index, unsigned char *out)
{
    const struct lzr_grid *g = &m->level.grid;
    unsigned size = m->a.dtype.size;
    uint64_t pos[LZR_MAX_RANK];
    lzr_grid_position(g, index, pos);
    memset(out, 0xEE, g->chunk_elements * size);
    for (uint64_t e = 0; e < g->chunk_elements; e++) {
        uint64_t rest = e, offset = 0, stride = 1;
        bool inside = true;
        for (unsigned i = g->rank; i-- > 0;) {
            uint64_t at = pos[i] * g->chunks[i] + rest % g->chunks[i];
            rest /= g->chunks[i];
            inside = inside && at < g->shape[i];
            offset += at * stride;
            stride *= g->shape[i];
        }
        if (inside) {
            memcpy(out + e * size, m->whole + offset * size, size);
        }
    }
}

static void check_region(const struct made *m, const struct lzr_reach *r, const uint64_t start[],
                         const unsigned char *region)
{
    const struct lzr_grid *g = &m->level.grid;
    unsigned size = m->a.dtype.size, word = lzr_dtype_word(m->a.dtype);
    for (uint64_t e = 0; e < r->elements; e++) {
        uint64_t rest = e, offset = 0, stride = 1;
        bool outside = false;
        for (unsigned i = g->rank; i-- > 0;) {
            uint64_t from = m->in.axis[i] >= 0 ? start[m->in.axis[i]] : m->fixed[0][i][0];
            int64_t at = (int64_t)(from + rest % r->extent[i]) - (int64_t)m->in.lower[i];
            rest /= r->extent[i];
            int64_t src = source_of(m->in.boundary, (int64_t)g->shape[i], at);
            outside = outside || src < 0;
            offset += (uint64_t)(src < 0 ? 0 : src) * stride;
            stride *= g->shape[i];
        }
        const unsigned char *want = outside ? m->a.fill : m->whole + offset * size;
        for (unsigned b = 0; b < size; b++) {
            unsigned from = m->a.dtype.big ? b / word * word + (word - 1 - b % word) : b;
            assert_int_equal(region[e * size + b], want[from]);
        }
    }
}

static void regions_are_what_a_loop_says(void **state)
{
    (void)state;
    for (int turn = 0; turn < 3000; turn++) {
        struct made m;
        make_input(&m, turn % 7 == 0);
        const struct lzr_grid *own = &m.own_level.grid;
        uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
        lzr_grid_position(own, next(own->total), pos);
        lzr_grid_block(own, pos, start, extent);
        struct lzr_reach r;
        assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, false, NULL), LZR_OK);
        unsigned size = m.a.dtype.size;
        unsigned char *region = malloc(r.elements * size),
                      *chunk = malloc(m.level.grid.chunk_elements * size);
        memset(region, 0xDD, r.elements * size);
        lzr_reach_fill(&r, region);
        uint64_t before = 0;
        for (uint64_t k = 0; k < r.nchunks; k++) {
            uint64_t index = lzr_reach_chunk(&r, k);
            assert_true(k == 0 || index > before); /* none twice */
            before = index;
            cut_chunk(&m, index, chunk);
            if (lzr_reach_direct(&r)) {
                memcpy(region, chunk, r.elements * size);
            } else {
                lzr_reach_place(&r, k, chunk, region);
            }
        }
        lzr_reach_finish(&r, region);
        check_region(&m, &r, start, region);
        lzr_reach_release(&r);
        /* The same out of the whole array as one chunk. */
        assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, true, NULL), LZR_OK);
        assert_in_range(r.nchunks, 0, 1);
        memset(region, 0xDD, r.elements * size);
        lzr_reach_fill(&r, region);
        if (r.nchunks > 0) {
            lzr_reach_place(&r, 0, m.whole, region);
        }
        lzr_reach_finish(&r, region);
        check_region(&m, &r, start, region);
        lzr_reach_release(&r);
        free(region);
        free(chunk);
        free(m.whole);
    }
}

static void only_what_is_touched(void **state)
{
    (void)state;
    struct made m = {0};
    m.a.levels = &m.level;
    m.own.levels = &m.own_level;
    m.a.dtype = (struct lzr_dtype){'u', 1, false};
    m.in.array = &m.a;
    m.in.levels = m.levels;
    m.in.fixed = m.fixed;
    m.level.grid = (struct lzr_grid){.rank = 1, .shape = {100}, .chunks = {10}};
    m.own_level.grid = m.level.grid;
    assert_int_equal(lzr_grid_init(&m.level.grid, NULL), LZR_OK);
    m.in.lower[0] = m.in.upper[0] = 3;
    struct lzr_reach r;
    uint64_t start[] = {0}, extent[] = {10};
    m.in.boundary = LZR_BOUND_WRAP;
    assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, false, NULL), LZR_OK);
    assert_int_equal(r.nchunks, 3); /* its own, the next, and the last of all */
    assert_int_equal(lzr_reach_chunk(&r, 2), 9);
    lzr_reach_release(&r);
    m.in.boundary = LZR_BOUND_REFLECT;
    assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, false, NULL), LZR_OK);
    assert_int_equal(r.nchunks, 2);
    lzr_reach_release(&r);
    m.in.lower[0] = m.in.upper[0] = 0;
    assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, false, NULL), LZR_OK);
    assert_true(lzr_reach_direct(&r));
    lzr_reach_release(&r);
}

static void a_silly_halo_is_refused(void **state)
{
    (void)state;
    struct made m = {0};
    struct lzr_err err;
    m.a.levels = &m.level;
    m.own.levels = &m.own_level;
    m.a.dtype = (struct lzr_dtype){'u', 1, false};
    m.in = (struct lzr_input){.array = &m.a,
                              .levels = m.levels,
                              .fixed = m.fixed,
                              .lower = {1 << 30},
                              .boundary = LZR_BOUND_WRAP};
    m.level.grid = (struct lzr_grid){.rank = 1, .shape = {2}, .chunks = {2}};
    assert_int_equal(lzr_grid_init(&m.level.grid, NULL), LZR_OK);
    struct lzr_reach r;
    uint64_t start[] = {0}, extent[] = {2};
    assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, false, &err), LZR_E_LIMIT);
    lzr_reach_release(&r);
    m.in.boundary = LZR_BOUND_EDGE; /* no repetition: one run */
    assert_int_equal(lzr_reach_init(&r, &m.own, 0, &m.in, start, extent, false, &err), LZR_OK);
    lzr_reach_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_those_of_numpy),
        cmocka_unit_test(constant_has_no_sources_outside),
        cmocka_unit_test(far_away_is_as_near),
        cmocka_unit_test(regions_are_what_a_loop_says),
        cmocka_unit_test(only_what_is_touched),
        cmocka_unit_test(a_silly_halo_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
