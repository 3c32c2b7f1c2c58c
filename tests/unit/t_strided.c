/* strided.h against a copy element by element: boxes with any strides, in memory and as reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/strided.h"

enum { FILE_BYTES = 1 << 16, BLOCK = 1 << 16 };

static unsigned char file[FILE_BYTES], want[BLOCK], got[BLOCK], span[LZR_STRIDED_SPAN];
static uint64_t state = 1;

static unsigned pick(unsigned n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((state >> 33) % n);
}

/* One box of a random array in `file`, with its place; false when it wouldn't fit. */
struct box {
    unsigned rank, itemsize;
    uint64_t extent[LZR_MAX_RANK], offset;
    int64_t strides[LZR_MAX_RANK], to[LZR_MAX_RANK];
};

/* Axes in a random order in the file, with gaps, backwards, repeated; dense in dst. */
static bool random_box(struct box *b)
{
    unsigned order[LZR_MAX_RANK];
    int64_t n, low, high;
    *b = (struct box){.rank = pick(6), .itemsize = 1u << pick(5)};
    for (unsigned i = 0; i < b->rank; i++) {
        b->extent[i] = pick(20) == 0 ? 0 : 1 + pick(pick(3) == 0 ? 40 : 7);
        order[i] = i;
    }
    for (unsigned i = b->rank; i-- > 1;) {
        unsigned k = pick(i + 1), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    n = b->itemsize;
    for (unsigned i = 0; i < b->rank; i++) {
        unsigned a = order[i];
        n *= pick(4) == 0 ? 1 + pick(3) : 1;
        b->strides[a] = pick(12) == 0 ? 0 : pick(4) == 0 ? -n : n;
        n *= (int64_t)(b->extent[a] + (pick(3) == 0 ? pick(9) : 0));
        n = n == 0 ? 1 : n;
    }
    lzr_strided_dense(b->rank, b->itemsize, b->extent, b->to);
    uint64_t bytes = b->itemsize;
    for (unsigned i = 0; i < b->rank; i++) {
        bytes *= b->extent[i];
    }
    if (!lzr_strided_bounds(b->rank, b->itemsize, b->extent, b->strides, &low, &high) ||
        high - low > FILE_BYTES - 64 || bytes > BLOCK) {
        return false;
    }
    b->offset = (uint64_t)-low + pick(64);
    return true;
}

static void by_element(const struct box *b)
{
    uint64_t total = 1;
    for (unsigned i = 0; i < b->rank; i++) {
        total *= b->extent[i];
    }
    for (uint64_t e = 0; e < total; e++) {
        uint64_t left = e;
        int64_t from = (int64_t)b->offset;
        for (unsigned i = b->rank; i-- > 0;) {
            from += (int64_t)(left % b->extent[i]) * b->strides[i];
            left /= b->extent[i];
        }
        memcpy(want + e * b->itemsize, file + from, b->itemsize);
    }
}

static void test_random(void **unused)
{
    unsigned done = 0;
    (void)unused;
    for (unsigned i = 0; i < FILE_BYTES; i++) {
        file[i] = (unsigned char)pick(256);
    }
    while (done < 20000) {
        struct box b;
        struct lzr_strided_plan p;
        struct lzr_strided_read r;
        if (!random_box(&b)) {
            continue;
        }
        done++;
        memset(want, 0xAA, sizeof want);
        memset(got, 0xAA, sizeof got);
        by_element(&b);
        lzr_strided_copy(b.rank, b.itemsize, b.extent, file + b.offset, b.strides, got, b.to);
        assert_memory_equal(got, want, sizeof got);
        memset(got, 0xAA, sizeof got);
        lzr_strided_plan(b.rank, b.itemsize, b.extent, b.offset, b.strides, b.to, &p);
        assert_true(p.direct || p.span <= LZR_STRIDED_SPAN);
        for (bool more = lzr_strided_start(&p, &r); more; more = lzr_strided_next(&p, &r)) {
            assert_true(r.at + p.span <= FILE_BYTES);
            if (p.direct) {
                memcpy(got + r.to, file + r.at, p.span);
            } else {
                memcpy(span, file + r.at, p.span);
                lzr_strided_scatter(&p, &r, span, got);
            }
        }
        assert_memory_equal(got, want, sizeof got);
    }
}

static unsigned reads(unsigned rank, unsigned itemsize, const uint64_t *extent, const int64_t *s,
                      uint64_t *bytes)
{
    int64_t to[LZR_MAX_RANK];
    struct lzr_strided_plan p;
    struct lzr_strided_read r;
    unsigned n = 0;
    lzr_strided_dense(rank, itemsize, extent, to);
    lzr_strided_plan(rank, itemsize, extent, UINT64_C(1) << 40, s, to, &p);
    for (bool more = lzr_strided_start(&p, &r); more; more = lzr_strided_next(&p, &r)) {
        n++;
    }
    *bytes = n * p.span;
    return n;
}

/* How many reads a chunk takes. */
static void test_plans(void **unused)
{
    uint64_t bytes;
    (void)unused;
    /* A block that is whole rows and planes: one read, however long. */
    assert_int_equal(reads(3, 2, (uint64_t[]){64, 512, 512}, (int64_t[]){524288, 1024, 2}, &bytes),
                     1);
    assert_true(bytes == 64 * 524288);
    /* 64³ of a 1024³ volume: a read a plane, gaps between the rows included. */
    assert_int_equal(reads(3, 1, (uint64_t[]){64, 64, 64}, (int64_t[]){1048576, 1024, 1}, &bytes),
                     64);
    assert_true(bytes == 64 * (63 * 1024 + 64));
    /* Rows far apart: a read a row. */
    assert_int_equal(reads(2, 4, (uint64_t[]){64, 512}, (int64_t[]){1 << 20, 4}, &bytes), 64);
    assert_true(bytes == 64 * 2048);
    /* The same, transposed. */
    assert_int_equal(reads(2, 4, (uint64_t[]){512, 64}, (int64_t[]){4, 1 << 20}, &bytes), 64);
    /* Elements far apart. */
    assert_int_equal(reads(1, 8, (uint64_t[]){10}, (int64_t[]){1 << 24}, &bytes), 10);
    assert_true(bytes == 80);
    /* A scalar, an empty box. */
    assert_int_equal(reads(0, 8, (uint64_t[]){1}, (int64_t[]){1}, &bytes), 1);
    assert_true(bytes == 8);
    assert_int_equal(reads(2, 8, (uint64_t[]){3, 0}, (int64_t[]){1, 1}, &bytes), 0);
}

static void test_bounds(void **unused)
{
    int64_t low, high;
    (void)unused;
    assert_true(lzr_strided_bounds(2, 2, (uint64_t[]){3, 4}, (int64_t[]){-8, 2}, &low, &high));
    assert_true(low == -16 && high == 8);
    assert_true(lzr_strided_bounds(2, 2, (uint64_t[]){3, 0}, (int64_t[]){-8, 2}, &low, &high));
    assert_true(low == 0 && high == 0);
    assert_true(
        lzr_strided_bounds(1, 1, (uint64_t[]){UINT64_C(1) << 62}, (int64_t[]){0}, &low, &high));
    assert_true(low == 0 && high == 1);
    assert_false(
        lzr_strided_bounds(1, 1, (uint64_t[]){UINT64_C(1) << 62}, (int64_t[]){4}, &low, &high));
    assert_false(lzr_strided_bounds(2, 1, (uint64_t[]){UINT64_C(1) << 61, UINT64_C(1) << 61},
                                    (int64_t[]){3, 3}, &low, &high));
}

static void test_swap(void **unused)
{
    unsigned char b[16];
    static const unsigned char ORDERS[][16] = {
        [1] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        [2] = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
        [4] = {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
        [8] = {7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8}};
    (void)unused;
    for (unsigned word = 1; word <= 8; word *= 2) {
        memcpy(b, ORDERS[1], sizeof b);
        lzr_swap_words(b, sizeof b, word);
        assert_memory_equal(b, ORDERS[word], sizeof b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
