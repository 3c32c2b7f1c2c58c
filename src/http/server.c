#include "http/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/access_log.h"
#include "http/badhead.h"
#include "http/headroom.h"
#include "http/request.h"
#include "http/unloaded.h"

/* The library puts every parameter of a query into the connection's memory; when that is full it
 * neither answers nor notices that the client leaves. No key of ours has more than a few. */
static bool has_many_parameters(const char *raw)
{
    unsigned n = 0;
    for (const char *p = strchr(raw, '?'); p != NULL && n <= LZR_MAX_PARAMETERS; n++) {
        p = strchr(p + 1, '&');
    }
    return n > LZR_MAX_PARAMETERS;
}

/* Without an answer, where none can be made. */
static void end_connection(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) {
        (void)shutdown(info->connect_fd, SHUT_RDWR);
    }
}

/* Called with the raw target before anything is decoded: the place to make the request. */
static void *begin(void *cls, const char *uri, struct MHD_Connection *conn)
{
    struct lzr_server *s = cls;
    struct lzr_http_req *r = uri != NULL ? lzr_calloc(1, sizeof *r) : NULL;
    if (r == NULL) {
        return NULL;
    }
    r->raw = lzr_strdup(uri);
    if (r->raw == NULL) {
        lzr_free(r);
        return NULL;
    }
    r->nraw = strlen(uri);
    r->server = s;
    r->conn = conn;
    r->begun_us = lzr_now_us();
    if (has_many_parameters(r->raw)) {
        lzr_badhead_answer(r, 400, "too many parameters\n");
        end_connection(conn);
    } else if (r->nraw > LZR_MAX_HEAD) {
        lzr_badhead_long_line(r);
        end_connection(conn);
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    r->line = info != NULL ? info->socket_context : NULL;
    lzr_line_head(r->line, r);
    lzr_line_sends_earlier(r->line, r->begun_us + s->o.header_us); /* for the rest of the head */
    if (!r->refused) {
        lzr_headroom_begin(r, uri);
    }
    return r;
}

/* No decoding by the library: it would cut at %00. */
static size_t keep_escapes(void *cls, struct MHD_Connection *conn, char *text)
{
    (void)cls;
    (void)conn;
    return strlen(text);
}

/* Numeric; false: none that can be written. */
static bool name_of(const struct sockaddr *peer, char *name, size_t n)
{
    socklen_t len =
        peer->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return getnameinfo(peer, len, name, (socklen_t)n, NULL, 0, NI_NUMERICHOST) == 0;
}

/* The connection has been ended for what was held for it: that is said once for each address. */
static void say_unread(struct lzr_server *s, struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char name[NI_MAXHOST];
    if (info != NULL && info->client_addr != NULL &&
        name_of(info->client_addr, name, sizeof name) &&
        lzr_once_due(&s->unread, name, lzr_now_us())) {
        lzr_log(s->o.log, LZR_LOG_WARN,
                "%s doesn't read what it asked for, and too much memory is held for it: "
                "connections are ended",
                name);
    }
}

static void completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                      enum MHD_RequestTerminationCode why)
{
    struct lzr_server *s = cls;
    struct lzr_http_req *r = *con_cls;
    (void)why;
    if (r == NULL) {
        return;
    }
    *con_cls = NULL;
    lzr_badhead_end(r);
    lzr_line_head(r->line, NULL);
    lzr_line_reads(r->line, NULL, 0);
    if (r->line != NULL && atomic_load_explicit(&r->line->unread, memory_order_relaxed)) {
        say_unread(s, conn);
    }
    lzr_line_sends(r->line, lzr_now_us() + LZR_IDLE_US);
    /* The library may see a client leave just as its result comes, and then ends the request
     * without the handler: the watch must not know it any more. */
    lzr_chunk_unwatch(r);
    if (r->status < 600) {
        atomic_fetch_add_explicit(&s->by_status[r->status], 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&s->bytes, r->sent, memory_order_relaxed);
    if (s->o.access_log && r->status != 0) {
        lzr_access_log(r);
    }
    /* A result that came when the client had left is given back here. */
    lzr_blob_unref(&r->wish.result.blob);
    lzr_free(r->wish.result.text);
    lzr_view_drop(r);
    lzr_edition_drop(&r->edition);
    if (r->reload != NULL) {
        lzr_free(r->reload->traceback);
        lzr_free(r->reload->array);
        lzr_free(r->reload);
    }
    bool counted = r->counted;
    lzr_headroom_drop(r);
    lzr_free(r->raw);
    lzr_free(r);
    if (counted) {
        if (atomic_load_explicit(&s->leaving, memory_order_relaxed)) {
            atomic_store_explicit(&s->answered_us, lzr_now_us(), memory_order_relaxed);
        }
        atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
    }
}

/* Of connections that are counted by address: that of the client, else NULL. */
static const struct sockaddr *counted_peer(const struct lzr_server *s, struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info == NULL || (!s->o.client_connections_set &&
                            lzr_proxy_trusted(info->client_addr, s->o.proxies, s->o.nproxies))
               ? NULL
               : info->client_addr;
}

static void enter_crowd(struct lzr_server *s, struct MHD_Connection *conn)
{
    const struct sockaddr *peer = counted_peer(s, conn);
    char name[NI_MAXHOST];
    if (peer == NULL || lzr_crowd_enter(s->crowd, peer)) {
        return;
    }
    end_connection(conn);
    if (name_of(peer, name, sizeof name) && lzr_once_due(&s->crowded, name, lzr_now_us())) {
        lzr_log(s->o.log, LZR_LOG_WARN,
                "%s has as many connections as one address may have: more are closed "
                "(--client-connections allows more)",
                name);
    }
}

static void leave_crowd(struct lzr_server *s, struct MHD_Connection *conn)
{
    const struct sockaddr *peer = counted_peer(s, conn);
    if (peer != NULL) {
        lzr_crowd_leave(s->crowd, peer);
    }
}

/* The system would take some MiB of an answer from us whether the client reads or not, beyond any
 * budget. What is on its way isn't limited by this, only what waits to be sent. */
static void hold_little(int fd)
{
    int most = LZR_SOCKET_UNSENT;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most);
}

