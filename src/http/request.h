/* request.h: inside of src/http: one request from its first line to its last byte.
 *
 * A struct lzr_http_req belongs to its connection and is freed when libmicrohttpd reports the
 * request completed. While its chunk is being made the connection is suspended; whoever resumes it
 * (the driver's callback, or the watch after the client left) touches it last before that. */
#ifndef LZR_HTTP_REQUEST_H
#define LZR_HTTP_REQUEST_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/access.h"
#include "http/cors.h"
#include "http/crowd.h"
#include "http/doors.h"
#include "http/edition.h"
#include "http/longhead.h"
#include "http/once.h"
#include "http/public.h"
#include "http/server.h"
#include "http/target.h"
#include "http/patience.h"
#include "http/tails.h"
#include "http/host_names.h"
#include "http/watch.h"

struct lzr_server {
    struct lzr_server_options o;
    struct lzr_editions *editions;
    struct lzr_doors doors;
    struct MHD_Daemon *daemon;
    struct lzr_watch *watch;
    struct lzr_patience *patience;
    struct lzr_tails *tails;
    struct lzr_crowd *crowd;
    struct lzr_cors cors;
    struct lzr_access access;
    struct lzr_host_names names; /* where other addresses than loopback are bound */
    struct lzr_once strange_hosts; /* that the log knows */
    struct lzr_once crowded;       /* addresses, likewise */
    struct lzr_once unread;        /* likewise, that held too much */
    struct lzr_once strange_heads;
    atomic_bool starting; /* the library, which has said nothing yet */
    char why[256];        /* what it said then */
    uint16_t port;
    bool loopback; /* bound to a loopback address only: tracebacks may be shown to local peers */
    atomic_bool stopping;
    atomic_bool leaving; /* every answer is the last of its connection */
    _Atomic uint64_t answered_us; /* ... when it ended */
    _Atomic uint64_t suspended, connections, active; /* active: requests whose
                                                      * headers came before it was to stop,
                                                      * not yet completed */
    _Atomic uint64_t by_status[600];
    _Atomic uint64_t bytes, gone;
    _Atomic uint64_t refused_hosts, refused_tokens, bad_heads;
};

enum lzr_req_state {
    LZR_REQ_NEW,     /* the handler's first call comes */
    LZR_REQ_SEEN,    /* its second call answers */
    LZR_REQ_WAITING, /* suspended */
    LZR_REQ_READY,   /* the driver's result is there */
    LZR_REQ_LEFT,    /* the client is gone */
};

struct lzr_view_job;

struct lzr_http_req {
    struct lzr_server *server;
    struct lzr_line *line; /* the connection's, or NULL */
    struct lzr_longhead *own; /* the lines of its head that the library hasn't; NULL: it has all */
    struct MHD_Connection *conn;
    char *raw; /* the target as it came, NUL-terminated */
    size_t nraw;
    const char *path; /* in raw: where the key begins, its slash included */
    size_t npath;
    size_t prefix;               /* bytes of "/t/<token>" before path, which URLs keep */
    bool trusted;                /* it showed the token */
    struct lzr_edition *edition; /* what it is answered from; NULL until it is routed */
    struct lzr_reload *reload;   /* of POST /api/reload, else NULL */
    bool head;
    bool refused;      /* before a handler saw it: it has its answer (badhead.h) */
    bool counted;      /* in the server's "active" */
    bool head_seen;    /* ... by a handler: its headers can be looked up */
    char method[16];   /* for the log, cut to fit; so is the next */
    char protocol[16];
    _Atomic int state; /* enum lzr_req_state */
    struct lzr_chunk chunk;
    enum lzr_face face; /* that the chunk was asked for in */
    struct lzr_request wish;
    struct lzr_view_job *view; /* of a request for /view/: what the chunk is waited for */
    uint64_t ticket;           /* of the watch; the connection's own thread's */
    uint64_t begun_us;
    unsigned status; /* what was answered, for the log */
    uint64_t sent;
    bool hit;
    char etag[40]; /* quoted, or "" */
};

/* An answer before it becomes libmicrohttpd's. Zero it and set what applies. */
struct lzr_answer {
    unsigned status;
    const char *type; /* Content-Type, or NULL */
    const void *body; /* borrowed unless blob is set */
    size_t len;
    bool copy;             /* body is the caller's and is copied (sheets.h) */
    struct lzr_blob *blob; /* body lies in it; the reference is taken over */
    const char *etag;
    const char *cache_control;
    const char *location;
    const char *allow;                 /* the Allow header of a 405 */
    const char *authenticate;          /* WWW-Authenticate of a 401 */
    const char *timing;                /* Server-Timing */
    unsigned retry_after;              /* seconds; 0: no such header */
    uint64_t range_first, range_total; /* of a 206 and 416 */
    bool ranges;                       /* the key can be asked for in parts */
    bool no_length;                    /* a HEAD answered before the length is known */
    bool cut; /* len bytes are promised, and the connection ends after half of them (amends.h) */
};

/* Queues the answer (respond.c). Takes over answer->blob in every case. */
enum MHD_Result lzr_respond(struct lzr_http_req *r, struct lzr_answer *a);
/* What an answer says to browsers and caches of who may read it (cors.h), whatever its status. */
void lzr_respond_origin(const struct lzr_http_req *r, struct MHD_Response *resp, bool preflight);
/* Gives an answer to the library, which it takes over; where the server is leaving, or the head was
 * taken over, it says that its connection ends with it. */
enum MHD_Result lzr_respond_queue(struct lzr_http_req *r, unsigned status,
                                  struct MHD_Response *resp);
