/* inputs.h: blocks that are computed from other arrays; inside of the engine.
 *
 * Needs are the chunks that the inputs' regions touch (lzr_recipe_inputs). When all are there, the
 * flight is bound to a worker and one of its slots, and a codec thread puts the regions together in
 * the slot's inputs (PREPARING): decoded once each, right into place where a region is a chunk. So
 * a worker's next job is prepared while one runs. */
#ifndef LZR_ENGINE_INPUTS_H
#define LZR_ENGINE_INPUTS_H

#include <stdint.h>

#include "base/err.h"
#include "lazarr/protocol.h"

struct lzr_driver;
struct lzr_flight;
struct lzr_array;
struct lzr_slot;

/* Where the inputs of a flight's block lie in a slot: out (nullable) gets one for each, without the
 * axes that are dropped. Returns the bytes that they take in all. */
uint64_t lzr_inputs_layout(const struct lzr_flight *f, struct lzr_msg_input out[]);
/* The most that a block of any level takes: its inputs' regions, and their chunks encoded. */
void lzr_inputs_most(const struct lzr_array *a, uint64_t *regions, uint64_t *encoded);
/* Puts the regions together. On a codec thread, without mu. */
enum lzr_code lzr_inputs_fill(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_slot *s,
                              struct lzr_err *err);

#endif
