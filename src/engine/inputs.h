/* inputs.h: blocks that are computed from other arrays; inside of the engine.
 *
 * Needs are the chunks that the inputs' regions touch (lzr_recipe_inputs). When all are there, the
 * flight is bound to a worker and one of its slots, and a codec thread puts the regions together in
 * the slot's inputs (PREPARING): decoded once each, right into place where a region is a chunk. So
 * a worker's next job is prepared while one runs.
 *
 * Neighbouring blocks with a halo read the same chunks: 64³ ones with a halo of 8 touch 27 each,
 * and decoding all of them takes a good part of what a Gaussian of the block does
 * (bench/gather.py). So what a region doesn't use up is kept decoded for a while, in a cache of its
 * own: at most LZR_DECODED_CHUNKS of the largest chunks and an eighth of the budget, which it is
 * charged to. */
#ifndef LZR_ENGINE_INPUTS_H
#define LZR_ENGINE_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lazarr/protocol.h"

#define LZR_DECODED_CHUNKS 256

struct lzr_driver;
struct lzr_flight;
struct lzr_array;
struct lzr_slot;

/* Where the inputs of a flight's block lie in a slot: out (nullable) gets one for each, without the
 * axes that are dropped. Returns the bytes that they take in all. */
uint64_t lzr_inputs_layout(const struct lzr_flight *f, struct lzr_msg_input out[]);
/* A chunk, decoded: a new reference, from the cache of decoded ones (*there is true) or, if keep,
 * into it. NULL: err says why. */
struct lzr_blob;
struct lzr_chunk;
struct lzr_blob *lzr_inputs_decoded(struct lzr_driver *d, const struct lzr_chunk *c,
                                    const struct lzr_blob *b, size_t bytes, bool keep, bool *there,
                                    struct lzr_err *err);
/* The most that a block of any level takes: its inputs' regions, their chunks encoded, and the
 * largest of those raw. What the server reads itself has no chunks here. */
void lzr_inputs_most(const struct lzr_array *a, uint64_t *regions, uint64_t *encoded,
                     uint64_t *chunk);
/* What the inputs of one block along the longest chain of arrays take encoded. */
struct lzr_catalog;
uint64_t lzr_inputs_chain(const struct lzr_catalog *c);
/* What a chunk of an image's coarsest level takes while it is made depth first, of the levels that
 * are reduced: one chunk each, and those that it is made of. */
uint64_t lzr_pyramid_most(const struct lzr_array *a);
/* Puts the regions together. On a codec thread, without mu. */
enum lzr_code lzr_inputs_fill(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_slot *s,
                              struct lzr_err *err);

#endif
