#include "engine/reads.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "store/copied.h"

enum lzr_code lzr_reads_init(struct lzr_driver *d, struct lzr_err *err)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.u64 = 0};
    struct epoll_event work = {.events = EPOLLIN, .data.u64 = 1};
    if (d->files.n == 0) {
        return LZR_OK;
    }
    struct lzr_reads_file *files = lzr_calloc(d->files.n, sizeof *files);
    if (files == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for what is known of files");
    }
    d->reads.epoll = epoll_create1(EPOLL_CLOEXEC);
    d->reads.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    pthread_mutex_lock(&d->mu); /* the supervisor runs already */
    d->reads.files = files;
    pthread_mutex_unlock(&d->mu);
    if (d->reads.epoll < 0 || d->reads.event < 0 ||
        epoll_ctl(d->reads.epoll, EPOLL_CTL_ADD, d->reads.event, &work) != 0 ||
        epoll_ctl(d->reads.epoll, EPOLL_CTL_ADD, d->stop_fd, &stop) != 0) {
        return lzr_err_sys(err, "cannot make an event queue");
    }
    return LZR_OK;
}

void lzr_reads_release(struct lzr_driver *d)
{
    lzr_free(d->reads.files);
    d->reads.files = NULL;
    if (d->reads.epoll >= 0) {
        close(d->reads.epoll);
    }
    if (d->reads.event >= 0) {
        close(d->reads.event);
    }
}

static struct lzr_reads_file *state_of(const struct lzr_driver *d, const struct lzr_file *file)
{
    return d->reads.files != NULL && file >= d->files.files && file < d->files.files + d->files.n
               ? &d->reads.files[file - d->files.files]
               : NULL;
}

/* The next level that a flight's task reads from a file, from the *i-th of its inputs on. */
static const struct lzr_array *next_source(const struct lzr_flight *f, unsigned *i, uint32_t *level)
{
    const struct lzr_array *a = f->array;
    if (f->encoding != LZR_ENC_ZARR) {
        return NULL;
    }
    if (!f->recipe->worker) {
        *level = f->recipe == &lzr_recipe_reduce_source ? f->level - 1 : f->level;
        if (f->recipe == &lzr_recipe_copy_read) {
            struct lzr_copied_from from = lzr_copied_from(a, f->level);
            a = from.array;
            *level = from.level;
        }
        const struct lzr_data *data = (*i)++ == 0 ? a->levels[*level].data : NULL;
        return data != NULL && data->file != NULL ? a : NULL;
    }
    while (*i < a->ninputs) {
        const struct lzr_input *in = &a->inputs[(*i)++];
        *level = in->levels[f->level];
        const struct lzr_data *data = in->array->levels[*level].data;
        if (data != NULL && data->file != NULL) {
            return in->array;
        }
    }
    return NULL;
}

bool lzr_reads_wants(const struct lzr_driver *d, const struct lzr_flight *f)
{
    unsigned i = 0;
    uint32_t level;
    return d->reads.files != NULL && f->filled == NULL && next_source(f, &i, &level) != NULL;
}

void lzr_reads_add(struct lzr_driver *d, struct lzr_flight *f, bool first)
{
    uint64_t one = 1;
    if (first) {
        lzr_list_push_front(&d->reads.waiting, f);
    } else {
        lzr_list_push(&d->reads.waiting, f);
    }
    ssize_t n = write(d->reads.event, &one, sizeof one);
    LZR_CHECK(n == (ssize_t)sizeof one);
}

/* So many reads of one file may stall. */
static unsigned most_of(const struct lzr_driver *d)
{
    if (d->reads.left != NULL && atomic_load(d->reads.left) >= LZR_READS_LEFT) {
        return 1;
    }
    return d->ncodecs < LZR_READS_EACH ? d->ncodecs : LZR_READS_EACH;
}

/* Whether reads of a file are to wait until one that has stalled is over. */
static bool is_full(const struct lzr_driver *d, const struct lzr_reads_file *s)
{
    unsigned most = most_of(d);
    return s->stalled >= most && atomic_load(&s->hung) < most;
}

