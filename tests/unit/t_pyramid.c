/* pyramid.h against the definition, voxel by voxel: every dtype, byte order and way, any steps,
 * boxes inside larger arrays, windows cut at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/pyramid.h"
#include "store/real.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t rnd(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* An element as the definition sees it. */
struct value {
    __int128 whole;
    double re, im;
};

static struct lzr_dtype dtype_of(const char *name)
{
    struct lzr_dtype d;
    assert_int_equal(lzr_dtype_parse(name, &d, NULL), LZR_OK);
    return d;
}

static void swapped(struct lzr_dtype d, const void *from, void *to)
{
    unsigned word = lzr_dtype_word(d);
    for (unsigned i = 0; i < d.size; i++) {
        unsigned k = d.big ? i / word * word + word - 1 - i % word : i;
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[k];
    }
}

static double real_at(const unsigned char *b, unsigned size)
{
    uint16_t h;
    float f;
    double v;
    memcpy(&h, b, 2);
    memcpy(&f, b, size >= 4 ? 4 : 2);
    memcpy(&v, b, size >= 8 ? 8 : 2);
    return size == 2 ? lzr_half_to_double(h) : size == 4 ? f : v;
}

static void put_real(unsigned char *b, unsigned size, double v)
{
    uint16_t h = lzr_half_from_double(v);
    float f = (float)v;
    memcpy(b, size == 2 ? (void *)&h : size == 4 ? (void *)&f : (void *)&v, size);
}

static struct value read_value(struct lzr_dtype d, const void *bytes)
{
    unsigned char b[16] = {0};
    struct value v = {0, 0, 0};
    swapped(d, bytes, b);
    if (d.kind == 'f' || d.kind == 'c') {
        unsigned word = lzr_dtype_word(d);
        v.re = real_at(b, word);
        v.im = d.kind == 'c' ? real_at(b + word, word) : 0;
        return v;
    }
    uint64_t u = 0;
    memcpy(&u, b, d.size);
    v.whole = u;
    if (d.kind == 'i' && (u >> (8 * d.size - 1)) != 0) {
        v.whole -= (__int128)1 << (8 * d.size);
    }
    return v;
}

static void write_value(struct lzr_dtype d, struct value v, void *bytes)
{
    unsigned char b[16] = {0};
    if (d.kind == 'f' || d.kind == 'c') {
        unsigned word = lzr_dtype_word(d);
        put_real(b, word, v.re);
        if (d.kind == 'c') {
            put_real(b + word, word, v.im);
        }
    } else {
        uint64_t u = (uint64_t)v.whole;
        memcpy(b, &u, d.size);
    }
    swapped(d, b, bytes);
}

static void random_value(struct lzr_dtype d, void *bytes)
{
    static const double SPECIAL[] = {0.0, -0.0, 1.0, -1.0, INFINITY, NAN, 65504.0, 0x1p-24, 2.5};
    struct value v = {(__int128)rnd(), 0, 0};
    uint64_t pick = rnd() % 4;
    if (d.kind == 'b') {
        v.whole = (int)(pick & 1);
    } else if (d.kind == 'f' || d.kind == 'c') {
        v.re = pick == 0 ? SPECIAL[rnd() % 9] : (double)(int64_t)rnd() * 0x1p-60;
        v.im = (double)(int64_t)rnd() * 0x1p-60;
    } else if (pick < 2) {
        v.whole = (int)(rnd() % 3); /* ties and equal windows */
    } else if (pick == 2) {
        v.whole = rnd() % 2 != 0 ? -1 : (__int128)1 << (8 * d.size - 1); /* the ends */
    }
    write_value(d, v, bytes);
}

/* a < b in the order of the mode; NaN last. */
static bool below(struct lzr_dtype d, struct value a, struct value b)
{
    if (d.kind != 'f') {
        return a.whole < b.whole;
    }
    return isnan(b.re) ? !isnan(a.re) : a.re < b.re;
}

