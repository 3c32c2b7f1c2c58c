/* view.h, transcode.h, compseg.h: which formats hold an array, and the bytes of their chunks against
 * the definitions of those formats, decoded here independently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/mem.h"
#include "store/codec.h"
#include "store/compseg.h"
#include "store/real.h"
#include "store/transcode.h"

static uint64_t rnd_state = 88172645463325252u;

static uint64_t rnd(void)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state;
}

/* ------------------------------------------------------------------- compressed_segmentation */

static uint32_t word(const unsigned char *bytes, uint64_t i)
{
    uint32_t v;
    memcpy(&v, bytes + 4 * i, 4);
    return v;
}

/* One voxel, from the format's documentation; also that everything it needs lies inside. */
static uint64_t voxel(const unsigned char *bytes, size_t len, const uint64_t extent[4], unsigned size,
                      const uint64_t at[4])
{
    uint64_t base = word(bytes, at[0]), n[3], box = 0, bit = 0;
    for (unsigned i = 0; i < 3; i++) {
        n[i] = (extent[i + 1] + 7) / 8;
    }
    box = (at[1] / 8 * n[1] + at[2] / 8) * n[2] + at[3] / 8;
    uint32_t head = word(bytes, base + 2 * box), place = word(bytes, base + 2 * box + 1);
    uint32_t bits = head >> 24, table = head & 0xffffff, k = 0;
    assert_true(bits <= 32 && (bits & (bits - 1)) == 0);
    bit = ((at[1] % 8 * 8 + at[2] % 8) * 8 + at[3] % 8) * bits;
    if (bits > 0) {
        assert_true((base + place + bit / 32 + 1) * 4 <= len);
        k = word(bytes, base + place + bit / 32) >> bit % 32;
        k &= bits == 32 ? UINT32_MAX : (1u << bits) - 1;
    }
    uint64_t label = base + table + (uint64_t)k * (size / 4);
    assert_true((label + size / 4) * 4 <= len);
    return word(bytes, label) | (size == 8 ? (uint64_t)word(bytes, label + 1) << 32 : 0);
}

static void segment(const uint64_t extent[4], unsigned size, uint64_t distinct)
{
    uint64_t n = extent[0] * extent[1] * extent[2] * extent[3];
    unsigned char *labels = lzr_malloc(n * size);
    size_t bound = lzr_compseg_bound(extent, size), len = 0, again = 0;
    unsigned char *one = lzr_malloc(bound), *two = lzr_malloc(bound);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t label = rnd() % distinct * UINT64_C(0x9E3779B97F4A7C15);
        memcpy(labels + i * size, &label, size);
    }
    assert_int_equal(lzr_compseg_encode(extent, size, labels, one, &len, NULL), LZR_OK);
    assert_int_equal(lzr_compseg_encode(extent, size, labels, two, &again, NULL), LZR_OK);
    assert_true(len <= bound && len == again && len % 4 == 0);
    assert_memory_equal(one, two, len);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at[4], rest = i, want = 0;
        for (unsigned k = 4; k-- > 0;) {
            at[k] = rest % extent[k];
            rest /= extent[k];
        }
        memcpy(&want, labels + i * size, size);
        assert_true(voxel(one, len, extent, size, at) == want);
    }
    lzr_free(labels);
    lzr_free(one);
    lzr_free(two);
}

static void segmentations(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 3, 4, 5, 16, 17, 256, 257, 511, 512, 100000};
    for (unsigned size = 4; size <= 8; size += 4) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            segment((uint64_t[]){1, 8, 8, 8}, size, counts[i]);
            segment((uint64_t[]){1 + rnd() % 3, 1 + rnd() % 20, 1 + rnd() % 20, 1 + rnd() % 20}, size,
                    counts[i]);
        }
        segment((uint64_t[]){1, 1, 1, 1}, size, 1);
        segment((uint64_t[]){5, 1, 1, 9}, size, 3);
    }
    /* Equal boxes share a table: 64 boxes of the same labels take little more than one table. */
    uint64_t labels[2] = {7, 1000}, extent[4] = {1, 32, 32, 32};
    uint64_t *all = lzr_malloc(32768 * 8);
    for (unsigned i = 0; i < 32768; i++) {
        all[i] = labels[i % 2];
    }
    unsigned char *out = lzr_malloc(lzr_compseg_bound(extent, 8));
    size_t len = 0;
    assert_int_equal(lzr_compseg_encode(extent, 8, all, out, &len, NULL), LZR_OK);
    assert_int_equal(len, 4 * (1 + 64 * 2 + 64 * 512 / 32 + 2 * 2));
    for (long k = 0; k < 2; k++) {
        lzr_mem_fail_after(k);
        assert_int_equal(lzr_compseg_encode(extent, 8, all, out, &len, NULL), LZR_E_NOMEM);
        lzr_mem_fail_after(-1);
    }
    lzr_free(all);
    lzr_free(out);
}

