/* What a request may look like and who may ask: everything that is refused before it is routed. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "http/badhead.h"
#include "http/headroom.h"
#include "http/mask.h"
#include "http/request.h"

#define METHODS "GET, HEAD, OPTIONS"

/* What the headers say of where a request ends, whose it is, and whether they are headers at all.
 */
struct head {
    unsigned hosts, lengths, origins, authorizations;
    bool body;       /* one follows, or may */
    bool expect;     /* "100-continue" and the like */
    bool broken;     /* a name or a value with bytes that have no place there */
    bool coded;      /* ... by a Transfer-Encoding */
    unsigned length; /* what a Content-Length that makes no sense is answered; 0: it does */
    bool own;        /* the lines aren't the library's (headroom.h) */
    const char *end; /* behind what was looked at last, in the head as it came */
};

/* libmicrohttpd up to 0.9.x ends a value at a zero byte, and a line that is folded onto the one
 * before it is appended to that one's name, so that "Content-Length:" and " 5" become a header that
 * nobody knows. Both show in where the texts lie: names and values are never copied, only their
 * ends are overwritten, so one that stands alone begins one or two bytes behind the one before it.
 * This is whether they do; later versions refuse such heads by themselves. */
static bool is_in_place(struct head *h, const char *key, size_t nkey, const char *value,
                        size_t nvalue)
{
    const char *colon = key + nkey;
    if (h->own || strncmp(MHD_get_version(), "0.9.", 4) != 0) {
        return true;
    }
    bool ok = (key == h->end + 1 || key == h->end + 2) && value > colon;
    for (const char *p = colon + 1; ok && p < value; p++) {
        ok = *p == ' ' || *p == '\t';
    }
    h->end = value + nvalue;
    return ok;
}

/* RFC 9110 5.6.2; the library lets "Name :" and control bytes through. */
static bool is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) {
            return false;
        }
    }
    return n > 0;
}

static bool is_value(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Whether only line ends come behind the last header. */
static bool is_at_end(const struct lzr_http_req *r, const char *method, const char *end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t looked_at = (size_t)(end - method);
    return r->own != NULL || strncmp(MHD_get_version(), "0.9.", 4) != 0 ||
           (info != NULL && info->header_size >= looked_at + 2 &&
            info->header_size <= looked_at + 4);
}

/* 400: it is no number; 413: it is too large for one; 0: it is one. */
static unsigned judge_length(const char *value, size_t n)
{
    uint64_t sum = 0;
    bool large = false;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return 400;
        }
        large = large || __builtin_mul_overflow(sum, 10, &sum) ||
                __builtin_add_overflow(sum, (uint64_t)(value[i] - '0'), &sum);
    }
    return n == 0 ? 400 : large || sum > INT64_MAX ? 413 : 0;
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *key, size_t nkey,
                                   const char *value, size_t nvalue)
{
    struct head *h = cls;
    (void)kind;
    if (value == NULL || !is_in_place(h, key, nkey, value, nvalue) || !is_token(key, nkey) ||
        !is_value(value, nvalue)) {
        h->broken = true;
        return MHD_NO;
    }
    if (strcasecmp(key, "Host") == 0) {
        h->hosts++;
    } else if (strcasecmp(key, "Content-Length") == 0) {
        h->lengths++;
        h->body = h->body || strcmp(value, "0") != 0;
        h->length = h->length != 0 ? h->length : judge_length(value, nvalue);
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        h->body = h->coded = true;
    } else if (strcasecmp(key, "Expect") == 0) {
        h->expect = true;
    } else if (strcasecmp(key, "Origin") == 0) {
        h->origins++;
    } else if (strcasecmp(key, "Authorization") == 0) {
        h->authorizations++;
    }
    return MHD_YES;
}

static enum MHD_Result respond_405(struct lzr_http_req *r, const char *allow)
{
    struct lzr_answer a = {.status = 405, .allow = allow, .cache_control = "no-store"};
    return lzr_respond(r, &a);
}

