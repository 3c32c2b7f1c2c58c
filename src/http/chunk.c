/* Chunks: conditions first, then the cache, then waiting for the driver without holding a thread.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "http/amends.h"
#include "http/request.h"

static bool agent_has(const struct lzr_http_req *r, const char *what)
{
    const char *agent = lzr_header(r, "User-Agent");
    return agent != NULL && strstr(agent, what) != NULL;
}

/* Readers that ask again by themselves: object_store in its guises, and browsers. */
static bool retries(const struct lzr_http_req *r)
{
    return agent_has(r, "object_store") || agent_has(r, "obstore") || agent_has(r, "Mozilla/");
}

static bool is_java(const struct lzr_http_req *r)
{
    const char *agent = lzr_header(r, "User-Agent");
    return agent != NULL && strncmp(agent, "Java/", 5) == 0;
}

static void set_etag(struct lzr_http_req *r, struct lzr_digest d)
{
    char hex[33];
    lzr_digest_hex(d, hex);
    r->etag[0] = '"';
    memcpy(r->etag + 1, hex, 32);
    r->etag[33] = '"';
    r->etag[34] = '\0';
}

/* For a reader that takes every status for empty data. */
static enum MHD_Result respond_amended(struct lzr_http_req *r, enum lzr_amends amends,
                                       unsigned status)
{
    uint64_t length;
    struct lzr_answer a = {.status = 200,
                           .type = "application/octet-stream",
                           .cache_control = "no-store"};
    if (amends == LZR_AMENDS_CUT) {
        a.cut = true;
        a.len = lzr_chunk_length(&r->chunk, &length) && length > 1 ? (size_t)length : 4096;
    } else if (amends == LZR_AMENDS_THERE) {
        a.status = status;
    }
    return lzr_respond(r, &a);
}

/* A HEAD that is answered before the length is known, or although it never will be. */
static enum MHD_Result respond_without_length(struct lzr_http_req *r)
{
    struct lzr_answer a = {.status = 200,
                           .type = "application/octet-stream",
                           .no_length = true,
                           .etag = r->etag[0] != '\0' ? r->etag : NULL,
                           .cache_control = "no-cache",
                           .ranges = true};
    lzr_free(r->wish.result.text);
    r->wish.result.text = NULL;
    return lzr_respond(r, &a);
}

/* A failure as a status that no reader takes for empty data: 500, or 503 where asking again may
 * help. */
static enum MHD_Result respond_failure(struct lzr_http_req *r)
{
    struct lzr_result *res = &r->wish.result;
    bool later = res->again && (res->code == LZR_E_BUSY || res->code == LZR_E_TIMEOUT ||
                                res->code == LZR_E_CANCELLED || res->code == LZR_E_NOMEM);
    const char *text = res->text != NULL ? res->text : lzr_code_text(res->code);
    size_t n = strlen(text);
    enum lzr_amends amends =
        lzr_amends_for(lzr_header(r, "User-Agent"), lzr_header(r, "Range") != NULL, r->face);
    if (r->head && amends == LZR_AMENDS_THERE) {
        return respond_without_length(r);
    }
    if (!r->head && amends != LZR_AMENDS_NONE) {
        lzr_free(res->text);
        res->text = NULL;
        return respond_amended(r, amends, later ? 503 : 500);
    }
    const char *line = memchr(text, '\n', n);
    if (line != NULL && !(r->server->loopback && lzr_is_local_peer(r))) {
        n = (size_t)(line - text); /* a traceback shows code and paths: only to this machine */
    }
    struct lzr_answer a = {.status = later ? 503 : 500,
                           .type = "text/plain; charset=utf-8",
                           .body = text,
                           .len = n,
                           .copy = true,
                           .cache_control = "no-store",
                           .retry_after = later ? 1 : 0};
    enum MHD_Result ok = lzr_respond(r, &a);
    lzr_free(res->text);
    res->text = NULL;
    return ok;
}

static enum MHD_Result respond_chunk(struct lzr_http_req *r)
{
    struct lzr_result *res = &r->wish.result;
    char timing[160];
    if (!r->chunk.array->deterministic) {
        set_etag(r, res->digest);
    }
    struct lzr_answer a = {.type = "application/octet-stream",
                           .body = res->blob->data,
                           .len = res->blob->len,
                           .blob = res->blob,
                           .etag = r->etag,
                           .timing = "cache;desc=hit"};
    r->hit = res->hit;
    if (!res->hit) {
        (void)snprintf(timing, sizeof timing,
                       "queue;dur=%.3f, inputs;dur=%.3f, compute;dur=%.3f, encode;dur=%.3f, "
                       "cache;desc=miss",
                       (double)res->queue_us / 1e3, (double)res->inputs_us / 1e3,
                       (double)res->compute_us / 1e3, (double)res->encode_us / 1e3);
        a.timing = timing;
    }
    res->blob = NULL;
    return lzr_respond_key(r, &a);
}