/* --------------------------------------------------------------------------------- which format */

static struct lzr_level level;

static struct lzr_array array_of(const char *axes, const char *dtype, unsigned rank, uint64_t shape,
                                 uint64_t chunk)
{
    static const char *const names[] = {"t", "c", "z", "y", "x"};
    struct lzr_array a = {.path = "a", .nlevels = 1, .levels = &level, .kind = LZR_PLAIN};
    level = (struct lzr_level){.grid = {.rank = rank}};
    for (unsigned i = 0; i < rank; i++) {
        level.grid.shape[i] = shape;
        level.grid.chunks[i] = chunk;
        level.scale[i] = 1;
        for (unsigned k = 0; axes != NULL && k < 5; k++) {
            a.dims[i] = names[k][0] == axes[i] ? names[k] : a.dims[i];
        }
    }
    a.kind = axes != NULL ? LZR_IMAGE : LZR_PLAIN;
    a.has_dims = axes != NULL;
    assert_int_equal(lzr_grid_init(&level.grid, NULL), LZR_OK);
    assert_int_equal(lzr_dtype_parse(dtype, &a.dtype, NULL), LZR_OK);
    return a;
}

static void refused(const struct lzr_array *a, enum lzr_encoding e, const char *why)
{
    struct lzr_view v;
    char text[LZR_WHY_BYTES] = "";
    assert_false(lzr_view_of(a, 0, e, &v, text));
    assert_string_equal(text, why);
    assert_false(lzr_view_of(a, 0, e, &v, NULL));
}

static void which_format(void **state)
{
    (void)state;
    struct lzr_view v;
    struct lzr_array a = array_of(NULL, "<c8", 3, 10, 4);
    refused(&a, LZR_ENC_N5, "N5 has no complex64");
    refused(&a, LZR_ENC_PRECOMPUTED, "Neuroglancer precomputed has no complex64");
    a = array_of(NULL, "|u1", 0, 0, 1);
    refused(&a, LZR_ENC_N5, "N5 has no arrays without axes");
    refused(&a, LZR_ENC_PRECOMPUTED, "Neuroglancer precomputed has two or three axes");
    a = array_of(NULL, "|u1", 4, 10, 4);
    refused(&a, LZR_ENC_PRECOMPUTED, "Neuroglancer precomputed has two or three axes");
    refused(&a, LZR_ENC_BDV, "BigDataViewer shows images only (give it axes=)");
    assert_true(lzr_view_of(&a, 0, LZR_ENC_N5, &v, NULL));
    a = array_of("tzyx", "|u1", 4, 10, 4);
    refused(&a, LZR_ENC_PRECOMPUTED, "Neuroglancer precomputed has no time axis");
    a = array_of("zyx", "<f8", 3, 10, 4);
    refused(&a, LZR_ENC_PRECOMPUTED, "Neuroglancer precomputed has no float64: see ~float32");
    assert_true(lzr_view_of(&a, 0, LZR_ENC_CAST, &v, NULL) && v.dtype.size == 4);
    a = array_of("zyx", "|u1", 3, 10, 4);
    refused(&a, LZR_ENC_CAST, "no cast is needed for uint8");
    a = array_of(NULL, "|u1", 2, 0, 4);
    refused(&a, LZR_ENC_PRECOMPUTED, "Neuroglancer precomputed has no empty arrays");
    a = array_of("zyx", "|u1", 3, 10, 4);
    level.translation[0] = 1e300;
    refused(&a, LZR_ENC_PRECOMPUTED, "its translation is too many voxels for precomputed");
    /* All channels stand in one chunk: so many of them can't. */
    a = array_of("cyx", "|u1", 3, 5000, 1);
    refused(&a, LZR_ENC_PRECOMPUTED, "a chunk with all channels would be too large");
    /* 2^27 halves are 256 MiB, as floats they would be twice that. */
    a = array_of(NULL, "<f2", 1, 1 << 27, 1 << 27);
    refused(&a, LZR_ENC_N5, "its chunks would be too large as float32");
    a = array_of(NULL, "<f2", 1, 1 << 27, 1 << 26);
    assert_true(lzr_view_of(&a, 0, LZR_ENC_N5, &v, NULL));
    /* Labels in chunks whose tables might not be addressed fall back to raw. */
    a = array_of("zyx", "<u4", 3, 400, 184);
    a.compressed_segmentation = true;
    assert_true(lzr_view_of(&a, 0, LZR_ENC_PRECOMPUTED, &v, NULL) && v.layout == LZR_LAYOUT_LABELS);
    a = array_of("zyx", "<u4", 3, 400, 200);
    a.compressed_segmentation = true;
    assert_true(lzr_view_of(&a, 0, LZR_ENC_PRECOMPUTED, &v, NULL) && v.layout == LZR_LAYOUT_RAW);
}

