/* xarray.h: what to paste into xarray to read an array of ours.
 *
 * xarray opens groups, and the arrays of a group only if axes of one name have one length. An image
 * is a group of its levels, whose lengths differ: all but the first are dropped. A plain array is
 * opened with the group that it lies in; where the arrays there don't agree, the others are dropped
 * as well. */
#ifndef LZR_HTTP_XARRAY_H
#define LZR_HTTP_XARRAY_H

#include <stdbool.h>

#include "base/buf.h"
#include "store/array.h"

/* key: the array's in Zarr v3 ("zarr3/s.zarr/g/a"), which becomes the group's. Writes into behind
 * what follows the group's URL, quotation mark included: ")["a"], ", drop_variables=["1"]). False:
 * too many arrays would have to be named (or no memory). */
bool lzr_xarray_opens(const struct lzr_array *a, char *key, struct lzr_buf *behind);

#endif
