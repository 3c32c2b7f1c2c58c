/* server.h: the HTTP front of a driver. The only module that knows libmicrohttpd.
 *
 *   lzr_server_new(&options, &server, &err);             has its port, answers nobody yet
 *   lzr_server_start(server, &driver, &again, &err);     answers from now on
 *   lzr_server_reload(server);                           loads the stores anew (http/edition.h)
 *   lzr_server_free(&server);                            finishes what is being sent, within a
 * limit
 *
 * new, start and free from one thread, reload from any. The server owns the driver. */
#ifndef LZR_HTTP_SERVER_H
#define LZR_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "http/look.h"
#include "lazarr/driver.h"

struct lzr_server;

struct lzr_server_options {
    const char *host;           /* a name or an address */
    uint16_t port;              /* 0: any free one */
    const int *given;           /* sockets that listen already, in the place of these; borrowed
                                 * for new, which takes them over */
    size_t ngiven;
    unsigned threads;           /* that answer; at least 2 */
    const char *const *origins; /* --allow-origin; borrowed for the server's life */
    size_t norigins;
    const char *const *hosts; /* --allow-host; borrowed */
    size_t nhosts;
    const char *token;          /* --token, or NULL; borrowed */
    const char *spare_token;    /* the token where none is given and the bind isn't loopback; NULL:
                                 * then there is none; borrowed */
    const char *public_url;     /* what printed and embedded URLs begin with, or NULL; borrowed */
    const char *const *proxies; /* --trusted-proxy (public.h); borrowed */
    size_t nproxies;
    const char *neuroglancer; /* the page that /view/ sends to; borrowed */
    uint64_t first_byte_us;   /* a request that waits longer is answered 503 */
    uint64_t head_wait_us; /* a Java client's HEAD that waits longer is answered without length */
    uint64_t header_us;    /* by then the head of a request must have come */
    unsigned client_connections; /* of one address; 0: any number */
    bool client_connections_set; /* if not: half of all, and of loopback and proxies any number */
    uint64_t send_us; /* an answer must be read by then; more for long ones (patience.h) */
    bool access_log;
    /* Called when a reload begins and when it is over, on the thread that does it; NULL: nobody
     * wants to know. */
    void (*reloads)(void *ctx, bool begins);
    void *reloads_ctx; /* borrowed */
    const struct lzr_log *log; /* borrowed */
};

#define LZR_SERVER_DEFAULTS                                                                        \
    (struct lzr_server_options)                                                                    \
    {                                                                                              \
        .host = "127.0.0.1", .port = 8080, .threads = 2, .first_byte_us = UINT64_C(100) * 1000000, \
        .head_wait_us = UINT64_C(3) * 1000000, .header_us = UINT64_C(30) * 1000000,                \
        .send_us = UINT64_C(60) * 1000000, .access_log = true, .neuroglancer = LZR_NEUROGLANCER    \
    }

/* Clients that ask again by themselves get their 503 earlier than this (design 3). */
#define LZR_FIRST_BYTE_RETRIERS_US (UINT64_C(25) * 1000000)
/* What stopping may take: answers that are being sent have so long. */
#define LZR_STOP_US (UINT64_C(10) * 1000000)
/* Of it, where a successor has the sockets: what was taken in is served for so long, each answer
 * the last of its connection; or until nobody has asked for anything for so long. */
#define LZR_LEAVE_US (UINT64_C(7) * 1000000)
#define LZR_LEAVE_IDLE_US (UINT64_C(1) * 1000000)
#define LZR_LEAVE_LEAST_US UINT64_C(200000)
/* ... and whoever is there without an answer so long. */
#define LZR_END_US (UINT64_C(2) * 1000000)
/* A query of more parameters ends its connection. */
#define LZR_MAX_PARAMETERS 64
/* Bytes of answers that a socket may hold and that aren't on their way to the client. */
#define LZR_SOCKET_UNSENT (512 << 10)
/* Memory of one connection: request line, headers, answer's head; a head that needs more of it than
 * there is goes round it (headroom.h). It is zeroed for each request: up to here that costs a hit
 * nothing that can be measured (13 us of CPU), twice as much costs it 1 to 2 us, 1 MiB 40. */
#define LZR_CONNECTION_POOL 65536

/* Binds the socket, so that an occupied port is told before the stores are loaded. */
enum lzr_code lzr_server_new(const struct lzr_server_options *o, struct lzr_server **out,
                             struct lzr_err *err);
/* Takes *d over, also on failure, after which lzr_server_free is all that is left to do. again: how
 * a reload opens the stores, borrowed; NULL: there is none. */
enum lzr_code lzr_server_start(struct lzr_server *s, struct lzr_driver **d,
                               const struct lzr_driver_options *again, struct lzr_err *err);
uint16_t lzr_server_port(const struct lzr_server *s);
/* Whether only this machine has the addresses that it is bound to. */
bool lzr_server_is_loopback(const struct lzr_server *s);
/* The token that is asked for, the spare one included, or NULL; as long as s. */
const char *lzr_server_token(const struct lzr_server *s);
/* The host of its URLs: --host, or the machine's name where that is all of its addresses. */
const char *lzr_server_name(const struct lzr_server *s);
/* What it is bound to: --host, or the address of a socket that was given. */
const char *lzr_server_host(const struct lzr_server *s);
/* Returns, if nobody holds a lock for ever that answers need: for watchdogs. After start. */
bool lzr_server_alive(struct lzr_server *s);
/* Returns at once; the outcome is logged and counted. Only between start and free. */
void lzr_server_reload(struct lzr_server *s);
/* NULL is fine. */
void lzr_server_free(struct lzr_server **s);

#endif
