#include "http/headroom.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "http/badhead.h"
#include "http/request.h"

enum {
    PAGE = 4096,
    SHORT = 900,       /* whatever it is made of, it fits */
    PART = 64,         /* what the library needs for a header, or a cookie */
    PLENTY = 20480,    /* what it always has for them, beside what it read */
    READ = 32768,      /* it reads so much at first, which is half of what it may */
    MOST = 40960,      /* ... and never more than this, unless many empty lines came before */
    CLOSE_WAIT = 8     /* TCP_CLOSE_WAIT, which linux/tcp.h lacks */
};

/* Where things lie in the library's memory. */
struct place {
    const char *method;
    size_t blanks; /* before it */
    char *lines;   /* behind the request line */
    size_t lead;   /* bytes of that */
};

/* False: it isn't as it should be. */
static bool find_place(const struct lzr_http_req *r, const char *uri, struct place *at)
{
    const char *version = uri + r->nraw + 1;
    /* The byte behind the line's end may be nobody's: no page may begin there. */
    if (strncmp(MHD_get_version(), "0.9.", 4) != 0 || r->nraw >= LZR_MAX_HEAD ||
        ((uintptr_t)version + 9) % PAGE == 0) {
        return false;
    }
    const char *p = uri;
    if ((uintptr_t)p % PAGE == 0 || *--p != '\0' || (uintptr_t)p % PAGE == 0 || p[-1] == '\0' ||
        memcmp(version, "HTTP/1.", 7) != 0 || version[8] != '\0') {
        return false;
    }
    while ((uintptr_t)p % PAGE != 0 && p[-1] != '\0') {
        p--;
    }
    at->method = p;
    const char *lines = version + (version[9] == '\0' ? 10 : 9);
    at->blanks = (uintptr_t)at->method % PAGE;
    at->lines = (char *)(uintptr_t)lines; /* the library's, and to be changed by it */
    at->lead = (size_t)(lines - at->method);
    return true;
}

static size_t count(const char *p, const char *end, char c)
{
    size_t n = 0;
    while ((p = memchr(p, c, (size_t)(end - p))) != NULL) {
        n++;
        p++;
    }
    return n;
}

/* Whether the head is whole, in the page that the request line ends in, and the library has the
 * room. */
static bool is_ordinary(const struct place *at)
{
    const char *p = at->lines, *end = p - 1 + (PAGE - (uintptr_t)(p - 1) % PAGE), *lf;
    size_t parts = 0;
    while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (lf == p || (lf == p + 1 && *p == '\r')) {
            break;
        }
        parts++;
        p = lf + 1;
    }
    size_t n = (size_t)(p - at->lines);
    if (lf == NULL || n <= SHORT) {
        return lf != NULL;
    }
    parts += count(at->lines, p, ';') + count(at->lines, p, ',');
    return parts * PART + 2 * n <= PLENTY;
}

/* Bytes that have come on this socket, read or not. */
static bool bytes_received(int fd, uint64_t *out)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0) {
        return false;
    }
    *out = info.tcpi_bytes_received - (info.tcpi_state >= CLOSE_WAIT); /* its end counts as one */
    return info.tcpi_bytes_received != 0; /* before Linux 4.1 */
}

/* Bytes that have been read from it; false: the system doesn't say. */
static bool bytes_read(int fd, uint64_t *out)
{
    uint64_t before, after;
    int unread;
    if (!bytes_received(fd, &after)) {
        return false;
    }
    for (int i = 0; i < 100; i++) {
        before = after;
        if (ioctl(fd, FIONREAD, &unread) != 0 || !bytes_received(fd, &after)) {
            return false;
        }
        if (before == after) { /* nothing came while we asked */
            *out = after - (unsigned)unread;
            return true;
        }
    }
    return false;
}

