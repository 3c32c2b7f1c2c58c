/* pace.h: what is known of how long an array's blocks take, and what follows from it for a running
 * block that nobody waits for any more. Pure functions; times in microseconds.
 *
 * A worker's first block of an array is counted by itself: it is often the one that loads a model
 * or compiles. It is never interrupted, or a function whose first block takes long would never get
 * there while somebody pans. */
#ifndef LZR_ENGINE_PACE_H
#define LZR_ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "lazarr/driver.h"

#define LZR_WORTH_US 50000        /* a block that will be ready this soon is not interrupted */
#define LZR_ABANDON_US 2000000    /* after so long an interrupted function may be killed ... */
#define LZR_ABANDON_MOST 60000000 /* ... or later, where a new worker takes long, but by then */
#define LZR_AWAIT_US 10000000     /* what will end by itself this soon is not killed */

/* A block came out well; first: its worker's first of this array. */
void lzr_pace_note(struct lzr_pace *p, bool first, uint64_t us);

/* Whether interrupting a block that has been running for so long saves more than it costs: what has
 * been computed so far is lost, and the chunk is often wanted again soon. Not for a worker's first
 * block. */
bool lzr_pace_interrupt(const struct lzr_pace *p, uint64_t running);

/* Whether a function that was told so long ago and goes on is to be killed, and its worker with it,
 * which took start_cost to start and has warmed up since. Not one that ends by itself soon, as far
 * as the array's blocks tell: C code that looks at no signals isn't a hanging one. */
bool lzr_pace_kill(const struct lzr_pace *p, uint64_t running, uint64_t told, uint64_t start_cost);

#endif