/* A short text, copied. */
enum MHD_Result lzr_respond_text(struct lzr_http_req *r, unsigned status, const char *text);
/* 503: clients hold all that they may of bodies that are made, or there is no memory for one. */
enum MHD_Result lzr_respond_busy(struct lzr_http_req *r);
enum MHD_Result lzr_respond_404(struct lzr_http_req *r);
/* A browser's window or curl: who reads what an answer says in words. */
bool lzr_request_by_person(const struct lzr_http_req *r);
/* 200 with the whole, 206 or 416, as the request's Range and If-Range say; 304 and 412 by its other
 * conditions. a holds the whole: status is set here. */
enum MHD_Result lzr_respond_key(struct lzr_http_req *r, struct lzr_answer *a);
/* 304 or 412, if the request's conditions say so with this ETag; 0 if it goes on. */
unsigned lzr_precondition(struct lzr_http_req *r, const char *etag);

/* headroom.c: the headers of a request, whoever has them. */
/* A request header's value, or NULL. */
const char *lzr_header(const struct lzr_http_req *r, const char *name);
/* Each header in turn, until f says MHD_NO. */
void lzr_headers_each(const struct lzr_http_req *r, MHD_KeyValueIteratorN f, void *cls);

/* admit.c: what is refused before anything is routed. Each false (or true of refuse_early): *out is
 * the refusal, queued. */
/* In the handler's first call, before a body could come: refusing there closes the connection, so
 * that nothing can be smuggled behind it. */
bool lzr_refuse_early(struct lzr_http_req *r, const char *method, const char *url,
                      const char *version, enum MHD_Result *out);
/* Target, Host, preflight, token; sets path, prefix and trusted. */
bool lzr_admit(struct lzr_http_req *r, enum MHD_Result *out);
/* Bytes of the raw target before the path of ours: authority, slashes, a proxy's folder; and those
 * of "/t/<token>" behind them. */
void lzr_request_path(const struct lzr_http_req *r, size_t *skip, size_t *prefix);
/* What changes something: POST, by the token or from this machine, not by another origin's page. */
bool lzr_admit_action(struct lzr_http_req *r, enum MHD_Result *out);
enum MHD_Result lzr_respond_options(struct lzr_http_req *r);
/* The peer is this machine itself, asked under a name that only it calls itself by, and not a proxy
 * that speaks for somebody. */
bool lzr_is_local_peer(const struct lzr_http_req *r);
bool lzr_is_loopback(const struct sockaddr *a); /* server.c */
/* What a suspended request waited for is there (READY), or its client left (LEFT): its handler is
 * called again. Any thread, no lock held; afterwards the request isn't the caller's any more.
 * chunk.c */
void lzr_http_resume(struct lzr_http_req *r, int state);

/* action.c */
bool lzr_is_action(const struct lzr_http_req *r); /* POST is allowed there */
enum MHD_Result lzr_action_begin(struct lzr_http_req *r);
enum MHD_Result lzr_action_end(struct lzr_http_req *r);

/* chunk.c */
/* Suspends the connection until the driver has r->chunk or the time (lzr_now_us) has come, for one
 * whose lzr_driver_try was false. The handler is called again then: LZR_REQ_READY. */
enum MHD_Result lzr_chunk_wait(struct lzr_http_req *r, uint64_t deadline_us);
enum MHD_Result lzr_chunk_begin(struct lzr_http_req *r);
void lzr_chunk_unwatch(struct lzr_http_req *r);        /* first of all after a resume */
enum MHD_Result lzr_chunk_end(struct lzr_http_req *r); /* the wish has its result */
bool lzr_chunk_gone(void *req);                        /* for the watch */
void lzr_chunk_left(void *req);

/* document.c */
enum MHD_Result lzr_serve_doc(struct lzr_http_req *r, const struct lzr_doc *doc);

/* folder.c: of a hit that is a folder; its page is the same with and without a slash, but for where
 * its links begin. */
enum MHD_Result lzr_serve_folder(struct lzr_http_req *r, const struct lzr_hit *hit,
                                 const struct lzr_target *t);

/* view.c */
enum MHD_Result lzr_serve_view(struct lzr_http_req *r, const struct lzr_target *t);
enum MHD_Result lzr_view_end(struct lzr_http_req *r); /* the wish has its result */
void lzr_view_drop(struct lzr_http_req *r);            /* what it has of one, if any */
/* What URLs in the answer begin with, and whether a proxy has us in a folder (public.h). */
void lzr_request_base(const struct lzr_http_req *r, char out[LZR_PUBLIC_BYTES]);
bool lzr_request_prefixed(const struct lzr_http_req *r);
/* That folder, without a slash at its end; NULL and 0: none. In the options, or a header. */
const char *lzr_request_folder(const struct lzr_http_req *r, size_t *n);
/* Cache-Control of an answer with such URLs: a cache must not give it to others, unless it is the
 * same whatever a request says of where we are. */
const char *lzr_request_private(const struct lzr_http_req *r);
/* A directory asked for without its slash: to where its relative links work. */
enum MHD_Result lzr_redirect_to_slash(struct lzr_http_req *r);

/* pages.c, stats.c: the pages for people and operators; false if the key is none of them. */
bool lzr_serve_page(struct lzr_http_req *r, const struct lzr_target *t, enum MHD_Result *out);
enum MHD_Result lzr_serve_metrics(struct lzr_http_req *r);
enum MHD_Result lzr_serve_stats(struct lzr_http_req *r, const char *query);
enum MHD_Result lzr_serve_workers(struct lzr_http_req *r);
enum MHD_Result lzr_serve_index(struct lzr_http_req *r);

#endif