static void connection_changed(void *cls, struct MHD_Connection *conn, void **socket_cls,
                               enum MHD_ConnectionNotificationCode code)
{
    struct lzr_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
        const union MHD_ConnectionInfo *peer =
            MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        atomic_fetch_add(&s->connections, 1);
        *socket_cls = info != NULL ? lzr_line_open(s->patience, info->connect_fd,
                                                   peer != NULL ? peer->client_addr : NULL,
                                                   lzr_now_us() + s->o.header_us)
                                   : NULL;
        if (info != NULL) {
            hold_little(info->connect_fd);
        }
        if (*socket_cls == NULL) {
            end_connection(conn); /* no memory: nobody would end it when it is late */
        }
        enter_crowd(s, conn);
    } else {
        leave_crowd(s, conn);
        struct lzr_line *line = *socket_cls;
        if (line != NULL && line->request != NULL) {
            /* The library forgets one whose parameters don't fit into the connection's memory. */
            completed(s, conn, &line->request, MHD_REQUEST_TERMINATED_WITH_ERROR);
        }
        lzr_line_close(s->patience, &line);
        *socket_cls = NULL;
        atomic_fetch_sub(&s->connections, 1);
    }
}

static enum MHD_Result route(struct lzr_http_req *r)
{
    struct lzr_target t;
    enum MHD_Result out;
    if (r->npath == 0 || r->path[0] == '?') {
        return lzr_redirect_to_slash(r); /* "/t/<token>" or "http://host" */
    }
    lzr_target_parse(r->path, r->npath, &t);
    if (t.kind == LZR_TARGET_BAD) {
        return lzr_respond_text(r, 400, "the request target makes no sense\n");
    }
    if (t.kind == LZR_TARGET_NOTHING) {
        return lzr_respond_404(r);
    }
    if (lzr_serve_page(r, &t, &out)) {
        return out;
    }
    struct lzr_hit hit = lzr_catalog_lookup(lzr_driver_catalog(r->edition->driver), t.key, t.len);
    switch (hit.node) {
    case LZR_NODE_DOC:
        return lzr_serve_doc(r, hit.doc);
    case LZR_NODE_DIR:
    case LZR_NODE_FOLDER:
        return lzr_serve_folder(r, &hit, &t);
    case LZR_NODE_CHUNK:
        r->chunk = hit.chunk;
        r->face = hit.face;
        return lzr_chunk_begin(r);
    case LZR_NODE_FAILED:
        return lzr_serve_unloaded(r, hit.failed);
    case LZR_NODE_NONE:
    default:
        return lzr_respond_404(r);
    }
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *conn, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *nupload, void **con_cls)
{
    struct lzr_http_req *r = *con_cls;
    enum MHD_Result out;
    (void)cls;
    (void)conn;
    (void)upload;
    if (r == NULL || *nupload != 0) {
        return MHD_NO;
    }
    switch (atomic_load(&r->state)) {
    case LZR_REQ_NEW:
        atomic_store(&r->state, LZR_REQ_SEEN);
        lzr_line_head(r->line, NULL);
        lzr_line_due(r->line, 0);
        /* Counted from here: a client that sends half a head must not hold up stopping, nor may
         * those that get 503 since it stops. */
        r->counted = !atomic_load(&r->server->stopping);
        if (r->counted) {
            atomic_fetch_add(&r->server->active, 1);
        }
        /* As the library sees it, which sends a body else: not "HEAD\0". */
        r->head = strcmp(method, "HEAD") == 0 && url == method + sizeof "HEAD";
        r->head_seen = true;
        (void)snprintf(r->method, sizeof r->method, "%s", method);
        (void)snprintf(r->protocol, sizeof r->protocol, "%s", version);
        if (r->refused) {
            return MHD_NO; /* as it began, and has its answer */
        }
        /* An answer queued in this first call would close the connection. */
        return lzr_refuse_early(r, method, url, version, &out) ? out : MHD_YES;
    case LZR_REQ_SEEN:
        if (!lzr_admit(r, &out)) {
            return out;
        }
        if (atomic_load(&r->server->stopping)) {
            return lzr_respond_text(r, 503, "lazarr is stopping\n");
        }
        r->edition = lzr_edition_take(r->server->editions);
        return route(r);
    case LZR_REQ_READY:
        if (r->reload != NULL) {
            return lzr_action_end(r);
        }
        lzr_chunk_unwatch(r);
        return r->view != NULL ? lzr_view_end(r) : lzr_chunk_end(r);
    case LZR_REQ_WAITING:
        return MHD_YES;
    case LZR_REQ_LEFT:
        lzr_chunk_unwatch(r);
        return MHD_NO;
    default:
        return MHD_NO;
    }
}

