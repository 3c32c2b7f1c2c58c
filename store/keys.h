/* keys.h: the last part of a chunk's key to its place in the grid, and back to nothing else: only
 * the one canonical spelling of each chunk exists (no sign, no leading zero, nothing beyond the
 * grid). Pure functions, any thread. */
#ifndef LZR_STORE_KEYS_H
#define LZR_STORE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"

/* "0.4.2" or "0/4/2" with that separator, "0" for rank 0. */
bool lzr_key_v2(const struct lzr_grid *g, char separator, const char *key, size_t n,
                uint64_t *index);
/* "c/0/4/2", "c" for rank 0. */
bool lzr_key_v3(const struct lzr_grid *g, const char *key, size_t n, uint64_t *index);

#endif