static struct value definition(enum lzr_pyramid how, struct lzr_dtype d, const struct value *w,
                               size_t n)
{
    struct value out = w[0];
    size_t most = 0;
    switch (how) {
    case LZR_PYRAMID_MEAN: {
        __int128 sum = 0;
        out = (struct value){0, 0, 0};
        for (size_t i = 0; i < n; i++) {
            sum += w[i].whole;
            out.re += w[i].re;
            out.im += w[i].im;
        }
        __int128 twice = 2 * sum + (__int128)n, by = 2 * (__int128)n;
        out.whole = twice / by - (twice % by < 0);
        out.re /= (double)n;
        out.im /= (double)n;
        break;
    }
    case LZR_PYRAMID_MAX:
    case LZR_PYRAMID_MIN:
        for (size_t i = 1; i < n && !isnan(out.re); i++) {
            bool better = how == LZR_PYRAMID_MAX ? below(d, out, w[i]) : below(d, w[i], out);
            out = better || isnan(w[i].re) ? w[i] : out;
        }
        break;
    case LZR_PYRAMID_MODE:
        for (size_t i = 0; i < n; i++) {
            size_t same = 0;
            for (size_t k = 0; k < n; k++) {
                same += !below(d, w[i], w[k]) && !below(d, w[k], w[i]);
            }
            if (same > most || (same == most && below(d, w[i], out))) {
                most = same;
                out = w[i];
            }
        }
        break;
    default:
        break;
    }
    return out;
}

struct box {
    uint64_t shape[LZR_MAX_RANK], first[LZR_MAX_RANK], extent[LZR_MAX_RANK];
};

static size_t offset_of(unsigned rank, const struct box *b, const uint64_t at[])
{
    size_t o = 0;
    for (unsigned i = 0; i < rank; i++) {
        o = o * b->shape[i] + b->first[i] + at[i];
    }
    return o;
}

static size_t elements(unsigned rank, const uint64_t shape[])
{
    size_t n = 1;
    for (unsigned i = 0; i < rank; i++) {
        n *= shape[i];
    }
    return n;
}

static bool next_at(unsigned rank, const uint64_t extent[], uint64_t at[])
{
    for (unsigned i = rank; i-- > 0;) {
        if (++at[i] < extent[i]) {
            return true;
        }
        at[i] = 0;
    }
    return false;
}

static size_t window(const struct lzr_reduction *r, const struct box *src, const unsigned char *in,
                     const uint64_t at[], struct value *w)
{
    uint64_t lo[LZR_MAX_RANK], n[LZR_MAX_RANK], k[LZR_MAX_RANK] = {0}, p[LZR_MAX_RANK];
    size_t count = 0;
    for (unsigned i = 0; i < r->rank; i++) {
        lo[i] = at[i] * r->step[i];
        n[i] = src->extent[i] - lo[i] < r->step[i] ? src->extent[i] - lo[i] : r->step[i];
    }
    do {
        for (unsigned i = 0; i < r->rank; i++) {
            p[i] = lo[i] + k[i];
        }
        w[count++] = read_value(r->dtype, in + offset_of(r->rank, src, p) * r->dtype.size);
    } while (next_at(r->rank, n, k));
    return count;
}

static bool same_value(struct lzr_dtype d, const void *a, const void *b)
{
    struct value x = read_value(d, a), y = read_value(d, b);
    return x.whole == y.whole && (x.re == y.re || (isnan(x.re) && isnan(y.re))) &&
           (x.im == y.im || (isnan(x.im) && isnan(y.im)));
}

