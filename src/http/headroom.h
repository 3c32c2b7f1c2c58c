/* headroom.h: heads that the library hasn't the memory for are taken from it.
 *
 * The library has no call for what comes between a request line and the end of its head, and none
 * that says how much of it has come. Three facts of libmicrohttpd 0.9 (up to 0.9.77; later versions
 * are left alone, and so is whatever doesn't look as it should) are made use of when it gives us a
 * request line:
 * - It points into the connection's memory, where the head lies as it came: "GET" NUL target NUL
 *   "HTTP/1.1" NUL (NUL) and the lines behind, not yet looked at; what hasn't come is zero there.
 * - That memory begins at a page, and so does a request, but for empty lines before it.
 * - It may be suspended there.
 * So an ordinary head is seen to be one at once: it is whole, in that page, and short, or has few
 * parts. Of all others the lines are taken over (longhead.h). In the library's memory blanks stand
 * for them, and what hasn't come is read by us (tails.h). How many bytes lie there is asked of the
 * system: those that the socket has given away, less those of the requests before. */
#ifndef LZR_HTTP_HEADROOM_H
#define LZR_HTTP_HEADROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct lzr_http_req;
struct lzr_server;

enum lzr_code lzr_headroom_open(struct lzr_server *s, struct lzr_err *err);
/* A request line has come, and uri is its target as the library gave it. */
void lzr_headroom_begin(struct lzr_http_req *r, const char *uri);
/* Its head is whole, and a handler sees it, once. False: it isn't the one that was taken over. */
bool lzr_headroom_end(struct lzr_http_req *r);
/* Frees what the request has of its own; nothing is fine. */
void lzr_headroom_drop(struct lzr_http_req *r);
/* Bytes of its head. */
size_t lzr_headroom_bytes(const struct lzr_http_req *r);
/* Ends all heads that are being read. */
void lzr_headroom_stop(struct lzr_server *s);

#endif
