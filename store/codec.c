#include "store/codec.h"

#include <blosc.h>
#include <libdeflate.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "base/check.h"
#include "store/lz4block.h"

static enum lzr_code check_level(const char *what, int level, int least, int most,
                                 struct lzr_err *err)
{
    if (level < least || level > most) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be %d to %d, got %d", what, least, most,
                           level);
    }
    return LZR_OK;
}

enum lzr_code lzr_codec_check(const struct lzr_codec *c, struct lzr_err *err)
{
    switch (c->id) {
    case LZR_CODEC_NONE:
    case LZR_CODEC_LZ4:
        return LZR_OK;
    case LZR_CODEC_ZSTD:
        return check_level("zstd level", c->level, ZSTD_minCLevel(), ZSTD_maxCLevel(), err);
    case LZR_CODEC_GZIP:
        return check_level("gzip level", c->level, 0, 9, err);
    case LZR_CODEC_BLOSC:
        if (memchr(c->cname, '\0', sizeof c->cname) == NULL ||
            blosc_compname_to_compcode(c->cname) < 0) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "blosc cname must be one that this build of blosc has (blosclz, "
                               "lz4, lz4hc, snappy, zlib, zstd), got \"%.12s\"",
                               c->cname);
        }
        if (c->shuffle < 0 || c->shuffle > 2) {
            return lzr_err_set(err, LZR_E_INVAL, "blosc shuffle must be 0, 1 or 2, got %d",
                               c->shuffle);
        }
        return check_level("blosc clevel", c->level, 0, 9, err);
    }
    return lzr_err_set(err, LZR_E_INVAL, "unknown codec %d", (int)c->id);
}

const char *lzr_codec_version(const struct lzr_codec *c)
{
    switch (c->id) {
    case LZR_CODEC_BLOSC:
        return blosc_get_version_string();
    case LZR_CODEC_ZSTD:
        return ZSTD_versionString();
    case LZR_CODEC_GZIP:
        return LIBDEFLATE_VERSION_STRING;
    case LZR_CODEC_LZ4:
        return LZ4_versionString();
    case LZR_CODEC_NONE:
        break;
    }
    return "";
}

size_t lzr_codec_bound(const struct lzr_codec *c, size_t n)
{
    switch (c->id) {
    case LZR_CODEC_BLOSC:
        return n + BLOSC_MAX_OVERHEAD;
    case LZR_CODEC_ZSTD:
        return ZSTD_compressBound(n);
    case LZR_CODEC_GZIP:
        /* Without a compressor the bound is that of the worst level. */
        return libdeflate_gzip_compress_bound(NULL, n);
    case LZR_CODEC_LZ4:
        return lzr_lz4block_bound(n);
    case LZR_CODEC_NONE:
        break;
    }
    return n;
}

static enum lzr_code failed(const char *what, const char *why, struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_CODEC, "%s: %s", what, why);
}

static enum lzr_code encode_blosc(const struct lzr_codec *c, unsigned itemsize, const void *src,
                                  size_t n, void *dst, size_t cap, size_t *len, struct lzr_err *err)
{
    /* A typesize of 0 divides by zero inside blosc, one above 255 silently becomes 1. One thread:
     * with more the bytes depend on their number. Block size 0 lets blosc choose, the same way for
     * the same input. */
    LZR_CHECK(itemsize >= 1 && itemsize <= BLOSC_MAX_TYPESIZE);
    if (n > BLOSC_MAX_BUFFERSIZE) {
        return failed("blosc", "the chunk is larger than blosc can hold", err);
    }
    int r = blosc_compress_ctx(c->level, c->shuffle, itemsize, n, src, dst, cap, c->cname, 0, 1);
    if (r <= 0) {
        return failed("blosc", "compression failed", err);
    }
    *len = (size_t)r;
    return LZR_OK;
}

static enum lzr_code encode_gzip(const struct lzr_codec *c, const void *src, size_t n, void *dst,
                                 size_t cap, size_t *len, struct lzr_err *err)
{
    /* libdeflate writes one member with mtime 0 and OS 255 ("unknown"), always. */
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(c->level);
    if (z == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "gzip: out of memory");
    }
    size_t r = libdeflate_gzip_compress(z, src, n, dst, cap);
    libdeflate_free_compressor(z);
    if (r == 0) {
        return failed("gzip", "the destination is too small", err);
    }
    *len = r;
    return LZR_OK;
}

