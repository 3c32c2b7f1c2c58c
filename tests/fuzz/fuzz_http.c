/* Any bytes as what a client sends on one connection, to the real server over a real socket: heads
 * that the library refuses, requests one after another, folders with any query. Whatever comes, what
 * comes back is a row of whole answers, of headers that lazarr knows, and it ends.
 *
 * Of the input a byte 0xfe and the two behind it, n and c, stand for 256 × n bytes c: heads that are
 * too long are long. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "http/server.h"
#include "store/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""
static const char MANIFEST[] = "{\"lazarr\":1,\"arrays\":["
                               "{\"path\":\"a\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"levels\":"
                               "[{\"shape\":[10,20],\"chunks\":[4,8]}]," D "},"
                               "{\"path\":\"g/huge\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"levels\":"
                               "[{\"shape\":[\"4611686018427387904\"],\"chunks\":[1]}]," D "},"
                               "{\"path\":\"t\",\"kind\":\"image\",\"dtype\":\"|u1\",\"dims\":"
                               "[\"z\",\"y\",\"x\"],\"levels\":[{\"shape\":[9,9,9],\"chunks\":[4,4,4]},"
                               "{\"shape\":[5,5,5],\"chunks\":[4,4,4],\"factor\":[2,2,2]}],"
                               "\"pyramid\":\"mean\"," D "}]}";

/* Whatever a client says, no other header is in an answer. */
static const char *const known[] = {
    "Accept-Range", "Accept-Ranges", "Access-Control-", "Allow", "Cache-Control", "Connection", "Content-Length",
    "Content-Range", "Content-Security-Policy", "Content-Type", "Cross-Origin-Resource-Policy", "Date",
    "ETag", "Keep-Alive", "Location", "Referrer-Policy", "Retry-After", "Server-Timing",
    "Timing-Allow-Origin", "Transfer-Encoding", "Vary", "WWW-Authenticate", "X-Content-Type-Options",
    "X-Frame-Options"};

enum { MOST = 128 << 10, ANSWER_MOST = 8 << 20 };
enum { SOON_MS = 3, SILENCE_MS = 500, PATIENCE_MS = 20000 };

/* As lzr_driver_open does it, without threads and processes: one chunk is cached, and who asks for
 * another is told that it is stopping. */
static struct lzr_driver *make_driver(void)
{
    struct lzr_driver *d = lzr_calloc(1, sizeof *d);
    const struct lzr_manifest_text text = {"s", "s.py", MANIFEST, sizeof MANIFEST - 1};
    LZR_CHECK(d != NULL);
    d->budget.limit = 1 << 26;
    d->keep = true;
    LZR_ZERO(pthread_mutex_init(&d->mu, NULL));
    LZR_ZERO(pthread_cond_init(&d->started, NULL));
    lzr_failures_init(&d->failures);
    lzr_drops_init(&d->drops);
    lzr_troubles_init(&d->troubles);
    d->codec_epoll = epoll_create1(EPOLL_CLOEXEC);
    d->supervisor_epoll = d->stop_fd = -1;
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->task_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    d->cache = lzr_cache_new(&d->budget, 1 << 20);
    LZR_CHECK(d->cache != NULL && d->task_fd >= 0 && d->wake_fd >= 0);
    LZR_CHECK(lzr_queue_init(&d->queue, LZR_ORDER_BURSTS, NULL) == LZR_OK);
    LZR_CHECK(lzr_planner_init(d, NULL) == LZR_OK);
    LZR_CHECK(lzr_flights_init(&d->flights, NULL) == LZR_OK);
    LZR_CHECK(lzr_catalog_new(&text, 1, &d->catalog, NULL) == LZR_OK);
    d->array_stats = lzr_calloc(lzr_catalog_narrays(d->catalog), sizeof *d->array_stats);
    d->stores = lzr_calloc(1, sizeof *d->stores);
    d->manifests = lzr_calloc(1, sizeof *d->manifests);
    d->manifest_lens = lzr_calloc(1, sizeof *d->manifest_lens);
    d->salts = lzr_calloc(lzr_catalog_narrays(d->catalog), sizeof *d->salts);
    d->nstores = 1;
    LZR_CHECK(d->array_stats != NULL && d->stores != NULL && d->manifests != NULL &&
              d->manifest_lens != NULL && d->salts != NULL);
    d->manifests[0] = lzr_strdup(MANIFEST);
    d->manifest_lens[0] = sizeof MANIFEST - 1;
    d->stores[0] = (struct lzr_named_store){
        .name = lzr_strdup("s"), .path = lzr_strdup("s.py"), .root = lzr_strdup("")};
    LZR_CHECK(lzr_folders_make(d, NULL) == LZR_OK && lzr_folders_map(d, NULL) == LZR_OK);
    static const char chunk[] = "bytes of one chunk: 0123456789";
    const struct lzr_chunk c = {lzr_catalog_array(d->catalog, 0), 0, LZR_ENC_ZARR, 0};
    struct lzr_cache_key k = lzr_cache_key_of(&c);
    LZR_CHECK(lzr_cache_put(d->cache, &k, lzr_blob_dup(chunk, sizeof chunk - 1, &d->budget), 0));
    lzr_driver_drain(d);
    return d;
}

