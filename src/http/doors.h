/* doors.h: the addresses at which connections come in.
 *
 * A name may have several ("localhost" is 127.0.0.1 and ::1): clients take the first that they
 * know, so all of them are listened at, at one port. The library takes one socket; what comes in at
 * the others is handed to it by a thread of our own.
 *
 * Sockets that a service manager listens at for us (given) are taken as they are: all of them are
 * attended by our thread, and never shut down, as they go on to whoever comes after us.
 *
 * open, listen, attend and close from one thread. */
#ifndef LZR_HTTP_DOORS_H
#define LZR_HTTP_DOORS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LZR_DOORS_MAX 8

struct MHD_Daemon;

struct lzr_doors {
    int fds[LZR_DOORS_MAX]; /* bound; the first one is the library's once it has it */
    size_t n;
    uint16_t port;
    bool loopback; /* all of them are loopback addresses */
    bool any;      /* one of them stands for all that this machine has */
    bool given;    /* they are another's, too: they listen already */
    char name[64]; /* of given ones: the first one's address, numeric */
    struct MHD_Daemon *daemon;
    int stop[2]; /* a pipe: closed on our side to end the thread */
    bool attended;
    pthread_t thread;
};

/* Binds, so that an occupied port is told before anything is loaded, and nobody else can take it
 * from then on; but doesn't listen yet. host: a name or an address; port 0: one that is free at all
 * of them. On failure nothing is open. */
enum lzr_code lzr_doors_open(struct lzr_doors *d, const char *host, uint16_t port,
                             struct lzr_err *err);
/* The same of sockets that listen already; they are ours, also on failure. */
enum lzr_code lzr_doors_given(struct lzr_doors *d, const int *fds, size_t n, struct lzr_err *err);
enum lzr_code lzr_doors_listen(struct lzr_doors *d, const char *host, struct lzr_err *err);
/* The one that the library listens at itself; -1: it has none. */
int lzr_doors_first(const struct lzr_doors *d);
/* Hands over what comes in at all others, until lzr_doors_leave. */
enum lzr_code lzr_doors_attend(struct lzr_doors *d, struct MHD_Daemon *daemon, struct lzr_err *err);
/* Nothing is handed over any more. Before the daemon stops. */
void lzr_doors_leave(struct lzr_doors *d);
/* first: the first one is still ours. Zeroed doors are fine. */
void lzr_doors_close(struct lzr_doors *d, bool first);

#endif