bool lzr_refuse_early(struct lzr_http_req *r, const char *method, const char *url,
                      const char *version, enum MHD_Result *out)
{
    struct head h = {.own = r->own != NULL, .broken = !lzr_headroom_end(r)};
    if (lzr_headroom_bytes(r) > LZR_MAX_HEAD) {
        *out = lzr_respond_text(r, 431, lzr_badhead_too_long(r->server));
        return true;
    }
    if (r->own != NULL && r->own->no_memory) {
        *out = lzr_respond_busy(r);
        return true;
    }
    h.broken = h.broken || (r->own != NULL && r->own->broken);
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
        *out = lzr_respond_text(r, 505, "HTTP/1.1 or HTTP/1.0, please\n");
        return true;
    }
    /* All lie in the line as it came, one blank apart; unless a zero byte ended the method or the
     * target before its end, or there are more blanks. */
    if (url != method + strlen(method) + 1 || version != url + r->nraw + 1) {
        *out = lzr_respond_text(r, 400, "the request line makes no sense\n");
        return true;
    }
    h.end = version + strlen(version);
    lzr_headers_each(r, take_header, &h);
    if (h.length != 0 && !h.coded) { /* the library has found some of those that it sees */
        *out = lzr_respond_text(r, h.length, lzr_badhead_length(r->server, h.length));
        return true;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
        strcmp(method, "OPTIONS") != 0 && !(strcmp(method, "POST") == 0 && lzr_is_action(r))) {
        *out = respond_405(r, METHODS);
        return true;
    }
    if (h.broken || !is_at_end(r, method, h.end)) {
        *out = lzr_respond_text(r, 400, "a header makes no sense\n");
    } else if (h.hosts == 0 && strcmp(version, "HTTP/1.1") == 0) {
        *out = lzr_respond_text(r, 400, "a Host is needed\n");
    } else if (h.hosts > 1 || h.lengths > 1 || h.origins > 1 || h.authorizations > 1) {
        /* The library would take the first, a proxy perhaps the last. */
        *out = lzr_respond_text(r, 400,
                                "more than one Host, Content-Length, Origin or Authorization\n");
    } else if (h.body) {
        *out = lzr_respond_text(r, 413, "a request has no body here\n");
    } else if (h.expect) {
        *out = lzr_respond_text(r, 417, "nothing is expected here\n");
    } else {
        return false;
    }
    return true;
}

static void add(struct MHD_Response *resp, const char *name, const char *value)
{
    (void)MHD_add_response_header(resp, name, value);
}

enum MHD_Result lzr_respond_options(struct lzr_http_req *r)
{
    struct MHD_Response *resp =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (resp == NULL) {
        return MHD_NO;
    }
    const char *origin = lzr_header(r, "Origin");
    const char *allow = lzr_cors_allow(&r->server->cors, origin);
    const char *asked = lzr_header(r, "Access-Control-Request-Headers");
    add(resp, "Allow", METHODS);
    lzr_respond_origin(r, resp, true);
    if (allow != NULL) {
        add(resp, "Access-Control-Allow-Methods", METHODS);
        add(resp, "Access-Control-Max-Age", "86400");
        add(resp, "Access-Control-Allow-Headers",
            asked != NULL && *asked != '\0' && lzr_cors_headers_safe(asked)
                ? asked
                : "Range, Authorization, If-None-Match, If-Match, If-Range, Cache-Control, "
                  "Content-Type");
        if (lzr_header(r, "Access-Control-Request-Private-Network") != NULL) {
            add(resp, "Access-Control-Allow-Private-Network", "true");
        }
    }
    r->status = 204;
    lzr_line_due(r->line, lzr_now_us() + r->server->o.send_us);
    return lzr_respond_queue(r, 204, resp);
}

/* 421 rather than 403: some readers take a 403 for a missing chunk. */
static enum MHD_Result refuse_host(struct lzr_http_req *r, const char *host, size_t n)
{
    struct lzr_server *s = r->server;
    char text[600];
    atomic_fetch_add_explicit(&s->refused_hosts, 1, memory_order_relaxed);
    char shown[257];
    bool plain = lzr_text_mask(host, n < 256 ? n : 256, s->access.token, shown, sizeof shown);
    if (lzr_once_due(&s->strange_hosts, shown, lzr_now_us())) {
        size_t name = plain ? lzr_host_length(shown, strlen(shown)) : 0;
        lzr_log_as(s->o.log, LZR_LOG_WARN, (struct lzr_log_how){.client = true},
                   "a request for the host '%s' was refused%s%.*s", shown,
                   plain ? "; to answer to it: --allow-host " : "", (int)name, shown);
    }
    (void)snprintf(text, sizeof text,
                   "this server does not answer to the host '%.*s' (--allow-host adds names)\n",
                   (int)(n < 256 ? n : 256), host);
    return lzr_respond_text(r, 421, text);
}

