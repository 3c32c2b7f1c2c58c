#include "http/edition.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

struct lzr_editions {
    const struct lzr_driver_options *again;
    const struct lzr_log *log;
    pthread_t thread;
    atomic_bool stop; /* written under mu; an opening polls it without */
    pthread_mutex_t mu;
    pthread_cond_t work; /* for the thread: something below changed */
    /* Guarded by mu. */
    struct lzr_edition *current; /* the list's first */
    unsigned n;                  /* of editions in the list */
    bool wanted;                 /* a reload */
    bool whole;                  /* ... of everything */
    struct lzr_reload *wishes;   /* of those who wait for it */
    struct lzr_stats gone;       /* sums of editions that are closed */
    uint64_t ok, failed;
    void (*reloads)(void *ctx, bool begins); /* or NULL */
    void *reloads_ctx;
};

/* dst += src, counters only. */
static void add_counters(struct lzr_stats *dst, const struct lzr_stats *src)
{
#define ADD_counter(name) dst->name += src->name;
#define ADD_gauge(name)
#define ADD(type, name, help) ADD_##type(name)
    LZR_DRIVER_STATS(ADD)
#undef ADD
#undef ADD_gauge
#undef ADD_counter
}

struct lzr_edition *lzr_edition_take(struct lzr_editions *all)
{
    pthread_mutex_lock(&all->mu);
    struct lzr_edition *e = all->current;
    e->users++;
    pthread_mutex_unlock(&all->mu);
    return e;
}

struct lzr_edition *lzr_edition_ref(struct lzr_edition *e)
{
    pthread_mutex_lock(&e->all->mu);
    LZR_CHECK(e->users > 0);
    e->users++;
    pthread_mutex_unlock(&e->all->mu);
    return e;
}

void lzr_edition_drop(struct lzr_edition **ep)
{
    struct lzr_edition *e = *ep;
    *ep = NULL;
    if (e == NULL) {
        return;
    }
    struct lzr_editions *all = e->all;
    pthread_mutex_lock(&all->mu);
    LZR_CHECK(e->users > 0);
    e->users--;
    if (e->users == 0 && e->retired) {
        pthread_cond_signal(&all->work);
    }
    pthread_mutex_unlock(&all->mu);
}

static void free_edition(struct lzr_edition *e)
{
    lzr_sheets_release(&e->sheets);
    lzr_driver_close(&e->driver);
    lzr_glances_release(&e->glances);
    lzr_free(e);
}

/* Puts a driver in front of the list; takes it over in every case. */
static enum lzr_code publish(struct lzr_editions *all, struct lzr_driver **dp, struct lzr_err *err)
{
    struct lzr_edition *e = lzr_calloc(1, sizeof *e);
    if (e == NULL || !lzr_glances_init(&e->glances, lzr_catalog_narrays(lzr_driver_catalog(*dp)))) {
        lzr_free(e);
        lzr_driver_close(dp);
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for another edition");
    }
    e->driver = *dp;
    *dp = NULL;
    lzr_sheets_init(&e->sheets, lzr_driver_budget(e->driver));
    e->all = all;
    pthread_mutex_lock(&all->mu);
    if (all->stop) { /* nobody would drain it */
        pthread_mutex_unlock(&all->mu);
        free_edition(e);
        return lzr_err_set(err, LZR_E_CANCELLED, "lazarr is stopping");
    }
    struct lzr_edition *old = all->current;
    e->next = old;
    all->current = e;
    all->n++;
    if (old != NULL) {
        old->retired = true;
        old->retired_us = lzr_now_us();
        old->users++; /* for the call below */
    }
    pthread_mutex_unlock(&all->mu);
    if (old != NULL) {
        lzr_driver_retire(old->driver);
        lzr_edition_drop(&old);
    }
    return LZR_OK;
}

static void complete(struct lzr_reload *list, const struct lzr_reload *outcome)
{
    while (list != NULL) {
        struct lzr_reload *r = list;
        list = r->next;
        r->code = outcome->code;
        r->err = outcome->err;
        r->narrays = outcome->narrays;
        r->nfailed = outcome->nfailed;
        r->took_us = outcome->took_us;
        r->traceback = outcome->traceback != NULL ? lzr_strdup(outcome->traceback) : NULL;
        r->done(r); /* not ours any more */
    }
}

