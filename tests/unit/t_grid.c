/* array.h's grid, keys.h and the padding of edge chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/codec.h"
#include "store/keys.h"

#define BIG (UINT64_C(1) << 62)

static void test_limits(void **state)
{
    static const struct {
        struct lzr_grid g;
        uint64_t total, elements;
        const char *error; /* part of it; NULL: fine */
    } ROWS[] = {
        {{.rank = 0}, 1, 1, NULL},
        {{.rank = 1, .shape = {0}, .chunks = {5}}, 0, 5, NULL},
        {{.rank = 1, .shape = {10}, .chunks = {4}}, 3, 4, NULL},
        {{.rank = 1, .shape = {3}, .chunks = {100}}, 1, 100, NULL},
        {{.rank = 1, .shape = {BIG}, .chunks = {1}}, BIG, 1, NULL},
        {{.rank = 1, .shape = {BIG + 1}, .chunks = {1}}, 0, 0, "2^62"},
        {{.rank = 1, .shape = {UINT64_MAX}, .chunks = {1}}, 0, 0, "2^62"},
        {{.rank = 2, .shape = {UINT64_C(1) << 32, UINT64_C(1) << 32}, .chunks = {1, 1}}, 0, 0,
         "axis 1"},
        {{.rank = 3, .shape = {0, BIG, BIG}, .chunks = {1, 1, 1}}, 0, 1, NULL},
        {{.rank = 2, .shape = {0, UINT64_MAX}, .chunks = {1, 1}}, 0, 0, "2^62"},
        {{.rank = 3, .shape = {1, 1, 1}, .chunks = {1, 1, 0}}, 0, 0,
         "chunks must be >= 1, got 0 on axis 2"},
        {{.rank = 2, .shape = {1, 1}, .chunks = {UINT64_C(1) << 40, UINT64_C(1) << 40}}, 0, 0,
         "limit"},
        {{.rank = 9}, 0, 0, "at most 8 axes, got 9"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_grid g = ROWS[i].g;
        struct lzr_err err = {0};
        enum lzr_code code = lzr_grid_init(&g, &err);
        if (ROWS[i].error != NULL) {
            assert_int_not_equal(code, LZR_OK);
            assert_non_null(strstr(err.msg, ROWS[i].error));
            continue;
        }
        assert_int_equal(code, LZR_OK);
        assert_true(g.total == ROWS[i].total);
        assert_true(g.chunk_elements == ROWS[i].elements);
    }
}

static struct lzr_grid make_grid(unsigned rank, const uint64_t *shape, const uint64_t *chunks)
{
    struct lzr_grid g = {.rank = rank};
    memcpy(g.shape, shape, rank * sizeof *shape);
    memcpy(g.chunks, chunks, rank * sizeof *chunks);
    assert_int_equal(lzr_grid_init(&g, NULL), LZR_OK);
    return g;
}

static void test_positions(void **state)
{
    struct lzr_grid g =
        make_grid(3, (const uint64_t[]){7, 5, 9}, (const uint64_t[]){3, 5, 4});
    (void)state;
    assert_true(g.total == 9);
    for (uint64_t i = 0; i < g.total; i++) {
        uint64_t pos[LZR_MAX_RANK];
        lzr_grid_position(&g, i, pos);
        assert_true(lzr_grid_index(&g, pos) == i);
    }
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    lzr_grid_block(&g, (const uint64_t[]){2, 0, 2}, start, extent);
    assert_true(start[0] == 6 && start[1] == 0 && start[2] == 8);
    assert_true(extent[0] == 1 && extent[1] == 5 && extent[2] == 1);
}