enum MHD_Result lzr_chunk_end(struct lzr_http_req *r)
{
    struct lzr_result *res = &r->wish.result;
    if (res->code == LZR_OK) {
        return respond_chunk(r);
    }
    if (r->head && res->code == LZR_E_BUSY && is_java(r)) {
        return respond_without_length(r);
    }
    return respond_failure(r);
}

void lzr_http_resume(struct lzr_http_req *r, int state)
{
    struct MHD_Connection *conn = r->conn;
    struct lzr_server *s = r->server;
    atomic_store(&r->state, state);
    MHD_resume_connection(conn);
    atomic_fetch_sub(&s->suspended, 1); /* the server lives until this is 0 */
}

/* The driver's callback: any thread, no lock held. After the resume the request isn't ours. */
static void done(struct lzr_request *wish)
{
    lzr_http_resume(wish->ctx, LZR_REQ_READY);
}

bool lzr_chunk_gone(void *req)
{
    struct lzr_http_req *r = req;
    return lzr_driver_cancel(r->edition->driver, &r->wish, false);
}

void lzr_chunk_left(void *req)
{
    struct lzr_http_req *r = req;
    atomic_fetch_add(&r->server->gone, 1);
    lzr_http_resume(r, LZR_REQ_LEFT);
}

/* Who asks: requests of one address and User-Agent are one client, whatever its port. */
static uint64_t client_of(const struct lzr_http_req *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info != NULL ? info->client_addr : NULL;
    const char *agent = lzr_header(r, "User-Agent");
    uint64_t h = agent != NULL ? lzr_hash64(agent, strlen(agent), 1) : 0;
    if (a != NULL && a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        h = lzr_hash64(&in->sin_addr, sizeof in->sin_addr, h);
    } else if (a != NULL && a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a;
        h = lzr_hash64(&in6->sin6_addr, sizeof in6->sin6_addr, h);
    }
    return h;
}

/* Suspends first, then makes the wish known: the answer may come before the call returns. */
enum MHD_Result lzr_chunk_wait(struct lzr_http_req *r, uint64_t deadline_us)
{
    struct lzr_server *s = r->server;
    struct MHD_Connection *conn = r->conn;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    r->wish.done = done;
    r->wish.ctx = r;
    r->wish.client = client_of(r);
    r->wish.deadline_us = deadline_us;
    atomic_store(&r->state, LZR_REQ_WAITING);
    atomic_fetch_add(&s->suspended, 1);
    MHD_suspend_connection(conn);
    if (lzr_driver_start(r->edition->driver, &r->chunk, &r->wish) == LZR_GOT_NOW) {
        done(&r->wish);
        return MHD_YES;
    }
    /* Watched only now that there is a wish to take back; a client that has left meanwhile is
     * noticed at once. r is still ours even if the result came: its connection runs on this thread
     * only. */
    r->ticket = info != NULL ? lzr_watch_add(s->watch, info->connect_fd, r) : 0;
    return MHD_YES;
}

static enum MHD_Result wait_for(struct lzr_http_req *r)
{
    uint64_t patience = r->server->o.first_byte_us;
    if (retries(r) && patience > LZR_FIRST_BYTE_RETRIERS_US) {
        patience = LZR_FIRST_BYTE_RETRIERS_US;
    }
    if (r->head && is_java(r)) {
        patience = r->server->o.head_wait_us;
    }
    return lzr_chunk_wait(r, lzr_now_us() + patience);
}

void lzr_chunk_unwatch(struct lzr_http_req *r)
{
    lzr_watch_del(r->server->watch, r->ticket);
    r->ticket = 0;
}

/* A HEAD of an uncompressed chunk: the length is known without computing. */
static enum MHD_Result head_raw(struct lzr_http_req *r, uint64_t length)
{
    static const char never_read[1] = "";
    if (lzr_driver_recall(r->edition->driver, &r->chunk, &r->wish.result)) {
        return respond_failure(r);
    }
    struct lzr_answer ans = {.type = "application/octet-stream",
                             .body = never_read,
                             .len = (size_t)length,
                             .etag = r->etag};
    return lzr_respond_key(r, &ans);
}

enum MHD_Result lzr_chunk_begin(struct lzr_http_req *r)
{
    const struct lzr_array *a = r->chunk.array;
    if (a->deterministic) {
        set_etag(r, lzr_chunk_digest(&r->chunk, lzr_driver_salt(r->edition->driver, a)));
        unsigned early = lzr_precondition(r, r->etag);
        if (early != 0) {
            struct lzr_answer ans = {.status = early,
                                     .etag = r->etag,
                                     .cache_control = "no-cache",
                                     .ranges = true};
            return lzr_respond(r, &ans);
        }
    }
    uint64_t length;
    if (r->head && a->deterministic && lzr_chunk_length(&r->chunk, &length)) {
        return head_raw(r, length);
    }
    if (lzr_driver_try(r->edition->driver, &r->chunk, &r->wish)) {
        return lzr_chunk_end(r);
    }
    return wait_for(r);
}