static void log_mhd(void *cls, const char *fmt, va_list ap)
{
    struct lzr_server *s = cls;
    char text[512];
    va_list again;
    va_copy(again, ap);
    lzr_badhead_said(s, fmt, again);
    va_end(again);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    if (atomic_exchange(&s->starting, false)) { /* it may not */
        (void)snprintf(s->why, sizeof s->why, "%.255s", text);
    }
    lzr_log_as(s->o.log, LZR_LOG_DEBUG, (struct lzr_log_how){.client = true}, "http: %s", text);
}

bool lzr_is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a;
    const struct in6_addr *v6 = &in6->sin6_addr;
    return a->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

/* Descriptors that connections may take: what the process may have, less a reserve for workers. */
static unsigned connection_limit(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0) {
        return 256;
    }
    rlim_t reserve = lim.rlim_cur > 1024 ? 512 : lim.rlim_cur / 2;
    rlim_t n = lim.rlim_cur - reserve;
    return n > 65536 ? 65536 : n < 4 ? 4 : (unsigned)n;
}

static void set_access(struct lzr_server *s)
{
    const struct lzr_server_options *o = &s->o;
    /* Whoever knows a token that was given is no page that took a name; one that was made changes
     * nothing in what names are answered to. */
    bool given = o->token != NULL;
    if (!s->loopback) {
        lzr_host_names_find(&s->names);
        s->o.token = given ? o->token : o->spare_token;
    }
    s->access = (struct lzr_access){.check_hosts = s->loopback || o->nhosts > 0 || !given,
                                    .addresses = !s->loopback,
                                    .own = s->names.list,
                                    .nown = s->names.n,
                                    .hosts = o->hosts,
                                    .nhosts = o->nhosts,
                                    .host = o->host,
                                    .public_url = o->public_url,
                                    .token = s->o.token};
}