static struct lzr_reads_file *full_one(const struct lzr_driver *d, const struct lzr_flight *f)
{
    unsigned i = 0;
    uint32_t level;
    const struct lzr_array *a;
    while (d->reads.stalled > 0 && (a = next_source(f, &i, &level)) != NULL) {
        struct lzr_reads_file *s = state_of(d, lzr_files_of(&d->files, a, level));
        if (s != NULL && is_full(d, s)) {
            return s;
        }
    }
    return NULL;
}

/* Counts a flight again, or no more, among those that are under way and will free what they have:
 * one that is stalled or parked may not keep others from beginning. */
static void count(struct lzr_driver *d, const struct lzr_flight *f, bool again)
{
    unsigned *n = f->state == LZR_MAKING ? &d->making : &d->active;
    *n += again ? 1u : -1u;
}

/* Takes a flight whose read is stalled away from its worker. used: its thread goes on filling the
 * slot, which then isn't the worker's any more. */
static void unbind(struct lzr_driver *d, const struct lzr_flight *f, bool used)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        if (w->next.flight == f) {
            struct lzr_slot *s = w->next.slot;
            w->next = (struct lzr_prepared){0};
            s->lost = s->lost || used;
            lzr_worker_free(w, s);
        }
    }
}

static void park(struct lzr_driver *d, struct lzr_flight *f, struct lzr_reads_file *s,
                 struct lzr_request **list)
{
    if (f->state == LZR_PREPARING) {
        unbind(d, f, false);
        lzr_slot_unref(&f->slot);
    }
    if (s->parked.n >= LZR_READS_PARKED) {
        lzr_needs_fail_with(d, f, LZR_E_BUSY, "too many chunks wait for a file that is slow", list);
        return;
    }
    count(d, f, false);
    lzr_list_push(&s->parked, f);
    d->reads.parked++;
}

/* Those that wait for a file go on once it may be read again: all of them, in their order, as reads
 * that don't stall say nothing when they end. If it stalls again the rest is parked again. */
static void unpark(struct lzr_driver *d, struct lzr_reads_file *s)
{
    while (!is_full(d, s) && s->parked.tail != NULL) {
        struct lzr_flight *f = s->parked.tail;
        lzr_list_remove(&s->parked, f);
        d->reads.parked--;
        count(d, f, true);
        if (f->state == LZR_PREPARING) {
            lzr_prepare_again(d, f);
        } else {
            lzr_reads_add(d, f, true);
        }
    }
}

/* The next flight whose files may be read; the others are parked. */
static struct lzr_flight *take(struct lzr_driver *d, struct lzr_request **list)
{
    struct lzr_flight *f;
    while ((f = d->reads.waiting.head) != NULL) {
        lzr_list_remove(&d->reads.waiting, f);
        d->need_tasks -= f->counted;
        f->counted = false;
        if (lzr_task_waits(d, f)) {
            continue;
        }
        struct lzr_reads_file *full = full_one(d, f);
        if (full == NULL) {
            return f;
        }
        park(d, f, full, list);
        lzr_dispatch(d, list);
    }
    return NULL;
}

void lzr_reading_begin(struct lzr_driver *d, struct lzr_reading *r, struct lzr_flight *f,
                       struct lzr_slot *slot)
{
    *r = (struct lzr_reading){.next = d->reads.readings, .view = *f, .flight = f, .slot = slot};
    r->view.reading = r;
    d->reads.readings = r;
}

static void unlink_reading(struct lzr_driver *d, const struct lzr_reading *r)
{
    struct lzr_reading **p = &d->reads.readings;
    while (*p != r) {
        LZR_CHECK(*p != NULL);
        p = &(*p)->next;
    }
    *p = r->next;
}

/* A stalled read is over, or another one has begun. */
static void uncount_stalled(struct lzr_driver *d, struct lzr_reading *r)
{
    struct lzr_reads_file *s = r->stuck != NULL ? state_of(d, r->stuck) : NULL;
    if (r->stuck != NULL) {
        r->stuck = NULL;
        d->reads.stalled--;
    }
    if (s != NULL) {
        s->stalled--;
        unpark(d, s);
    }
}