enum lzr_code lzr_codec_encode(const struct lzr_codec *c, unsigned itemsize, const void *src,
                               size_t n, void *dst, size_t cap, size_t *len, struct lzr_err *err)
{
    LZR_CHECK(cap >= lzr_codec_bound(c, n));
    switch (c->id) {
    case LZR_CODEC_BLOSC:
        return encode_blosc(c, itemsize, src, n, dst, cap, len, err);
    case LZR_CODEC_GZIP:
        return encode_gzip(c, src, n, dst, cap, len, err);
    case LZR_CODEC_LZ4:
        return lzr_lz4block_encode(src, n, dst, cap, len, err);
    case LZR_CODEC_ZSTD: {
        size_t r = ZSTD_compress(dst, cap, src, n, c->level);
        if (ZSTD_isError(r)) {
            return failed("zstd", ZSTD_getErrorName(r), err);
        }
        *len = r;
        return LZR_OK;
    }
    case LZR_CODEC_NONE:
        break;
    }
    memcpy(dst, src, n);
    *len = n;
    return LZR_OK;
}

static enum lzr_code decode_blosc(const void *src, size_t len, void *dst, size_t n,
                                  struct lzr_err *err)
{
    /* The decompressor trusts the length in the header, so it is compared with ours first. */
    size_t nbytes = 0;
    if (len < BLOSC_MIN_HEADER_LENGTH || blosc_cbuffer_validate(src, len, &nbytes) != 0) {
        return failed("blosc", "not a blosc buffer of this length", err);
    }
    if (nbytes != n) {
        return failed("blosc", "decompressed length is not the chunk's", err);
    }
    int r = blosc_decompress_ctx(src, dst, n, 1);
    if (r < 0 || (size_t)r != n) {
        return failed("blosc", "damaged buffer", err);
    }
    return LZR_OK;
}

static enum lzr_code decode_zstd(const void *src, size_t len, void *dst, size_t n,
                                 struct lzr_err *err)
{
    /* Exactly one frame: ZSTD_decompress itself would take several, and skippable ones. */
    if (ZSTD_findFrameCompressedSize(src, len) != len) {
        return failed("zstd", "not one whole frame", err);
    }
    size_t r = ZSTD_decompress(dst, n, src, len);
    if (ZSTD_isError(r)) {
        return failed("zstd", ZSTD_getErrorName(r), err);
    }
    if (r != n) {
        return failed("zstd", "decompressed length is not the chunk's", err);
    }
    return LZR_OK;
}

static enum lzr_code decode_gzip(const void *src, size_t len, void *dst, size_t n,
                                 struct lzr_err *err)
{
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    if (z == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "gzip: out of memory");
    }
    size_t in = 0, out = 0;
    enum libdeflate_result r = libdeflate_gzip_decompress_ex(z, src, len, dst, n, &in, &out);
    libdeflate_free_decompressor(z);
    if (r != LIBDEFLATE_SUCCESS) {
        return failed("gzip", "damaged member or another length than the chunk's", err);
    }
    if (in != len || out != n) {
        return failed("gzip", "not one whole member of the chunk's length", err);
    }
    return LZR_OK;
}

enum lzr_code lzr_codec_decode(const struct lzr_codec *c, const void *src, size_t len, void *dst,
                               size_t n, struct lzr_err *err)
{
    switch (c->id) {
    case LZR_CODEC_BLOSC:
        return decode_blosc(src, len, dst, n, err);
    case LZR_CODEC_ZSTD:
        return decode_zstd(src, len, dst, n, err);
    case LZR_CODEC_GZIP:
        return decode_gzip(src, len, dst, n, err);
    case LZR_CODEC_LZ4:
        return lzr_lz4block_decode(src, len, dst, n, err);
    case LZR_CODEC_NONE:
        break;
    }
    if (len != n) {
        return failed("none", "length is not the chunk's", err);
    }
    memcpy(dst, src, n);
    return LZR_OK;
}
