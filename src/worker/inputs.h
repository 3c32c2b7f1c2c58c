/* inputs.h: a job's inputs as NumPy arrays over its slot, without a copy. Main thread, with the
 * GIL. */
#ifndef LZR_WORKER_INPUTS_H
#define LZR_WORKER_INPUTS_H

#include "worker/interp.h"
#include "worker/slots.h"
#include "worker/wire.h"

/* The bytes that an array of the extent has; false: more than can be. */
bool lzr_extent_bytes(unsigned rank, const uint64_t extent[], uint64_t itemsize, uint64_t *bytes);

/* A list of writable arrays, one for each input that the job's text names; an empty one for none.
 * What a job before it wrote to the slot's inputs is forgotten. NULL, without a Python error: the
 * text makes no sense, or doesn't fit the array or the slot; or there is no memory. */
PyObject *lzr_inputs_of(const struct lzr_interp *py, const struct lzr_wire_packet *p,
                        struct lzr_wslot *s);

#endif
