/* Opening and closing a driver: threads, the first workers, their manifests, the catalog. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/mem.h"
#include "base/pages.h"
#include "base/random.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/system.h"
#include "engine/unloaded.h"
#include "store/codec.h"

#define LZR_PAGES_KEPT ((size_t)16 << 20) /* bytes that chunks left and the next ones are given */
/* Bytes for plans beside a block a worker, however small the budget. */
#define SMALL_PLANS (UINT64_C(16) << 20)

static enum lzr_code make_epolls(struct lzr_driver *d, struct lzr_err *err)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event task = {.events = EPOLLIN, .data.ptr = d};
    d->codec_epoll = epoll_create1(EPOLL_CLOEXEC);
    d->supervisor_epoll = epoll_create1(EPOLL_CLOEXEC);
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->task_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (d->codec_epoll < 0 || d->supervisor_epoll < 0 || d->wake_fd < 0 || d->stop_fd < 0 ||
        d->task_fd < 0 || epoll_ctl(d->codec_epoll, EPOLL_CTL_ADD, d->task_fd, &task) != 0 ||
        epoll_ctl(d->supervisor_epoll, EPOLL_CTL_ADD, d->wake_fd, &wake) != 0 ||
        epoll_ctl(d->codec_epoll, EPOLL_CTL_ADD, d->stop_fd, &stop) != 0) {
        return lzr_err_sys(err, "cannot make an event queue");
    }
    return LZR_OK;
}

static enum lzr_code make_tables(struct lzr_driver *d, const struct lzr_driver_options *o,
                                 struct lzr_err *err)
{
    const unsigned cores = lzr_cores_find("").n;
    d->nworkers = o->workers != 0 ? o->workers : cores;
    d->nworkers = d->nworkers > LZR_MAX_WORKERS ? LZR_MAX_WORKERS : d->nworkers;
    d->ncodecs = cores < 2 ? 2 : cores > 64 ? 64 : cores;
    d->workers = lzr_calloc(d->nworkers, sizeof *d->workers);
    /* All of them before anything can fail: one that isn't is taken for the owner of descriptor 0.
     */
    for (unsigned i = 0; d->workers != NULL && i < d->nworkers; i++) {
        lzr_worker_init(&d->workers[i], i);
    }
    d->codecs = lzr_calloc(d->ncodecs, sizeof *d->codecs);
    d->shares = lzr_calloc(d->folders.n, sizeof *d->shares);
    d->cache = lzr_cache_new(&d->budget, o->cache_bytes);
    if (d->workers == NULL || d->codecs == NULL || d->shares == NULL || d->cache == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    if (lzr_random(&d->nonce, sizeof d->nonce, err) != LZR_OK) {
        return LZR_E_SYS;
    }
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        w->manifests = lzr_calloc(d->nstores, sizeof *w->manifests);
        if (w->manifests == NULL) {
            return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
        }
        for (size_t k = 0; k < d->nstores; k++) {
            lzr_buf_init(&w->manifests[k], LZR_MAX_MANIFEST);
        }
    }
    enum lzr_code code = lzr_queue_init(&d->queue, (enum lzr_order)o->order, err);
    code = code == LZR_OK ? lzr_planner_init(d, err) : code;
    return code == LZR_OK ? lzr_flights_init(&d->flights, err) : code;
}

static enum lzr_code start_threads(struct lzr_driver *d, struct lzr_err *err)
{
    unsigned want = d->ncodecs;
    for (d->ncodecs = 0; d->ncodecs < want; d->ncodecs++) {
        int rc = pthread_create(&d->codecs[d->ncodecs], NULL, lzr_codec_main, d);
        if (rc != 0) {
            errno = rc;
            return lzr_err_sys(err, "cannot start a thread");
        }
    }
    int rc = lzr_starter_begin(d)
                 ? pthread_create(&d->supervisor, NULL, lzr_supervisor_main, d)
                 : EAGAIN;
    if (rc != 0) {
        errno = rc;
        return lzr_err_sys(err, "cannot start a thread");
    }
    d->supervisor_runs = true;
    return LZR_OK;
}

