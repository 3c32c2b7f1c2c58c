/* wanted.h: the chunks that started plans want; inside of the engine.
 *
 * Each is wanted once, however many plans list it. Its blob is kept, whatever the cache does, until
 * its last reader has read it or no plan lists it any more: `readers` are the entries of needs of
 * wanted chunks that aren't made yet, and holds; `plans` are the started plans that list it.
 * What is let go stays in the cache as far as that has room.
 *
 * They are allocated in blocks, one a plan; a block is freed when nobody points into it: its plan,
 * others that share some of it, needs that wait. All with the driver's mutex. */
#ifndef LZR_ENGINE_WANTED_H
#define LZR_ENGINE_WANTED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lzr_driver;
struct lzr_flight;
struct lzr_array;
struct lzr_blob;
struct lzr_chunk;
struct lzr_wanted_block;

struct lzr_wanted {
    struct lzr_wanted *hash_next;
    const struct lzr_array *array;
    uint64_t index;
    struct lzr_blob *blob;     /* once it is made: a reference */
    struct lzr_flight *flight; /* that makes it; flight->wanted is this */
    struct lzr_wanted_block *block;
    uint32_t level;
    uint32_t readers, plans;
    bool in_table; /* it is wanted */
    bool issued;   /* its flight has been launched */
};

struct lzr_wanted_block {
    uint64_t refs, bytes;
    uint32_t used, room;
    struct lzr_wanted items[];
};

struct lzr_wanted_table {
    struct lzr_wanted **buckets;
    uint32_t nbuckets, n;
    uint64_t kept; /* bytes that the blobs are charged */
};

enum lzr_code lzr_wanted_init(struct lzr_wanted_table *t, struct lzr_err *err);
void lzr_wanted_release(struct lzr_wanted_table *t);

/* One reference, room for n, charged to the budget; NULL: no memory. */
struct lzr_wanted_block *lzr_wanted_block_new(struct lzr_driver *d, uint32_t n);
void lzr_wanted_block_unref(struct lzr_driver *d, struct lzr_wanted_block **b);

/* A Zarr chunk that is wanted; else NULL. */
struct lzr_wanted *lzr_wanted_find(const struct lzr_driver *d, const struct lzr_chunk *c);
/* One of the block's, new in the table, with neither readers nor plans. */
struct lzr_wanted *lzr_wanted_add(struct lzr_driver *d, struct lzr_wanted_block *b,
                                  const struct lzr_chunk *c);
struct lzr_chunk lzr_wanted_chunk(const struct lzr_wanted *w);
/* Its chunk is there: it is kept. b is taken over. */
void lzr_wanted_keep(struct lzr_driver *d, struct lzr_wanted *w, struct lzr_blob *b);
/* A flight makes it from now on. */
void lzr_wanted_adopt(struct lzr_wanted *w, struct lzr_flight *f);
/* A reader has read it, or won't. */
void lzr_wanted_read(struct lzr_driver *d, struct lzr_wanted *w);
/* It is wanted no more: what it keeps is let go. A flight of it that nobody waits for either is put
 * before *work (by its work_next, ending); work NULL: it goes on. */
void lzr_wanted_forget(struct lzr_driver *d, struct lzr_wanted *w, struct lzr_flight **work);
/* A flight's chunk is made: it is kept, if it is wanted. */
void lzr_wanted_made(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b);
/* A flight ends without its chunk. */
void lzr_wanted_lost(struct lzr_flight *f);

#endif