bool lzr_server_is_loopback(const struct lzr_server *s)
{
    return s->loopback;
}

const char *lzr_server_token(const struct lzr_server *s)
{
    return s->o.token;
}

const char *lzr_server_name(const struct lzr_server *s)
{
    return s->doors.any && s->names.n > 0 ? s->names.list[0] : s->o.host;
}

enum lzr_code lzr_server_new(const struct lzr_server_options *o, struct lzr_server **out,
                             struct lzr_err *err)
{
    struct lzr_server *s = lzr_calloc(1, sizeof *s);
    if (s == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    s->o = *o;
    if ((o->ngiven > 0 ? lzr_doors_given(&s->doors, o->given, o->ngiven, err)
                       : lzr_doors_open(&s->doors, o->host, o->port, err)) != LZR_OK) {
        lzr_free(s);
        return LZR_E_SYS;
    }
    if (o->ngiven > 0) {
        s->o.host = s->doors.name;
    }
    s->port = s->doors.port;
    s->loopback = s->doors.loopback;
    unsigned each = o->client_connections_set ? o->client_connections : connection_limit() / 2;
    if (lzr_crowd_new(each, &s->crowd, err) != LZR_OK ||
        lzr_watch_new(lzr_chunk_gone, lzr_chunk_left, &s->watch, err) != LZR_OK ||
        lzr_patience_new(&s->patience, err) != LZR_OK || lzr_headroom_open(s, err) != LZR_OK) {
        lzr_patience_free(&s->patience);
        lzr_watch_free(&s->watch);
        lzr_crowd_free(&s->crowd);
        lzr_doors_close(&s->doors, true);
        lzr_free(s);
        return LZR_E_SYS;
    }
    set_access(s);
    lzr_cors_init(&s->cors, o->origins, o->norigins, o->log);
    s->cors.token = s->o.token;
    lzr_once_init(&s->strange_hosts);
    lzr_once_init(&s->crowded);
    lzr_once_init(&s->unread);
    lzr_once_init(&s->strange_heads);
    *out = s;
    return LZR_OK;
}

static struct MHD_Daemon *start_daemon(struct lzr_server *s)
{
    int first = lzr_doors_first(&s->doors);
    unsigned alone = first < 0 ? MHD_USE_NO_LISTEN_SOCKET : 0;
    /* MHD_OPTION_EXTERNAL_LOGGER must come first. Not strict: what that adds is checked in admit.c,
     * while the library's own refusal of a request without a Host sends its head twice. Nor with
     * the library's timeout for what is idle: patience.h has one for every step that is a client's,
     * as long as the options say, and doesn't count time in which the process was stopped. */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC |
                                MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | alone,
                            0, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, s,
                            first < 0 ? MHD_OPTION_CONNECTION_TIMEOUT : MHD_OPTION_LISTEN_SOCKET,
                            first < 0 ? 0 : first, MHD_OPTION_THREAD_POOL_SIZE,
                            s->o.threads < 2 ? 2u : s->o.threads, MHD_OPTION_CONNECTION_LIMIT,
                            connection_limit(), MHD_OPTION_CONNECTION_TIMEOUT, 0u,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LZR_CONNECTION_POOL,
                            MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_URI_LOG_CALLBACK, begin, s,
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, s,
                            MHD_OPTION_NOTIFY_CONNECTION, connection_changed, s,
                            MHD_OPTION_NOTIFY_COMPLETED, completed, s, MHD_OPTION_END);
}

enum lzr_code lzr_server_start(struct lzr_server *s, struct lzr_driver **d,
                               const struct lzr_driver_options *again, struct lzr_err *err)
{
    if (lzr_editions_new(d, again, &s->editions, err) != LZR_OK) {
        return LZR_E_SYS;
    }
    lzr_editions_tell(s->editions, s->o.reloads, s->o.reloads_ctx);
    if (lzr_doors_listen(&s->doors, s->o.host, err) != LZR_OK) {
        return LZR_E_SYS;
    }
    atomic_store(&s->starting, true);
    s->daemon = start_daemon(s);
    bool said = !atomic_exchange(&s->starting, false);
    if (s->daemon == NULL) {
        return lzr_err_set(err, LZR_E_SYS, "the HTTP server can't start%s%s",
                           said ? ": " : "", said ? s->why : "");
    }
    return lzr_doors_attend(&s->doors, s->daemon, err);
}

