/* badhead.h: heads that the library refuses by itself, before any handler sees them.
 *
 * libmicrohttpd 0.9.75 has four ways to do that, and says nothing of them but a message for the
 * log:
 * - A head that doesn't fit into the connection's memory, or a request line that is none, gets an
 *   answer of its own. It is counted, and said in the log.
 * - So does a line that is no header; but that request is known, and is answered as the last kind.
 * - When that answer's head doesn't fit either (or ours doesn't), the connection closes without a
 *   word. Then an answer is written here, straight to the socket.
 * - When a head is complete the library looks at its Content-Length. For one that makes no sense it
 *   queues a refusal, and then goes on as if it hadn't: the answer has its head twice. Here, too,
 *   the answer is written to the socket, which is then closed for writing: the library's own goes
 *   nowhere.
 * All earlier answers of a connection are out by then. What a message says belongs to the thread
 * that it comes on, which is its connection's. */
#ifndef LZR_HTTP_BADHEAD_H
#define LZR_HTTP_BADHEAD_H

#include <stdarg.h>
#include <stdbool.h>

struct lzr_http_req;
struct lzr_server;

/* A message of the library, as it gave it. */
void lzr_badhead_said(struct lzr_server *s, const char *fmt, va_list ap);
/* A request that the library ends, before its socket closes: answers it if nothing else did, and
 * sets what was answered. */
void lzr_badhead_end(struct lzr_http_req *r);
/* A head has begun that the library has whole, and looks at next on this thread; NULL: a handler
 * sees it. */
void lzr_badhead_whole(struct lzr_http_req *r);
/* Counts a Content-Length that makes no sense, answered with this status; what to say. */
const char *lzr_badhead_length(struct lzr_server *s, unsigned status);
/* Counts a head that is longer than LZR_MAX_HEAD, though it fitted; what to say to its client. */
const char *lzr_badhead_too_long(struct lzr_server *s);
/* Answers and counts a request line that is longer than LZR_MAX_HEAD, as it begins: of parameters
 * that don't fit the library says so once for each, and never ends the request. */
void lzr_badhead_long_line(struct lzr_http_req *r);
/* Answers with this status and line, and closes the connection. Only before a handler saw it. */
void lzr_badhead_answer(struct lzr_http_req *r, unsigned status, const char *why);

#endif