static enum lzr_code make_catalog(struct lzr_driver *d, struct lzr_err *err)
{
    struct lzr_manifest_text *texts = lzr_calloc(d->nstores, sizeof *texts);
    if (texts == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for the manifests");
    }
    for (size_t k = 0; k < d->nstores; k++) {
        texts[k] = (struct lzr_manifest_text){d->stores[k].name, d->stores[k].path, d->manifests[k],
                                              d->manifest_lens[k]};
    }
    enum lzr_code code = lzr_catalog_new(texts, d->nstores, &d->catalog, err);
    lzr_free(texts);
    if (code != LZR_OK) {
        return code;
    }
    size_t n = lzr_catalog_narrays(d->catalog);
    d->array_stats = lzr_calloc(n > 0 ? n : 1, sizeof *d->array_stats);
    if (d->array_stats == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for statistics");
    }
    d->slot_bytes = lzr_catalog_max_chunk_bytes(d->catalog);
    for (size_t i = 0; i < n; i++) {
        uint64_t regions, encoded, chunk;
        lzr_inputs_most(lzr_catalog_array(d->catalog, i), &regions, &encoded, &chunk);
        d->input_chunk_bytes = chunk > d->input_chunk_bytes ? chunk : d->input_chunk_bytes;
        d->inputs_bytes = regions > d->inputs_bytes ? regions : d->inputs_bytes;
        d->encoded_bytes = encoded > d->encoded_bytes ? encoded : d->encoded_bytes;
    }
    return LZR_OK;
}

/* What the smallest plans hold: the chunks of two blocks' inputs for each array of the longest
 * chain, or one of each level of the deepest pyramid with what that is made of, or what a chunk is
 * copied from. */
static uint64_t small_plans(const struct lzr_driver *d)
{
    uint64_t most = 2 * lzr_inputs_chain(d->catalog);
    for (size_t i = 0; i < lzr_catalog_narrays(d->catalog); i++) {
        uint64_t pyramid = lzr_pyramid_most(lzr_catalog_array(d->catalog, i));
        uint64_t copy = lzr_copy_most(lzr_catalog_array(d->catalog, i));
        most = pyramid > most ? pyramid : most;
        most = copy > most ? copy : most;
    }
    return most;
}

/* The budget is never less than one block with its inputs a worker: regions, the block raw in its
 * slot, padded, encoded, and the inputs' chunks (design 4). Small plans have room beside that, so
 * that a tiny budget, or one that keeps nothing, refuses only what takes much. */
static void settle_budget(struct lzr_driver *d, uint64_t given)
{
    struct lzr_codec worst = {.id = LZR_CODEC_NONE};
    uint64_t small = small_plans(d);
    d->planner.share =
        (2 * d->slot_bytes + lzr_blob_charge(lzr_codec_bound(&worst, (size_t)d->slot_bytes)) +
         4096 + d->inputs_bytes) *
        d->nworkers;
    uint64_t floor = d->planner.share + d->encoded_bytes * d->nworkers +
                     (given == 0 || small < SMALL_PLANS ? small : SMALL_PLANS) +
                     lzr_cache_stats(d->cache).bytes;
    d->budget.limit = given > floor ? given : floor;
    if (given < floor) {
        lzr_cache_set_most(d->cache, floor); /* what plans share is kept while that is made */
    }
    if (given < floor && given > 0) {
        lzr_log(d->log, LZR_LOG_WARN,
                "--cache of %llu bytes is less than %u workers need for one block each, with what "
                "it is made of: up to %llu bytes are used",
                (unsigned long long)given, d->nworkers, (unsigned long long)floor);
    }
}

/* Where arrays are made of others' chunks, some of those are kept decoded. */
static void make_decoded(struct lzr_driver *d)
{
    uint64_t most = LZR_DECODED_CHUNKS * d->input_chunk_bytes, share = d->budget.limit / 8;
    /* A cache keeps nothing that is more than an eighth of it, and has some bookkeeping. */
    if (d->keep && most > 0 && share >= 9 * d->input_chunk_bytes && share >= 65536) {
        d->decoded = lzr_cache_new(&d->budget, most < share ? most : share); /* NULL: without */
    }
}

