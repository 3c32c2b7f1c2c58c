/* public.h: what URLs that an answer names begin with, and who may say so.
 *
 * --public-url if it was given; else, from a trusted proxy (one on this machine, or one that
 * --trusted-proxy names), X-Forwarded-Proto, -Host, -Port and -Prefix, or Forwarded (RFC 7239) for
 * the first two; else the Host that was asked for.
 * Where a proxy keeps a folder of its paths for us, redirects are relative (they are right whoever
 * asks, the proxy or somebody on this side of it). */
#ifndef LZR_HTTP_PUBLIC_H
#define LZR_HTTP_PUBLIC_H

#include <stdbool.h>
#include <stddef.h>

#define LZR_PUBLIC_BYTES 1536

struct sockaddr;

/* What a proxy or a client said; each may be NULL. Only the first of a comma-separated list counts.
 */
struct lzr_asked {
    const char *host;                            /* the Host header */
    const char *proto, *forwarded_host, *port, *prefix; /* X-Forwarded-*, NULL unless trusted */
    const char *forwarded;                              /* Forwarded, likewise */
};

/* "https://data.example/brains": no slash at its end. public_url and fallback_host ("127.0.0.1:80")
 * as they are; what a client says is taken only if it can be part of a URL. Pure, any thread. */
void lzr_public_base(const char *public_url, const struct lzr_asked *asked,
                     const char *fallback_host, char out[LZR_PUBLIC_BYTES]);
/* Whom a proxy speaks for, the one that it has seen itself: the last of X-Forwarded-For (list),
 * else of Forwarded; either may be NULL. An address, without a port. False, and out as it was: it
 * says none. Pure. */
bool lzr_public_client(const char *list, const char *forwarded, char *out, size_t size);
/* The folder before us at the public address, "/data", without a slash at its end: in public_url or
 * in what was asked. NULL, and *n is 0: there is none. */
const char *lzr_public_folder(const char *public_url, const struct lzr_asked *asked, size_t *n);
/* Whether there is one. */
bool lzr_public_has_prefix(const char *public_url, const struct lzr_asked *asked);

/* Whether an address is 127.0.0.0/8, ::1, or in one of the ranges: "10.1.2.3", "10.0.0.0/8",
 * "fd00::/8". Pure. */
bool lzr_proxy_trusted(const struct sockaddr *peer, const char *const *ranges, size_t n);
/* Whether that is how a range is written. */
bool lzr_proxy_range_ok(const char *range);

#endif
