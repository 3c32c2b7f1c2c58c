/* Answers: status, headers and bytes, to libmicrohttpd's response. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/condition.h"
#include "http/range.h"
#include "http/request.h"

#define EXPOSED                                                                                    \
    "Content-Range, Content-Length, Content-Encoding, ETag, Accept-Ranges, Accept-Range, "         \
    "Server-Timing, Date, Location, Retry-After"

/* Bytes of an edition that are being sent: they keep it, longer than their request may. */
struct sending {
    struct lzr_blob *blob; /* or NULL: a document of the catalog */
    struct lzr_edition *edition;
};

static void sent(void *cls)
{
    struct sending *s = cls;
    if (s->blob != NULL) {
        lzr_blob_sent(s->blob);
    }
    lzr_blob_unref(&s->blob);
    lzr_edition_drop(&s->edition);
    lzr_free(s);
}

static struct MHD_Response *lend(struct lzr_http_req *r, struct lzr_answer *a, void *body,
                                 uint64_t now)
{
    struct sending *s = lzr_malloc(sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    *s = (struct sending){.blob = a->blob, .edition = lzr_edition_ref(r->edition)};
    struct MHD_Response *resp =
        MHD_create_response_from_buffer_with_free_callback_cls(a->len, body, sent, s);
    if (resp == NULL) {
        s->blob = NULL; /* still the answer's */
        sent(s);
    } else {
        if (s->blob != NULL) {
            lzr_blob_sending(s->blob);
            lzr_line_reads(r->line, s->blob, now);
        }
        a->blob = NULL;
    }
    return resp;
}

static ssize_t no_body(void *cls, uint64_t pos, char *buf, size_t max)
{
    (void)cls;
    (void)pos;
    (void)buf;
    (void)max;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

/* So many zero bytes, then the end of the connection. */
static ssize_t end_early(void *cls, uint64_t pos, char *buf, size_t max)
{
    uint64_t left = (uintptr_t)cls - pos;
    if (left == 0) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    max = left < max ? (size_t)left : max;
    memset(buf, 0, max);
    return (ssize_t)max;
}

static struct MHD_Response *make_response(struct lzr_http_req *r, struct lzr_answer *a,
                                          uint64_t now)
{
    static const char nothing[1] = "";
    void *body = (void *)(uintptr_t)(a->len > 0 ? a->body : nothing);
    if (a->no_length) {
        /* 0.9.75 has no "head only": the size is unknown and, being HTTP/1.0, the connection ends.
         */
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, no_body, NULL, NULL);
    }
    if (a->cut) {
        return MHD_create_response_from_callback(a->len, 4096, end_early,
                                                 (void *)(uintptr_t)(a->len / 2), NULL);
    }
    if (a->copy && r->head) {
        a->copy = false; /* only its length is sent */
        body = (void *)(uintptr_t)nothing;
    } else if (a->copy && r->edition != NULL) {
        a->blob = lzr_sheets_make(&r->edition->sheets, a->body, a->len);
        if (a->blob == NULL) {
            return NULL;
        }
        body = a->blob->data;
    }
    if (a->blob != NULL || (a->len > 0 && !a->copy && r->edition != NULL)) {
        return lend(r, a, body, now);
    }
    return MHD_create_response_from_buffer(a->len, body,
                                           a->copy ? MHD_RESPMEM_MUST_COPY
                                                   : MHD_RESPMEM_PERSISTENT);
}

static void add(struct MHD_Response *resp, const char *name, const char *value)
{
    if (value != NULL) {
        (void)MHD_add_response_header(resp, name, value);
    }
}

void lzr_respond_origin(const struct lzr_http_req *r, struct MHD_Response *resp, bool preflight)
{
    struct lzr_cors *c = &r->server->cors;
    const char *origin = lzr_header(r, "Origin");
    const char *allow = lzr_cors_allow(c, origin);
    add(resp, "Vary", preflight ? "Origin, Access-Control-Request-Headers" : "Origin");
    add(resp, "Cross-Origin-Resource-Policy", lzr_cors_resource_policy(c));
    if (allow == NULL) {
        return;
    }
    add(resp, "Access-Control-Allow-Origin", allow);
    if (origin != NULL && strcmp(origin, "null") != 0 && lzr_cors_named(c, origin)) {
        add(resp, "Access-Control-Allow-Credentials", "true");
    }
    if (!preflight) {
        add(resp, "Access-Control-Expose-Headers", EXPOSED);
    }
}

/* Nothing that is served is to be taken for another type than it says, and a page for people is
 * shown in no other's frame. */
static void add_guards(const struct lzr_http_req *r, const struct lzr_answer *a,
                       struct MHD_Response *resp)
{
    const struct lzr_cors *c = &r->server->cors;
    bool page = a->type != NULL && strncmp(a->type, "text/html", 9) == 0;
    if (a->type == NULL) {
        return;
    }
    add(resp, "X-Content-Type-Options", "nosniff");
    if (page || a->status >= 400) {
        add(resp, "Referrer-Policy", "no-referrer"); /* a URL may hold the token */
    }
    if (page) {
        add(resp, "Content-Security-Policy", lzr_cors_frames(c));
        if (c->nallowed == 0) { /* it can't name any: browsers that know the policy ignore it */
            add(resp, "X-Frame-Options", "SAMEORIGIN");
        }
    }
}

static void add_headers(struct lzr_http_req *r, const struct lzr_answer *a,
                        struct MHD_Response *resp)
{
    char text[96];
    bool ranged = !r->head && lzr_header(r, "Range") != NULL;
    add(resp, "Content-Type", a->type);
    add(resp, "ETag", a->etag);
    add(resp, "Cache-Control", a->cache_control);
    add(resp, "Location", a->location);
    add(resp, "Allow", a->allow);
    add(resp, "WWW-Authenticate", a->authenticate);
    add_guards(r, a, resp);
    add(resp, "Server-Timing", a->timing);
    if (a->ranges) {
        add(resp, "Accept-Ranges", "bytes");
    }
    /* Java's n5 looks for this misspelt header; on a 200 to a Range it would take the whole for the
     * part (clients-java 16 to 18). */
    if (a->status == 206 || (ranged && a->status == 404) || (a->ranges && !ranged)) {
        add(resp, "Accept-Range", "bytes");
    }
    if (a->status == 206) {
        (void)snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, a->range_first,
                       a->range_first + a->len - 1, a->range_total);
        add(resp, "Content-Range", text);
    } else if (a->status == 416) {
        (void)snprintf(text, sizeof text, "bytes */%" PRIu64, a->range_total);
        add(resp, "Content-Range", text);
    }
    if (a->retry_after > 0) {
        (void)snprintf(text, sizeof text, "%u", a->retry_after);
        add(resp, "Retry-After", text);
    }
    lzr_respond_origin(r, resp, false);
}

