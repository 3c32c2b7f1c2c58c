/* config.h: what a starting worker is told: the stores' names and paths, and --op (protocol.h,
 * CONFIG). As long as they are: the worker asks for one part after the other, so that what is on
 * its way always fits into its socket, and nothing here waits. */
#ifndef LZR_ENGINE_CONFIG_H
#define LZR_ENGINE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lzr_driver;
struct lzr_folder;
struct lzr_channel;

/* Writes the text into the folder's config, once, when the driver opens. */
enum lzr_code lzr_config_make(struct lzr_driver *d, struct lzr_folder *f, struct lzr_err *err);
/* Sends the part of it that begins at `at`. *last: nothing is behind that. Any thread. INVAL: there
 * is no such part. */
enum lzr_code lzr_config_send(const struct lzr_folder *f, struct lzr_channel *c, uint32_t flags,
                              uint64_t at, bool *last, struct lzr_err *err);

#endif
