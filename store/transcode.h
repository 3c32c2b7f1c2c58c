/* transcode.h: a box of an array's values to the bytes of a view's chunk. Pure, any thread.
 *
 * The values come as the array has them (its dtype and byte order, C order, nothing but the box)
 * in a buffer that is used up: they are widened, cast and swapped in place. */
#ifndef LZR_STORE_TRANSCODE_H
#define LZR_STORE_TRANSCODE_H

#include <stddef.h>
#include <stdint.h>

#include "store/view.h"

/* Bytes that the buffer of values must have: the larger of both element types. */
size_t lzr_transcode_room(const struct lzr_view *v, const uint64_t extent[], unsigned itemsize);

/* Bytes that the result takes at most. */
size_t lzr_transcode_bound(const struct lzr_view *v, const uint64_t extent[]);

/* Bytes before the values: N5's header. */
size_t lzr_transcode_header(const struct lzr_view *v);

/* values: lzr_transcode_room bytes, aligned to 16; dst: at least the bound's, aligned to 4. Equal
 * values give equal bytes. Where nothing is compressed and elements keep their size, values may
 * stand in dst right behind the header, aligned to an element: they are then left there. */
enum lzr_code lzr_transcode(const struct lzr_view *v, const uint64_t extent[],
                            struct lzr_dtype from, void *values, void *dst, size_t cap, size_t *len,
                            struct lzr_err *err);

#endif
