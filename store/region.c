#include "store/region.h"

#include <string.h>

#include "lazarr/limits.h"

void lzr_region_copy(unsigned rank, unsigned itemsize, struct lzr_region from, const void *src,
                     struct lzr_region to, void *dst)
{
    uint64_t low[LZR_MAX_RANK], n[LZR_MAX_RANK], at[LZR_MAX_RANK] = {0};
    size_t src_stride[LZR_MAX_RANK], dst_stride[LZR_MAX_RANK];
    size_t src_step = itemsize, dst_step = itemsize, src_offset = 0, dst_offset = 0;
    for (unsigned i = rank; i-- > 0;) {
        uint64_t end = from.start[i] + from.extent[i], other = to.start[i] + to.extent[i];
        low[i] = from.start[i] > to.start[i] ? from.start[i] : to.start[i];
        end = end < other ? end : other;
        if (end <= low[i]) {
            return;
        }
        n[i] = end - low[i];
        src_stride[i] = src_step;
        dst_stride[i] = dst_step;
        src_offset += (size_t)(low[i] - from.start[i]) * src_step;
        dst_offset += (size_t)(low[i] - to.start[i]) * dst_step;
        src_step *= (size_t)from.extent[i];
        dst_step *= (size_t)to.extent[i];
    }
    /* Axes from `inner` on are one row: all but its first are whole in both. */
    unsigned inner = rank;
    size_t row = itemsize;
    while (inner > 0) {
        inner--;
        row *= (size_t)n[inner];
        if (n[inner] != from.extent[inner] || n[inner] != to.extent[inner]) {
            break;
        }
    }
    const unsigned char *s = (const unsigned char *)src + src_offset;
    unsigned char *d = (unsigned char *)dst + dst_offset;
    for (;;) {
        memcpy(d, s, row);
        unsigned i = inner;
        for (; i > 0; i--) {
            s += src_stride[i - 1];
            d += dst_stride[i - 1];
            if (++at[i - 1] < n[i - 1]) {
                break;
            }
            s -= (size_t)n[i - 1] * src_stride[i - 1];
            d -= (size_t)n[i - 1] * dst_stride[i - 1];
            at[i - 1] = 0;
        }
        if (i == 0) {
            return;
        }
    }
}
