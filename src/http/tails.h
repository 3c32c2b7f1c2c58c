/* tails.h: reads the rest of heads that came in part, while the library looks away.
 *
 * A thread of its own waits at the sockets of suspended connections and takes the lines that come
 * into their heads (longhead.h). What it leaves in the socket is what the library needs for going
 * on: the last line's end. Whoever is late is ended by patience.h, as ever: that shows here as a
 * client that left.
 *
 * Of a head that is too long the client is told, and more of it is read and thrown away: with
 * unread bytes the system would throw the answer away. */
#ifndef LZR_HTTP_TAILS_H
#define LZR_HTTP_TAILS_H

#include <stdbool.h>

#include "base/err.h"

struct lzr_longhead;
struct lzr_tails;

/* Both are called on the thread, without a lock. refuse(what): its head is too long; answers, and
 * closes for writing. done(what), once for each: the head is whole, or nothing more is to come and
 * the socket is shut; it isn't looked at any more. */
enum lzr_code lzr_tails_new(void (*refuse)(void *what), void (*done)(void *what),
                            struct lzr_tails **out, struct lzr_err *err);
/* Reads on for this socket; head is the thread's until done, and NULL where it has been refused
 * already. False: it can't (no memory, it stops), and neither is called. Any thread. */
bool lzr_tails_add(struct lzr_tails *t, int fd, struct lzr_longhead *head, void *what);
/* Ends all that wait, and adds none any more. From one thread; more than once is fine. */
void lzr_tails_stop(struct lzr_tails *t);
void lzr_tails_free(struct lzr_tails **t); /* stops first; a NULL one is fine */

#endif
