/* recipe.h: the ways in which a chunk comes about; inside of the engine.
 *
 * A recipe says which chunks must be there before (its needs) and who makes it: a worker runs the
 * array's function, or a codec thread calls `make` (or lzr_copy_run). All else is the same for all:
 * needs are asked for, awaited and failed by needs.c, tasks are run by make.c. A new way of making
 * chunks in C is a new recipe and a line in lzr_recipe_of. */
#ifndef LZR_ENGINE_RECIPE_H
#define LZR_ENGINE_RECIPE_H

#include <stdbool.h>

#include "base/blob.h"
#include "base/err.h"

struct lzr_driver;
struct lzr_flight;
struct lzr_chunk;
struct lzr_needs;

struct lzr_recipe {
    bool worker; /* a worker computes it from its needs; make is NULL */
    /* All needs are asked for at once, in the place of the request itself, and nothing is reserved:
     * for what is small and made of few chunks. Else the flight stands in the queue until its turn
     * to start, and needs are asked for depth first as the budget has room. */
    bool eager;
    bool remembers; /* a failure of make is remembered as one of a function is */
    /* The chunks needed, in the order in which make finds them; NULL: it has none. With the
     * driver's mutex: quick, no I/O. */
    enum lzr_code (*list)(const struct lzr_chunk *c, struct lzr_needs **out, struct lzr_err *err);
    /* Makes the encoded chunk, a new reference; f->needs has the blobs of all needs. On a codec
     * thread, without the driver's mutex; the flight stays as it is meanwhile. What it takes beside
     * the result is charged to the budget while it is used. */
    enum lzr_code (*make)(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_blob **out,
                          struct lzr_err *err);
};

/* inputs.c: a block that a function computes from other arrays */
extern const struct lzr_recipe lzr_recipe_inputs;
/* transcode.c: an encoding of a chunk, from Zarr chunks */
extern const struct lzr_recipe lzr_recipe_transcode;
/* reduce.c: a chunk of a C pyramid, from those of the level below */
extern const struct lzr_recipe lzr_recipe_reduce;
/* ... from a level below that the server reads itself */
extern const struct lzr_recipe lzr_recipe_reduce_source;
/* copy.c: a chunk of an array that is another one in other chunks; made by lzr_copy_run, together
 * with those that share its needs: make is NULL */
extern const struct lzr_recipe lzr_recipe_copy;
/* ... of one that the server reads itself */
extern const struct lzr_recipe lzr_recipe_copy_read;
/* source.c: a chunk that the server reads itself */
extern const struct lzr_recipe lzr_recipe_read;

const struct lzr_recipe *lzr_recipe_of(const struct lzr_chunk *c);

#endif
