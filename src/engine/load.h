/* load.h: what a worker says while it loads its stores. */
#ifndef LZR_ENGINE_LOAD_H
#define LZR_ENGINE_LOAD_H

#include <stdbool.h>

struct lzr_driver;
struct lzr_packet;
struct lzr_worker;

/* Applies one message of a starting worker: MANIFEST_PART, LOAD_FAILED, DATA, FACTS, MORE, READY.
 * False: the message makes no sense, or the worker can't be used, for which w->killed_why is the
 * reason where it is known. With the driver's mu. */
bool lzr_load_take(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p);

#endif