static enum lzr_code load(struct lzr_driver *d, const struct lzr_driver_options *o,
                          char **traceback, struct lzr_err *err)
{
    enum lzr_code code = lzr_await_workers(d, o->cancel, traceback, err);
    if (code != LZR_OK) {
        return code;
    }
    pthread_mutex_lock(&d->mu);
    code = lzr_compare_manifests(d, err);
    if (code == LZR_OK) {
        code = make_catalog(d, err);
    }
    if (code == LZR_OK) {
        code = lzr_folders_map(d, err);
    }
    if (code == LZR_OK) {
        code = lzr_unloaded_check(d, o->before, traceback, err);
    }
    if (code == LZR_OK) {
        code = lzr_handover_check(d, err);
    }
    if (code == LZR_OK) {
        code = lzr_keep_map(d, err);
    }
    if (code == LZR_OK) {
        code = lzr_slot_check(d->slot_bytes, d->inputs_bytes, err);
    }
    if (code == LZR_OK) {
        code = lzr_homes_init(d, err);
    }
    if (code == LZR_OK) {
        settle_budget(d, o->cache_bytes);
        make_decoded(d);
        d->opened = true;
    }
    pthread_mutex_unlock(&d->mu);
    code = code == LZR_OK ? lzr_files_open(&d->files, d->catalog, lzr_keep_file, d, err) : code;
    code = code == LZR_OK ? lzr_reads_init(d, err) : code;
    lzr_reads_provide(d);
    for (unsigned i = 0; i < d->nworkers && code == LZR_OK; i++) {
        lzr_worker_provide_slots(d, &d->workers[i]);
    }
    if (code == LZR_OK) {
        lzr_keep_chunks(d);
        lzr_say_costs(d);
        if (o->before == NULL) { /* not again at each reload */
            lzr_system_say(d->log, (d->memory_soft | d->memory_hard) != 0);
        }
        lzr_unloaded_say(d);
    }
    return code;
}

/* Where chunks lie. Under an address sanitizer each is malloc's, whose ends it watches. NULL: they
 * are malloc's as well. */
static struct lzr_pages *make_pages(void)
{
#ifdef __SANITIZE_ADDRESS__
    return NULL;
#else
    return lzr_pages_new(LZR_PAGES_KEPT);
#endif
}

/* An --op, or what is said of data files ("--axes=zyx"), where there is no data file. */
static enum lzr_code refuse_op(const char *op, struct lzr_err *err)
{
    static const char none[] = "is for data files, and none is given";
    const char *value = strchr(op, '=');
    if (strncmp(op, "--", 2) != 0) {
        return lzr_err_set(err, LZR_E_INVAL, "--op %s: '%s'", none, op);
    }
    if (value == NULL) {
        return lzr_err_set(err, LZR_E_INVAL, "%s %s", op, none);
    }
    return lzr_err_set(err, LZR_E_INVAL, "%.*s %s: '%s'", (int)(value - op), op, none, value + 1);
}