static void resume(struct lzr_driver *d, struct lzr_reading *r)
{
    if (r->stuck != NULL) {
        count(d, r->flight, true);
    }
    uncount_stalled(d, r);
}

void lzr_reading_end(struct lzr_driver *d, struct lzr_reading *r)
{
    resume(d, r);
    unlink_reading(d, r);
}

void lzr_reading_lost(struct lzr_driver *d, struct lzr_reading *r)
{
    struct lzr_request *list = NULL;
    pthread_mutex_lock(&d->mu);
    struct lzr_reads_file *s = state_of(d, r->stuck);
    if (s != NULL) {
        atomic_fetch_sub(&s->hung, 1);
    }
    if (d->reads.left != NULL) {
        atomic_fetch_sub(d->reads.left, 1);
    }
    if (!d->reads.closed) {
        uncount_stalled(d, r);
        lzr_dispatch(d, &list);
    }
    unlink_reading(d, r);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    lzr_needs_free(&r->view.needs);
    lzr_slot_unref(&r->slot);
}

enum lzr_code lzr_reading_open(const struct lzr_driver *d, struct lzr_reading *r,
                               struct lzr_file *file, struct lzr_err *err)
{
    const struct lzr_reads_file *s = state_of(d, file);
    if (r != NULL) {
        atomic_store(&r->file, file);
    }
    if (s != NULL && atomic_load(&s->hung) >= most_of(d)) {
        return lzr_err_set(err, LZR_E_BUSY,
                           "'%.300s' doesn't answer: %u reads of it hang (--read-timeout)",
                           file->data->file, atomic_load(&s->hung));
    }
    return LZR_OK;
}

enum lzr_code lzr_reading_over(struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_TIMEOUT, "the read was given up");
}

static void stall(struct lzr_driver *d, struct lzr_reading *r)
{
    struct lzr_flight *f = r->flight;
    r->stuck = atomic_load(&r->file);
    if (r->stuck == NULL) {
        return;
    }
    struct lzr_reads_file *s = state_of(d, r->stuck);
    d->reads.stalled++;
    if (s != NULL) {
        s->stalled++;
    }
    count(d, f, false);
    if (f->state == LZR_PREPARING) {
        unbind(d, f, true);
    }
}

/* The thread was given up: its flight fails, and what that had is the thread's. */
static void write_off(struct lzr_driver *d, struct lzr_reading *r, struct lzr_request **list)
{
    struct lzr_flight *f = r->flight;
    char text[512];
    if (r->stuck == NULL) {
        stall(d, r);
    }
    count(d, f, true);
    r->flight = NULL;
    if (f->needs != NULL) {
        f->needs->shared = true;
    }
    struct lzr_reads_file *s = r->stuck != NULL ? state_of(d, r->stuck) : NULL;
    if (s != NULL) {
        atomic_fetch_add(&s->hung, 1);
    }
    if (d->reads.left != NULL) {
        atomic_fetch_add(d->reads.left, 1);
    }
    if (d->closing) {
        lzr_needs_fail_with(d, f, LZR_E_CANCELLED, "lazarr is stopping", list);
        return;
    }
    (void)snprintf(text, sizeof text, "'%.300s' hasn't answered for %.3g s (--read-timeout)",
                   r->stuck != NULL ? r->stuck->data->file : "?",
                   (double)d->reads.timeout_us / 1e6);
    d->stats.read_timeouts_total++;
    d->array_stats[f->array->id].failed++;
    lzr_log_as(d->log, LZR_LOG_ERROR, lzr_failing(d, f),
               "%s/%s: chunk %llu: %s; its thread is left behind", f->array->store->name,
               f->array->path, (unsigned long long)f->index, text);
    lzr_troubles_note(&d->troubles, f->array->id, f->level, f->index, LZR_E_TIMEOUT, text,
                      lzr_now_us());
    lzr_needs_fail_with(d, f, LZR_E_BUSY, text, list);
    if (s != NULL) {
        unpark(d, s); /* they fail at once, if it was the last that may hang */
    }
}

