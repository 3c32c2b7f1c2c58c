/* keys.h: the last part of a chunk's key to its place in the grid, and back to nothing else: only
 * the one canonical spelling of each chunk exists (no sign, no leading zero, nothing beyond the
 * grid). Pure functions, any thread. */
#ifndef LZR_STORE_KEYS_H
#define LZR_STORE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"

/* Reads a canonical number below count from *p on; *p is left behind it. */
bool lzr_key_position(const char **p, const char *end, uint64_t count, uint64_t *out);
/* "0.4.2" or "0/4/2" with that separator, "0" for rank 0. */
bool lzr_key_v2(const struct lzr_grid *g, char separator, const char *key, size_t n,
                uint64_t *index);
/* "2/4/0": x first, that is, the last axis. */
bool lzr_key_n5(const struct lzr_grid *g, const char *key, size_t n, uint64_t *index);
/* The same for the last `named` axes in three segments, "0" beyond them; the others' positions are
 * in pos. For BigDataViewer. */
bool lzr_key_bdv(const struct lzr_grid *g, unsigned named, uint64_t pos[], const char *key,
                 size_t n, uint64_t *index);
/* "0-64_64-128_0-20": x, y, z, first voxel and one past the last, with the offsets (of z, y, x; of
 * y, x) of the last `spatial` axes added; "0-1" for a z that isn't there. The other axes have one
 * chunk. For precomputed. */
bool lzr_key_precomputed(const struct lzr_grid *g, unsigned spatial, const int64_t offset[],
                         const char *key, size_t n, uint64_t *index);

/* "c/0/4/2", "c" for rank 0. */
bool lzr_key_v3(const struct lzr_grid *g, const char *key, size_t n, uint64_t *index);

#endif
