/* cors.h: which web pages may read what is served.
 *
 * Without an Origin the answer says "*". With one: a loopback page, one of the public viewers
 * below, or one that --allow-origin names is echoed; any other gets nothing, and one line in the
 * log says how to allow it. "*" as an allowed origin allows all. */
#ifndef LZR_HTTP_CORS_H
#define LZR_HTTP_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "http/once.h"

struct lzr_cors {
    const char *const *allowed; /* of --allow-origin; borrowed */
    size_t nallowed;
    const struct lzr_log *log;
    struct lzr_once told; /* refused origins that the log knows */
};

void lzr_cors_init(struct lzr_cors *c, const char *const *allowed, size_t nallowed,
                   const struct lzr_log *log);
void lzr_cors_release(struct lzr_cors *c);

/* origin: the request's, may be NULL. The value of Access-Control-Allow-Origin ("*", or origin
 * itself), or NULL for a refused one. Any thread. */
const char *lzr_cors_allow(struct lzr_cors *c, const char *origin);
/* Pure: a page that runs on this machine. */
bool lzr_origin_is_loopback(const char *origin);
/* Pure: header names as Access-Control-Request-Headers lists them, safe to echo. */
bool lzr_cors_headers_safe(const char *names);

#endif
