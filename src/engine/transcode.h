/* transcode.h: chunks of formats that are made from Zarr chunks; inside of the engine.
 *
 * A flight of such a chunk has a gather: one wish for each Zarr chunk that it covers. When the last
 * of them is there the flight becomes a task for the codec threads, which decode, cut and encode
 * (store/transcode.h). If one fails, the flight fails with its text. Nothing of this takes a
 * worker, and no thread waits. */
#ifndef LZR_ENGINE_TRANSCODE_H
#define LZR_ENGINE_TRANSCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/view.h"

struct lzr_driver;
struct lzr_flight;
struct lzr_chunk;
struct lzr_gather;

/* The Zarr chunks that a chunk is made from; of a Zarr chunk itself. */
struct lzr_sources {
    const struct lzr_chunk *of;
    uint64_t first[LZR_MAX_RANK], count[LZR_MAX_RANK], n, next;
};

void lzr_sources_init(struct lzr_sources *it, const struct lzr_chunk *c);
bool lzr_sources_next(struct lzr_sources *it, struct lzr_chunk *out);

/* Gives a new flight its gather and the state GATHERING; false: no memory. With mu. */
bool lzr_gather_prepare(struct lzr_driver *d, struct lzr_flight *f);
/* Asks for its inputs, once, after prepare; without mu. The flight may be gone when it returns. */
void lzr_gather_ask(struct lzr_driver *d, struct lzr_flight *f);
/* Nobody wants the flight any more: lets its inputs go. With mu. */
void lzr_gather_abandon(struct lzr_driver *d, struct lzr_flight *f);
/* Abandons those whose hold has ended. With mu, every tick. */
void lzr_gather_check(struct lzr_driver *d, uint64_t now_us);
void lzr_gather_free(struct lzr_gather *g);

/* A codec thread's turn after the driver's task_fd woke it: one task, if there is one. */
void lzr_transcode_one(struct lzr_driver *d);

#endif
