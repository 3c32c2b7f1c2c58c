#include "http/watch.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#define STOP UINT64_MAX

struct place {
    void *what; /* NULL: free */
    int fd;
    uint32_t generation;
    uint32_t next_free;
};

struct lzr_watch {
    bool (*gone)(void *what);
    void (*left)(void *what);
    int epoll, stop;
    pthread_t thread;
    pthread_mutex_t mu; /* guards the places */
    struct place *places;
    uint32_t n, first_free; /* index + 1; 0: none */
};

static void handle(struct lzr_watch *w, uint64_t ticket)
{
    void *left = NULL;
    uint32_t i = (uint32_t)ticket - 1;
    pthread_mutex_lock(&w->mu);
    struct place *p = &w->places[i];
    if (p->what != NULL && p->generation == (uint32_t)(ticket >> 32) && w->gone(p->what)) {
        left = p->what;
        (void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, p->fd, NULL);
        p->what = NULL;
        p->generation++;
        p->next_free = w->first_free;
        w->first_free = i + 1;
    }
    pthread_mutex_unlock(&w->mu);
    if (left != NULL) {
        w->left(left);
    }
}

static void *watch_main(void *arg)
{
    struct lzr_watch *w = arg;
    for (;;) {
        struct epoll_event ev[64];
        int n = epoll_wait(w->epoll, ev, 64, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.u64 == STOP) {
                return NULL;
            }
            handle(w, ev[i].data.u64);
        }
    }
}

enum lzr_code lzr_watch_new(bool (*gone)(void *what), void (*left)(void *what),
                            struct lzr_watch **out, struct lzr_err *err)
{
    struct lzr_watch *w = lzr_calloc(1, sizeof *w);
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = STOP};
    if (w == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    w->gone = gone;
    w->left = left;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    LZR_ZERO(pthread_mutex_init(&w->mu, NULL));
    if (w->epoll < 0 || w->stop < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop, &ev) != 0 ||
        pthread_create(&w->thread, NULL, watch_main, w) != 0) {
        enum lzr_code code = lzr_err_sys(err, "no epoll, eventfd or thread to watch connections");
        close(w->epoll);
        close(w->stop);
        lzr_free(w);
        return code;
    }
    *out = w;
    return LZR_OK;
}

void lzr_watch_free(struct lzr_watch **wp)
{
    struct lzr_watch *w = *wp;
    uint64_t one = 1;
    *wp = NULL;
    if (w == NULL) {
        return;
    }
    LZR_CHECK(write(w->stop, &one, sizeof one) == (ssize_t)sizeof one);
    LZR_ZERO(pthread_join(w->thread, NULL));
    close(w->epoll);
    close(w->stop);
    LZR_ZERO(pthread_mutex_destroy(&w->mu));
    lzr_free(w->places);
    lzr_free(w);
}

/* More free places; with mu held. */
static bool more_places(struct lzr_watch *w)
{
    uint32_t n = w->n == 0 ? 64 : w->n * 2;
    struct place *p = lzr_realloc(w->places, n * sizeof *p);
    if (p == NULL) {
        return false;
    }
    for (uint32_t i = w->n; i < n; i++) {
        p[i] = (struct place){.fd = -1, .next_free = w->first_free};
        w->first_free = i + 1;
    }
    w->places = p;
    w->n = n;
    return true;
}

uint64_t lzr_watch_add(struct lzr_watch *w, int fd, void *what)
{
    uint64_t ticket = 0;
    pthread_mutex_lock(&w->mu);
    if (w->first_free != 0 || more_places(w)) {
        uint32_t i = w->first_free - 1;
        struct place *p = &w->places[i];
        ticket = ((uint64_t)p->generation << 32) | (i + 1);
        struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET | EPOLLONESHOT, .data.u64 = ticket};
        if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) == 0) {
            w->first_free = p->next_free;
            p->what = what;
            p->fd = fd;
        } else {
            ticket = 0;
        }
    }
    pthread_mutex_unlock(&w->mu);
    return ticket;
}

void lzr_watch_del(struct lzr_watch *w, uint64_t ticket)
{
    if (ticket == 0) {
        return;
    }
    uint32_t i = (uint32_t)ticket - 1;
    pthread_mutex_lock(&w->mu);
    struct place *p = &w->places[i];
    if (p->what != NULL && p->generation == (uint32_t)(ticket >> 32)) {
        (void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, p->fd, NULL);
        p->what = NULL;
        p->generation++;
        p->next_free = w->first_free;
        w->first_free = i + 1;
    }
    pthread_mutex_unlock(&w->mu);
}
