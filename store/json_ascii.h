/* json_ascii.h: JSON in ASCII alone, for readers that take no other byte (zarr-python 2 decodes its
 * metadata as ASCII). */
#ifndef LZR_STORE_JSON_ASCII_H
#define LZR_STORE_JSON_ASCII_H

#include <stddef.h>

struct lzr_buf;

/* Rewrites the JSON text in a buffer from byte `from` on: each character beyond ASCII, which can
 * stand in strings only, becomes \uXXXX, or two of them (RFC 8259, 7). Failure is the buffer's
 * sticky flag. */
void lzr_json_to_ascii(struct lzr_buf *b, size_t from);

#endif