/* A name that a request is for; NULL where it has none. */
struct name {
    const char *text;
    size_t n;
};

/* The Host header (HTTP/1.0 needs none), and the authority of a target in absolute form. */
static void names_of(const struct lzr_http_req *r, struct name out[2])
{
    const char *host = lzr_header(r, "Host");
    size_t skip = lzr_target_authority(r->raw, r->nraw);
    out[0] = (struct name){host, host != NULL ? strlen(host) : 0};
    while (out[0].n > 0 && strchr(" \t", host[out[0].n - 1]) != NULL) {
        out[0].n--; /* blanks behind a value aren't part of it */
    }
    out[1] = (struct name){NULL, 0};
    if (skip > 0) {
        out[1].text = strstr(r->raw, "://") + 3;
        out[1].n = skip - (size_t)(out[1].text - r->raw);
    }
}

/* What asks whether the server lives (/healthz) or can compute (/readyz): kubelets and balancers
 * come by whatever name or address, with no token, and learn nothing else. */
static bool is_probe(const struct lzr_http_req *r)
{
    size_t n = strcspn(r->path, "?");
    return (n == 8 && memcmp(r->path, "/healthz", n) == 0) ||
           (n == 7 && memcmp(r->path, "/readyz", n) == 0);
}

/* False: *out is the refusal. */
static bool admit_host(struct lzr_http_req *r, enum MHD_Result *out)
{
    struct name names[2];
    names_of(r, names);
    for (unsigned i = 0; i < 2; i++) {
        if (names[i].text == NULL) {
            continue;
        }
        if (is_probe(r)) {
            continue; /* kubelets send addresses with zones, or nothing */
        }
        if (!lzr_host_is_valid(names[i].text, names[i].n)) {
            *out = lzr_respond_text(r, 400, "the Host makes no sense\n");
            return false;
        }
        if (!lzr_access_host(&r->server->access, names[i].text, names[i].n)) {
            *out = refuse_host(r, names[i].text, names[i].n);
            return false;
        }
    }
    return true;
}

static enum MHD_Result refuse_token(struct lzr_http_req *r)
{
    static const char text[] = "a token is needed: /t/TOKEN/... or 'Authorization: Bearer TOKEN'\n";
    struct lzr_answer a = {.status = 401,
                           .type = "text/plain; charset=utf-8",
                           .body = text,
                           .len = sizeof text - 1,
                           .authenticate = "Bearer",
                           .cache_control = "no-store"};
    atomic_fetch_add_explicit(&r->server->refused_tokens, 1, memory_order_relaxed);
    return lzr_respond(r, &a);
}

void lzr_request_path(const struct lzr_http_req *r, size_t *skip, size_t *prefix)
{
    size_t folder, at = lzr_target_path(r->raw, r->nraw);
    const char *name = lzr_request_folder(r, &folder);
    at += lzr_target_folder(r->raw + at, r->nraw - at, name, folder);
    at += lzr_target_path(r->raw + at, r->nraw - at);
    *skip = at;
    *prefix = lzr_access_path(&r->server->access, r->raw + at, r->nraw - at);
}

/* Where the key begins in the raw target, and which prefix URLs keep. */
static void find_path(struct lzr_http_req *r)
{
    size_t skip, prefix;
    lzr_request_path(r, &skip, &prefix);
    r->path = r->raw + skip + prefix;
    r->npath = r->nraw - skip - prefix;
    r->prefix = prefix;
    r->trusted = prefix > 0;
}

bool lzr_admit(struct lzr_http_req *r, enum MHD_Result *out)
{
    const struct lzr_access *a = &r->server->access;
    bool options = strcmp(r->method, "OPTIONS") == 0;
    find_path(r);
    if (!lzr_target_is_clean(r->raw, r->nraw) && !(options && strcmp(r->raw, "*") == 0)) {
        *out = lzr_respond_text(r, 400, "the request target makes no sense\n");
        return false;
    }
    if (!admit_host(r, out)) {
        return false;
    }
    if (options) { /* a preflight carries no credentials */
        *out = lzr_respond_options(r);
        return false;
    }
    r->trusted = r->trusted || lzr_access_bearer(a, lzr_header(r, "Authorization"));
    if (a->token != NULL && !r->trusted && !is_probe(r)) {
        *out = refuse_token(r);
        return false;
    }
    return true;
}

