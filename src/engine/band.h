/* band.h: neighbours of a chunk that are made together with it, because they lie in the same rows
 * of a file; inside of the engine.
 *
 * A chunk of the first level above a file takes a short piece out of each of thousands of rows, and
 * what reading costs is the rows. So the neighbours along the last axis that are wanted, too, are
 * read along: those that have a flight which nobody has begun, and those that the coarser chunk for
 * which this one is made will ask for. They go into the cache, where their flights find them. */
#ifndef LZR_ENGINE_BAND_H
#define LZR_ENGINE_BAND_H

#include <stdint.h>

struct lzr_array;
struct lzr_driver;
struct lzr_flight;

#define LZR_BAND_CHUNKS 8 /* of a band at most; bands don't reach over multiples of it */
#define LZR_BANDS 64      /* that are being made at once: there are no more codec threads */

struct lzr_band {
    const struct lzr_array *array; /* NULL: a place that is free */
    uint32_t level;
    unsigned n;     /* chunks, that of the flight among them; 1: it alone */
    uint64_t first; /* index of the first; the others follow */
};

/* The band of a flight of a level above a file, kept from being made by others until it is
 * released. Takes the driver's mutex. */
struct lzr_band lzr_band_claim(struct lzr_driver *d, const struct lzr_flight *f);
void lzr_band_release(struct lzr_driver *d, const struct lzr_band *b);

#endif