/* Contract lines A31 (only canonical keys) and A45 (rank 0). */
static void test_keys(void **state)
{
    struct lzr_grid g3 = make_grid(3, (const uint64_t[]){20, 5, 9}, (const uint64_t[]){1, 5, 4});
    struct lzr_grid g0 = make_grid(0, (const uint64_t[]){0}, (const uint64_t[]){0});
    struct lzr_grid ge = make_grid(1, (const uint64_t[]){0}, (const uint64_t[]){4});
    struct lzr_grid gb = make_grid(1, (const uint64_t[]){BIG}, (const uint64_t[]){1});
    const struct {
        const struct lzr_grid *g;
        char form; /* '.', '/' or 'c' */
        const char *key;
        int64_t index; /* -1: no such key */
    } rows[] = {
        {&g3, '.', "0.0.0", 0},       {&g3, '.', "19.0.2", 59},   {&g3, '/', "1/0/2", 5},
        {&g3, 'c', "c/1/0/2", 5},     {&g3, '.', "0/0/0", -1},    {&g3, '/', "0.0.0", -1},
        {&g3, '.', "20.0.0", -1},     {&g3, '.', "0.1.0", -1},    {&g3, '.', "0.0", -1},
        {&g3, '.', "0.0.0.0", -1},    {&g3, '.', "0.0.0.", -1},   {&g3, '.', ".0.0.0", -1},
        {&g3, '.', "00.0.0", -1},     {&g3, '.', "0.0.00", -1},   {&g3, '.', "01.0.0", -1},
        {&g3, '.', "+1.0.0", -1},     {&g3, '.', "-0.0.0", -1},   {&g3, '.', " 1.0.0", -1},
        {&g3, '.', "1e0.0.0", -1},    {&g3, '.', "", -1},         {&g3, 'c', "c", -1},
        {&g3, 'c', "c/", -1},         {&g3, 'c', "c/1/0", -1},    {&g3, 'c', "1/0/2", -1},
        {&g3, 'c', "c.1.0.2", -1},    {&g3, 'c', "c/1/0/2/", -1}, {&g0, '.', "0", 0},
        {&g0, '/', "0", 0},           {&g0, 'c', "c", 0},         {&g0, '.', "", -1},
        {&g0, '.', "1", -1},          {&g0, '.', "00", -1},       {&g0, 'c', "c/0", -1},
        {&g0, 'c', "0", -1},          {&ge, '.', "0", -1},        {&ge, 'c', "c/0", -1},
        {&gb, '.', "4611686018427387903", INT64_C(4611686018427387903)},
        {&gb, '.', "4611686018427387904", -1},
        {&gb, '.', "99999999999999999999999999999999999999", -1},
        /* 2^64, and 4 * 10^19, which wraps to less than there is. */
        {&gb, '.', "18446744073709551616", -1},
        {&gb, '.', "40000000000000000000", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t index = 77;
        size_t n = strlen(rows[i].key);
        bool is = rows[i].form == 'c'
                      ? lzr_key_v3(rows[i].g, rows[i].key, n, &index)
                      : lzr_key_v2(rows[i].g, rows[i].form, rows[i].key, n, &index);
        assert_int_equal(is, rows[i].index >= 0);
        assert_true(!is || index == (uint64_t)rows[i].index);
    }
}

/* Contract lines A31 and A51: bounds with the offset, cut at the end, in one spelling. */
static void test_precomputed_keys(void **state)
{
    struct lzr_grid g = make_grid(3, (const uint64_t[]){7, 5, 9}, (const uint64_t[]){3, 5, 4});
    struct lzr_grid flat = make_grid(2, (const uint64_t[]){5, 9}, (const uint64_t[]){5, 4});
    const int64_t none[3] = {0}, offset[3] = {-6, 100, -4}; /* z, y, x */
    const struct {
        const int64_t *offset;
        const char *key;
        int64_t index; /* -1: no such key */
    } rows[] = {
        {none, "0-4_0-5_0-3", 0},
        {none, "8-9_0-5_6-7", 8},
        {none, "8-12_0-5_6-9", -1},
        {none, "4-8_0-5_3-6", 4},
        {none, "18446744073709551616-4_0-5_0-3", -1},
        {none, "0-18446744073709551620_0-5_0-3", -1},
        {none, "0-4_0-5_0-03", -1},
        {none, "00-4_0-5_0-3", -1},
        {none, "-0-4_0-5_0-3", -1},
        {none, "+0-4_0-5_0-3", -1},
        {none, "1-5_0-5_0-3", -1},
        {none, "0-4_0-5", -1},
        {none, "0-4_0-5_0-3_", -1},
        {none, "0-4_0-5_0-3/0", -1},
        {none, "0-4_0-5_7-7", -1},
        {none, "", -1},
        {offset, "-4-0_100-105_-6--3", 0},
        {offset, "4-5_100-105_0-1", 8},
        {offset, "0-4_0-5_0-3", -1},
        {offset, "-8--4_100-105_-6--3", -1},
        {offset, "-4--0_100-105_-6--3", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t index = 77;
        bool is = lzr_key_precomputed(&g, 3, rows[i].offset, rows[i].key, strlen(rows[i].key), &index);
        assert_int_equal(is, rows[i].index >= 0);
        assert_true(!is || index == (uint64_t)rows[i].index);
    }
    uint64_t index = 77;
    assert_true(lzr_key_precomputed(&flat, 2, none, "4-8_0-5_0-1", 11, &index) && index == 1);
    assert_false(lzr_key_precomputed(&flat, 2, none, "4-8_0-5_1-2", 11, &index));
    assert_false(lzr_key_precomputed(&flat, 2, none, "4-8_0-5", 7, &index));
}

/* Against the plainest possible loop, for every cut of a 3-d chunk and three element sizes. */
static void test_pad(void **state)
{
    struct lzr_grid g = make_grid(3, (const uint64_t[]){9, 9, 9}, (const uint64_t[]){3, 4, 5});
    const unsigned sizes[] = {1, 2, 16};
    const unsigned char fill[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        for (unsigned cut = 0; cut < 3 * 4 * 5; cut++) {
            const uint64_t extent[] = {1 + cut / 20, 1 + cut / 5 % 4, 1 + cut % 5};
            unsigned size = sizes[s];
            unsigned char block[60 * 16], chunk[60 * 16], want[60 * 16];
            for (size_t i = 0; i < sizeof block; i++) {
                block[i] = (unsigned char)(100 + i * 7);
            }
            const unsigned char *from = block;
            for (unsigned z = 0; z < 3; z++) {
                for (unsigned y = 0; y < 4; y++) {
                    for (unsigned x = 0; x < 5; x++) {
                        bool in = z < extent[0] && y < extent[1] && x < extent[2];
                        memcpy(want + ((z * 4 + y) * 5 + x) * size, in ? from : fill, size);
                        from += in ? size : 0;
                    }
                }
            }
            lzr_chunk_pad(&g, extent, block, size, fill, chunk);
            assert_memory_equal(chunk, want, 60 * size);
            for (unsigned z = 0; z < 3; z++) {
                for (unsigned y = 0; y < 4; y++) {
                    for (unsigned x = 0; x < 5; x++) {
                        unsigned long cz = z < extent[0] ? z : extent[0] - 1,
                                      cy = y < extent[1] ? y : extent[1] - 1,
                                      cx = x < extent[2] ? x : extent[2] - 1;
                        memmove(want + ((z * 4 + y) * 5 + x) * size,
                                chunk + ((cz * 4 + cy) * 5 + cx) * size, size);
                    }
                }
            }
            lzr_chunk_repeat(&g, extent, size, chunk);
            assert_memory_equal(chunk, want, 60 * size);
        }
    }
    struct lzr_grid g0 = make_grid(0, (const uint64_t[]){0}, (const uint64_t[]){0});
    unsigned char one = 0;
    lzr_chunk_pad(&g0, (const uint64_t[]){0}, "x", 1, fill, &one);
    assert_int_equal(one, 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_precomputed_keys),
        cmocka_unit_test(test_pad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