static struct lzr_server *make_server(void)
{
    static const char *const origins[] = {"https://page.example"};
    struct lzr_server_options o = LZR_SERVER_DEFAULTS;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_server *s = NULL;
    struct lzr_driver *d = make_driver();
    o.port = 0;
    o.access_log = false;
    o.first_byte_us = 1000;
    o.head_wait_us = 1000;
    o.header_us = 500000;
    o.origins = origins;
    o.norigins = 1;
    if (lzr_server_new(&o, &s, &err) != LZR_OK || lzr_server_start(s, &d, NULL, &err) != LZR_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return s;
}

/* What stands for more is written out. */
static size_t unfold(const uint8_t *data, size_t size, char out[MOST])
{
    size_t n = 0;
    for (size_t i = 0; i < size && n < MOST; i++) {
        size_t times = data[i] == 0xfe && i + 2 < size ? 256 * (size_t)data[i + 1] : 1;
        times = times < MOST - n ? times : MOST - n;
        i += data[i] == 0xfe && i + 2 < size ? 2 : 0;
        memset(out + n, data[i], times);
        n += times;
    }
    return n;
}

static int dial(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {.l_onoff = 1}; /* else ports run out */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LZR_CHECK(fd >= 0);
    LZR_CHECK(connect(fd, (const struct sockaddr *)(const void *)&to, sizeof to) == 0);
    LZR_ZERO(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    return fd;
}

/* Sends it all, and when something has come, or soon, says that no more will: not at once, since the
 * library overlooks an end that it finds with the head, and then waits for more. Returns what came
 * until the server closed, or was silent for long. */
static size_t talk(uint16_t port, const char *text, size_t n, char *answer)
{
    int fd = dial(port), silent = 0;
    size_t sent = 0, got = 0;
    bool open = true, told = false;
    while (open) {
        struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (sent < n ? POLLOUT : 0))};
        int ready = poll(&p, 1, told ? SILENCE_MS : SOON_MS);
        silent = ready > 0 ? 0 : silent + (told ? SILENCE_MS : SOON_MS);
        LZR_CHECK(silent < PATIENCE_MS); /* it ends */
        open = silent < SILENCE_MS || got == 0;
        if ((p.revents & POLLOUT) != 0) {
            ssize_t k = send(fd, text + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent = k > 0 ? sent + (size_t)k : n; /* it doesn't listen any more */
        }
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            ssize_t k = recv(fd, answer + got, ANSWER_MOST - got, MSG_DONTWAIT);
            open = k > 0 && got + (size_t)k < ANSWER_MOST;
            got += k > 0 ? (size_t)k : 0;
        }
        if (sent == n && !told && (ready == 0 || got > 0)) {
            (void)shutdown(fd, SHUT_WR);
            told = true;
        }
    }
    close(fd);
    return got;
}

static bool is_known(const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    LZR_CHECK(colon != NULL);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i]);
        bool prefix = known[i][len - 1] == '-';
        if ((size_t)(colon - line) >= len && (prefix || (size_t)(colon - line) == len) &&
            strncasecmp(line, known[i], len) == 0) {
            return true;
        }
    }
    return false;
}

struct head {
    unsigned status;
    bool close, length, text;
    size_t body;
};

static bool is_head(const char *p, size_t left)
{
    return left > 13 && memcmp(p, "HTTP/1.", 7) == 0 && p[8] == ' ' && p[9] >= '1' && p[9] <= '5';
}

/* Reads one head; returns its length. */
static size_t read_head(const char *p, size_t left, struct head *h)
{
    const char *end = memmem(p, left, "\r\n\r\n", 4);
    LZR_CHECK(end != NULL && is_head(p, left));
    *h = (struct head){.status = (unsigned)strtoul(p + 9, NULL, 10)};
    LZR_CHECK(h->status >= 100 && h->status < 600);
    const char *line = (const char *)memmem(p, left, "\r\n", 2) + 2;
    while (line < end) {
        const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        size_t n = (size_t)(next - line);
        for (size_t i = 0; i < n; i++) {
            LZR_CHECK((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
        }
        if (!is_known(line, n)) {
            (void)fprintf(stderr, "a header that nobody knows: %.*s\n", (int)n, line);
            abort();
        }
        if (strncasecmp(line, "Content-Length: ", 16) == 0) {
            LZR_CHECK(!h->length);
            h->length = true;
            h->body = strtoull(line + 16, NULL, 10);
        }
        h->close = h->close || strncasecmp(line, "Connection: close", 17) == 0;
        h->text = h->text || strncasecmp(line, "Content-Type: text/", 19) == 0;
        line = next + 2;
    }
    return (size_t)(end + 4 - p);
}

/* A row of whole answers, the last one alone says that it is. Of GDAL's an answer may end early, on
 * purpose. */
static void check(const char *p, size_t left, bool cut)
{
    while (left > 0) {
        struct head h;
        size_t n = read_head(p, left, &h);
        p += n;
        left -= n;
        bool none = left == 0 || is_head(p, left); /* HEAD, 304, ... */
        if (!none) {
            LZR_CHECK(h.status >= 200 && h.length && (cut || h.body <= left));
            n = h.body < left ? h.body : left;
            LZR_CHECK(!h.text || memchr(p, '\0', n) == NULL); /* it is one of ours */
            p += n;
            left -= n;
        }
        LZR_CHECK(!h.close || left == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lzr_server *server;
    static char text[MOST];
    static char *answer;
    if (server == NULL) {
        server = make_server();
        answer = malloc(ANSWER_MOST);
        LZR_CHECK(answer != NULL);
    }
    size_t n = unfold(data, size, text);
    if (n == 0) {
        return 0;
    }
    size_t got = talk(lzr_server_port(server), text, n, answer);
    check(answer, got, memmem(text, n, "GDAL", 4) != NULL);
    return 0;
}
