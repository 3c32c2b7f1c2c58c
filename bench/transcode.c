/* Decode + encode alone, with lazarr's own codecs, of one thread: what transcoding is measured
 * against.
 *
 *   transcode FOLDER ROUNDS CASE        CASE: gzip raw zstd blosc lz4 seg copy
 *
 * FOLDER has the Zarr chunks as files 0, 1, 2 ... of 64^3 uint16 (seg: uint32), blosc lz4. Prints
 * the microseconds a chunk of each round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/codec.h"
#include "store/compseg.h"

enum { SIDE = 64, ELEMENTS = SIDE * SIDE * SIDE, MOST = 4096 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    static const struct lzr_codec blosc = {LZR_CODEC_BLOSC, 5, "lz4", 1};
    static const struct {
        const char *name;
        struct lzr_codec codec;
    } cases[] = {{"gzip", {LZR_CODEC_GZIP, 1, "", 0}},      {"raw", {LZR_CODEC_NONE, 0, "", 0}},
                 {"copy", {LZR_CODEC_NONE, 0, "", 0}},      {"zstd", {LZR_CODEC_ZSTD, 3, "", 0}},
                 {"blosc", {LZR_CODEC_BLOSC, 5, "lz4", 1}}, {"lz4", {LZR_CODEC_LZ4, 0, "", 0}},
                 {"seg", {LZR_CODEC_NONE, 0, "", 0}}};
    static char *data[MOST];
    static size_t len[MOST];
    unsigned n = 0;
    const struct lzr_codec *codec = NULL;
    if (argc != 4) {
        return 2;
    }
    int seg = strcmp(argv[3], "seg") == 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        codec = strcmp(cases[i].name, argv[3]) == 0 ? &cases[i].codec : codec;
    }
    for (char path[4096]; codec != NULL && n < MOST; n++) {
        (void)snprintf(path, sizeof path, "%s/%u", argv[1], n);
        FILE *f = fopen(path, "rb");
        if (f == NULL) {
            break;
        }
        data[n] = malloc(ELEMENTS * 8);
        len[n] = fread(data[n], 1, ELEMENTS * 8, f);
        (void)fclose(f);
    }
    if (n == 0) {
        return 2;
    }
    unsigned size = seg ? 4 : 2;
    const uint64_t extent[4] = {1, SIDE, SIDE, SIDE};
    size_t cap = seg ? lzr_compseg_bound(extent, size) : lzr_codec_bound(codec, ELEMENTS * size),
           out = 0;
    char *raw = aligned_alloc(64, ELEMENTS * size), *dst = aligned_alloc(64, (cap + 63) / 64 * 64);
    for (int r = 0; r < atoi(argv[2]); r++) {
        double t0 = now_us();
        for (unsigned i = 0; i < n; i++) {
            enum lzr_code code =
                lzr_codec_decode(&blosc, data[i], len[i], raw, ELEMENTS * size, NULL);
            if (code == LZR_OK) {
                code =
                    seg ? lzr_compseg_encode(extent, size, raw, dst, &out, NULL)
                        : lzr_codec_encode(codec, size, raw, ELEMENTS * size, dst, cap, &out, NULL);
            }
            char *kept =
                malloc(out); /* never freed: it would be found again without a page fault */
            if (code != LZR_OK || kept == NULL) {
                return 1;
            }
            memcpy(kept, dst, out);
        }
        printf("%.2f\n", (now_us() - t0) / n);
    }
    return 0;
}