enum lzr_code lzr_driver_open(const struct lzr_driver_options *o, struct lzr_driver **out,
                              char **traceback, struct lzr_err *err)
{
    char exe[4096] = "";
    struct lzr_driver *d = lzr_calloc(1, sizeof *d);
    if (traceback != NULL) {
        *traceback = NULL;
    }
    if (d == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    d->log = o->log;
    d->start_timeout_us = o->start_timeout_us;
    d->nofile = o->worker_nofile;
    d->keep = o->cache_bytes > 0;
    d->memory_soft = o->worker_memory_soft;
    d->memory_hard = o->worker_memory_hard;
    d->worker_jobs = o->worker_jobs;
    d->worker_age_us = o->worker_age_us;
    d->budget.limit = o->cache_bytes;
    d->budget.pages = make_pages();
    d->codec_epoll = d->supervisor_epoll = d->wake_fd = d->stop_fd = d->task_fd = -1;
    d->reads.epoll = d->reads.event = -1;
    LZR_ZERO(pthread_mutex_init(&d->mu, NULL));
    LZR_ZERO(pthread_cond_init(&d->started, NULL));
    LZR_ZERO(pthread_cond_init(&d->starter.work, NULL));
    d->reads.timeout_us = d->files.timeout_us = o->read_timeout_us;
    d->reads.left = d->files.left = o->left;
    d->files.cancel = o->cancel;
    lzr_failures_init(&d->failures);
    lzr_drops_init(&d->drops);
    lzr_troubles_init(&d->troubles);
    d->ops = o->ops;
    d->nops = o->nops;
    d->follow = o->follow;
    d->kept = (struct lzr_keep){.old = o->keep, .renew = o->renew, .nrenew = o->nrenew};
    enum lzr_code code = lzr_system_occupy(err);
    if (code == LZR_OK) {
        code = lzr_find_stores(d, o, err);
    }
    bool data = o->nops == 0;
    for (size_t i = 0; i < d->nstores; i++) {
        data = data || d->stores[i].data;
    }
    if (code == LZR_OK && !data) {
        code = refuse_op(o->ops[0], err);
    }
    if (code == LZR_OK) {
        code = lzr_folders_make(d, err);
    }
    if (code == LZR_OK) {
        code = lzr_system_folder(exe, sizeof exe)
                   ? lzr_find_python(d, o, exe, err)
                   : lzr_err_set(err, LZR_E_SYS,
                                 "where this program is can't be known: /proc isn't there, and it "
                                 "wasn't started by a path");
    }
    if (code == LZR_OK) {
        d->manifests = lzr_calloc(d->nstores, sizeof *d->manifests);
        d->manifest_lens = lzr_calloc(d->nstores, sizeof *d->manifest_lens);
        code = d->manifests != NULL && d->manifest_lens != NULL
                   ? make_epolls(d, err)
                   : lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    if (code == LZR_OK) {
        code = make_tables(d, o, err);
    }
    if (code == LZR_OK) {
        code = lzr_keep_begin(d, err);
    }
    if (code == LZR_OK) {
        code = start_threads(d, err);
    }
    if (code == LZR_OK) {
        code = load(d, o, traceback, err);
    }
    if (code != LZR_OK) {
        lzr_driver_close(&d);
        return code;
    }
    *out = d;
    return LZR_OK;
}

/* Ends every flight that still waits; running ones lose their waiters and end by themselves. */
static void cancel_all(struct lzr_driver *d, struct lzr_request **list)
{
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        for (struct lzr_flight *f = d->flights.buckets[b]; f != NULL; f = f->hash_next) {
            struct lzr_request *next;
            f->held_until_us = 0;
            for (struct lzr_request *req = f->waiters; req != NULL; req = next) {
                next = req->next;
                if (req->done == NULL) {
                    continue; /* a need: it goes with the flight that has it */
                }
                lzr_flight_leave(f, req);
                d->waiting--;
                req->result = (struct lzr_result){.code = LZR_E_CANCELLED,
                                                  .again = true,
                                                  .text = lzr_strdup("lazarr is stopping")};
                req->next = *list;
                *list = req;
            }
        }
    }
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        struct lzr_flight *next;
        for (struct lzr_flight *f = d->flights.buckets[b]; f != NULL; f = next) {
            next = f->hash_next;
            if ((f->state == LZR_QUEUED || f->state == LZR_GATHERING) && f->nwaiters == 0) {
                lzr_flight_abandon(d, f);
                next = d->flights.buckets[b]; /* its needs may have gone with it */
            }
        }
    }
}