/* Clients hold all that they may of bodies that are made, or memory is out: an answer that needs no
 * more than the connection has. */
static struct lzr_answer busy(void)
{
    static const char text[] = "clients that don't read what they asked for hold all the memory "
                               "there is for such answers: ask again\n";
    return (struct lzr_answer){.status = 503,
                               .type = "text/plain; charset=utf-8",
                               .body = text,
                               .len = sizeof text - 1,
                               .retry_after = 1,
                               .cache_control = "no-store"};
}

enum MHD_Result lzr_respond_queue(struct lzr_http_req *r, unsigned status,
                                  struct MHD_Response *resp)
{
    const bool close = r->own != NULL && r->own->close; /* the library doesn't know */
    if (close || atomic_load_explicit(&r->server->leaving, memory_order_relaxed)) {
        add(resp, "Connection", "close");
    }
    enum MHD_Result ok = MHD_queue_response(r->conn, status, resp);
    MHD_destroy_response(resp);
    return ok;
}

enum MHD_Result lzr_respond(struct lzr_http_req *r, struct lzr_answer *a)
{
    uint64_t now = lzr_now_us();
    bool made = a->copy;
    struct MHD_Response *resp = make_response(r, a, now);
    if (resp == NULL) {
        lzr_blob_unref(&a->blob);
        if (made) {
            *a = busy();
            resp = make_response(r, a, now);
        }
        if (resp == NULL) {
            return MHD_NO; /* out of memory: the connection closes before anything was said */
        }
    }
    add_headers(r, a, resp);
    if (a->no_length) {
        (void)MHD_set_response_options(resp, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
    }
    r->status = a->status;
    r->sent = r->head ? 0 : a->len;
    uint64_t step = r->server->o.send_us;
    lzr_line_due(r->line, now + step + r->sent / LZR_SEND_STEP * step);
    return lzr_respond_queue(r, a->status, resp);
}

enum MHD_Result lzr_respond_busy(struct lzr_http_req *r)
{
    struct lzr_answer a = busy();
    return lzr_respond(r, &a);
}

enum MHD_Result lzr_respond_text(struct lzr_http_req *r, unsigned status, const char *text)
{
    struct lzr_answer a = {.status = status,
                           .type = "text/plain; charset=utf-8",
                           .body = text,
                           .len = strlen(text),
                           .copy = true,
                           .cache_control = "no-store"};
    return lzr_respond(r, &a);
}

bool lzr_request_by_person(const struct lzr_http_req *r)
{
    const char *accept = lzr_header(r, "Accept"), *agent = lzr_header(r, "User-Agent");
    if (agent != NULL && strncmp(agent, "curl/", 5) == 0) {
        return true;
    }
    return accept != NULL && strstr(accept, "text/html") != NULL &&
           (agent == NULL || strncmp(agent, "Java/", 5) != 0); /* it says so of whatever it asks */
}

/* What isn't there, and the folder above it that is. */
static void write_404(struct lzr_buf *b, const struct lzr_http_req *r)
{
    struct lzr_target t;
    struct lzr_hit hit = {0};
    lzr_target_parse(r->path, r->npath, &t);
    size_t n = t.len;
    while (n > 0 && hit.node != LZR_NODE_DIR && hit.node != LZR_NODE_FOLDER) {
        while (n > 0 && t.key[--n] != '/') {
        }
        hit = lzr_catalog_lookup(lzr_driver_catalog(r->edition->driver), t.key, n);
    }
    lzr_buf_puts(b, "there is nothing here: /");
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.key[i];
        lzr_buf_putc(b, c < 0x21 || c > 0x7e ? '?' : (char)c);
    }
    lzr_buf_printf(b, "\nthe folder that is: /%.*s%s (it lists what it holds)\n", (int)n, t.key,
                   n > 0 ? "/" : "");
}