/* Bytes of lines that the library has; false: that isn't certain. */
static bool count_lines(const struct lzr_http_req *r, struct place *at, size_t *n)
{
    uint64_t all;
    if (!bytes_read(r->line->fd, &all) || all < r->line->taken) {
        return false;
    }
    all -= r->line->taken;
    if (all + 1 == at->lead && at->lines[-2] == '\0') { /* ended by a line feed alone */
        at->lead--;
        at->lines--;
    }
    if (all < at->lead || all > MOST) {
        return false;
    }
    /* So many bytes from here on may lie beyond what has come, if pages of empty lines came before;
     * but then there is a zero byte behind what did. */
    *n = (size_t)all - at->lead;
    return strnlen(at->lines, *n) == *n || (all <= READ && at->lines[*n - 1] != '\0');
}

/* Closes the connection, with an answer if there is a reason. */
static void refuse(void *what)
{
    struct lzr_http_req *r = what;
    lzr_badhead_answer(r, 431, lzr_badhead_too_long(r->server));
}

static void done(void *what)
{
    struct lzr_http_req *r = what;
    MHD_resume_connection(r->conn);
}

static void read_on(struct lzr_http_req *r, struct lzr_longhead *head)
{
    MHD_suspend_connection(r->conn);
    if (!lzr_tails_add(r->server->tails, r->line->fd, head, r)) {
        (void)shutdown(r->line->fd, SHUT_RDWR);
        done(r);
    }
}

void lzr_headroom_begin(struct lzr_http_req *r, const char *uri)
{
    struct place at = {0};
    size_t n;
    if (r->line == NULL || !find_place(r, uri, &at)) {
        return;
    }
    r->line->taken += at.blanks;
    if (is_ordinary(&at)) {
        lzr_badhead_whole(r);
        return;
    }
    if (!count_lines(r, &at, &n)) {
        return;
    }
    r->own = lzr_calloc(1, sizeof *r->own);
    if (r->own == NULL) {
        return; /* the library may have the memory */
    }
    (void)snprintf(r->method, sizeof r->method, "%.15s", at.method);
    r->own->lead = at.lead;
    enum lzr_longhead_state state = lzr_longhead_seize(r->own, at.lines, n);
    if (r->own->no_memory) {
        lzr_headroom_drop(r);
    } else if (state == LZR_LONGHEAD_WHOLE) {
        (void)lzr_longhead_parse(r->own);
    } else if (state == LZR_LONGHEAD_MORE) {
        read_on(r, r->own);
    } else {
        refuse(r);
        read_on(r, NULL);
    }
}

size_t lzr_headroom_bytes(const struct lzr_http_req *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return r->own != NULL ? r->own->whole : info != NULL ? info->header_size : 0;
}

bool lzr_headroom_end(struct lzr_http_req *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    lzr_badhead_whole(NULL);
    if (r->line != NULL) {
        r->line->taken += lzr_headroom_bytes(r);
    }
    return r->own == NULL || (info != NULL && info->header_size + r->own->gone == r->own->whole);
}

void lzr_headroom_drop(struct lzr_http_req *r)
{
    if (r->own != NULL) {
        lzr_longhead_release(r->own);
        lzr_free(r->own);
        r->own = NULL;
    }
}

const char *lzr_header(const struct lzr_http_req *r, const char *name)
{
    return r->own != NULL ? lzr_longhead_find(r->own, name)
                          : MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

void lzr_headers_each(const struct lzr_http_req *r, MHD_KeyValueIteratorN f, void *cls)
{
    const struct lzr_longhead *h = r->own;
    if (h == NULL) {
        (void)MHD_get_connection_values_n(r->conn, MHD_HEADER_KIND, f, cls);
        return;
    }
    for (size_t i = 0; i < h->nfields; i++) {
        const struct lzr_field *x = &h->fields[i];
        if (f(cls, MHD_HEADER_KIND, h->text + x->name, x->nname, h->text + x->value, x->nvalue) !=
            MHD_YES) {
            return;
        }
    }
}

enum lzr_code lzr_headroom_open(struct lzr_server *s, struct lzr_err *err)
{
    return lzr_tails_new(refuse, done, &s->tails, err);
}

void lzr_headroom_stop(struct lzr_server *s)
{
    lzr_tails_stop(s->tails);
}