/* A proxy on this machine may say nothing of itself, but passes on the name that it was asked for:
 * only what is asked under a name that no other machine has is from here for sure. */
static bool is_asked_here(const struct lzr_http_req *r)
{
    struct name names[2];
    names_of(r, names);
    return names[0].text != NULL && lzr_authority_is_loopback(names[0].text, names[0].n) &&
           (names[1].text == NULL || lzr_authority_is_loopback(names[1].text, names[1].n));
}

/* What headers begin with that only a proxy, a balancer or a content network adds: of what it was
 * asked, by whom, and of itself. Some add one of them and nothing else. */
static const char *const proxies[] = {
    "Forwarded",        "Via",
    "X-Wap-",           "X-Real-",
    "X-Original-",      "X-Originating-",
    "X-Client-",        "X-Cluster-Client-",
    "X-Remote-",        "X-Proxy",
    "X-Scheme",         "X-Url-Scheme",
    "X-Host",           "X-HTTPS",
    "X-SSL",            "X-Rewrite-URL",
    "X-Envoy-",         "X-Nginx-",
    "X-ARR-",           "X-Azure-",
    "X-Amzn-",          "X-Amz-Cf-",
    "X-Cloud-Trace-",   "X-AppEngine-",
    "X-Varnish",        "X-ProxyUser-",
    "X-TLS-",           "X-Coming-From",
    "True-Client-",     "CF-",
    "CDN-Loop",         "Client-IP",
    "Fastly-",          "Fly-",
    "Akamai-",          "Incap-",
    "Front-End-Https",  "Proxy-",
    "WL-Proxy-",        "Surrogate-Capability",
    "Cluster-Client-",  "X-Forward",
    "X-True-Client-",   "X-Source-",
    "X-Script-Name",    "X-Ingress-",
    "X-HTTP-Host",      "X-Traefik-",
    "X-Replaced-Path",  "X-Akamai-",
    "X-Sucuri-",        "X-Vercel-",
    "X-Edge-",          "X-LB-",
    "X-CDN",            "CloudFront-",
    "Ali-CDN-",         "Remote-",
    "X-Auth-Request-",  "X-Authentik-",
    "X-WebAuth-",       "X-Goog-",
    "Tailscale-",       "Oidc-",
    "X-Bluecoat-",      "X-Iinfo",
};

static enum MHD_Result look_for_proxy(void *cls, enum MHD_ValueKind kind, const char *key,
                                      size_t nkey, const char *value, size_t nvalue)
{
    bool *found = cls;
    (void)kind;
    (void)nkey;
    (void)value;
    (void)nvalue;
    for (size_t i = 0; !*found && i < sizeof proxies / sizeof proxies[0]; i++) {
        *found = strncasecmp(key, proxies[i], strlen(proxies[i])) == 0;
    }
    return *found ? MHD_NO : MHD_YES;
}

bool lzr_is_local_peer(const struct lzr_http_req *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    bool proxied = false;
    lzr_headers_each(r, look_for_proxy, &proxied);
    return !proxied && info != NULL && lzr_is_loopback(info->client_addr) && is_asked_here(r);
}

bool lzr_admit_action(struct lzr_http_req *r, enum MHD_Result *out)
{
    const char *origin = lzr_header(r, "Origin");
    const char *site = lzr_header(r, "Sec-Fetch-Site");
    if (strcmp(r->method, "POST") != 0) {
        *out = respond_405(r, "POST");
        return false;
    }
    /* Whatever address we are bound to: also a page that made its own name mean this machine
     * doesn't ask under a name of this machine's. */
    if (!r->trusted && !lzr_is_local_peer(r)) {
        *out =
            lzr_respond_text(r, 403,
                             "only with a token, or from the machine itself, asked as localhost\n");
        return false;
    }
    if ((origin != NULL &&
         !lzr_access_same_origin(&r->server->access, origin, lzr_header(r, "Host"))) ||
        (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)) {
        *out = lzr_respond_text(r, 403, "a page of another origin may not ask for this\n");
        return false;
    }
    return true;
}
