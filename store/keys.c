#include "store/keys.h"

/* Reads a canonical number below count from *p on; *p is left behind it. */
static bool read_position(const char **p, const char *end, uint64_t count, uint64_t *out)
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
        /* count <= 2^62, so v stays far from where it would wrap. */
        v = v * 10 + (uint64_t)(*s - '0');
        if (v >= count) {
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
        if (!read_position(&p, end, g->counts[i], &pos[i])) {
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
