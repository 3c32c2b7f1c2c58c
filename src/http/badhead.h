/* badhead.h: heads that the library refuses by itself, before any handler sees them.
 *
 * When a head is complete libmicrohttpd 0.9.75 looks at its Content-Length. For one that makes no
 * sense it queues a refusal, and then goes on as if it hadn't: the answer has its head twice, and
 * no handler is called, so that nothing is logged or counted. All that is heard of it is a message
 * for the log. On that message the answer is written here, straight to the socket (all earlier
 * answers of the connection are out by then), which is then closed for writing: the library's own
 * goes nowhere. */
#ifndef LZR_HTTP_BADHEAD_H
#define LZR_HTTP_BADHEAD_H

#include <stdarg.h>
#include <stdbool.h>

struct lzr_server;

/* A message of the library, on the thread whose connection it is about. False: it isn't about a
 * complete head. fmt and ap as the library gave them; ap is used up. */
bool lzr_badhead_said(struct lzr_server *s, const char *fmt, va_list ap);

#endif
