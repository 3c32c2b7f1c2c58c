#include "http/access_log.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_json.h"
#include "base/ring.h"
#include "http/mask.h"
#include "http/request.h"

enum { LINE = 12288, TARGET = 1024, HEADER = 512 };

/* A line that is being made; what doesn't fit is left out. */
struct line {
    bool json;
    size_t n;
    char text[LINE];
};

__attribute__((format(printf, 2, 3))) static void say(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->text + l->n, sizeof l->text - l->n, fmt, ap);
    va_end(ap);
    size_t room = sizeof l->text - l->n - 1;
    l->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room;
}

/* What a client sent, between quotes that stand there already. */
static void put(struct line *l, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            say(l, "\\x%02x", c);
        } else if (l->n + 1 < sizeof l->text) {
            l->text[l->n++] = (char)c;
        }
    }
}

static void put_json(struct line *l, const char *name, const char *text)
{
    say(l, ",\"%s\":", name);
    size_t room = sizeof l->text - l->n;
    if (room > 64) { /* always: the texts are bounded */
        l->n += lzr_log_json_string(l->text + l->n, room - 64, text, strlen(text), true);
    }
}

static void client_of(const struct lzr_http_req *r, char *out, size_t n)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info != NULL ? info->client_addr : NULL;
    (void)snprintf(out, n, "-");
    if (peer == NULL) {
        return;
    }
    if (r->head_seen && lzr_proxy_trusted(peer, r->server->o.proxies, r->server->o.nproxies)) {
        const char *list = lzr_header(r, "X-Forwarded-For");
        if (lzr_public_client(list, lzr_header(r, "Forwarded"), out, n)) {
            return;
        }
    }
    if (peer->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, out,
                        (socklen_t)n);
        return;
    }
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
        (void)inet_ntop(AF_INET, &six->s6_addr[12], out, (socklen_t)n);
    } else if (peer->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, six, out, (socklen_t)n);
    }
}

/* A header as the log may have it; "-" where there is none. */
static void header_of(const struct lzr_http_req *r, const char *name, bool url, char out[HEADER])
{
    const char *text = r->head_seen ? lzr_header(r, name) : NULL;
    if (text == NULL) {
        (void)snprintf(out, HEADER, "-");
    } else if (url) {
        lzr_target_mask(text, strlen(text), r->server->access.token, out, HEADER);
    } else {
        (void)lzr_text_mask(text, strlen(text), r->server->access.token, out, HEADER);
    }
}

void lzr_access_log(const struct lzr_http_req *r)
{
    char client[INET6_ADDRSTRLEN + 8], target[TARGET], referer[HEADER], agent[HEADER];
    struct line l = {.json = r->server->o.log != NULL && r->server->o.log->json};
    client_of(r, client, sizeof client);
    lzr_target_mask(r->raw, r->nraw, r->server->access.token, target, sizeof target);
    header_of(r, "Referer", true, referer);
    header_of(r, "User-Agent", false, agent);
    if (l.json) {
        say(&l, "{\"time\":\"%c\",\"client\":\"%s\"", LZR_RING_TIME, client);
        put_json(&l, "method", r->method);
        put_json(&l, "target", target);
        put_json(&l, "protocol", r->protocol);
        say(&l, ",\"status\":%u,\"bytes\":%" PRIu64 ",\"ms\":%.3f,\"hit\":%s", r->status, r->sent,
            (double)(lzr_now_us() - r->begun_us) / 1e3, r->hit ? "true" : "false");
        put_json(&l, "referer", referer);
        put_json(&l, "agent", agent);
        say(&l, "}");
    } else {
        say(&l, "%s - - [%c] \"", client, LZR_RING_TIME);
        put(&l, r->method);
        say(&l, " ");
        put(&l, target);
        say(&l, "%s", r->protocol[0] != '\0' ? " " : "");
        put(&l, r->protocol);
        say(&l, "\" %u %" PRIu64 " \"", r->status, r->sent);
        put(&l, referer);
        say(&l, "\" \"");
        put(&l, agent);
        say(&l, "\"");
    }
    /* What fails is asked for again and again, by viewers that know no other way. */
    lzr_log_bare(r->server->o.log, LZR_LOG_INFO, r->status >= 500 ? r->status : 0, l.text, l.n);
}
