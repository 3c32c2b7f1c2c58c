/* codec.h: raw chunk bytes to encoded bytes and back. Pure, any thread, no global state: blosc only
 * through its _ctx calls with one thread, so that equal input gives equal bytes. */
#ifndef LZR_STORE_CODEC_H
#define LZR_STORE_CODEC_H

#include <stddef.h>

#include "base/err.h"
#include "store/array.h"

/* Refuses what this build can't do (a blosc cname that the library lacks), levels out of range. */
enum lzr_code lzr_codec_check(const struct lzr_codec *c, struct lzr_err *err);

/* Version of the library that makes the bytes, "" for none: part of what an ETag is made from. */
const char *lzr_codec_version(const struct lzr_codec *c);

/* Bytes that encoding n raw bytes can take at most. n <= LZR_MAX_CHUNK_BYTES. */
size_t lzr_codec_bound(const struct lzr_codec *c, size_t n);

/* src: n bytes; dst: at least lzr_codec_bound bytes; *len is set to what was written. itemsize is
 * the typesize of blosc (1..255). Deterministic: equal bytes give equal bytes (gzip mtime 0). */
enum lzr_code lzr_codec_encode(const struct lzr_codec *c, unsigned itemsize, const void *src,
                               size_t n, void *dst, size_t cap, size_t *len, struct lzr_err *err);
/* The way back; dst holds exactly n bytes and anything else in src is an error. */
enum lzr_code lzr_codec_decode(const struct lzr_codec *c, const void *src, size_t len, void *dst,
                               size_t n, struct lzr_err *err);

/* Repeats one element over n bytes, a multiple of itemsize and not 0. */
void lzr_fill_bytes(void *to, size_t n, const unsigned char *element, size_t itemsize);

/* Puts a block (C order, extent[] voxels) into a full chunk (C order, chunks[] voxels), the rest of
 * which is fill. extent <= chunks on every axis. */
void lzr_chunk_pad(const struct lzr_grid *g, const uint64_t extent[], const void *block,
                   unsigned itemsize, const unsigned char *fill, void *chunk);
/* Repeats the last voxels of a chunk's first extent[] ones over the rest of it, axis by axis, so
 * that the padding holds no value that the data hasn't. 0 < extent <= chunks on every axis. */
void lzr_chunk_repeat(const struct lzr_grid *g, const uint64_t extent[], unsigned itemsize,
                      void *chunk);

#endif
