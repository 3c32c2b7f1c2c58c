#include "store/names.h"

#include <string.h>

#include "store/keys.h"

static bool is_empty(const struct lzr_names *names)
{
    for (unsigned i = 0; i < names->n; i++) {
        if (names->counts[i] == 0) {
            return true;
        }
    }
    return false;
}

/* Folders between the array's own and its chunks. */
static unsigned depth_of_chunks(const struct lzr_names *names)
{
    unsigned segments = names->form == LZR_NAMES_FOLDERS ? names->n : 1;
    return names->letter ? segments : segments > 0 ? segments - 1 : 0;
}

bool lzr_names_at(const struct lzr_names *names, const char *path, size_t n, unsigned *depth)
{
    const char *p = path, *end = path + n;
    unsigned at = 0, most = depth_of_chunks(names);
    bool letter = names->letter;
    if (is_empty(names)) {
        *depth = 0;
        return n == 0;
    }
    for (unsigned axis = 0; p < end; at++) {
        if (at == most || (at > 0 && *p++ != '/')) {
            return false;
        }
        uint64_t position;
        if (letter && at == 0) {
            if (*p++ != 'c') {
                return false;
            }
        } else if (!lzr_key_position(&p, end, names->counts[axis++], &position)) {
            return false;
        }
    }
    *depth = at;
    return true;
}

bool lzr_names_are_folders(const struct lzr_names *names, unsigned depth)
{
    return depth < depth_of_chunks(names);
}

uint64_t lzr_names_count(const struct lzr_names *names, unsigned depth)
{
    if (is_empty(names)) {
        return 0;
    }
    if (names->n == 0 || (names->letter && depth == 0)) {
        return 1;
    }
    if (names->form == LZR_NAMES_FOLDERS) {
        return names->counts[depth - names->letter];
    }
    uint64_t all = 1; /* of a grid: below 2^62 (grid.c) */
    for (unsigned i = 0; i < names->n; i++) {
        all *= names->counts[i];
    }
    return all;
}

static char *put_number(char *at, uint64_t v)
{
    char digits[20];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n > 0) {
        *at++ = digits[--n];
    }
    return at;
}

static char *put_signed(char *at, int64_t v)
{
    if (v < 0) {
        *at++ = '-';
    }
    return put_number(at, v < 0 ? (uint64_t)-v : (uint64_t)v);
}

static char *put_range(const struct lzr_names *names, unsigned axis, uint64_t position, char *at)
{
    uint64_t first = position * names->chunk[axis];
    uint64_t left = names->shape[axis] - first;
    uint64_t last = first + (left < names->chunk[axis] ? left : names->chunk[axis]);
    at = put_signed(at, (int64_t)first + names->offset[axis]);
    *at++ = '-';
    return put_signed(at, (int64_t)last + names->offset[axis]);
}

size_t lzr_names_write(const struct lzr_names *names, unsigned depth, uint64_t i, char *text)
{
    char *at = text;
    uint64_t position[LZR_MAX_RANK];
    if (names->letter && depth == 0) {
        *at++ = 'c';
    } else if (names->n == 0 || names->form == LZR_NAMES_FOLDERS) {
        at = put_number(at, i);
    } else {
        for (unsigned k = names->n; k-- > 0;) {
            position[k] = i % names->counts[k];
            i /= names->counts[k];
        }
        for (unsigned k = 0; k < names->n; k++) {
            bool ranges = names->form == LZR_NAMES_RANGES;
            if (k > 0) {
                *at++ = ranges ? '_' : '.';
            }
            at = ranges ? put_range(names, k, position[k], at) : put_number(at, position[k]);
        }
    }
    *at = '\0';
    return (size_t)(at - text);
}
