/* access_log.h: one line a request, as nginx's "combined" has it, or a JSON object.
 *
 *   127.0.0.1 - - [01/Dec/2026:04:37:00 +0000] "GET /zarr3/s.zarr/ HTTP/1.1" 200 312 "-" "curl/8.5"
 *   {"time":"…","client":"127.0.0.1","method":"GET","target":"…","protocol":"HTTP/1.1",
 *    "status":200,"bytes":312,"ms":0.041,"hit":true,"referer":"…","agent":"…"}
 *
 * The client is the peer, or whom a trusted proxy says that it speaks for. Quotes, backslashes,
 * control bytes and bytes above 127 of what clients send are \xNN; tokens are hidden (mask.h). */
#ifndef LZR_HTTP_ACCESS_LOG_H
#define LZR_HTTP_ACCESS_LOG_H

struct lzr_http_req;

/* Once its answer is over, before the library lets go of its head. */
void lzr_access_log(const struct lzr_http_req *r);

#endif
