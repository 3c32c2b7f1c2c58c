#include "store/boundary.h"

static struct lzr_stretch cut(struct lzr_stretch s, uint64_t most)
{
    s.n = s.n < most ? s.n : most;
    return s;
}

/* Where a voxel is in a pattern that repeats. */
static uint64_t place_in(int64_t at, uint64_t period)
{
    int64_t m = at % (int64_t)period;
    return (uint64_t)(m < 0 ? m + (int64_t)period : m);
}

/* Up and down again: `up` voxels upwards from 0, then down from `top` until the pattern ends. */
static struct lzr_stretch mirrored(int64_t at, uint64_t up, uint64_t top, uint64_t period)
{
    uint64_t m = place_in(at, period);
    if (m < up) {
        return (struct lzr_stretch){.from = m, .step = 1, .n = up - m};
    }
    return (struct lzr_stretch){.from = top - (m - up), .step = -1, .n = period - m};
}

struct lzr_stretch lzr_boundary_stretch(enum lzr_boundary mode, uint64_t length, int64_t at,
                                        uint64_t most)
{
    int64_t end = (int64_t)length;
    if (at >= 0 && at < end) {
        return cut((struct lzr_stretch){.from = (uint64_t)at,
                                        .step = 1,
                                        .n = length - (uint64_t)at},
                   most);
    }
    /* Before the array the pattern is followed up to its first voxel, behind it without end. */
    uint64_t left = at < 0 ? (uint64_t)-at : most;
    most = left < most ? left : most;
    if (mode == LZR_BOUND_CONSTANT || length == 0) {
        return (struct lzr_stretch){.outside = true, .n = most};
    }
    if (mode == LZR_BOUND_EDGE || length == 1) {
        return (struct lzr_stretch){.from = at < 0 ? 0 : length - 1, .n = most};
    }
    if (mode == LZR_BOUND_WRAP) {
        uint64_t m = place_in(at, length);
        return cut((struct lzr_stretch){.from = m, .step = 1, .n = length - m}, most);
    }
    return cut(mode == LZR_BOUND_SYMMETRIC ? mirrored(at, length, length - 1, 2 * length)
                                           : mirrored(at, length - 1, length - 1, 2 * length - 2),
               most);
}
