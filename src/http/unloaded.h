/* unloaded.h: stores that failed to load, as clients are told of them. Their first line is for all
 * who ask, as a failing chunk's; their traceback shows code and paths, and is for this machine. */
#ifndef LZR_HTTP_UNLOADED_H
#define LZR_HTTP_UNLOADED_H

#include "http/request.h"

struct lzr_buf;
struct lzr_json;

/* The answer for every key of such a store: 503 and the reason, never what could be taken for an
 * absent key, which is data to readers. */
enum MHD_Result lzr_serve_unloaded(struct lzr_http_req *r, const struct lzr_store *s);
/* The member "failed_stores" of /api/stats: a list, empty where all have loaded. */
void lzr_unloaded_stats(struct lzr_http_req *r, struct lzr_json *j);
/* Whether the page at / is for one who may see tracebacks. */
bool lzr_unloaded_all(struct lzr_http_req *r);
/* Their sections of the page at /. all: with tracebacks. */
void lzr_unloaded_page(struct lzr_buf *b, const struct lzr_catalog *c, bool all);

#endif
