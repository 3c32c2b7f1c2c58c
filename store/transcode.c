#include "store/transcode.h"

#include <string.h>

#include "base/check.h"
#include "store/codec.h"
#include "store/compseg.h"
#include "store/real.h"

static size_t elements_of(const struct lzr_view *v, const uint64_t extent[])
{
    size_t n = 1;
    for (unsigned i = 0; i < v->grid.rank; i++) {
        n *= (size_t)extent[i];
    }
    return n;
}

/* channels, z, y, x */
static void labels_extent(const struct lzr_view *v, const uint64_t extent[], uint64_t out[4])
{
    unsigned rank = v->grid.rank, others = rank - v->spatial;
    for (unsigned i = 0; i < 4; i++) {
        out[i] = 1;
    }
    for (unsigned i = 0; i < rank; i++) {
        out[i < others ? 0 : 4 - rank + i] *= extent[i];
    }
}

size_t lzr_transcode_header(const struct lzr_view *v)
{
    return v->layout == LZR_LAYOUT_N5 ? 4 + 4 * (size_t)v->axes : 0;
}

size_t lzr_transcode_room(const struct lzr_view *v, const uint64_t extent[], unsigned itemsize)
{
    return elements_of(v, extent) * (itemsize > v->dtype.size ? itemsize : v->dtype.size);
}

size_t lzr_transcode_bound(const struct lzr_view *v, const uint64_t extent[])
{
    if (v->layout == LZR_LAYOUT_LABELS) {
        uint64_t four[4];
        labels_extent(v, extent, four);
        return lzr_compseg_bound(four, v->dtype.size);
    }
    return lzr_transcode_header(v) +
           lzr_codec_bound(&v->codec, elements_of(v, extent) * v->dtype.size);
}

static void swap_bytes(void *values, size_t n, unsigned word)
{
    if (word == 2) {
        /* In groups of a fixed number, which compilers make vector code of. */
        enum { GROUP = 16 };
        uint16_t *p = values;
        size_t i = 0;
        for (; i + GROUP <= n; i += GROUP) {
            for (unsigned k = 0; k < GROUP; k++) {
                p[i + k] = (uint16_t)(p[i + k] << 8 | p[i + k] >> 8);
            }
        }
        for (; i < n; i++) {
            p[i] = __builtin_bswap16(p[i]);
        }
    } else if (word == 4) {
        uint32_t *p = values;
        for (size_t i = 0; i < n; i++) {
            p[i] = __builtin_bswap32(p[i]);
        }
    } else if (word == 8) {
        uint64_t *p = values;
        for (size_t i = 0; i < n; i++) {
            p[i] = __builtin_bswap64(p[i]);
        }
    }
}

/* float16 to float32, from the end, since the result is the larger. */
static void widen_halves(void *values, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        uint16_t h;
        memcpy(&h, (const char *)values + 2 * i, sizeof h);
        float f = (float)lzr_half_to_double(h);
        memcpy((char *)values + 4 * i, &f, sizeof f);
    }
}

/* float64 to float32, from the start. What is beyond float32 becomes infinite, as in NumPy. */
static void narrow_doubles(void *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, (const char *)values + 8 * i, sizeof d);
        float f = (float)d;
        memcpy((char *)values + 4 * i, &f, sizeof f);
    }
}

/* To the view's type in this machine's (little-endian) order, then to the view's order. */
static void convert(const struct lzr_view *v, struct lzr_dtype from, void *values, size_t n)
{
    bool same_size = from.size == v->dtype.size;
    if (same_size) {
        if (from.big != v->dtype.big) {
            swap_bytes(values, n, from.size);
        }
        return;
    }
    if (from.big) {
        swap_bytes(values, n, from.size);
    }
    if (from.size == 2) {
        widen_halves(values, n);
    } else {
        narrow_doubles(values, n);
    }
    if (v->dtype.big) {
        swap_bytes(values, n, v->dtype.size);
    }
}

static void put_be32(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(v >> (24 - 8 * i));
    }
}

/* mode 0, the number of axes, the block's extent, x first. N5's README, "File-system
 * specification". */
static void write_header(const struct lzr_view *v, const uint64_t extent[], unsigned char *out)
{
    memset(out, 0, 3);
    out[3] = (unsigned char)v->axes;
    for (unsigned i = 0; i < v->axes; i++) {
        bool named = i < v->named;
        put_be32(out + 4 + 4 * (size_t)i, named ? extent[v->grid.rank - 1 - i] : 1);
    }
}

enum lzr_code lzr_transcode(const struct lzr_view *v, const uint64_t extent[],
                            struct lzr_dtype from, void *values, void *dst, size_t cap, size_t *len,
                            struct lzr_err *err)
{
    size_t n = elements_of(v, extent), header = lzr_transcode_header(v), body = 0;
    LZR_CHECK(cap >= lzr_transcode_bound(v, extent));
    convert(v, from, values, n);
    if (v->layout == LZR_LAYOUT_LABELS) {
        uint64_t four[4];
        labels_extent(v, extent, four);
        return lzr_compseg_encode(four, v->dtype.size, values, dst, len, err);
    }
    if (header > 0) {
        write_header(v, extent, dst);
    }
    if (values == (char *)dst + header) {
        *len = header + n * v->dtype.size;
        return LZR_OK;
    }
    enum lzr_code code = lzr_codec_encode(&v->codec, v->dtype.size, values, n * v->dtype.size,
                                          (char *)dst + header, cap - header, &body, err);
    if (code == LZR_OK) {
        *len = header + body;
    }
    return code;
}
