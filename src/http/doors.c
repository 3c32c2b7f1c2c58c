#include "http/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "http/request.h"

/* Ports that are tried until one is free at all addresses. */
enum { TRIES = 20 };

static uint16_t port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        return 0;
    }
    return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                        : ((struct sockaddr_in6 *)&a)->sin6_port);
}

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET) {
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    }
}

/* Two programs may bind one address as long as neither listens, so that one which has the port
 * could lose it while it loads. To listen for a moment tells whether somebody else has it; not to
 * allow that it is shared, from then on, keeps it. (A port that the system picked would be let go
 * by that, and nobody was told of it.) */
static bool claim(int fd)
{
    int zero = 0;
    return listen(fd, 1) == 0 && shutdown(fd, SHUT_RD) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &zero, sizeof zero) == 0;
}

/* -1: errno says why. several: this is one of several addresses, of which each has its own socket.
 */
static int bind_one(const struct addrinfo *a, uint16_t port, bool several)
{
    struct sockaddr_storage at = {0};
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (port != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (several && a->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    memcpy(&at, a->ai_addr, a->ai_addrlen);
    set_port(&at, port);
    if (bind(fd, (const struct sockaddr *)&at, a->ai_addrlen) != 0 ||
        (port != 0 && !claim(fd))) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

/* Whether the same address stands earlier in the list, as it does when a hosts file names it twice.
 */
static bool is_again(const struct addrinfo *list, const struct addrinfo *a)
{
    while (list != a && (list->ai_addrlen != a->ai_addrlen ||
                         memcmp(list->ai_addr, a->ai_addr, a->ai_addrlen) != 0)) {
        list = list->ai_next;
    }
    return list != a;
}

static void close_all(struct lzr_doors *d)
{
    while (d->n > 0) {
        close(d->fds[--d->n]);
    }
}

/* Whether it stands for all addresses of its family. */
static bool is_any(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/* Every address that this machine has; one that it doesn't (no IPv6 here) is left out. False: errno
 * says why none or, at this port, not all. */
static bool bind_all(struct lzr_doors *d, const struct addrinfo *list, uint16_t port)
{
    bool several = list->ai_next != NULL;
    int why = EADDRNOTAVAIL;
    d->loopback = true;
    d->any = false;
    for (const struct addrinfo *a = list; a != NULL && d->n < LZR_DOORS_MAX; a = a->ai_next) {
        if (is_again(list, a)) {
            continue;
        }
        int fd = bind_one(a, d->n > 0 ? port_of(d->fds[0]) : port, several);
        if (fd >= 0) {
            d->fds[d->n++] = fd;
            d->loopback = d->loopback && lzr_is_loopback(a->ai_addr);
            d->any = d->any || is_any(a->ai_addr);
        } else {
            why = errno;
            if (why != EADDRNOTAVAIL && why != EAFNOSUPPORT) {
                close_all(d);
                errno = why;
                return false;
            }
        }
    }
    errno = why;
    return d->n > 0;
}

enum lzr_code lzr_doors_open(struct lzr_doors *d, const char *host, uint16_t port,
                             struct lzr_err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    *d = (struct lzr_doors){.stop = {-1, -1}};
    int rc = getaddrinfo(host, "0", &hints, &list);
    if (rc != 0) {
        return lzr_err_set(err, LZR_E_INVAL, "--host '%s': %s", host, gai_strerror(rc));
    }
    bool ok = false;
    for (int i = 0; !ok && i < (port == 0 ? TRIES : 1); i++) {
        ok = bind_all(d, list, port);
    }
    int why = errno;
    freeaddrinfo(list);
    if (!ok) {
        errno = why;
        return lzr_err_sys(err, "cannot listen on %s port %u%s", host, port,
                           why == EADDRINUSE
                               ? " (is another lazarr running? --port 0 picks a free one)"
                               : "");
    }
    d->port = port_of(d->fds[0]);
    return LZR_OK;
}

static int option(int fd, int which)
{
    int value = -1;
    socklen_t n = sizeof value;
    return getsockopt(fd, SOL_SOCKET, which, &value, &n) == 0 ? value : -1;
}

static enum lzr_code take_given(struct lzr_doors *d, int fd, struct lzr_err *err)
{
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return lzr_err_sys(err, "LISTEN_FDS: descriptor %d isn't open", fd);
    }
    d->fds[d->n++] = fd;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    int family = getsockname(fd, (struct sockaddr *)&at, &n) == 0 ? at.ss_family : -1;
    if ((family != AF_INET && family != AF_INET6) || option(fd, SO_TYPE) != SOCK_STREAM ||
        option(fd, SO_ACCEPTCONN) != 1) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "LISTEN_FDS: descriptor %d is no TCP socket that listens (in a .socket "
                           "unit: ListenStream=ADDRESS:PORT, Accept=no)",
                           fd);
    }
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return lzr_err_sys(err, "LISTEN_FDS: descriptor %d", fd);
    }
    d->loopback = d->loopback && lzr_is_loopback((struct sockaddr *)&at);
    d->any = d->any || is_any((struct sockaddr *)&at);
    if (d->name[0] == '\0') {
        (void)getnameinfo((struct sockaddr *)&at, n, d->name, sizeof d->name, NULL, 0,
                          NI_NUMERICHOST);
    }
    return LZR_OK;
}

