#include "cli/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

#define FIRST_GIVEN 3
#define SEND_MS 200 /* until a datagram must be taken; then it is tried again, or was a ping */
#define END_US 500000

static bool number(const char *text, unsigned long long *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

/* Whether a variable names this process, or, where it isn't there, counts as if it did. */
static bool is_for_us(const char *name, bool absent)
{
    unsigned long long pid;
    const char *text = getenv(name);
    return text == NULL ? absent : number(text, &pid) && pid == (unsigned long long)getpid();
}

static enum lzr_code take_sockets(struct lzr_service *s, struct lzr_err *err)
{
    unsigned long long n;
    const char *text = getenv("LISTEN_FDS");
    if (text == NULL || !is_for_us("LISTEN_PID", false)) {
        return LZR_OK; /* they are another process' of our family */
    }
    if (!number(text, &n) || n > LZR_SERVICE_SOCKETS) {
        return lzr_err_set(err, LZR_E_INVAL, "LISTEN_FDS must be 0 to %d, got '%s'",
                           LZR_SERVICE_SOCKETS, text);
    }
    for (; s->ngiven < n; s->ngiven++) {
        int fd = FIRST_GIVEN + (int)s->ngiven;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            return lzr_err_sys(err, "LISTEN_FDS is %s, but descriptor %d isn't there", text, fd);
        }
        s->given[s->ngiven] = fd;
    }
    return LZR_OK;
}

/* A path, or "@" and a name that no file system has. */
static void take_notify(struct lzr_service *s)
{
    const char *text = getenv("NOTIFY_SOCKET");
    size_t n = text != NULL ? strlen(text) : 0;
    if (n == 0) {
        return;
    }
    if ((*text != '/' && *text != '@') || n < 2 || n >= sizeof s->at.sun_path) {
        (void)snprintf(s->odd, sizeof s->odd, "%s", text);
        return;
    }
    s->at.sun_family = AF_UNIX;
    memcpy(s->at.sun_path, text, n);
    s->at_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (*text == '@') {
        s->at.sun_path[0] = '\0';
    } else {
        s->at_bytes++;
    }
}

enum lzr_code lzr_service_take(struct lzr_service *s, struct lzr_err *err)
{
    static const char *const names[] = {"LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES",
                                        "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_USEC",
                                        "WATCHDOG_PID"};
    *s = (struct lzr_service){.mu = PTHREAD_MUTEX_INITIALIZER,
                              .alive_mu = PTHREAD_MUTEX_INITIALIZER};
    unsigned long long us;
    const char *watchdog = getenv("WATCHDOG_USEC");
    enum lzr_code code = take_sockets(s, err);
    take_notify(s);
    if (watchdog != NULL && number(watchdog, &us) && is_for_us("WATCHDOG_PID", true)) {
        s->watchdog_us = us;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unsetenv(names[i]); /* not for what we start */
    }
    return code;
}

/* 0, or why it couldn't be sent. */
static int send_text(const struct lzr_service *s, const char *text)
{
    const struct timeval most = {.tv_usec = SEND_MS * 1000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), why = 0;
    if (fd < 0) {
        return errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&s->at,
               s->at_bytes) < 0) {
        why = errno;
    }
    close(fd);
    return why;
}

static bool lives(struct lzr_service *s)
{
    pthread_mutex_lock(&s->alive_mu);
    bool ok = s->alive == NULL || s->alive(s->alive_ctx);
    pthread_mutex_unlock(&s->alive_mu);
    return ok;
}

/* With mu: until there is something to send, or this time has come (0: never). */
static void await_news(struct lzr_service *s, uint64_t until)
{
    const struct timespec at = lzr_timespec(until);
    while (s->nqueue == 0 && !s->end && (until == 0 || lzr_now_us() < until)) {
        if (until == 0) {
            pthread_cond_wait(&s->news, &s->mu);
        } else {
            (void)pthread_cond_timedwait(&s->news, &s->mu, &at);
        }
    }
}