void lzr_driver_drain(struct lzr_driver *d)
{
    struct lzr_request *list = NULL;
    pthread_mutex_lock(&d->mu);
    d->draining = true;
    cancel_all(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
}

/* Until the supervisor has ended, which it does when all workers have: those that go on are killed.
 * Not by pthread_timedjoin_np, which counts on the clock of the day and could wait for as long as
 * that is set back, nor by pthread_clockjoin_np, of which the thread sanitizer knows nothing. */
static void await_supervisor(struct lzr_driver *d, uint64_t until)
{
    pthread_mutex_lock(&d->mu);
    while (!d->supervisor_over) {
        for (unsigned i = 0; i < d->nworkers && lzr_now_us() > until; i++) {
            lzr_worker_kill(d, &d->workers[i]);
        }
        lzr_await_a_while(d);
    }
    pthread_mutex_unlock(&d->mu);
    LZR_ZERO(pthread_join(d->supervisor, NULL));
}

/* Asks the workers to end, kills those that don't, and waits for the threads. */
static void stop_threads(struct lzr_driver *d)
{
    uint64_t until = lzr_now_us() + LZR_QUIT_US, one = 1;
    pthread_mutex_lock(&d->mu);
    d->closing = true;
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        struct lzr_msg m = {.type = LZR_MSG_QUIT};
        if (w->state == LZR_WORKER_STARTING || w->njobs > 0) {
            lzr_worker_kill(d, w); /* nobody waits for what it does */
        } else if (w->channel != NULL && w->state == LZR_WORKER_READY) {
            (void)lzr_channel_send(w->channel, &m, NULL, 0, -1, NULL);
            w->state = LZR_WORKER_ENDING;
        }
    }
    pthread_mutex_unlock(&d->mu);
    if (d->supervisor_runs) {
        lzr_wake_supervisor(d);
        await_supervisor(d, until);
    }
    if (d->stop_fd >= 0) {
        ssize_t n = write(d->stop_fd, &one, sizeof one);
        LZR_CHECK(n == (ssize_t)sizeof one);
    }
    for (unsigned i = 0; i < d->ncodecs; i++) {
        LZR_ZERO(pthread_join(d->codecs[i], NULL));
    }
}

static void remove_flights(struct lzr_driver *d)
{
    for (uint32_t b = 0; b < d->flights.nbuckets && d->flights.buckets != NULL; b++) {
        while (d->flights.buckets[b] != NULL) {
            struct lzr_flight *f = d->flights.buckets[b];
            lzr_flights_remove(&d->flights, &f);
        }
    }
}

void lzr_driver_close(struct lzr_driver **dp)
{
    struct lzr_driver *d = *dp;
    *dp = NULL;
    if (d == NULL) {
        return;
    }
    if (d->flights.buckets != NULL) {
        lzr_driver_drain(d);
    }
    if (d->workers == NULL || d->codecs == NULL || d->flights.buckets == NULL) {
        d->ncodecs = 0; /* opening failed before a thread was started */
    }
    if (d->ncodecs > 0) {
        stop_threads(d);
    }
    if (lzr_reads_close(d)) {
        lzr_driver_release(d);
    } /* else the last thread that it leaves behind does */
}

void lzr_driver_release(struct lzr_driver *d)
{
    lzr_planner_release(d);
    remove_flights(d);
    if (d->flights.buckets != NULL) {
        lzr_flights_release(&d->flights);
    }
    lzr_queue_release(&d->queue);
    for (unsigned i = 0; d->workers != NULL && i < d->nworkers; i++) {
        for (size_t k = 0; d->workers[i].manifests != NULL && k < d->nstores; k++) {
            lzr_buf_release(&d->workers[i].manifests[k]);
        }
        lzr_free(d->workers[i].manifests);
        lzr_worker_release(&d->workers[i]);
    }
    lzr_cache_free(&d->cache);
    lzr_scratch_release(&d->scratch);
    lzr_cache_free(&d->decoded);
    lzr_catalog_free(&d->catalog);
    lzr_failures_release(&d->failures);
    lzr_files_release(&d->files);
    lzr_reads_release(d);
    lzr_keep_release(&d->kept);
    lzr_free(d->salts);
    lzr_drops_release(&d->drops);
    lzr_pages_free(&d->budget.pages);
    lzr_troubles_release(&d->troubles);
    lzr_folders_release(&d->folders);
    lzr_free(d->shares);
    lzr_stores_free(d->stores, d->nstores);
    for (size_t k = 0; d->manifests != NULL && k < d->nstores; k++) {
        lzr_free(d->manifests[k]);
    }
    lzr_free(d->manifests);
    lzr_free(d->manifest_lens);
    lzr_free(d->array_stats);
    lzr_free(d->homes);
    lzr_free(d->workers);
    lzr_free(d->codecs);
    int fds[] = {d->codec_epoll, d->supervisor_epoll, d->wake_fd, d->stop_fd, d->task_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    LZR_ZERO(pthread_cond_destroy(&d->started));
    LZR_ZERO(pthread_cond_destroy(&d->starter.work));
    LZR_ZERO(pthread_mutex_destroy(&d->mu));
    lzr_free(d);
}
