/* unloaded.h: stores that didn't load, beside others that did: what is done and said about them.
 *
 * Which these are the loader decides (lazarr/_unloaded.py); their manifests say it, and the catalog
 * keeps it (struct lzr_store). Both calls are for the thread that opens a driver, once its catalog
 * is made; neither needs the driver's lock. */
#ifndef LZR_ENGINE_UNLOADED_H
#define LZR_ENGINE_UNLOADED_H

#include "base/err.h"

struct lzr_driver;
struct lzr_catalog;

/* E_USER if none has loaded, or if a store that `before` (nullable) has loaded isn't loaded any
 * more: a reload takes nothing away. *traceback (nullable) is the caller's then, or NULL. */
enum lzr_code lzr_unloaded_check(const struct lzr_driver *d, const struct lzr_catalog *before,
                                 char **traceback, struct lzr_err *err);
/* Logs each of them with its reason. */
void lzr_unloaded_say(const struct lzr_driver *d);

#endif
