/* load.c: a load generator for chunk servers: keep-alive connections on one thread, each asking for
 * one path after another and reading at least 1 MiB at a time when there is as much. wrk reads
 * 8 KiB at a time, which hides what a server does above 16 KiB.
 *
 *   load HOST PORT CONNECTIONS SECONDS PATHFILE [MAXREQUESTS]
 *
 * PATHFILE holds one path a line; connections walk it round robin from different places. Prints one
 * line of JSON: requests, seconds, per_second, bytes, errors (a status other than 200, or a broken
 * answer), p50_us and p99_us of a request. Ends after SECONDS, or after MAXREQUESTS. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 4 << 20, SAMPLES = 1 << 20 };

struct conn {
    int fd;
    size_t path;     /* the next one to ask for */
    uint64_t got;    /* bytes of the answer so far, where its size is known from before */
    char head[8192];
    size_t nhead;    /* bytes of the header so far */
    bool body;       /* the header is complete */
    uint64_t left;   /* bytes of the body to come */
    uint64_t begun_us;
};

struct run {
    const char *host;
    char **requests;
    size_t *lengths;
    uint64_t *whole; /* bytes of a path's whole answer, head included; 0: not asked for yet */
    size_t nrequests;
    uint64_t done, bytes, errors, most;
    uint32_t *samples;
    struct sockaddr_in addr;
    int epoll;
};

static uint64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void send_request(struct run *r, struct conn *c)
{
    const char *q = r->requests[c->path];
    size_t n = r->lengths[c->path];
    c->nhead = 0;
    c->got = 0;
    c->body = false;
    c->begun_us = now_us();
    if (send(c->fd, q, n, MSG_NOSIGNAL) != (ssize_t)n) {
        die("send");
    }
}

static void open_conn(struct run *r, struct conn *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&r->addr, sizeof r->addr) != 0) {
        die("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &ev);
    send_request(r, c);
}

static void finished(struct run *r, struct conn *c)
{
    uint64_t us = now_us() - c->begun_us;
    if (r->done < SAMPLES) {
        r->samples[r->done] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    }
    r->done++;
    c->path = c->path + 1 == r->nrequests ? 0 : c->path + 1;
    if (r->most == 0 || r->done < r->most) {
        send_request(r, c);
    }
}

/* Reads what has come into buf, header bytes first; true if the connection goes on. */
static bool take(struct run *r, struct conn *c, char *buf)
{
    ssize_t got = recv(c->fd, buf, BUFFER, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0) {
        return false;
    }
    size_t n = (size_t)got;
    r->bytes += n;
    if (r->whole[c->path] != 0 && !c->body && c->nhead == 0) {
        /* Every answer to one path has one size: its head is looked at once, later only its status.
         * One that began before the size was known goes on as it began. */
        if (c->got == 0 && (n < 12 || memcmp(buf, "HTTP/1.1 200", 12) != 0)) {
            r->errors++;
            return false;
        }
        c->got += n;
        if (c->got > r->whole[c->path]) {
            r->errors++;
            return false;
        }
        if (c->got == r->whole[c->path]) {
            finished(r, c);
        }
        return true;
    }
    if (!c->body) {
        size_t room = sizeof c->head - 1 - c->nhead;
        size_t part = n < room ? n : room;
        memcpy(c->head + c->nhead, buf, part);
        c->head[c->nhead + part] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (end == NULL) {
            c->nhead += part;
            return c->nhead < sizeof c->head - 1;
        }
        size_t used = (size_t)(end + 4 - c->head) - c->nhead; /* of buf */
        char *len = strcasestr(c->head, "\r\ncontent-length:");
        if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || len == NULL) {
            r->errors++;
            return false;
        }
        c->left = strtoull(len + 17, NULL, 10);
        c->got = (uint64_t)(end + 4 - c->head) + c->left;
        c->body = true;
        n -= used;
    }
    if (n > c->left) {
        r->errors++;
        return false;
    }
    c->left -= n;
    if (c->left == 0) {
        r->whole[c->path] = strstr(c->head, "desc=miss") == NULL ? c->got : 0;
        finished(r, c);
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void read_paths(struct run *r, const char *file, const char *port)
{
    char line[4096];
    FILE *f = fopen(file, "r");
    if (f == NULL) {
        die(file);
    }
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        char *q = malloc(strlen(line) + 256);
        r->requests = realloc(r->requests, (r->nrequests + 1) * sizeof *r->requests);
        if (q == NULL || r->requests == NULL) {
            die("malloc");
        }
        sprintf(q, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", line, r->host, port);
        r->lengths = realloc(r->lengths, (r->nrequests + 1) * sizeof *r->lengths);
        if (r->lengths == NULL) {
            die("malloc");
        }
        r->lengths[r->nrequests] = strlen(q);
        r->requests[r->nrequests++] = q;
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: load HOST PORT CONNECTIONS SECONDS PATHFILE [MAXREQUESTS]\n");
        return 2;
    }
    struct run r = {.host = argv[1], .epoll = epoll_create1(0)};
    size_t nconns = (size_t)atoi(argv[3]);
    r.most = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
    r.addr.sin_family = AF_INET;
    r.addr.sin_port = htons((uint16_t)atoi(argv[2]));
    inet_pton(AF_INET, argv[1], &r.addr.sin_addr);
    read_paths(&r, argv[5], argv[2]);
    char *buf = malloc(BUFFER);
    struct conn *conns = calloc(nconns, sizeof *conns);
    r.whole = calloc(r.nrequests, sizeof *r.whole);
    r.samples = calloc(SAMPLES, sizeof *r.samples);
    if (buf == NULL || conns == NULL || r.samples == NULL || r.whole == NULL || r.nrequests == 0) {
        die("set-up");
    }
    uint64_t t0 = now_us(), until = t0 + (uint64_t)(atof(argv[4]) * 1e6), t = t0;
    for (size_t i = 0; i < nconns; i++) {
        conns[i].path = i * r.nrequests / nconns;
        open_conn(&r, &conns[i]);
    }
    while (t < until && (r.most == 0 || r.done < r.most)) {
        struct epoll_event ev[64];
        int n = epoll_wait(r.epoll, ev, 64, 100);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (!take(&r, c, buf)) {
                r.errors += c->left > 0 || c->nhead > 0 || c->got > 0;
                close(c->fd);
                open_conn(&r, c);
            }
        }
        t = now_us();
    }
    size_t k = r.done < SAMPLES ? r.done : SAMPLES;
    qsort(r.samples, k, sizeof *r.samples, by_value);
    double s = (double)(t - t0) / 1e6;
    printf("{\"requests\": %llu, \"seconds\": %.4f, \"per_second\": %.1f, \"bytes\": %llu, "
           "\"errors\": %llu, \"p50_us\": %u, \"p99_us\": %u}\n",
           (unsigned long long)r.done, s, (double)r.done / s, (unsigned long long)r.bytes,
           (unsigned long long)r.errors, k ? r.samples[k / 2] : 0, k ? r.samples[k * 99 / 100] : 0);
    return r.errors != 0;
}
