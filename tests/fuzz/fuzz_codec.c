/* Any bytes as an encoded chunk: refused, or decoded within its bounds; and what is encoded comes
 * back as it was. The first bytes choose the codec and the chunk's size. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const NAMES[] = {"lz4", "blosclz", "lz4hc", "zlib", "zstd", "snappy"};

static void round_trip(const struct lzr_codec *c, unsigned itemsize, const uint8_t *raw, size_t n)
{
    size_t cap = lzr_codec_bound(c, n), len = 0, again = 0;
    unsigned char *to = malloc(cap + 1), *to2 = malloc(cap + 1), *back = malloc(n + 1);
    struct lzr_err err;
    LZR_CHECK(to != NULL && to2 != NULL && back != NULL);
    LZR_CHECK(lzr_codec_encode(c, itemsize, raw, n, to, cap, &len, &err) == LZR_OK && len <= cap);
    LZR_CHECK(lzr_codec_encode(c, itemsize, raw, n, to2, cap, &again, &err) == LZR_OK);
    LZR_CHECK(again == len && memcmp(to, to2, len) == 0); /* the same bytes each time */
    LZR_CHECK(lzr_codec_decode(c, to, len, back, n, &err) == LZR_OK);
    LZR_CHECK(memcmp(back, raw, n) == 0);
    free(to);
    free(to2);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    struct lzr_codec c = {.id = (enum lzr_codec_id)(data[0] % (LZR_CODEC_LZ4 + 1)),
                          .level = data[1] % 10,
                          .shuffle = (data[1] >> 4) % 3};
    unsigned itemsize = 1u << (data[2] % 5);
    size_t n = ((size_t)(data[2] >> 5) << 8 | data[3]) / itemsize * itemsize;
    strcpy(c.cname, NAMES[(data[0] >> 4) % (sizeof NAMES / sizeof NAMES[0])]);
    data += 4;
    size -= 4;
    struct lzr_err err = {.code = LZR_OK};
    if (lzr_codec_check(&c, &err) != LZR_OK) {
        return 0;
    }
    /* Exactly as large as they are, so that a byte too many is seen. */
    unsigned char *src = malloc(size > 0 ? size : 1), *dst = malloc(n > 0 ? n : 1);
    LZR_CHECK(src != NULL && dst != NULL);
    memcpy(src, data, size);
    if (n > 0) {
        (void)lzr_codec_decode(&c, src, size, dst, n, &err);
    }
    free(src);
    free(dst);
    if (size >= itemsize && size < 4096) {
        round_trip(&c, itemsize, data, size / itemsize * itemsize);
    }
    return 0;
}