/* Sends the first of those that wait, which stays first where its reader has no room for it. */
static void send_first(struct lzr_service *s, bool *said)
{
    char text[LZR_SERVICE_TEXT];
    pthread_mutex_lock(&s->mu);
    memcpy(text, s->queue[0], sizeof text);
    pthread_mutex_unlock(&s->mu);
    int why = send_text(s, text);
    if (why != 0 && !*said) {
        *said = true;
        lzr_log(s->log, LZR_LOG_WARN, "the service manager at NOTIFY_SOCKET can't be told: %s",
                strerrordesc_np(why));
    }
    pthread_mutex_lock(&s->mu);
    if ((why != EAGAIN && why != EINTR && why != ENOBUFS) || s->end) {
        s->nqueue--;
        memmove(s->queue[0], s->queue[1], s->nqueue * sizeof s->queue[0]);
    }
    pthread_mutex_unlock(&s->mu);
}

static void *service_main(void *arg)
{
    struct lzr_service *s = arg;
    uint64_t step = s->watchdog_us / 2, ping = s->watchdog_us > 0 ? lzr_now_us() + step : 0;
    bool said = false, last = false;
    while (!last) {
        pthread_mutex_lock(&s->mu);
        await_news(s, ping);
        bool any = s->nqueue > 0;
        last = s->end && !any;
        pthread_mutex_unlock(&s->mu);
        if (any) {
            send_first(s, &said);
        }
        if (ping > 0 && lzr_now_us() >= ping && !last) {
            if (lives(s)) {
                (void)send_text(s, "WATCHDOG=1");
            }
            ping = lzr_now_us() + step;
        }
    }
    pthread_mutex_lock(&s->mu);
    s->over = true;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

enum lzr_code lzr_service_start(struct lzr_service *s, const struct lzr_log *log,
                                struct lzr_err *err)
{
    pthread_condattr_t attr;
    s->log = log;
    if (s->odd[0] != '\0') { /* no reason not to serve */
        lzr_log(log, LZR_LOG_WARN,
                "NOTIFY_SOCKET must be a path or @NAME of at most %zu bytes, got '%s': nobody is "
                "told",
                sizeof s->at.sun_path - 1, s->odd);
    }
    if (s->at_bytes == 0) {
        return LZR_OK;
    }
    LZR_ZERO(pthread_condattr_init(&attr));
    LZR_ZERO(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    LZR_ZERO(pthread_cond_init(&s->news, &attr));
    LZR_ZERO(pthread_condattr_destroy(&attr));
    int rc = pthread_create(&s->thread, NULL, service_main, s);
    if (rc != 0) {
        errno = rc;
        return lzr_err_sys(err, "cannot start a thread");
    }
    s->runs = true;
    return LZR_OK;
}

void lzr_service_say(struct lzr_service *s, const char *fmt, ...)
{
    va_list ap;
    if (!s->runs) {
        return;
    }
    pthread_mutex_lock(&s->mu);
    if (s->nqueue < LZR_SERVICE_QUEUE) { /* else it reads nothing anyway */
        va_start(ap, fmt);
        (void)vsnprintf(s->queue[s->nqueue++], LZR_SERVICE_TEXT, fmt, ap);
        va_end(ap);
    }
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->mu);
}

void lzr_service_alive(struct lzr_service *s, bool (*alive)(void *ctx), void *ctx)
{
    if (s->runs) {
        pthread_mutex_lock(&s->alive_mu);
        s->alive = alive;
        s->alive_ctx = ctx;
        pthread_mutex_unlock(&s->alive_mu);
    }
}

void lzr_service_end(struct lzr_service *s)
{
    if (!s->runs) {
        return;
    }
    uint64_t until = lzr_now_us() + END_US;
    const struct timespec at = lzr_timespec(until);
    pthread_mutex_lock(&s->mu);
    s->end = true;
    pthread_cond_broadcast(&s->news);
    while (!s->over && lzr_now_us() < until) {
        (void)pthread_cond_timedwait(&s->news, &s->mu, &at);
    }
    bool over = s->over;
    pthread_mutex_unlock(&s->mu);
    if (over) {
        LZR_ZERO(pthread_join(s->thread, NULL));
    } else {
        LZR_ZERO(pthread_detach(s->thread)); /* its memory stays until the process ends */
    }
    s->runs = false;
}
