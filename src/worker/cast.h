/* cast.h: a function's result into its slot, in one pass that checks every value.
 *
 * The rules are lazarr/_cast.py's. This is their fast half: it does the cases that are common, and
 * answers "no" for whatever is rare or wrong; the caller then lets _cast.py do it or raise, so that
 * there is one place that words errors. Nothing is written that doesn't fit: a value that failed is
 * never left in a slot that is then served, since the caller fails or overwrites the whole block.
 */
#ifndef LZR_WORKER_CAST_H
#define LZR_WORKER_CAST_H

#include "worker/numpy_api.h"

#include <stdbool.h>

/* a: the result. to: an ndarray over the slot with the declared dtype and the block's shape. True:
 * all values are there. False: not done; no Python error is set. GIL held. */
bool lzr_cast_fast(PyArrayObject *a, PyArrayObject *to);

#endif
