#include "http/badhead.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "http/request.h"

enum { FEW = 64 };

/* The request whose head is complete and that no handler has seen: there is one at most, since the
 * library goes on to the handler at once. */
static struct lzr_http_req *find_refused(struct lzr_server *s)
{
    void *heads[FEW];
    size_t skip = 0, n;
    do {
        n = lzr_patience_heads(s->patience, &skip, heads, FEW);
        for (size_t i = 0; i < n; i++) {
            struct lzr_http_req *r = heads[i];
            if (MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) != NULL) {
                return r;
            }
        }
    } while (n == FEW);
    return NULL;
}

/* What has come with the head must not be unread when the connection ends: the system would throw
 * the answer away. */
static void read_rest(int fd)
{
    char rest[4096];
    for (int i = 0; i < 16 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++) {
    }
}

static const char *reason_of(unsigned status)
{
    return status == 413   ? "Content Too Large"
           : status == 431 ? "Request Header Fields Too Large"
                           : "Bad Request";
}

void lzr_badhead_answer(struct lzr_http_req *r, unsigned status, const char *why)
{
    r->status = status;
    r->refused = true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    char date[64], text[600];
    if (info == NULL) {
        return;
    }
    lzr_day_text(date, sizeof date, LZR_DAY_HTTP, 0);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\nVary: Origin\r\n"
                     "Cross-Origin-Resource-Policy: %s\r\n\r\n%s",
                     status, reason_of(status), date, strlen(why),
                     lzr_cors_resource_policy(&r->server->cors), why);
    (void)send(info->connect_fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(info->connect_fd, SHUT_WR);
    read_rest(info->connect_fd);
    r->sent = strlen(why);
}

static const char too_long[] = "the head is too long (many or large headers: cookies of other "
                               "programs on this host, perhaps)\n";

/* Counts a refusal, and says it once for each kind. */
static void count(struct lzr_server *s, unsigned status, const char *why)
{
    char kind[64];
    (void)snprintf(kind, sizeof kind, "%u %.40s", status, why);
    atomic_fetch_add_explicit(&s->bad_heads, 1, memory_order_relaxed);
    if (lzr_once_due(&s->strange_heads, kind, lzr_now_us())) {
        lzr_log(s->o.log, LZR_LOG_WARN, "a request was refused (%u): %.*s", status,
                (int)strcspn(why, "\n"), why);
    }
}

static const char no_length[] = "the Content-Length makes no sense\n";

const char *lzr_badhead_length(struct lzr_server *s, unsigned status)
{
    count(s, status, no_length);
    return no_length;
}

const char *lzr_badhead_too_long(struct lzr_server *s)
{
    count(s, 431, too_long);
    return too_long;
}

/* This thread's library has said that it closes a connection without an answer: that request's end
 * is reported next. */
static _Thread_local enum { ANSWERED, OURS_DIDNT_FIT, THEIRS_DIDNT_FIT } said;

/* The head that this thread's library is at. */
static _Thread_local struct lzr_http_req *whole;

void lzr_badhead_whole(struct lzr_http_req *r)
{
    whole = r;
}

/* What it says next is of a request that is refused and counted. */
static _Thread_local bool known;

void lzr_badhead_long_line(struct lzr_http_req *r)
{
    lzr_badhead_answer(r, 431, lzr_badhead_too_long(r->server));
    known = true;
}

void lzr_badhead_said(struct lzr_server *s, const char *fmt, va_list ap)
{
    if (strcmp(fmt, "%s\n") == 0) { /* why it closes */
        const char *why = va_arg(ap, const char *);
        said = strstr(why, "error response") != NULL      ? THEIRS_DIDNT_FIT
               : strstr(why, "response header)") != NULL ? OURS_DIDNT_FIT
                                                         : ANSWERED;
        return;
    }
    if (strstr(fmt, "HTTP response code is %u") == NULL || known) {
        return;
    }
    unsigned status = va_arg(ap, unsigned);
    struct lzr_http_req *r = find_refused(s);
    const char *why = status == 431 || status == 414 ? too_long
                      : r != NULL                    ? no_length
                                                     : "it makes no sense\n";
    count(s, status, why);
    r = r != NULL ? r : whole;
    whole = NULL;
    if (r != NULL) {
        lzr_line_head(r->line, NULL);
        lzr_badhead_answer(r, status, why);
    }
}

void lzr_badhead_end(struct lzr_http_req *r)
{
    bool silent = said != ANSWERED && !r->refused;
    if (silent && said == OURS_DIDNT_FIT) {
        count(r->server, 431, too_long); /* theirs has been counted */
    }
    said = ANSWERED;
    known = false;
    whole = whole == r ? NULL : whole;
    if (r->line != NULL) {
        r->line->request = NULL;
    }
    if (r->method[0] == '\0') {
        (void)snprintf(r->method, sizeof r->method, "-"); /* the library doesn't say */
    }
    if (silent) {
        lzr_badhead_answer(r, 431, too_long);
    } else if (r->status == 0) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_HTTP_STATUS);
        r->status = info != NULL ? info->http_status : 0;
    }
}
