/* Regions put together out of chunks, as the server does it: bench/gather.py compiles this against
 * the libraries of the build and runs it.
 *
 *   gather FOLDER TURNS     FOLDER has the chunks 0.0.0 to 1.1.1 of a 128^3 float32 array in 64^3
 * chunks of blosc-lz4; prints the median seconds of the region [16, 112)^3 with the chunks decoded
 * before, and with decoding them each time
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/codec.h"
#include "store/reach.h"

enum { CHUNKS = 8, CHUNK_BYTES = 64 * 64 * 64 * 4, REGION_BYTES = 96 * 96 * 96 * 4 };

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static unsigned char *read_file(const char *folder, int i, size_t *n)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%d.%d.%d", folder, i >> 2, (i >> 1) & 1, i & 1);
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = malloc(2 * CHUNK_BYTES);
    *n = f != NULL && bytes != NULL ? fread(bytes, 1, 2 * CHUNK_BYTES, f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    return bytes;
}

int main(int argc, char **argv)
{
    int turns = argc == 3 ? atoi(argv[2]) : 0;
    struct lzr_level level = {
        .grid = {.rank = 3, .shape = {128, 128, 128}, .chunks = {64, 64, 64}}};
    struct lzr_level own_level = {.grid = {.rank = 1, .shape = {1}, .chunks = {1}}};
    struct lzr_array a = {
        .levels = &level,
        .nlevels = 1,
        .dtype = {'f', 4, false},
        .codec = {.id = LZR_CODEC_BLOSC, .level = 5, .cname = "lz4", .shuffle = 1}};
    struct lzr_array own = {.levels = &own_level, .nlevels = 1};
    uint64_t fixed[1][LZR_MAX_RANK][2] = {{{16, 112}, {16, 112}, {16, 112}}};
    const uint32_t levels[1] = {0};
    struct lzr_input in = {.array = &a, .levels = levels, .fixed = fixed, .axis = {-1, -1, -1}};
    uint64_t start[1] = {0}, extent[1] = {1};
    unsigned char *encoded[CHUNKS], *decoded[CHUNKS], *region = malloc(REGION_BYTES);
    size_t len[CHUNKS];
    double *times = calloc((size_t)(turns > 0 ? turns : 1), sizeof *times);
    if (turns < 1 || region == NULL || times == NULL ||
        lzr_grid_init(&level.grid, NULL) != LZR_OK ||
        lzr_grid_init(&own_level.grid, NULL) != LZR_OK) {
        return 2;
    }
    memset(region, 1, REGION_BYTES);
    for (int i = 0; i < CHUNKS; i++) {
        encoded[i] = read_file(argv[1], i, &len[i]);
        decoded[i] = malloc(CHUNK_BYTES);
        if (decoded[i] == NULL || lzr_codec_decode(&a.codec, encoded[i], len[i], decoded[i],
                                                   CHUNK_BYTES, NULL) != LZR_OK) {
            return 1;
        }
    }
    for (int decode = 0; decode < 2; decode++) {
        for (int t = 0; t < turns; t++) {
            struct lzr_reach r;
            double t0 = now();
            if (lzr_reach_init(&r, &own, 0, &in, start, extent, false, NULL) != LZR_OK) {
                return 1;
            }
            lzr_reach_fill(&r, region);
            for (uint64_t k = 0; k < r.nchunks; k++) {
                uint64_t i = lzr_reach_chunk(&r, k);
                if (decode && lzr_codec_decode(&a.codec, encoded[i], len[i], decoded[i],
                                               CHUNK_BYTES, NULL) != LZR_OK) {
                    return 1;
                }
                lzr_reach_place(&r, k, decoded[i], region);
            }
            lzr_reach_finish(&r, region);
            lzr_reach_release(&r);
            times[t] = now() - t0;
        }
        qsort(times, (size_t)turns, sizeof *times, compare);
        printf("%.9f\n", times[turns / 2]);
    }
    return fwrite(region, 0, 1, stdout) == 0 ? 0 : 1;
}
