/* codec.h: every codec there and back, equal bytes for equal input, damage is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/codec.h"

static const struct lzr_codec CODECS[] = {
    {.id = LZR_CODEC_NONE},
    {LZR_CODEC_BLOSC, 5, "blosclz", 1}, {LZR_CODEC_BLOSC, 5, "lz4", 1},
    {LZR_CODEC_BLOSC, 9, "lz4hc", 2},   {LZR_CODEC_BLOSC, 5, "snappy", 0},
    {LZR_CODEC_BLOSC, 1, "zlib", 1},    {LZR_CODEC_BLOSC, 5, "zstd", 2},
    {LZR_CODEC_BLOSC, 0, "lz4", 1},     {.id = LZR_CODEC_ZSTD, .level = 3},
    {.id = LZR_CODEC_ZSTD, .level = -5}, {.id = LZR_CODEC_GZIP, .level = 0},
    {.id = LZR_CODEC_GZIP, .level = 1}, {.id = LZR_CODEC_GZIP, .level = 9},
};
#define NCODECS (sizeof CODECS / sizeof CODECS[0])

static void fill(unsigned char *p, size_t n, int kind)
{
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (unsigned char)(kind == 0 ? 0 : kind == 1 ? i / 64 : x);
    }
}

static void round_trip(const struct lzr_codec *c, unsigned itemsize, size_t n, int kind)
{
    unsigned char *raw = lzr_malloc(n), *back = lzr_malloc(n);
    size_t cap = lzr_codec_bound(c, n), len = 0, again = 0;
    unsigned char *one = lzr_malloc(cap), *two = lzr_malloc(cap);
    fill(raw, n, kind);
    assert_int_equal(lzr_codec_check(c, NULL), LZR_OK);
    assert_int_equal(lzr_codec_encode(c, itemsize, raw, n, one, cap, &len, NULL), LZR_OK);
    assert_int_equal(lzr_codec_encode(c, itemsize, raw, n, two, cap, &again, NULL), LZR_OK);
    assert_true(len <= cap && len == again);
    assert_memory_equal(one, two, len);
    assert_int_equal(lzr_codec_decode(c, one, len, back, n, NULL), LZR_OK);
    assert_memory_equal(raw, back, n);

    /* Anything but these bytes for this length is refused. */
    struct lzr_err err = {0};
    assert_int_equal(lzr_codec_decode(c, one, len - 1, back, n, &err), LZR_E_CODEC);
    assert_int_equal(lzr_codec_decode(c, one, 0, back, n, &err), LZR_E_CODEC);
    if (n > 1) {
        assert_int_equal(lzr_codec_decode(c, one, len, back, n - 1, &err), LZR_E_CODEC);
    }
    unsigned char *longer = lzr_malloc(len + 1);
    memcpy(longer, one, len);
    longer[len] = 0;
    assert_int_equal(lzr_codec_decode(c, longer, len + 1, back, n, &err), LZR_E_CODEC);
    assert_true(err.msg[0] != '\0');
    if (c->id == LZR_CODEC_GZIP) {
        /* A18: no time and no system in the header. */
        const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
        assert_memory_equal(one, head, sizeof head);
        assert_int_equal(one[9], 255);
    }
    lzr_free(longer);
    lzr_free(two);
    lzr_free(one);
    lzr_free(back);
    lzr_free(raw);
}

static void test_round_trips(void **state)
{
    static const size_t SIZES[] = {1, 2, 16, 255, 4096, 100000, 1 << 20};
    static const unsigned ITEMS[] = {1, 2, 16};
    (void)state;
    for (size_t c = 0; c < NCODECS; c++) {
        for (size_t s = 0; s < sizeof SIZES / sizeof SIZES[0]; s++) {
            for (int kind = 0; kind < 3; kind++) {
                round_trip(&CODECS[c], ITEMS[(s + (size_t)kind) % 3], SIZES[s], kind);
            }
        }
    }
}

static void test_check(void **state)
{
    static const struct lzr_codec BAD[] = {
        {LZR_CODEC_BLOSC, 10, "lz4", 1},   {LZR_CODEC_BLOSC, -1, "lz4", 1},
        {LZR_CODEC_BLOSC, 5, "lz5", 1},    {LZR_CODEC_BLOSC, 5, "", 1},
        {LZR_CODEC_BLOSC, 5, "lz4", 3},    {.id = LZR_CODEC_ZSTD, .level = 23},
        {.id = LZR_CODEC_ZSTD, .level = -200000}, {.id = LZR_CODEC_GZIP, .level = 10},
        {.id = LZR_CODEC_GZIP, .level = -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct lzr_err err = {0};
        assert_int_equal(lzr_codec_check(&BAD[i], &err), LZR_E_INVAL);
        assert_non_null(strstr(err.msg, "must be"));
    }
}

/* Every single byte of an encoded chunk damaged in turn: an error or other values, never a crash or
 * a write beyond the destination (the sanitizers watch). */
static void test_damage(void **state)
{
    unsigned char raw[600], back[600], enc[2000];
    (void)state;
    fill(raw, sizeof raw, 1);
    for (size_t c = 0; c < NCODECS; c++) {
        size_t len;
        assert_int_equal(lzr_codec_encode(&CODECS[c], 2, raw, sizeof raw, enc,
                                          lzr_codec_bound(&CODECS[c], sizeof raw), &len, NULL),
                         LZR_OK);
        for (size_t i = 0; i < len; i++) {
            unsigned char was = enc[i];
            enc[i] = (unsigned char)(was ^ 0x41);
            unsigned char *exact = lzr_malloc(len);
            memcpy(exact, enc, len);
            lzr_codec_decode(&CODECS[c], exact, len, back, sizeof back, NULL);
            lzr_free(exact);
            enc[i] = was;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
