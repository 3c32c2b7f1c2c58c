/* service.h: the service manager that has started us (systemd, or what speaks as it does).
 *
 * It may hand us sockets that listen already (LISTEN_FDS), wants to be told when we serve, reload
 * and stop (NOTIFY_SOCKET), and may restart us when we don't say for a while that we live
 * (WATCHDOG_USEC). The protocol is datagrams of "NAME=VALUE" lines; no library is needed.
 *
 * A thread of its own sends, so that nobody waits for who reads: at most LZR_SERVICE_QUEUE messages
 * wait. Without a service manager all of it does nothing. */
#ifndef LZR_CLI_SERVICE_H
#define LZR_CLI_SERVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/log.h"

enum { LZR_SERVICE_SOCKETS = 64, LZR_SERVICE_QUEUE = 16, LZR_SERVICE_TEXT = 192 };

struct lzr_service {
    int given[LZR_SERVICE_SOCKETS]; /* close-on-exec */
    size_t ngiven;
    uint64_t watchdog_us; /* it wants to hear of us so often; 0: never */
    struct sockaddr_un at;
    socklen_t at_bytes; /* 0: nobody is to be told */
    char odd[128];      /* a NOTIFY_SOCKET that makes no sense */
    const struct lzr_log *log;
    pthread_t thread;
    bool runs;
    pthread_mutex_t alive_mu; /* held while alive is called */
    bool (*alive)(void *ctx); /* guarded by alive_mu; NULL: nothing to look at */
    void *alive_ctx;
    pthread_mutex_t mu;
    pthread_cond_t news;
    /* Guarded by mu. */
    char queue[LZR_SERVICE_QUEUE][LZR_SERVICE_TEXT];
    size_t nqueue;
    bool end, over;
};

/* What the environment says, which is taken out of it. Before any thread. The sockets are open from
 * then on; what can't be taken is an error. */
enum lzr_code lzr_service_take(struct lzr_service *s, struct lzr_err *err);
/* Starts the thread, if there is anybody to tell. */
enum lzr_code lzr_service_start(struct lzr_service *s, const struct lzr_log *log,
                                struct lzr_err *err);
/* Tells; returns at once. Any thread. */
void lzr_service_say(struct lzr_service *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What has to answer, however little, before the watchdog is told that we live; it may take locks.
 * NULL: nothing; no call is under way then. */
void lzr_service_alive(struct lzr_service *s, bool (*alive)(void *ctx), void *ctx);
/* Sends what waits, within half a second, and ends the thread. */
void lzr_service_end(struct lzr_service *s);

#endif
