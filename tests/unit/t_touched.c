/* touched.h: the most chunks that a block touches, beside a count voxel by voxel of every block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "store/boundary.h"
#include "store/touched.h"

static uint64_t seed = 1;

static uint64_t any(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

/* Voxel by voxel. */
static uint64_t counted(const struct lzr_touching *t)
{
    uint64_t most = 1;
    for (uint64_t k = 0; k < t->blocks; k++) {
        bool touched[16384] = {false};
        uint64_t n = 0, at = t->start + k * t->stride, end = at + t->size;
        end = end < t->length ? end : t->length;
        for (int64_t i = (int64_t)at - (int64_t)t->lower; i < (int64_t)(end + t->upper); i++) {
            struct lzr_stretch s = lzr_boundary_stretch(t->boundary, t->length, i, 1);
            if (!s.outside && !touched[s.from / t->chunk]) {
                touched[s.from / t->chunk] = true;
                n++;
            }
        }
        most = n > most ? n : most;
    }
    return most;
}

static void test_any(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct lzr_touching t = {.length = 1 + any(60), .chunk = 1 + any(12)};
        t.stride = t.size = 1 + any(15);
        t.blocks = (t.length + t.stride - 1) / t.stride;
        if (any(2) == 0) {
            t.lower = any(9);
            t.upper = any(9);
        }
        t.boundary = (enum lzr_boundary)any(LZR_BOUND_WRAP + 1);
        uint64_t want = counted(&t), got = lzr_touched_most(&t);
        if (t.lower + t.upper < t.length) {
            assert_int_equal(got, want);
        } else {
            assert_true(got >= want && got <= (t.length + t.chunk - 1) / t.chunk);
        }
    }
}

/* Too many blocks to look at each: exact where there is no boundary in the way. */
static void test_many_blocks(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        struct lzr_touching t = {.chunk = 1 + any(40), .blocks = LZR_TOUCHED_EXACT + 1 + any(200)};
        t.stride = t.size = 1 + any(12);
        t.length = t.blocks * t.stride;
        if (any(2) == 0) {
            t.lower = any(9);
            t.upper = any(9);
        }
        t.boundary = any(2) == 0 ? LZR_BOUND_CONSTANT : LZR_BOUND_REFLECT;
        uint64_t want = counted(&t), got = lzr_touched_most(&t);
        assert_true(got >= want && got <= want + (t.boundary == LZR_BOUND_REFLECT ? 2 : 0));
    }
}

/* What was taken for 27 chunks, or 8 times too many. */
static void test_aligned(void **state)
{
    (void)state;
    struct lzr_touching t = {.length = 512, .chunk = 128, .blocks = 4, .stride = 128, .size = 128};
    assert_int_equal(lzr_touched_most(&t), 1);
    t.lower = t.upper = 1;
    assert_int_equal(lzr_touched_most(&t), 3);
    t = (struct lzr_touching){.length = 8000, .chunk = 1, .blocks = 1, .stride = 1, .size = 8000};
    assert_int_equal(lzr_touched_most(&t), 8000);
    t = (struct lzr_touching){.length = 1000, .chunk = 100, .blocks = 1, .start = 150, .stride = 1, .size = 100};
    assert_int_equal(lzr_touched_most(&t), 2);
    t = (struct lzr_touching){.chunk = 10};
    assert_int_equal(lzr_touched_most(&t), 1); /* an axis of no voxels */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
