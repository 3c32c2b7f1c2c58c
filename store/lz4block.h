/* lz4block.h: the LZ4Block stream of lz4-java, which N5's "lz4" is: not the LZ4 frame format.
 * Blocks of 64 KiB, each with a header and a checksum, and an empty one at the end.
 *
 * Source: the class documentation of lz4-java's LZ4BlockOutputStream. Pure functions, any thread.
 */
#ifndef LZR_STORE_LZ4BLOCK_H
#define LZR_STORE_LZ4BLOCK_H

#include <stddef.h>

#include "base/err.h"

#define LZR_LZ4_BLOCK 65536 /* bytes of a full block before compression */

size_t lzr_lz4block_bound(size_t n);
enum lzr_code lzr_lz4block_encode(const void *src, size_t n, void *dst, size_t cap, size_t *len,
                                  struct lzr_err *err);
/* dst holds exactly n bytes; anything else in src is an error. */
enum lzr_code lzr_lz4block_decode(const void *src, size_t len, void *dst, size_t n,
                                  struct lzr_err *err);

#endif
