#include "http/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/crowd.h"
#include "http/unread.h"

/* Looks that lie so far apart weren't late, the process stood still. */
#define STOOD_US (4 * LZR_PATIENCE_LOOK_US)

struct lzr_patience {
    pthread_mutex_t mu; /* guards lines and stop */
    pthread_cond_t cond;
    pthread_t thread;
    struct lzr_line *lines;
    bool stop;
    unsigned looks; /* only the thread's */
    uint64_t numbers; /* guarded by mu */
    _Atomic uint64_t ended, unread;
};

/* What the turn was becomes another one, unless it has changed meanwhile. */
static bool turn_from(struct lzr_line *l, int from, enum lzr_turn to)
{
    return atomic_compare_exchange_strong_explicit(&l->turn, &from, to, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* Nothing is left to be read and nothing will come. What was read just now may still have to be
 * begun; a look later nothing of it waits in the library either. */
static bool has_said_all(const struct lzr_line *l)
{
    char byte;
    return recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* stood_us: how long the process stood still, else 0. What a client sent meanwhile is still to be
 * read: that time counts for nobody. */
static void look(struct lzr_patience *p, uint64_t now, uint64_t stood_us)
{
    unsigned peeks = LZR_PATIENCE_PEEKS;
    bool again = ++p->looks % LZR_PATIENCE_AGAIN == 0;
    for (struct lzr_line *l = p->lines; l != NULL; l = l->next) {
        uint64_t due = atomic_load_explicit(&l->due_us, memory_order_relaxed);
        if (stood_us > 0 && due != 0) {
            /* Where this fails another thread has just set it. */
            (void)atomic_compare_exchange_strong_explicit(&l->due_us, &due, due + stood_us,
                                                          memory_order_relaxed,
                                                          memory_order_relaxed);
            continue;
        }
        /* Once only: the library takes its time to close it. */
        if (due != 0 && now >= due &&
            atomic_compare_exchange_strong_explicit(&l->due_us, &due, 0, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            (void)shutdown(l->fd, SHUT_RDWR);
            atomic_fetch_add_explicit(&p->ended, 1, memory_order_relaxed);
            continue;
        }
        int turn = atomic_load_explicit(&l->turn, memory_order_relaxed);
        if (turn == LZR_TURN_SEND) {
            (void)turn_from(l, turn, LZR_TURN_SENT);
        } else if (turn == LZR_TURN_SENT && peeks > 0) {
            peeks--;
            if (turn_from(l, turn, LZR_TURN_LOOKED) && has_said_all(l)) {
                (void)turn_from(l, LZR_TURN_LOOKED, LZR_TURN_OVER);
            }
        } else if (turn == LZR_TURN_LOOKED && again) {
            (void)turn_from(l, turn, LZR_TURN_SENT);
        } else if (turn == LZR_TURN_OVER && turn_from(l, turn, LZR_TURN_OURS)) {
            (void)shutdown(l->fd, SHUT_RDWR); /* it hasn't begun anything */
        }
    }
}

/* The answer of a line that has been held for long; false: none. */
static bool take_unread(struct lzr_line *l, uint64_t now, struct lzr_unread *out)
{
    const void *blob = atomic_load_explicit(&l->blob, memory_order_acquire);
    uint64_t since = atomic_load_explicit(&l->since_us, memory_order_relaxed);
    if (blob == NULL || since + LZR_UNREAD_US > now || atomic_load(&l->unread)) {
        return false;
    }
    *out = (struct lzr_unread){.pool = atomic_load_explicit(&l->pool, memory_order_relaxed),
                               .blob = blob,
                               .bytes = atomic_load_explicit(&l->bytes, memory_order_relaxed),
                               .limit = atomic_load_explicit(&l->limit, memory_order_relaxed),
                               .since_us = since,
                               .line = l->number};
    memcpy(out->who, l->who, sizeof out->who);
    return true;
}

/* With mu: the long held answers; NULL: they are too few to matter, or memory is out. */
static struct lzr_unread *gather_unread(struct lzr_patience *p, uint64_t now, size_t *n)
{
    struct lzr_unread u, *all = NULL;
    uint64_t sum = 0;
    size_t count = 0;
    for (struct lzr_line *l = p->lines; l != NULL; l = l->next) {
        if (take_unread(l, now, &u)) {
            sum += u.bytes;
            count++;
        }
    }
    if (sum > LZR_UNREAD_LEAST) {
        all = lzr_calloc(count, sizeof *all);
    }
    *n = 0;
    for (struct lzr_line *l = p->lines; all != NULL && l != NULL && *n < count; l = l->next) {
        *n += take_unread(l, now, &all[*n]);
    }
    return all;
}

static int by_line(const void *x, const void *y)
{
    const struct lzr_unread *a = x, *b = y;
    return (a->line > b->line) - (a->line < b->line);
}

/* Ends those who hold too much. Reckons without the lock: there may be many. */
static void end_unread(struct lzr_patience *p, uint64_t now)
{
    size_t n;
    pthread_mutex_lock(&p->mu);
    struct lzr_unread *all = gather_unread(p, now, &n);
    pthread_mutex_unlock(&p->mu);
    if (all == NULL) {
        return;
    }
    if (lzr_unread_reckon(all, n) > 0) {
        qsort(all, n, sizeof *all, by_line);
        pthread_mutex_lock(&p->mu);
        for (struct lzr_line *l = p->lines; l != NULL; l = l->next) {
            const struct lzr_unread key = {.line = l->number};
            const struct lzr_unread *u = bsearch(&key, all, n, sizeof *all, by_line);
            if (u != NULL && u->end && atomic_load(&l->blob) == u->blob) {
                atomic_store(&l->unread, true);
                (void)shutdown(l->fd, SHUT_RDWR);
                atomic_fetch_add_explicit(&p->unread, 1, memory_order_relaxed);
            }
        }
        pthread_mutex_unlock(&p->mu);
    }
    lzr_free(all);
}

static void *patience_main(void *arg)
{
    struct lzr_patience *p = arg;
    uint64_t looked = lzr_now_us();
    pthread_mutex_lock(&p->mu);
    while (!p->stop) {
        const struct timespec at = lzr_timespec(lzr_now_us() + LZR_PATIENCE_LOOK_US);
        (void)pthread_cond_timedwait(&p->cond, &p->mu, &at);
        uint64_t now = lzr_now_us(), since = now - looked;
        look(p, now, since > STOOD_US ? since : 0);
        looked = now;
        pthread_mutex_unlock(&p->mu);
        end_unread(p, now);
        pthread_mutex_lock(&p->mu);
    }
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

enum lzr_code lzr_patience_new(struct lzr_patience **out, struct lzr_err *err)
{
    struct lzr_patience *p = lzr_calloc(1, sizeof *p);
    pthread_condattr_t attr;
    if (p == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    LZR_ZERO(pthread_mutex_init(&p->mu, NULL));
    LZR_ZERO(pthread_condattr_init(&attr));
    LZR_ZERO(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    LZR_ZERO(pthread_cond_init(&p->cond, &attr));
    LZR_ZERO(pthread_condattr_destroy(&attr));
    int rc = pthread_create(&p->thread, NULL, patience_main, p);
    if (rc != 0) {
        LZR_ZERO(pthread_cond_destroy(&p->cond));
        LZR_ZERO(pthread_mutex_destroy(&p->mu));
        lzr_free(p);
        errno = rc;
        return lzr_err_sys(err, "cannot start a thread");
    }
    *out = p;
    return LZR_OK;
}

void lzr_patience_free(struct lzr_patience **pp)
{
    struct lzr_patience *p = *pp;
    *pp = NULL;
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->mu);
    p->stop = true;
    pthread_cond_signal(&p->cond);
    pthread_mutex_unlock(&p->mu);
    LZR_ZERO(pthread_join(p->thread, NULL));
    LZR_CHECK(p->lines == NULL);
    LZR_ZERO(pthread_cond_destroy(&p->cond));
    LZR_ZERO(pthread_mutex_destroy(&p->mu));
    lzr_free(p);
}

struct lzr_line *lzr_line_open(struct lzr_patience *p, int fd, const struct sockaddr *peer,
                               uint64_t due_us)
{
    struct lzr_line *l = lzr_calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->fd = fd;
    atomic_init(&l->due_us, due_us);
    atomic_init(&l->turn, LZR_TURN_SEND);
    if (peer != NULL) {
        (void)lzr_crowd_key(peer, l->who);
    }
    pthread_mutex_lock(&p->mu);
    l->number = ++p->numbers;
    l->next = p->lines;
    if (p->lines != NULL) {
        p->lines->prev = l;
    }
    p->lines = l;
    pthread_mutex_unlock(&p->mu);
    return l;
}

void lzr_line_close(struct lzr_patience *p, struct lzr_line **lp)
{
    struct lzr_line *l = *lp;
    *lp = NULL;
    if (l == NULL) {
        return;
    }
    pthread_mutex_lock(&p->mu);
    *(l->prev != NULL ? &l->prev->next : &p->lines) = l->next;
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    pthread_mutex_unlock(&p->mu);
    lzr_free(l);
}

static void set(struct lzr_line *line, uint64_t due_us, enum lzr_turn turn)
{
    if (line != NULL) {
        atomic_store_explicit(&line->turn, turn, memory_order_relaxed);
        atomic_store_explicit(&line->due_us, due_us, memory_order_relaxed);
    }
}

void lzr_line_due(struct lzr_line *line, uint64_t due_us)
{
    set(line, due_us, LZR_TURN_OURS);
}

void lzr_line_sends(struct lzr_line *line, uint64_t due_us)
{
    set(line, due_us, LZR_TURN_SEND);
}

void lzr_line_sends_earlier(struct lzr_line *line, uint64_t due_us)
{
    uint64_t now =
        line != NULL ? atomic_load_explicit(&line->due_us, memory_order_relaxed) : due_us;
    set(line, now == 0 || due_us < now ? due_us : now, LZR_TURN_SEND);
}

void lzr_line_reads(struct lzr_line *line, const struct lzr_blob *blob, uint64_t since_us)
{
    if (line == NULL) {
        return;
    }
    atomic_store_explicit(&line->blob, NULL, memory_order_relaxed);
    if (blob != NULL && blob->budget != NULL) {
        atomic_store_explicit(&line->pool, blob->budget, memory_order_relaxed);
        atomic_store_explicit(&line->bytes, lzr_blob_charge(blob->len), memory_order_relaxed);
        atomic_store_explicit(&line->limit, blob->budget->limit, memory_order_relaxed);
        atomic_store_explicit(&line->since_us, since_us, memory_order_relaxed);
        atomic_store_explicit(&line->blob, blob, memory_order_release);
    }
}

/* Has an address that no other thread's has. */
static _Thread_local char here;

void lzr_line_head(struct lzr_line *line, void *head)
{
    if (line != NULL) {
        atomic_store_explicit(&line->thread, (uintptr_t)&here, memory_order_relaxed);
        atomic_store_explicit(&line->head, head, memory_order_relaxed);
        line->request = head != NULL ? head : line->request;
    }
}

size_t lzr_patience_heads(struct lzr_patience *p, size_t *skip, void **out, size_t n)
{
    size_t got = 0, seen = 0;
    pthread_mutex_lock(&p->mu);
    for (struct lzr_line *l = p->lines; l != NULL && got < n; l = l->next) {
        void *head = atomic_load_explicit(&l->head, memory_order_relaxed);
        if (head != NULL &&
            atomic_load_explicit(&l->thread, memory_order_relaxed) == (uintptr_t)&here &&
            ++seen > *skip) {
            out[got++] = head;
        }
    }
    pthread_mutex_unlock(&p->mu);
    *skip += got;
    return got;
}

void lzr_patience_end_all(struct lzr_patience *p)
{
    pthread_mutex_lock(&p->mu);
    for (struct lzr_line *l = p->lines; l != NULL; l = l->next) {
        (void)shutdown(l->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&p->mu);
}

uint64_t lzr_patience_unread(const struct lzr_patience *p)
{
    return atomic_load_explicit(&p->unread, memory_order_relaxed);
}

uint64_t lzr_patience_ended(const struct lzr_patience *p)
{
    return atomic_load_explicit(&p->ended, memory_order_relaxed);
}
