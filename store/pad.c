#include <string.h>

#include "store/codec.h"

/* Doubles what is there already: a few large copies instead of many small ones. */
void lzr_fill_bytes(void *to, size_t n, const unsigned char *element, size_t itemsize)
{
    unsigned char *out = to;
    bool same = true;
    for (size_t i = 1; i < itemsize; i++) {
        same = same && element[i] == element[0];
    }
    if (same) {
        memset(out, element[0], n);
        return;
    }
    memcpy(out, element, itemsize);
    for (size_t done = itemsize; done < n;) {
        size_t part = done < n - done ? done : n - done;
        memcpy(out + done, out, part);
        done += part;
    }
}

void lzr_chunk_pad(const struct lzr_grid *g, const uint64_t extent[], const void *block,
                   unsigned itemsize, const unsigned char *fill, void *chunk)
{
    size_t bytes = (size_t)g->chunk_elements * itemsize;
    /* Axes behind the last one that is cut are contiguous in both: one row is all of them. */
    unsigned cut = g->rank;
    size_t inner = itemsize;
    while (cut > 0 && extent[cut - 1] == g->chunks[cut - 1]) {
        inner *= (size_t)g->chunks[--cut];
    }
    if (cut == 0) {
        memcpy(chunk, block, bytes);
        return;
    }
    lzr_fill_bytes(chunk, bytes, fill, itemsize);
    unsigned last = cut - 1;
    size_t row = inner * (size_t)extent[last];
    size_t rows = row > 0 ? 1 : 0;
    for (unsigned i = 0; i < last; i++) {
        rows *= (size_t)extent[i];
    }
    const unsigned char *from = block;
    uint64_t at[LZR_MAX_RANK] = {0};
    for (size_t r = 0; r < rows; r++) {
        size_t offset = 0;
        for (unsigned i = 0; i < last; i++) {
            offset = offset * (size_t)g->chunks[i] + (size_t)at[i];
        }
        offset *= (size_t)g->chunks[last] * inner;
        memcpy((unsigned char *)chunk + offset, from, row);
        from += row;
        for (unsigned i = last; i-- > 0;) {
            if (++at[i] < extent[i]) {
                break;
            }
            at[i] = 0;
        }
    }
}

void lzr_chunk_repeat(const struct lzr_grid *g, const uint64_t extent[], unsigned itemsize,
                      void *chunk)
{
    size_t outer = (size_t)g->chunk_elements, inner = itemsize;
    for (unsigned i = g->rank; i-- > 0;) {
        size_t n = (size_t)g->chunks[i], is = (size_t)extent[i];
        outer /= n;
        for (size_t o = 0; o < outer; o++) {
            unsigned char *row = (unsigned char *)chunk + o * n * inner;
            for (size_t k = is; k < n; k++) {
                memcpy(row + k * inner, row + (is - 1) * inner, inner);
            }
        }
        inner *= n;
    }
}