/* --------------------------------------------------------------------------------- conversion */

static void put(unsigned char *p, const void *value, unsigned size, bool big)
{
    for (unsigned i = 0; i < size; i++) {
        p[i] = ((const unsigned char *)value)[big ? size - 1 - i : i];
    }
}

/* The element as the format shows it, in this machine's order. */
static void shown(struct lzr_dtype from, struct lzr_dtype to, uint64_t bits, void *out)
{
    if (from.size == to.size) {
        memcpy(out, &bits, from.size);
        return;
    }
    float f;
    if (from.size == 2) {
        f = (float)lzr_half_to_double((uint16_t)bits);
    } else {
        double d;
        memcpy(&d, &bits, 8);
        f = (float)d;
    }
    memcpy(out, &f, sizeof f);
}

static void convert(const char *dtype, enum lzr_encoding e, uint64_t n)
{
    struct lzr_array a = array_of(NULL, dtype, 2, 100, 50);
    struct lzr_view v;
    a.n5_codec = (struct lzr_codec){.id = LZR_CODEC_NONE};
    assert_true(lzr_view_of(&a, 0, e, &v, NULL));
    const uint64_t extent[2] = {1, n};
    size_t room = lzr_transcode_room(&v, extent, a.dtype.size), len = 0, again = 0;
    size_t bound = lzr_transcode_bound(&v, extent), header = lzr_transcode_header(&v);
    unsigned char *values = lzr_malloc(room), *out = lzr_malloc(bound), *place = lzr_malloc(bound);
    uint64_t *bits = lzr_malloc(n * sizeof *bits);
    for (uint64_t i = 0; i < n; i++) {
        bits[i] = i < 70000 && a.dtype.size == 2 ? i : rnd();
        put(values + i * a.dtype.size, &bits[i], a.dtype.size, a.dtype.big);
    }
    bool in_place = a.dtype.size == v.dtype.size && (size_t)(place + header) % a.dtype.size == 0;
    if (in_place) {
        memcpy(place + header, values, n * a.dtype.size);
    }
    assert_int_equal(lzr_transcode(&v, extent, a.dtype, values, out, bound, &len, NULL), LZR_OK);
    assert_true(len == bound && len == header + n * v.dtype.size);
    assert_int_equal(header, e == LZR_ENC_N5 ? 12 : 0);
    if (header > 0) {
        const unsigned char want[12] = {0, 0, 0, 2, 0, 0, (unsigned char)(n >> 8), (unsigned char)n,
                                        0, 0, 0, 1};
        assert_memory_equal(out, want, n < 65536 ? 12 : 4);
    }
    for (uint64_t i = 0; i < n; i++) {
        unsigned char want[8], got[8];
        shown(a.dtype, v.dtype, bits[i], want);
        put(got, out + header + i * v.dtype.size, v.dtype.size, v.dtype.big);
        float x, y;
        memcpy(&x, want, 4);
        memcpy(&y, got, 4);
        bool nans = v.dtype.kind == 'f' && v.dtype.size == 4 && isnan(x) && isnan(y);
        assert_true(nans || memcmp(want, got, v.dtype.size) == 0);
    }
    if (in_place) {
        assert_int_equal(lzr_transcode(&v, extent, a.dtype, place + header, place, bound, &again, NULL),
                         LZR_OK);
        assert_int_equal(again, len);
        assert_memory_equal(place, out, len);
    }
    lzr_free(values);
    lzr_free(out);
    lzr_free(place);
    lzr_free(bits);
}

static void conversions(void **state)
{
    (void)state;
    static const char *const types[] = {"|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4",
                                        "<i4", ">i4", "<u8", ">u8", "<f4", ">f4", "<f2", ">f2"};
    static const char *const wide[] = {"<i8", ">i8", "<f8", ">f8"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (uint64_t n = 1; n < 40; n += 3) {
            convert(types[i], LZR_ENC_N5, n);
            convert(types[i], LZR_ENC_PRECOMPUTED, n);
        }
        convert(types[i], LZR_ENC_N5, 65536); /* of 16 bits: every pattern there is */
    }
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        convert(wide[i], LZR_ENC_N5, 1000);
        convert(wide[i], LZR_ENC_CAST, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segmentations),
        cmocka_unit_test(which_format),
        cmocka_unit_test(conversions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