#define WISHES_LOOKED 4096 /* of more, some may stand twice */

/* The arrays that are wished for, borrowed; NULL: no memory. The caller's, lzr_free. */
static const char **wished(const struct lzr_reload *list, size_t *n)
{
    *n = 0;
    for (const struct lzr_reload *r = list; r != NULL; r = r->next) {
        (*n)++;
    }
    const char **names = lzr_calloc(*n > 0 ? *n : 1, sizeof *names);
    *n = 0;
    for (const struct lzr_reload *r = list; names != NULL && r != NULL; r = r->next) {
        size_t i = *n < WISHES_LOOKED ? 0 : *n;
        while (i < *n && strcmp(names[i], r->array) != 0) {
            i++;
        }
        names[i] = r->array; /* each once, however often it is wished for */
        *n += i == *n;
    }
    return names;
}

/* Opens the stores once more and makes them current; all of it, or what the list asks for. Called
 * without mu. */
static void reload(struct lzr_editions *all, const struct lzr_reload *list, bool whole,
                   struct lzr_reload *out)
{
    struct lzr_driver_options o = *all->again;
    struct lzr_driver *d = NULL;
    uint64_t begun = lzr_now_us();
    o.cancel = &all->stop;
    o.log = all->log;
    /* Only this thread makes another current, or closes it. */
    o.before = lzr_driver_catalog(all->current->driver);
    const char **names = NULL;
    if (!whole) {
        o.renew = names = wished(list, &o.nrenew);
        o.keep = all->current->driver;
    }
    lzr_log(all->log, LZR_LOG_INFO, "reloading %s%s", whole ? "the stores" : list->array,
            !whole && list->next != NULL ? " and others" : "");
    out->code = whole || names != NULL
                    ? lzr_driver_open(&o, &d, &out->traceback, &out->err)
                    : lzr_err_set(&out->err, LZR_E_NOMEM, "no memory for a reload");
    lzr_free(names);
    if (out->code == LZR_OK) {
        out->narrays = lzr_catalog_narrays(lzr_driver_catalog(d));
        out->nfailed = lzr_catalog_count(lzr_driver_catalog(d), LZR_FAILED);
        out->code = publish(all, &d, &out->err);
    }
    out->took_us = lzr_now_us() - begun;
    if (out->code == LZR_OK) {
        lzr_log(all->log, LZR_LOG_INFO, "reloaded: %zu arrays, in %.1f s", out->narrays,
                (double)out->took_us / 1e6);
        return;
    }
    lzr_log(all->log, LZR_LOG_ERROR, "reload failed, the stores stay as they were: %s",
            out->err.msg);
    if (out->traceback != NULL) {
        lzr_log_lines(all->log, LZR_LOG_ERROR, "reload", out->traceback, strlen(out->traceback));
    }
}

/* The next thing to be done about retired editions, with mu: one to be closed, or one whose waiting
 * requests have had their time. *until: when to look again, 0 for never. */
static struct lzr_edition *pick_retired(struct lzr_editions *all, uint64_t now, uint64_t *until)
{
    *until = 0;
    for (struct lzr_edition *e = all->current->next; e != NULL; e = e->next) {
        uint64_t end = e->retired_us + LZR_EDITION_PATIENCE_US;
        if (e->users == 0 || (!e->drained && now >= end)) {
            return e;
        }
        if (!e->drained && (*until == 0 || end < *until)) {
            *until = end;
        }
    }
    return NULL;
}

/* Closes an edition that nobody uses, unless somebody reads its figures just now. Called without
 * mu. */
static void close_edition(struct lzr_editions *all, struct lzr_edition *e)
{
    struct lzr_stats st;
    pthread_mutex_lock(&all->mu);
    bool ours = e->users == 0;
    e->users++;
    pthread_mutex_unlock(&all->mu);
    if (ours) {
        lzr_driver_stats(e->driver, &st);
    }
    pthread_mutex_lock(&all->mu);
    e->users--;
    if (!ours || e->users > 0) {
        pthread_mutex_unlock(&all->mu);
        return; /* who drops it wakes us again */
    }
    add_counters(&all->gone, &st);
    struct lzr_edition **p = &all->current;
    while (*p != e) {
        p = &(*p)->next;
    }
    *p = e->next;
    all->n--;
    pthread_mutex_unlock(&all->mu);
    free_edition(e);
}