static void check(const struct lzr_reduction *r, const struct box *src, const struct box *dst)
{
    size_t size = r->dtype.size, nin = elements(r->rank, src->shape);
    size_t nout = elements(r->rank, dst->shape);
    size_t most = elements(r->rank, r->step);
    unsigned char *in = malloc(nin * size), *out = malloc(nout * size), *was = malloc(nout * size);
    struct value *w = malloc(most * sizeof *w);
    void *room = aligned_alloc(64, (lzr_reduce_room(r, src->extent[r->rank - 1]) + 127) / 64 * 64);
    uint64_t at[LZR_MAX_RANK] = {0};
    for (size_t i = 0; i < nin; i++) {
        random_value(r->dtype, in + i * size);
    }
    memset(out, 0xee, nout * size);
    lzr_reduce(r, src->extent, in + offset_of(r->rank, src, at) * size, src->shape,
               out + offset_of(r->rank, dst, at) * size, dst->shape, room);
    memset(was, 0xee, nout * size);
    do {
        unsigned char want[16];
        size_t o = offset_of(r->rank, dst, at) * size;
        size_t n = window(r, src, in, at, w);
        write_value(r->dtype, definition(r->how, r->dtype, w, n), want);
        if (!same_value(r->dtype, out + o, want)) {
            char name[8];
            lzr_dtype_v2(r->dtype, name);
            fail_msg("how %d of %s rank %u: window of %zu at offset %zu", (int)r->how, name,
                     r->rank, n, o);
        }
        memcpy(was + o, out + o, size);
    } while (next_at(r->rank, dst->extent, at));
    assert_memory_equal(out, was, nout * size); /* and nothing beside the box */
    free(in);
    free(out);
    free(was);
    free(w);
    free(room);
}

static const char *const DTYPES[] = {"|b1", "|u1", "|i1", "<u2", ">u2", "<i2",  ">i2", "<u4", ">u4",
                                     "<i4", ">i4", "<u8", ">u8", "<i8", ">i8",  "<f2", ">f2", "<f4",
                                     ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16"};

static bool defined(enum lzr_pyramid how, struct lzr_dtype d)
{
    return d.kind != 'c' || how == LZR_PYRAMID_MEAN || how == LZR_PYRAMID_STRIDE;
}

static void test_all(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof DTYPES / sizeof DTYPES[0]; t++) {
        for (enum lzr_pyramid how = LZR_PYRAMID_MEAN; how <= LZR_PYRAMID_STRIDE; how++) {
            struct lzr_reduction r = {.how = how, .dtype = dtype_of(DTYPES[t])};
            for (int round = 0; defined(how, r.dtype) && round < 60; round++) {
                struct box src, dst;
                r.rank = 1 + (unsigned)(rnd() % 4);
                for (unsigned i = 0; i < r.rank; i++) {
                    bool last = i + 1 == r.rank;
                    r.step[i] = round % 3 == 0 ? 2 : 1 + rnd() % 4;
                    src.extent[i] = 1 + rnd() % (last ? 70 : 7);
                    src.first[i] = rnd() % 2;
                    src.shape[i] = src.first[i] + src.extent[i] + rnd() % 2;
                    dst.extent[i] = (src.extent[i] + r.step[i] - 1) / r.step[i];
                    dst.first[i] = rnd() % 2;
                    dst.shape[i] = dst.first[i] + dst.extent[i] + rnd() % 2;
                }
                check(&r, &src, &dst);
            }
        }
    }
}

/* Rows that are worked on in parts, so that the working memory doesn't grow with them. */
static void test_long_rows(void **state)
{
    static const uint64_t STEPS[] = {1, 2, 3, 100, 20000};
    (void)state;
    for (size_t s = 0; s < sizeof STEPS / sizeof STEPS[0]; s++) {
        for (enum lzr_pyramid how = LZR_PYRAMID_MEAN; how <= LZR_PYRAMID_STRIDE; how++) {
            for (size_t t = s % 3; t < sizeof DTYPES / sizeof DTYPES[0]; t += 3) {
                struct lzr_reduction r = {how, dtype_of(DTYPES[t]), 2, {1, STEPS[s]}};
                uint64_t row = 35000 + s;
                struct box src = {.shape = {2, row + 1}, .first = {0, 1}, .extent = {2, row}};
                struct box dst = {.extent = {2, (row + STEPS[s] - 1) / STEPS[s]}};
                memcpy(dst.shape, dst.extent, sizeof dst.shape);
                if (defined(how, r.dtype) && (how != LZR_PYRAMID_MODE || STEPS[s] <= 100)) {
                    check(&r, &src, &dst); /* the definition of a mode is slow */
                }
                assert_true(lzr_reduce_room(&r, UINT64_C(1) << 31) < 8 << 20);
            }
        }
    }
}