enum lzr_code lzr_doors_given(struct lzr_doors *d, const int *fds, size_t n, struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    *d = (struct lzr_doors){.stop = {-1, -1}, .given = true, .loopback = true};
    if (n > LZR_DOORS_MAX) {
        code = lzr_err_set(err, LZR_E_LIMIT, "LISTEN_FDS: %zu sockets; at most %d can be taken", n,
                           LZR_DOORS_MAX);
    }
    for (size_t i = 0; i < n && code == LZR_OK; i++) {
        code = take_given(d, fds[i], err);
    }
    if (code != LZR_OK) {
        close_all(d);
        return code;
    }
    d->port = port_of(d->fds[0]);
    return LZR_OK;
}

int lzr_doors_first(const struct lzr_doors *d)
{
    return d->given ? -1 : d->fds[0];
}

enum lzr_code lzr_doors_listen(struct lzr_doors *d, const char *host, struct lzr_err *err)
{
    int one = 1;
    for (size_t i = 0; i < d->n && !d->given; i++) {
        /* What is left of its connections must not keep a successor from the port. */
        (void)setsockopt(d->fds[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (listen(d->fds[i], 1024) != 0) { /* the port may have been taken since it was bound */
            return lzr_err_sys(err, "cannot listen on %s port %u", host, d->port);
        }
    }
    return LZR_OK;
}

/* One connection. False: none can be taken now. */
static bool take_in(const struct lzr_doors *d, int fd)
{
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    int conn = accept4(fd, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (conn < 0) {
        return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
    }
    /* Closes it where it can't take it. */
    (void)MHD_add_connection(d->daemon, conn, (const struct sockaddr *)&peer, n);
    return true;
}

static void *doors_main(void *arg)
{
    const struct lzr_doors *d = arg;
    const struct timespec pause = {.tv_nsec = 50000000};
    struct pollfd p[LZR_DOORS_MAX + 1] = {{.fd = d->stop[0], .events = POLLIN}};
    nfds_t n = 1;
    for (size_t i = d->given ? 0 : 1; i < d->n; i++) { /* not the library's own */
        p[n++] = (struct pollfd){.fd = d->fds[i], .events = POLLIN};
    }
    for (;;) {
        bool ok = true;
        if (poll(p, n, -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (p[0].revents != 0) {
            return NULL;
        }
        for (nfds_t i = 1; i < n; i++) {
            ok = (p[i].revents == 0 || take_in(d, p[i].fd)) && ok;
        }
        if (!ok) {
            (void)nanosleep(&pause, NULL); /* no descriptors: others have to leave first */
        }
    }
}

enum lzr_code lzr_doors_attend(struct lzr_doors *d, struct MHD_Daemon *daemon, struct lzr_err *err)
{
    d->daemon = daemon;
    if (d->n < 2 && !d->given) {
        return LZR_OK;
    }
    if (pipe2(d->stop, O_CLOEXEC) != 0) {
        return lzr_err_sys(err, "the HTTP server can't start: cannot make a pipe");
    }
    int rc = pthread_create(&d->thread, NULL, doors_main, d);
    if (rc != 0) {
        errno = rc;
        return lzr_err_sys(err, "the HTTP server can't start a thread");
    }
    d->attended = true;
    return LZR_OK;
}

void lzr_doors_leave(struct lzr_doors *d)
{
    if (d->attended) {
        close(d->stop[1]);
        d->stop[1] = -1;
        LZR_ZERO(pthread_join(d->thread, NULL));
        d->attended = false;
    }
}

void lzr_doors_close(struct lzr_doors *d, bool first)
{
    for (size_t i = first ? 0 : 1; i < d->n; i++) {
        close(d->fds[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (d->n > 0 && d->stop[i] >= 0) {
            close(d->stop[i]);
        }
    }
    *d = (struct lzr_doors){.stop = {-1, -1}};
}