uint16_t lzr_server_port(const struct lzr_server *s)
{
    return s->port;
}

const char *lzr_server_host(const struct lzr_server *s)
{
    return s->o.host;
}

bool lzr_server_alive(struct lzr_server *s)
{
    struct lzr_edition *e = lzr_edition_take(s->editions);
    (void)lzr_driver_ready(e->driver);
    lzr_edition_drop(&e);
    return true;
}

void lzr_server_reload(struct lzr_server *s)
{
    lzr_editions_reload(s->editions, NULL);
}

/* While the library stops, it takes no answer from anybody, and none from itself either: a head
 * that it would refuse then ends the process (0.9.75). So nothing comes in any more, and whoever is
 * still there goes first. */
static void end_connections(struct lzr_server *s)
{
    uint64_t until = lzr_now_us() + LZR_END_US;
    const struct timespec pause = {.tv_nsec = 2000000};
    if (!s->doors.given) {
        (void)shutdown(s->doors.fds[0], SHUT_RD); /* the system refuses connections */
    }
    do {
        lzr_patience_end_all(s->patience);
        (void)nanosleep(&pause, NULL);
    } while (atomic_load(&s->connections) > 0 && lzr_now_us() < until);
}

/* Whether somebody who was taken in may want more. Who was last isn't counted at once. */
static bool wants_more(struct lzr_server *s, uint64_t now, uint64_t began)
{
    return now < began + LZR_LEAVE_LEAST_US ||
           (atomic_load(&s->connections) > 0 &&
            (atomic_load(&s->active) > 0 ||
             now < atomic_load(&s->answered_us) + LZR_LEAVE_IDLE_US));
}

/* Sockets that a service manager has given go on to whoever is started next: what waits there is
 * theirs, nothing is refused. What was taken in is answered as ever, and told to come again by
 * another connection; one that has asked for nothing since may do so for a moment. */
static void leave_to_successor(struct lzr_server *s)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    uint64_t began = lzr_now_us(), now = began, until = now + LZR_LEAVE_US;
    atomic_store(&s->answered_us, now);
    atomic_store(&s->leaving, true);
    lzr_doors_leave(&s->doors);
    while (now < until && wants_more(s, now, began)) {
        (void)nanosleep(&pause, NULL);
        now = lzr_now_us();
    }
}

/* New requests get 503; waiting ones are ended; what is being sent goes on. Stopping the library
 * while a connection is suspended would abort the process, so that count must reach 0.
 * Not MHD_quiesce_daemon: it takes the listener out of the epoll set of each of the library's
 * threads, which do the same as soon as they see that they should; whoever comes second aborts the
 * process (0.9.75; once in 150 stops under load). */
static void stop_daemon(struct lzr_server *s)
{
    uint64_t until = lzr_now_us() + LZR_STOP_US;
    const struct timespec pause = {.tv_nsec = 5000000};
    if (s->doors.given) {
        leave_to_successor(s);
    }
    atomic_store(&s->stopping, true);
    lzr_headroom_stop(s);
    lzr_editions_drain(s->editions);
    while (atomic_load(&s->suspended) > 0 ||
           (atomic_load(&s->active) > 0 && lzr_now_us() < until)) {
        (void)nanosleep(&pause, NULL);
    }
    lzr_doors_leave(&s->doors);
    end_connections(s);
    MHD_stop_daemon(s->daemon); /* closes the first door */
}

void lzr_server_free(struct lzr_server **sp)
{
    struct lzr_server *s = *sp;
    *sp = NULL;
    if (s == NULL) {
        return;
    }
    if (s->daemon != NULL) {
        stop_daemon(s);
    }
    lzr_doors_close(&s->doors, s->daemon == NULL);
    lzr_editions_free(&s->editions);
    lzr_watch_free(&s->watch);
    lzr_tails_free(&s->tails);
    lzr_patience_free(&s->patience);
    lzr_crowd_free(&s->crowd);
    lzr_once_release(&s->crowded);
    lzr_once_release(&s->unread);
    lzr_once_release(&s->strange_heads);
    lzr_once_release(&s->strange_hosts);
    lzr_cors_release(&s->cors);
    lzr_free(s);
}