/* The largest windows that the manifest allows, where sums are largest. */
static void test_large_windows(void **state)
{
    static const uint64_t STEPS[][2] = {{1, 65536}, {256, 256}, {65536, 1}, {16, 16}, {16, 17}};
    (void)state;
    for (size_t s = 0; s < 5; s++) {
        for (size_t t = 0; t < sizeof DTYPES / sizeof DTYPES[0]; t++) {
            struct lzr_reduction r = {.how = LZR_PYRAMID_MEAN,
                                      .dtype = dtype_of(DTYPES[t]),
                                      .rank = 2,
                                      .step = {STEPS[s][0], STEPS[s][1]}};
            struct box src = {.shape = {STEPS[s][0] + 1, STEPS[s][1] + 1}}, dst = {.shape = {2, 2}};
            memcpy(src.extent, src.shape, sizeof src.shape);
            memcpy(dst.extent, dst.shape, sizeof dst.shape);
            size_t n = src.shape[0] * src.shape[1], size = r.dtype.size;
            unsigned char *in = malloc(n * size), out[4 * 16];
            void *room = aligned_alloc(64, (lzr_reduce_room(&r, src.shape[1]) + 127) / 64 * 64);
            struct value top = {0, 8.0, -3.0};
            size_t bits = r.dtype.kind == 'i' ? 8 * size - 1 : r.dtype.kind == 'b' ? 1 : 8 * size;
            if (r.dtype.kind != 'f' && r.dtype.kind != 'c') {
                top.whole = ((__int128)1 << bits) - 1;
            }
            for (size_t i = 0; i < n; i++) {
                write_value(r.dtype, top, in + i * size);
            }
            lzr_reduce(&r, src.extent, in, src.shape, out, dst.shape, room);
            for (size_t i = 0; i < 4; i++) {
                assert_memory_equal(out + i * size, in, size); /* the mean of equal values */
            }
            free(in);
            free(room);
        }
    }
}

/* What the documentation says in words. */
static void test_words(void **state)
{
    (void)state;
    int16_t in[4] = {-2, -1, 1, 2}, out[2];
    uint64_t extent[1] = {4}, two[1] = {2};
    unsigned char room[2048] __attribute__((aligned(64)));
    struct lzr_reduction r = {LZR_PYRAMID_MEAN, dtype_of("<i2"), 1, {2}};
    assert_true(lzr_reduce_room(&r, 4) <= sizeof room);
    lzr_reduce(&r, extent, in, extent, out, two, room);
    assert_true(out[0] == -1 && out[1] == 2); /* -1.5 and 1.5, halves up */
    r.how = LZR_PYRAMID_MODE;
    lzr_reduce(&r, extent, in, extent, out, two, room);
    assert_true(out[0] == -2 && out[1] == 1); /* a tie goes to the smallest */
    /* 2^53 + 1 and the like are exact. */
    uint64_t big[2] = {UINT64_MAX, UINT64_MAX - 2}, one;
    uint64_t single[1] = {1};
    r = (struct lzr_reduction){LZR_PYRAMID_MEAN, dtype_of("<u8"), 1, {2}};
    lzr_reduce(&r, two, big, two, &one, single, room);
    assert_true(one == UINT64_MAX - 1);
    /* 2049 and 2^-26: rounded to float16 once it is 2050, by way of float32 it would be 2048. */
    uint16_t halves[4], half;
    for (int i = 0; i < 4; i++) {
        halves[i] = lzr_half_from_double(i < 2 ? 4096.0 : i == 2 ? 4.0 : 0x1p-24);
    }
    r = (struct lzr_reduction){LZR_PYRAMID_MEAN, dtype_of("<f2"), 1, {4}};
    lzr_reduce(&r, extent, halves, extent, &half, single, room);
    assert_true(lzr_half_to_double(half) == 2050.0);
    double nans[4] = {1, (double)NAN, 3, 5}, mean[2];
    r = (struct lzr_reduction){LZR_PYRAMID_MEAN, dtype_of("<f8"), 1, {2}};
    lzr_reduce(&r, extent, nans, extent, mean, two, room);
    assert_true(isnan(mean[0]) && mean[1] == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_large_windows),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