static void drain_edition(struct lzr_editions *all, struct lzr_edition *e)
{
    pthread_mutex_lock(&all->mu);
    e->drained = true;
    e->users++;
    pthread_mutex_unlock(&all->mu);
    lzr_log(all->log, LZR_LOG_WARN, "requests still wait for what was reloaded: they are ended");
    lzr_driver_drain(e->driver);
    lzr_edition_drop(&e);
}

static void wait_for_work(struct lzr_editions *all, uint64_t until)
{
    if (until == 0) {
        pthread_cond_wait(&all->work, &all->mu);
        return;
    }
    struct timespec ts = lzr_timespec(until);
    (void)pthread_cond_timedwait(&all->work, &all->mu, &ts);
}

static void serve_wishes(struct lzr_editions *all)
{
    struct lzr_reload outcome = {.code = LZR_OK};
    pthread_mutex_lock(&all->mu);
    struct lzr_reload *list = all->wishes;
    bool full = all->n >= LZR_EDITIONS_MAX;
    bool wanted = all->wanted && !all->stop, whole = all->whole;
    void (*tell)(void *ctx, bool begins) = all->reloads;
    void *ctx = all->reloads_ctx;
    all->wishes = NULL;
    all->wanted = all->whole = false;
    pthread_mutex_unlock(&all->mu);
    if (!wanted) {
        outcome.code = lzr_err_set(&outcome.err, LZR_E_CANCELLED, "lazarr is stopping");
    } else if (full) {
        outcome.code = lzr_err_set(&outcome.err, LZR_E_BUSY,
                                   "requests for what the last reloads replaced still run: "
                                   "try again later");
        lzr_log(all->log, LZR_LOG_ERROR, "no reload: %s", outcome.err.msg);
    } else {
        if (tell != NULL) {
            tell(ctx, true);
        }
        reload(all, list, whole, &outcome);
        if (tell != NULL) {
            tell(ctx, false);
        }
    }
    pthread_mutex_lock(&all->mu);
    all->ok += outcome.code == LZR_OK;
    all->failed += outcome.code != LZR_OK;
    pthread_mutex_unlock(&all->mu);
    complete(list, &outcome);
    lzr_free(outcome.traceback);
}

void lzr_editions_tell(struct lzr_editions *all, void (*reloads)(void *ctx, bool begins),
                       void *ctx)
{
    pthread_mutex_lock(&all->mu);
    all->reloads = reloads;
    all->reloads_ctx = ctx;
    pthread_mutex_unlock(&all->mu);
}

static void *edition_main(void *arg)
{
    struct lzr_editions *all = arg;
    pthread_mutex_lock(&all->mu);
    for (;;) {
        uint64_t until;
        struct lzr_edition *e = pick_retired(all, lzr_now_us(), &until);
        if (e != NULL) {
            bool idle = e->users == 0;
            pthread_mutex_unlock(&all->mu);
            if (idle) {
                close_edition(all, e);
            } else {
                drain_edition(all, e);
            }
            pthread_mutex_lock(&all->mu);
        } else if (all->wanted) {
            pthread_mutex_unlock(&all->mu);
            serve_wishes(all);
            pthread_mutex_lock(&all->mu);
        } else if (all->stop) {
            break;
        } else {
            wait_for_work(all, until);
        }
    }
    pthread_mutex_unlock(&all->mu);
    return NULL;
}

