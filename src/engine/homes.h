/* homes.h: arrays with slots=N, which at most N workers compute, the same ones while they live:
 * only those load its model.
 *
 * A worker becomes an array's home when it first gets a job of it, and stops being one when its
 * process ends. As long as there are fewer homes than slots and all of them are busy, another
 * worker is taken, rather one that is no home yet. With the driver's mutex. */
#ifndef LZR_ENGINE_HOMES_H
#define LZR_ENGINE_HOMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "lazarr/limits.h"

struct lzr_driver;
struct lzr_worker;
struct lzr_flight;
struct lzr_array;

struct lzr_home {
    uint64_t workers[LZR_MAX_WORKERS / 64]; /* a bit for each */
    unsigned n;
    uint64_t own; /* the array's bit if it has slots (more than 64 such arrays share them), or 0 */
    uint64_t above; /* ... and those of all that it is made of */
};

/* Made once the catalog is there; without arrays with slots there is nothing. */
enum lzr_code lzr_homes_init(struct lzr_driver *d, struct lzr_err *err);
/* Whether this worker may be given a flight. */
bool lzr_home_fits(const struct lzr_driver *d, const struct lzr_worker *w,
                   const struct lzr_flight *f);
/* Whether a flight's turn may come now: false where all homes that its array may have are busy. */
bool lzr_home_free(const struct lzr_driver *d, const struct lzr_flight *f);
/* The arrays with slots, as bits, whose homes are all busy. */
uint64_t lzr_homes_busy(const struct lzr_driver *d);
/* Whether all that is made of such arrays has to wait (d->blocked), and this flight's array is. */
bool lzr_home_waits(const struct lzr_driver *d, const struct lzr_array *a);
/* The worker gets a job of the flight. */
void lzr_home_settle(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_flight *f);
/* The worker's process has ended. */
void lzr_homes_leave(struct lzr_driver *d, struct lzr_worker *w);

#endif
