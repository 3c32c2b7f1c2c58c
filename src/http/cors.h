/* cors.h: which web pages may read what is served.
 *
 * A loopback page, one of the public viewers below, or one that --allow-origin names is echoed; any
 * other gets nothing, and one line in the log says how to allow it. "*" as an allowed origin allows
 * all, and only then an answer to a request without an Origin says "*": browsers and proxies keep
 * answers, and what one that says "*" holds is everybody's. For the same reason every answer has
 * "Vary: Origin", whoever asked and whatever its status.
 *
 * Pages load things without asking under their origin, too (images, scripts, styles, fetch with
 * "no-cors"): Cross-Origin-Resource-Policy keeps those from all pages but our own unless all may
 * read. It doesn't concern viewers, which read as pages of their origin. */
#ifndef LZR_HTTP_CORS_H
#define LZR_HTTP_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "http/once.h"

struct lzr_cors {
    const char *const *allowed; /* of --allow-origin; borrowed */
    size_t nallowed;
    bool all; /* "*" is among them */
    const struct lzr_log *log;
    const char *token; /* that no line of the log may have; borrowed; NULL: there is none */
    struct lzr_once told; /* refused origins that the log knows */
    char *frames;         /* the policy of pages: who may frame them; NULL: memory was out */
};

void lzr_cors_init(struct lzr_cors *c, const char *const *allowed, size_t nallowed,
                   const struct lzr_log *log);
void lzr_cors_release(struct lzr_cors *c);

/* origin: the request's, may be NULL. The value of Access-Control-Allow-Origin ("*", or origin
 * itself), or NULL: there is none. Any thread. */
const char *lzr_cors_allow(struct lzr_cors *c, const char *origin);
/* Whether this origin was named one by one: then it may also send what its user is logged in with
 * at a proxy before us. Any thread. */
bool lzr_cors_named(const struct lzr_cors *c, const char *origin);
/* The value of Cross-Origin-Resource-Policy. */
const char *lzr_cors_resource_policy(const struct lzr_cors *c);
/* The value of Content-Security-Policy of pages for people: only our own pages, and those that
 * --allow-origin names, may show them in a frame. */
const char *lzr_cors_frames(const struct lzr_cors *c);
/* Pure: whether two origins are one, as a browser writes the second: letters of scheme and host in
 * either case, and without the port that the scheme has anyway. */
bool lzr_origin_same(const char *named, const char *origin);
/* Pure: a page that runs on this machine. */
bool lzr_origin_is_loopback(const char *origin);
/* Pure: header names as Access-Control-Request-Headers lists them, safe to echo. */
bool lzr_cors_headers_safe(const char *names);

#endif
