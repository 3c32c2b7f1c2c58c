#include "http/tails.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "http/longhead.h"

/* Of a head that is too long so much is read at most, beyond what was. */
#define MOST_REST (1 << 20)

struct tail {
    int fd;
    struct lzr_longhead *head;
    void *what;
    bool refused;  /* what comes is thrown away; only the thread's once it is added */
    size_t thrown; /* only the thread's */
    struct tail *prev, *next;
};

struct lzr_tails {
    void (*refuse)(void *what);
    void (*done)(void *what);
    int epoll, stop;
    pthread_t thread;
    bool running; /* only the owner's */
    pthread_mutex_t mu;
    /* Guarded by mu. */
    struct tail *tails;
    bool stopped;
};

static void end(struct lzr_tails *t, struct tail *x)
{
    void *what = x->what;
    pthread_mutex_lock(&t->mu);
    (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, x->fd, NULL);
    *(x->prev != NULL ? &x->prev->next : &t->tails) = x->next;
    if (x->next != NULL) {
        x->next->prev = x->prev;
    }
    pthread_mutex_unlock(&t->mu);
    lzr_free(x);
    t->done(what);
}

static void give_up(struct lzr_tails *t, struct tail *x)
{
    (void)shutdown(x->fd, SHUT_RDWR);
    end(t, x);
}

static void throw_away(struct lzr_tails *t, struct tail *x)
{
    char rest[16384];
    ssize_t n;
    while ((n = recv(x->fd, rest, sizeof rest, MSG_DONTWAIT)) > 0 && x->thrown < MOST_REST) {
        x->thrown += (size_t)n;
    }
    if (n >= 0 || errno != EAGAIN) {
        give_up(t, x);
    }
}

/* Bytes that have been looked at leave the socket. */
static bool take_away(int fd, size_t n)
{
    char gone[4096];
    while (n > 0) {
        ssize_t k = recv(fd, gone, n < sizeof gone ? n : sizeof gone, MSG_DONTWAIT);
        if (k <= 0) {
            return false;
        }
        n -= (size_t)k;
    }
    return true;
}

/* Takes what is there. left: the client has closed its side. */
static void read_on(struct lzr_tails *t, struct tail *x, bool left)
{
    struct lzr_longhead *h = x->head;
    for (;;) {
        size_t room = 0, held = h->held, take;
        char *at = lzr_longhead_room(h, &room);
        ssize_t n = at != NULL ? recv(x->fd, at, room, MSG_PEEK | MSG_DONTWAIT) : 0;
        if (n > 0 && (size_t)n > held) {
            enum lzr_longhead_state state = lzr_longhead_seen(h, (size_t)n, &take);
            if (!take_away(x->fd, take)) {
                h->whole = 0;
                give_up(t, x);
                return;
            }
            if (state == LZR_LONGHEAD_WHOLE) {
                (void)lzr_longhead_parse(h);
                end(t, x);
                return;
            }
            if (state == LZR_LONGHEAD_TOO_LONG) {
                x->refused = true;
                t->refuse(x->what);
                throw_away(t, x);
                return;
            }
        } else if (n == 0 || left || (n < 0 && errno != EAGAIN)) {
            give_up(t, x);
            return;
        } else {
            return;
        }
    }
}

static void *tails_main(void *arg)
{
    struct lzr_tails *t = arg;
    for (;;) {
        struct epoll_event ev[64];
        bool stop = false;
        int n = epoll_wait(t->epoll, ev, 64, -1);
        for (int i = 0; i < n; i++) {
            struct tail *x = ev[i].data.ptr;
            if (x == NULL) {
                stop = true;
            } else if (x->refused) {
                throw_away(t, x);
            } else {
                read_on(t, x, (ev[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
            }
        }
        if (stop) {
            return NULL;
        }
    }
}

enum lzr_code lzr_tails_new(void (*refuse)(void *what), void (*done)(void *what),
                            struct lzr_tails **out, struct lzr_err *err)
{
    struct lzr_tails *t = lzr_calloc(1, sizeof *t);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (t == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    t->refuse = refuse;
    t->done = done;
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    LZR_ZERO(pthread_mutex_init(&t->mu, NULL));
    if (t->epoll < 0 || t->stop < 0 || epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->stop, &ev) != 0 ||
        pthread_create(&t->thread, NULL, tails_main, t) != 0) {
        enum lzr_code code = lzr_err_sys(err, "cannot read from connections");
        lzr_tails_free(&t);
        return code;
    }
    t->running = true;
    *out = t;
    return LZR_OK;
}

bool lzr_tails_add(struct lzr_tails *t, int fd, struct lzr_longhead *head, void *what)
{
    struct tail *x = lzr_calloc(1, sizeof *x);
    if (x == NULL) {
        return false;
    }
    x->fd = fd;
    x->head = head;
    x->refused = head == NULL;
    x->what = what;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = x};
    pthread_mutex_lock(&t->mu);
    x->next = t->tails;
    bool ok = !t->stopped && epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
    if (ok) { /* the thread can't be at its end before the lock is left */
        if (t->tails != NULL) {
            t->tails->prev = x;
        }
        t->tails = x;
    }
    pthread_mutex_unlock(&t->mu);
    if (!ok) {
        lzr_free(x);
    }
    return ok;
}

void lzr_tails_stop(struct lzr_tails *t)
{
    uint64_t one = 1;
    if (!t->running) {
        return;
    }
    pthread_mutex_lock(&t->mu);
    t->stopped = true;
    pthread_mutex_unlock(&t->mu);
    LZR_CHECK(write(t->stop, &one, sizeof one) == (ssize_t)sizeof one);
    LZR_ZERO(pthread_join(t->thread, NULL));
    t->running = false;
    while (t->tails != NULL) {
        give_up(t, t->tails);
    }
}

void lzr_tails_free(struct lzr_tails **tp)
{
    struct lzr_tails *t = *tp;
    *tp = NULL;
    if (t == NULL) {
        return;
    }
    lzr_tails_stop(t);
    if (t->epoll >= 0) {
        close(t->epoll);
    }
    if (t->stop >= 0) {
        close(t->stop);
    }
    LZR_ZERO(pthread_mutex_destroy(&t->mu));
    lzr_free(t);
}