enum lzr_code lzr_editions_new(struct lzr_driver **first, const struct lzr_driver_options *again,
                               struct lzr_editions **out, struct lzr_err *err)
{
    struct lzr_editions *all = lzr_calloc(1, sizeof *all);
    pthread_condattr_t attr;
    if (all == NULL) {
        lzr_driver_close(first);
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    all->again = again;
    all->log = again != NULL ? again->log : NULL;
    LZR_ZERO(pthread_mutex_init(&all->mu, NULL));
    LZR_ZERO(pthread_condattr_init(&attr));
    LZR_ZERO(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    LZR_ZERO(pthread_cond_init(&all->work, &attr));
    LZR_ZERO(pthread_condattr_destroy(&attr));
    enum lzr_code code = publish(all, first, err);
    int rc = code == LZR_OK ? pthread_create(&all->thread, NULL, edition_main, all) : 0;
    if (rc != 0) {
        errno = rc;
        code = lzr_err_sys(err, "cannot start a thread");
        free_edition(all->current);
    }
    if (code != LZR_OK) {
        LZR_ZERO(pthread_cond_destroy(&all->work));
        LZR_ZERO(pthread_mutex_destroy(&all->mu));
        lzr_free(all);
        return code;
    }
    *out = all;
    return LZR_OK;
}

void lzr_editions_reload(struct lzr_editions *all, struct lzr_reload *wish)
{
    bool refused = true;
    pthread_mutex_lock(&all->mu);
    if (!all->stop && all->again != NULL) {
        refused = false;
        all->wanted = true;
        all->whole = all->whole || wish == NULL || wish->array == NULL;
        if (wish != NULL) {
            wish->next = all->wishes;
            all->wishes = wish;
        }
        pthread_cond_signal(&all->work);
    }
    pthread_mutex_unlock(&all->mu);
    if (refused && wish != NULL) {
        struct lzr_reload outcome = {.code = LZR_E_CANCELLED};
        lzr_err_set(&outcome.err, LZR_E_CANCELLED, "lazarr is stopping");
        wish->next = NULL;
        complete(wish, &outcome);
    }
}

/* Borrows up to LZR_EDITIONS_MAX + 1 editions; to be dropped by the caller. */
static size_t borrow(struct lzr_editions *all, struct lzr_edition **out, struct lzr_stats *gone)
{
    size_t n = 0;
    pthread_mutex_lock(&all->mu);
    for (struct lzr_edition *e = all->current; e != NULL && n <= LZR_EDITIONS_MAX; e = e->next) {
        e->users++;
        out[n++] = e;
    }
    if (gone != NULL) {
        *gone = all->gone;
    }
    pthread_mutex_unlock(&all->mu);
    return n;
}

void lzr_editions_stats(struct lzr_editions *all, struct lzr_stats *out)
{
    struct lzr_edition *list[LZR_EDITIONS_MAX + 1] = {NULL};
    struct lzr_stats gone, one;
    size_t n = borrow(all, list, &gone);
    LZR_CHECK(list[0] != NULL); /* there is always a current one */
    lzr_driver_stats(list[0]->driver, out);
    add_counters(out, &gone);
    for (size_t i = 1; i < n; i++) {
        lzr_driver_stats(list[i]->driver, &one);
        add_counters(out, &one);
    }
    for (size_t i = 0; i < n; i++) {
        lzr_edition_drop(&list[i]);
    }
}

struct lzr_reload_counts lzr_editions_counts(struct lzr_editions *all)
{
    pthread_mutex_lock(&all->mu);
    struct lzr_reload_counts c = {.ok = all->ok, .failed = all->failed, .editions = all->n};
    pthread_mutex_unlock(&all->mu);
    return c;
}

void lzr_editions_drain(struct lzr_editions *all)
{
    struct lzr_edition *list[LZR_EDITIONS_MAX + 1];
    pthread_mutex_lock(&all->mu);
    all->stop = true;
    pthread_cond_signal(&all->work);
    pthread_mutex_unlock(&all->mu);
    size_t n = borrow(all, list, NULL);
    for (size_t i = 0; i < n; i++) {
        lzr_driver_drain(list[i]->driver);
        lzr_edition_drop(&list[i]);
    }
}

void lzr_editions_free(struct lzr_editions **allp)
{
    struct lzr_editions *all = *allp;
    *allp = NULL;
    if (all == NULL) {
        return;
    }
    lzr_editions_drain(all);
    LZR_ZERO(pthread_join(all->thread, NULL));
    while (all->current != NULL) {
        struct lzr_edition *e = all->current;
        LZR_CHECK(e->users == 0);
        all->current = e->next;
        free_edition(e);
    }
    LZR_ZERO(pthread_cond_destroy(&all->work));
    LZR_ZERO(pthread_mutex_destroy(&all->mu));
    lzr_free(all);
}
