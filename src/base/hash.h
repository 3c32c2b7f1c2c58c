/* hash.h: the two hashes that lazarr uses, both from xxHash.
 *
 * lzr_hash64 for tables; lzr_digest (128 bit) for ETags. Neither is cryptographic; an ETag tells
 * versions of one key apart and protects nothing. Pure functions. */
#ifndef LZR_BASE_HASH_H
#define LZR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct lzr_digest {
    uint64_t hi, lo;
};

uint64_t lzr_hash64(const void *bytes, size_t n, uint64_t seed);
struct lzr_digest lzr_digest(const void *bytes, size_t n, uint64_t seed);
/* Digest of a digest and more bytes: how a digest of several parts is made. */
struct lzr_digest lzr_digest_join(struct lzr_digest a, const void *bytes, size_t n);
/* 32 lower-case hex digits and a NUL. */
void lzr_digest_hex(struct lzr_digest d, char out[33]);

#endif
