#include "store/lz4block.h"

#include <lz4.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "base/check.h"

static const char MAGIC[] = "LZ4Block";

enum {
    HEADER = 8 + 1 + 4 + 4 + 4,
    STORED = 0x10,
    COMPRESSED = 0x20,
    LEVEL = 6, /* log2(LZR_LZ4_BLOCK) - 10 */
};

#define SEED 0x9747b28cu
#define SUM_MASK 0x0fffffffu /* lz4-java keeps 28 bits of it */

static void put_u32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(v >> (8 * i));
    }
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

size_t lzr_lz4block_bound(size_t n)
{
    size_t blocks = (n + LZR_LZ4_BLOCK - 1) / LZR_LZ4_BLOCK;
    return (blocks + 1) * HEADER + blocks * (size_t)LZ4_COMPRESSBOUND(LZR_LZ4_BLOCK);
}

static void put_header(unsigned char *p, unsigned method, uint32_t packed, uint32_t plain,
                       uint32_t sum)
{
    memcpy(p, MAGIC, 8);
    p[8] = (unsigned char)(method | LEVEL);
    put_u32(p + 9, packed);
    put_u32(p + 13, plain);
    put_u32(p + 17, sum);
}

enum lzr_code lzr_lz4block_encode(const void *src, size_t n, void *dst, size_t cap, size_t *len,
                                  struct lzr_err *err)
{
    const unsigned char *from = src;
    unsigned char *to = dst;
    LZR_CHECK(cap >= lzr_lz4block_bound(n));
    while (n > 0) {
        int plain = n < LZR_LZ4_BLOCK ? (int)n : LZR_LZ4_BLOCK;
        uint32_t sum = XXH32(from, (size_t)plain, SEED) & SUM_MASK;
        int packed = LZ4_compress_default((const char *)from, (char *)to + HEADER, plain,
                                          LZ4_COMPRESSBOUND(LZR_LZ4_BLOCK));
        if (packed <= 0) {
            return lzr_err_set(err, LZR_E_CODEC, "lz4: compression failed");
        }
        if (packed >= plain) {
            memcpy(to + HEADER, from, (size_t)plain);
            packed = plain;
            put_header(to, STORED, (uint32_t)plain, (uint32_t)plain, sum);
        } else {
            put_header(to, COMPRESSED, (uint32_t)packed, (uint32_t)plain, sum);
        }
        to += HEADER + packed;
        from += plain;
        n -= (size_t)plain;
    }
    put_header(to, STORED, 0, 0, 0);
    *len = (size_t)(to + HEADER - (unsigned char *)dst);
    return LZR_OK;
}

static enum lzr_code damaged(struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_CODEC, "lz4: damaged stream or another length than the chunk's");
}

enum lzr_code lzr_lz4block_decode(const void *src, size_t len, void *dst, size_t n,
                                  struct lzr_err *err)
{
    const unsigned char *from = src;
    unsigned char *to = dst;
    for (;;) {
        if (len < HEADER || memcmp(from, MAGIC, 8) != 0) {
            return damaged(err);
        }
        uint32_t packed = get_u32(from + 9), plain = get_u32(from + 13);
        bool stored = (from[8] & 0xf0) == STORED;
        if (plain == 0) {
            return n == 0 && len == HEADER && packed == 0 ? LZR_OK : damaged(err);
        }
        if (plain > n || plain > LZR_LZ4_BLOCK || packed > len - HEADER || packed == 0 ||
            (stored && packed != plain) || (!stored && (from[8] & 0xf0) != COMPRESSED)) {
            return damaged(err);
        }
        if (stored) {
            memcpy(to, from + HEADER, plain);
        } else if (LZ4_decompress_safe((const char *)from + HEADER, (char *)to, (int)packed,
                                       (int)plain) != (int)plain) {
            return damaged(err);
        }
        if ((XXH32(to, plain, SEED) & SUM_MASK) != get_u32(from + 17)) {
            return damaged(err);
        }
        from += HEADER + packed;
        len -= HEADER + packed;
        to += plain;
        n -= plain;
    }
}
