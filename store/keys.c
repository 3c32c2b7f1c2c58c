#include "store/keys.h"

bool lzr_key_position(const char **p, const char *end, uint64_t count, uint64_t *out)
{
    const char *s = *p;
    uint64_t v = 0;
    if (s >= end || *s < '0' || *s > '9') {
        return false;
    }
    if (*s == '0' && end - s > 1 && s[1] >= '0' && s[1] <= '9') {
        return false; /* a leading zero */
    }
    for (; s < end && *s >= '0' && *s <= '9'; s++) {
        bool wraps = v > UINT64_MAX / 10 - 1; /* far above what a count is, 2^62 */
        v = v * 10 + (uint64_t)(*s - '0');
        if (wraps || v >= count) {
            return false;
        }
    }
    *p = s;
    *out = v;
    return true;
}

bool lzr_key_v2(const struct lzr_grid *g, char separator, const char *key, size_t n,
                uint64_t *index)
{
    const char *p = key, *end = key + n;
    if (g->rank == 0) {
        *index = 0;
        return n == 1 && *key == '0';
    }
    uint64_t pos[LZR_MAX_RANK];
    for (unsigned i = 0; i < g->rank; i++) {
        if (i > 0) {
            if (p >= end || *p != separator) {
                return false;
            }
            p++;
        }
        if (!lzr_key_position(&p, end, g->counts[i], &pos[i])) {
            return false;
        }
    }
    *index = p == end ? lzr_grid_index(g, pos) : 0;
    return p == end;
}

bool lzr_key_v3(const struct lzr_grid *g, const char *key, size_t n, uint64_t *index)
{
    if (n == 0 || key[0] != 'c') {
        return false;
    }
    if (g->rank == 0) {
        *index = 0;
        return n == 1;
    }
    return n > 2 && key[1] == '/' && lzr_key_v2(g, '/', key + 2, n - 2, index);
}

/* Positions of the axes from `last` on backwards, as many as there are segments. */
static bool read_reversed(const struct lzr_grid *g, unsigned named, unsigned segments,
                          uint64_t pos[], const char *key, size_t n)
{
    const char *p = key, *end = key + n;
    for (unsigned i = 0; i < segments; i++) {
        uint64_t none;
        if (i > 0) {
            if (p >= end || *p != '/') {
                return false;
            }
            p++;
        }
        bool real = i < named;
        unsigned axis = g->rank - 1 - i;
        if (!lzr_key_position(&p, end, real ? g->counts[axis] : 1, real ? &pos[axis] : &none)) {
            return false;
        }
    }
    return p == end;
}

bool lzr_key_n5(const struct lzr_grid *g, const char *key, size_t n, uint64_t *index)
{
    uint64_t pos[LZR_MAX_RANK];
    if (g->rank == 0 || !read_reversed(g, g->rank, g->rank, pos, key, n)) {
        return false;
    }
    *index = lzr_grid_index(g, pos);
    return true;
}

bool lzr_key_bdv(const struct lzr_grid *g, unsigned named, uint64_t pos[], const char *key,
                 size_t n, uint64_t *index)
{
    if (!read_reversed(g, named, 3, pos, key, n)) {
        return false;
    }
    *index = lzr_grid_index(g, pos);
    return true;
}

/* A canonical whole number, perhaps negative; far below 2^63. */
static bool read_signed(const char **p, const char *end, int64_t *out)
{
    uint64_t v;
    bool minus = *p < end && **p == '-';
    *p += minus;
    if (!lzr_key_position(p, end, UINT64_C(1) << 62, &v) || (minus && v == 0)) {
        return false;
    }
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

/* "A-B" of an axis: its position in the grid. */
static bool read_range(const char **p, const char *end, uint64_t shape, uint64_t chunk,
                       int64_t offset, uint64_t *pos)
{
    int64_t first, last;
    if (!read_signed(p, end, &first) || *p >= end || **p != '-') {
        return false;
    }
    ++*p;
    if (!read_signed(p, end, &last) || first < offset) {
        return false;
    }
    uint64_t start = (uint64_t)(first - offset);
    if (start >= shape || start % chunk != 0) {
        return false;
    }
    uint64_t stop = shape - start < chunk ? shape : start + chunk;
    *pos = start / chunk;
    return last == (int64_t)stop + offset;
}

bool lzr_key_precomputed(const struct lzr_grid *g, unsigned spatial, const int64_t offset[],
                         const char *key, size_t n, uint64_t *index)
{
    const char *p = key, *end = key + n;
    uint64_t pos[LZR_MAX_RANK] = {0};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t none;
        bool real = i < spatial;
        unsigned axis = real ? g->rank - 1 - i : 0;
        if (i > 0) {
            if (p >= end || *p != '_') {
                return false;
            }
            p++;
        }
        if (!read_range(&p, end, real ? g->shape[axis] : 1, real ? g->chunks[axis] : 1,
                        real ? offset[spatial - 1 - i] : 0, real ? &pos[axis] : &none)) {
            return false;
        }
    }
    *index = lzr_grid_index(g, pos);
    return p == end;
}