void lzr_reads_check(struct lzr_driver *d, uint64_t now, struct lzr_request **list)
{
    for (struct lzr_reading *r = d->reads.readings; r != NULL; r = r->next) {
        if (r->flight == NULL) {
            continue;
        }
        uint64_t age = lzr_pulse_age(&r->pulse, now);
        if (r->stuck == NULL && age >= LZR_STALL_US) {
            stall(d, r);
        } else if (r->stuck != NULL && age < LZR_STALL_US) {
            resume(d, r);
        }
        if (age >= d->reads.timeout_us &&
            lzr_pulse_give_up(&r->pulse, now - d->reads.timeout_us)) {
            write_off(d, r, list);
        }
    }
}

void lzr_thread_ends(struct lzr_driver *d)
{
    d->reads.threads--;
    bool last = d->reads.closed && d->reads.threads == 0;
    pthread_cond_broadcast(&d->started);
    pthread_mutex_unlock(&d->mu);
    if (last) {
        lzr_driver_release(d);
    }
}

/* So many of the threads read. */
static unsigned readers_of(const struct lzr_driver *d)
{
    return d->reads.threads - d->starter.runs;
}

/* Waits for something to do, without mu. */
static void await_work(const struct lzr_driver *d)
{
    struct epoll_event ev;
    uint64_t one;
    int n = epoll_wait(d->reads.epoll, &ev, 1, -1);
    if (n == 1 && ev.data.u64 != 0) {
        ssize_t got = read(d->reads.event, &one, sizeof one);
        (void)got; /* another thread may have it */
    }
}

static void *reader_main(void *driver)
{
    struct lzr_driver *d = driver;
    struct lzr_reading r;
    pthread_mutex_lock(&d->mu);
    /* No more than stand in for those that are stalled. */
    while (!d->closing && readers_of(d) - d->reads.stalled <= d->ncodecs) {
        struct lzr_request *list = NULL;
        pthread_mutex_unlock(&d->mu);
        await_work(d);
        pthread_mutex_lock(&d->mu);
        struct lzr_flight *f = !d->closing ? take(d, &list) : NULL;
        if (list != NULL) {
            if (f != NULL) {
                lzr_reads_add(d, f, true); /* others first: this may take for ever */
            }
            pthread_mutex_unlock(&d->mu);
            lzr_complete(list);
            pthread_mutex_lock(&d->mu);
        } else if (f != NULL) {
            lzr_task_do(d, f, &r);
            pthread_mutex_lock(&d->mu);
        }
    }
    lzr_thread_ends(d);
    return NULL;
}

void lzr_reads_provide(struct lzr_driver *d)
{
    pthread_mutex_lock(&d->mu);
    bool wanted = d->reads.files != NULL && !d->closing;
    while (wanted && d->reads.threads < LZR_READS_THREADS &&
           readers_of(d) - d->reads.stalled < d->ncodecs) {
        pthread_t thread;
        d->reads.threads++;
        pthread_mutex_unlock(&d->mu);
        bool ok = pthread_create(&thread, NULL, reader_main, d) == 0;
        if (ok) {
            LZR_ZERO(pthread_detach(thread));
        }
        pthread_mutex_lock(&d->mu);
        d->reads.threads -= !ok;
        wanted = ok; /* else again with the next tick */
    }
    pthread_mutex_unlock(&d->mu);
}

bool lzr_reads_close(struct lzr_driver *d)
{
    struct lzr_request *list = NULL;
    uint64_t until = lzr_now_us() + LZR_READS_CLOSE_US;
    pthread_mutex_lock(&d->mu);
    for (;;) {
        bool stuck = d->starter.runs && lzr_starter_end(d);
        unsigned lost = stuck && lzr_now_us() >= until;
        for (struct lzr_reading *r = d->reads.readings; r != NULL; r = r->next) {
            uint64_t now = lzr_now_us();
            if (r->flight != NULL && now >= until && lzr_pulse_give_up(&r->pulse, now)) {
                write_off(d, r, &list);
            }
            lost += r->flight == NULL;
        }
        if (d->reads.threads == lost) {
            d->reads.closed = lost > 0;
            if (stuck && d->reads.left != NULL) {
                atomic_fetch_add(d->reads.left, 1);
            }
            break;
        }
        lzr_await_a_while(d);
    }
    bool closed = d->reads.closed;
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    return !closed;
}