enum MHD_Result lzr_respond_404(struct lzr_http_req *r)
{
    /* No body for programs: the JDK drops a connection whose 404 has one. */
    struct lzr_answer a = {.status = 404, .cache_control = "no-cache"};
    struct lzr_buf b;
    lzr_buf_init(&b, 2 * LZR_MAX_KEY);
    if (r->edition != NULL && lzr_request_by_person(r)) {
        write_404(&b, r);
        a.type = "text/plain; charset=utf-8";
        a.body = b.data;
        a.len = b.len;
        a.copy = true;
    }
    enum MHD_Result ok = lzr_respond(r, &a);
    lzr_buf_release(&b);
    return ok;
}

unsigned lzr_precondition(struct lzr_http_req *r, const char *etag)
{
    const char *match = lzr_header(r, "If-Match");
    const char *none = lzr_header(r, "If-None-Match");
    if (match != NULL && !lzr_etag_matches(match, etag, false)) {
        return 412;
    }
    return none != NULL && lzr_etag_matches(none, etag, true) ? 304 : 0;
}

enum MHD_Result lzr_respond_key(struct lzr_http_req *r, struct lzr_answer *a)
{
    a->cache_control = "no-cache";
    a->ranges = true;
    unsigned early = lzr_precondition(r, a->etag);
    if (early != 0) {
        lzr_blob_unref(&a->blob);
        a->status = early;
        a->body = NULL;
        a->len = 0;
        a->type = NULL;
        return lzr_respond(r, a);
    }
    a->status = 200;
    const char *range = r->head ? NULL : lzr_header(r, "Range");
    const char *if_range = range != NULL ? lzr_header(r, "If-Range") : NULL;
    if (range == NULL || (if_range != NULL && !lzr_etag_matches(if_range, a->etag, false))) {
        return lzr_respond(r, a);
    }
    struct lzr_range part = lzr_range_parse(range, a->len);
    a->range_total = a->len;
    if (part.kind == LZR_RANGE_PART) {
        a->status = 206;
        a->range_first = part.first;
        a->body = (const char *)a->body + part.first;
        a->len = (size_t)part.len;
    } else if (part.kind == LZR_RANGE_UNSATISFIABLE) {
        lzr_blob_unref(&a->blob);
        a->status = 416;
        a->body = NULL;
        a->len = 0;
        a->type = NULL;
    }
    return lzr_respond(r, a);
}
