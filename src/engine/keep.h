/* keep.h: an edition that makes some arrays new and keeps the rest of another one; inside of the
 * engine.
 *
 * The new driver is opened as ever, beside the old one, but for this: it runs the same code (its
 * record begins as the old one's: a file that has changed fails the opening), its loader is told
 * what the old one knew of all sources but those that are to be opened again (protocol.h: RENEW),
 * and once it is open, arrays that are the same in both and aren't made from anything new keep
 * their salt, what is known of their files, and their cached chunks.
 *
 * The old driver stays open meanwhile; its chunks move one by one, so both caches together are as
 * large as one. Opening thread only, where nothing else is said. */
#ifndef LZR_ENGINE_KEEP_H
#define LZR_ENGINE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/catalog.h"

struct lzr_channel;
struct lzr_driver;
struct lzr_file;
struct lzr_handover;

struct lzr_keep {
    struct lzr_driver *old;  /* borrowed until opening is over; NULL: nothing is kept */
    const char *const *renew; /* "STORE/PATH"; borrowed as long */
    size_t nrenew;
    uint32_t *from; /* by new array id: the old id + 1, 0: it is new */
};

/* The place of "STORE/PATH" in a catalog + 1; 0: there is none. */
uint32_t lzr_keep_find(const struct lzr_catalog *c, const char *name);
/* Before the first worker is started. */
enum lzr_code lzr_keep_begin(struct lzr_driver *d, struct lzr_err *err);
/* Sends a folder's loader what the old driver knows of its sources; supervisor. */
enum lzr_code lzr_keep_tell(struct lzr_driver *d, const struct lzr_handover *h,
                            struct lzr_channel *c, struct lzr_err *err);
/* With the new catalog: finds out what is kept, and takes salts over. */
enum lzr_code lzr_keep_map(struct lzr_driver *d, struct lzr_err *err);
/* What the old driver knows of a kept array's file; lzr_files_open's. ctx: the new driver. */
const struct lzr_file *lzr_keep_file(void *ctx, const struct lzr_array *a, uint32_t level);
/* Takes the cached chunks over, and ends the keeping. */
void lzr_keep_chunks(struct lzr_driver *d);
void lzr_keep_release(struct lzr_keep *k);

#endif
