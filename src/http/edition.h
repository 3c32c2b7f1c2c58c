/* edition.h: the stores as they were loaded, and what replaces them.
 *
 * An edition is one opened driver. A request takes the current one when it begins and keeps it to
 * its last byte, so that what a request sees never changes under it. A reload opens a second driver
 * beside the first; only when it has loaded everything does it become current. The old one is
 * retired: its cache is emptied at once, and it is closed when its last user has dropped it.
 * Requests that still wait for it LZR_EDITION_PATIENCE_US later are ended (503, ask again).
 *
 * Threads: one thread of its own opens and closes drivers, since both block. Everything here may be
 * called from any thread; nothing but lzr_editions_free waits. Users are counted under one mutex
 * that is never held across a call into a driver. */
#ifndef LZR_HTTP_EDITION_H
#define LZR_HTTP_EDITION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/glance.h"
#include "http/sheets.h"
#include "lazarr/driver.h"

#define LZR_EDITION_PATIENCE_US (UINT64_C(60) * 1000000)
/* Of editions that are current or still in use; a reload beyond it fails. */
#define LZR_EDITIONS_MAX 3

struct lzr_editions;

struct lzr_edition {
    struct lzr_driver *driver; /* the edition's own */
    struct lzr_glances glances;
    struct lzr_sheets sheets;
    struct lzr_editions *all;
    /* Guarded by all->mu. */
    unsigned users;
    bool retired, drained;
    uint64_t retired_us;
    struct lzr_edition *next;
};

/* Somebody waits for the end of a reload; the caller's storage until done is called. */
struct lzr_reload {
    void (*done)(struct lzr_reload *r); /* once, on any thread, without a lock; must not block */
    void *ctx;                          /* the caller's */
    char *array;                        /* "STORE/PATH": it alone and what is made of it; NULL: all.
                                         * The caller's, to be there until done is called */
    enum lzr_code code;                 /* LZR_E_CANCELLED: the server is stopping */
    struct lzr_err err;
    char *traceback; /* the receiver's, lzr_free; or NULL */
    size_t narrays;  /* of the new edition */
    size_t nfailed;  /* stores that it couldn't load, nor could the one before */
    uint64_t took_us;
    struct lzr_reload *next;
};

struct lzr_reload_counts {
    uint64_t ok, failed;
    unsigned editions; /* current, or still in use */
};

/* The first edition; takes *first over, also on failure. again: how the stores are opened once
 * more, borrowed; NULL: never. */
enum lzr_code lzr_editions_new(struct lzr_driver **first, const struct lzr_driver_options *again,
                               struct lzr_editions **out, struct lzr_err *err);
/* Whom to tell of reloads, as in struct lzr_server_options. Before the first one. */
void lzr_editions_tell(struct lzr_editions *all, void (*reloads)(void *ctx, bool begins),
                       void *ctx);
/* From now on every request that waits ends with E_CANCELLED, and a reload under way is given up.
 */
void lzr_editions_drain(struct lzr_editions *all);
/* After the last drop. Waits for the thread and closes the drivers. NULL is fine. */
void lzr_editions_free(struct lzr_editions **all);

/* The current one, with one more user. */
struct lzr_edition *lzr_edition_take(struct lzr_editions *all);
struct lzr_edition *lzr_edition_ref(struct lzr_edition *e); /* one more user of the same */
void lzr_edition_drop(struct lzr_edition **e);              /* NULLs it; NULL is fine */

/* Loads everything anew, or one array. wish may be NULL, for everything: the outcome is logged in
 * any case. Wishes that come while a reload runs share the next one; of everything, if one is. */
void lzr_editions_reload(struct lzr_editions *all, struct lzr_reload *wish);

/* Counters: of all editions since the start, so that they never fall. Gauges: the current one's. */
void lzr_editions_stats(struct lzr_editions *all, struct lzr_stats *out);
struct lzr_reload_counts lzr_editions_counts(struct lzr_editions *all);

#endif
