/* watch.h: notices that a client has gone while its connection is suspended.
 *
 * libmicrohttpd looks at no suspended connection, so a client that leaves would be computed for. A
 * thread of its own watches the sockets of waiting requests for EPOLLRDHUP (a half-close counts as
 * leaving) and tells their owner.
 *
 * A slot with a generation stands for each watched socket, so an event that comes late finds
 * nothing instead of a request that is gone. */
#ifndef LZR_HTTP_WATCH_H
#define LZR_HTTP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lzr_watch;

/* gone(what) is called on the watch's thread, under its lock: it may take back the wish of what's
 * request, and returns whether it did. Only then, after the lock is released, left(what) is called,
 * once, and what is not watched any more. */
enum lzr_code lzr_watch_new(bool (*gone)(void *what), void (*left)(void *what),
                            struct lzr_watch **out, struct lzr_err *err);
void lzr_watch_free(struct lzr_watch **w);
/* A ticket for lzr_watch_del, or 0 when it can't be watched (no memory): the request then merely
 * isn't noticed to be gone. Any thread. */
uint64_t lzr_watch_add(struct lzr_watch *w, int fd, void *what);
/* After it returns, gone and left will not be called for it any more. */
void lzr_watch_del(struct lzr_watch *w, uint64_t ticket);

#endif
