/* What ends a job, or a worker, before it ends by itself: deadlines, nobody who waits any more,
 * memory, age. All of it is looked at by the supervisor, at every tick and when something is due.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/stalled.h"

#define FULL_US 10000000 /* what an idle worker may take to read its messages */
#define DUMP_US 200000   /* what a worker may take to write its stacks before it is killed */
#define LATE_READS 64    /* messages of a late worker that may lie before its answer */
/* How long the answer to a late job may be under way from the socket when its slot says that the
 * next job has begun, so that the late one must be done: a worker may write there what it likes. */
#define BEGUN_US 2000000

static void signal_worker(const struct lzr_worker *w, int sig)
{
    (void)lzr_process_signal(&w->process, sig); /* one that is gone needn't know */
}

static uint64_t began_us(const struct lzr_job *j)
{
    return j->deadline_us - j->timeout_us;
}

static const struct lzr_pace *pace_of(const struct lzr_driver *d, const struct lzr_job *j)
{
    return &d->array_stats[j->flight->array->id].pace;
}

/* Whether a block that nobody waits for runs to its end (or its deadline) all the same: it is its
 * worker's first of this array, or it was asked for again after it had been dropped. */
static bool is_finished_alone(const struct lzr_worker *w, const struct lzr_flight *f)
{
    return f->array->finish_abandoned || f->again || !lzr_worker_has_done(w, f->array);
}

void lzr_job_interrupt(struct lzr_driver *d, struct lzr_flight *f)
{
    uint64_t now = lzr_now_us();
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        struct lzr_job *j = &w->jobs[0];
        if (w->njobs == 0 || j->flight != f || w->state == LZR_WORKER_ENDING) {
            continue;
        }
        if (j->interrupted_us == 0) {
            if (is_finished_alone(w, f) || !lzr_pace_interrupt(pace_of(d, j), now - began_us(j))) {
                return;
            }
            j->interrupted_us = now;
            d->stats.interrupted_total++;
            lzr_drops_note(&d->drops, f->array->id, f->level, f->index);
        }
        lzr_slot_cancel(j->slot, j->seq);
        signal_worker(w, SIGRTMIN + LZR_SIGNAL_CANCEL);
    }
}

/* The worker has one job, which is to be killed with it: what waits behind it is taken back. False:
 * that one has begun, so the first is done, and its answer on its way. */
static bool isolate(struct lzr_driver *d, struct lzr_worker *w)
{
    (void)lzr_unprepare(d, w);
    while (w->njobs > 1 && lzr_worker_withdraw(d, w, w->njobs - 1)) {
    }
    return w->njobs == 1;
}

void lzr_worker_late(struct lzr_driver *d, struct lzr_worker *w, struct lzr_request **list)
{
    struct lzr_job *j = &w->jobs[0];
    struct lzr_flight *f = j->flight;
    char text[256];
    (void)snprintf(text, sizeof text, "%s/%s: %s took longer than %.3g s%s and was killed",
                   f->array->store->name, f->array->path,
                   f->array->source ? "reading the source" : "the function",
                   (double)j->timeout_us / 1e6,
                   f->array->source && j->timeout_us == d->reads.timeout_us ? " (--read-timeout)"
                                                                            : "");
    lzr_log(d->log, LZR_LOG_ERROR, "%s (chunk %llu)", text, (unsigned long long)f->index);
    d->stats.worker_kills_total++;
    w->killed = LZR_KILLED_DEADLINE;
    lzr_worker_kill(d, w);
    /* Who waits is told now: a process may take long to end. Its slot goes with it. */
    j->flight = NULL;
    lzr_flight_fail(d, f, LZR_E_TIMEOUT, text, list);
}

/* Whether an answer of a worker that is late may lie in its socket, for lack of a codec thread that
 * takes it: that isn't its fault. One that goes on writing other things isn't waited for. */
static bool lies_unread(struct lzr_worker *w)
{
    struct pollfd p = {.fd = w->channel->fd, .events = POLLIN};
    w->unread = w->late_reads < LATE_READS && poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
    return w->unread;
}

static void kill_late(struct lzr_driver *d, struct lzr_worker *w, uint64_t now,
                      struct lzr_request **list)
{
    if (isolate(d, w) || now >= w->dump_us + BEGUN_US) {
        lzr_worker_late(d, w, list);
    }
}

static void kill_abandoned(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_job *j = &w->jobs[0];
    struct lzr_flight *f = j->flight;
    if (!isolate(d, w)) {
        return;
    }
    lzr_log(d->log, LZR_LOG_WARN,
            "worker %u is killed: %s/%s (chunk %llu) goes on although nobody waits for it",
            w->number, f->array->store->name, f->array->path, (unsigned long long)f->index);
    d->stats.abandoned_kills_total++;
    w->killed = LZR_KILLED_ABANDONED;
    lzr_worker_kill(d, w);
    lzr_job_dropped(d, j);
    j->flight = NULL;
    lzr_flight_drop(d, f);
}

void lzr_job_dropped(struct lzr_driver *d, const struct lzr_job *j)
{
    d->stats.dropped_running_total++;
    lzr_drops_count(&d->drops, j->flight->array, j->flight->index, lzr_now_us() - began_us(j));
}

void lzr_say_drops(struct lzr_driver *d, uint64_t now, bool last)
{
    char text[512];
    if (lzr_drops_line(&d->drops, now, last, text, sizeof text)) {
        lzr_log(d->log, LZR_LOG_INFO, "%s", text);
    }
}

/* Jobs that nobody waits for. */
static void check_wanted(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    for (unsigned i = w->njobs; i-- > 0;) {
        struct lzr_job *j = &w->jobs[i];
        if (lzr_flight_unwanted(j->flight, now)) {
            if (j->interrupted_us != 0 &&
                lzr_pace_kill(pace_of(d, j), now - began_us(j), now - j->interrupted_us,
                              w->start_cost_us) &&
                !lies_unread(w)) {
                kill_abandoned(d, w);
                return;
            }
            lzr_flight_abandon(d, j->flight);
        } else if (j->interrupted_us != 0 && lzr_slot_uncancel(j->slot, j->seq)) {
            j->interrupted_us = 0; /* somebody came while the function didn't know yet */
            j->flight->again = true;
        }
    }
}

static void check_deadline(struct lzr_driver *d, struct lzr_worker *w, uint64_t now,
                           struct lzr_request **list)
{
    struct lzr_job *j = &w->jobs[0];
    if (now < j->deadline_us) {
        w->late_reads = 0;
        if (w->njobs > 1 && now - began_us(j) > LZR_TICK_US / 2) {
            (void)lzr_worker_withdraw(d, w, 1); /* it waits behind a slow one */
        }
        return;
    }
    if (lies_unread(w)) {
        return;
    }
    if (w->dump_us == 0) {
        lzr_log(d->log, LZR_LOG_WARN,
                "worker %u is at %s/%s, chunk %llu, beyond its deadline; its stacks:", w->number,
                j->flight->array->store->name, j->flight->array->path,
                (unsigned long long)j->flight->index);
        signal_worker(w, SIGRTMIN + LZR_SIGNAL_STACK);
        w->dump_us = now;
    } else if (now >= w->dump_us + DUMP_US) {
        kill_late(d, w, now, list);
    }
}

void lzr_worker_measure(struct lzr_driver *d, struct lzr_worker *w)
{
    unsigned long long pages = 0, shared = 0;
    char path[64], text[128];
    if ((d->memory_soft | d->memory_hard) == 0 || w->pid <= 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)w->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return; /* gone, or no descriptor left: looked at again soon */
    }
    text[n] = '\0';
    char *at = strchr(text, ' '); /* "size resident shared ...", in pages */
    if (at != NULL) {
        pages = strtoull(at, &at, 10);
        shared = strtoull(at, &at, 10);
    }
    w->resident = pages > shared ? (pages - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void check_memory(struct lzr_driver *d, struct lzr_worker *w)
{
    if (d->memory_hard > 0 && w->resident > d->memory_hard) {
        d->stats.memory_kills_total++;
        w->killed = LZR_KILLED_MEMORY;
        lzr_worker_give_up(d, w,
                           "it used %llu MiB of memory, more than --worker-memory allows (%llu "
                           "MiB), and was killed",
                           (unsigned long long)(w->resident >> 20),
                           (unsigned long long)(d->memory_hard >> 20));
    } else if (d->memory_soft > 0 && w->resident > d->memory_soft && w->jobs_done > 0 &&
               w->retire == NULL) {
        w->retire = "it has grown beyond the soft limit of --worker-memory";
    }
}

/* A worker that is to be replaced ends when it has nothing to do. */
static void check_retirement(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    if (w->state != LZR_WORKER_READY) {
        return;
    }
    if (w->retire == NULL && w->retire_us > 0 && now >= w->retire_us) {
        w->retire = "it has reached the age that --worker-age allows";
    }
    if (w->retire == NULL && w->npinned > LZR_WORKER_PINNED) {
        w->retire = "the store keeps too many blocks";
    }
    if (w->retire != NULL && w->njobs == 0 && w->next.flight == NULL) {
        struct lzr_msg m = {.type = LZR_MSG_QUIT};
        lzr_log(d->log, LZR_LOG_INFO, "worker %u is replaced: %s", w->number, w->retire);
        (void)lzr_channel_send(w->channel, &m, NULL, 0, -1, NULL);
        d->stats.worker_recycles_total++;
        w->state = LZR_WORKER_ENDING;
        w->quit_us = now + LZR_QUIT_US;
    }
}

/* A worker whose socket was full: it reads on, or, with nothing to do, is a broken one. */
static void check_full(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    struct pollfd p = {.fd = w->channel->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) > 0 && (p.revents & POLLOUT) != 0) {
        w->full_us = 0;
    } else if (w->njobs == 0 && now >= w->full_us + FULL_US) {
        lzr_worker_give_up(d, w, "it didn't read its messages");
    }
}

void lzr_worker_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now,
                      struct lzr_request **list)
{
    if (w->state == LZR_WORKER_STARTING && now < w->start_deadline_us) {
        w->late_reads = 0;
    }
    if (w->state == LZR_WORKER_STARTING && now >= w->start_deadline_us && !lies_unread(w)) {
        lzr_worker_give_up(d, w, "it took longer than %llu s to load the stores (--start-timeout)",
                           (unsigned long long)(d->start_timeout_us / 1000000));
        return;
    }
    if (w->state == LZR_WORKER_ENDING && w->quit_us > 0 && now >= w->quit_us) {
        w->quit_us = 0;
        lzr_log(d->log, LZR_LOG_WARN, "worker %u was told to end and doesn't: it is killed",
                w->number);
        lzr_worker_kill(d, w);
    }
    if (w->state != LZR_WORKER_STARTING && w->state != LZR_WORKER_READY) {
        return;
    }
    if (w->full_us != 0) {
        check_full(d, w, now);
    }
    check_memory(d, w);
    if (w->njobs > 0 && w->state == LZR_WORKER_READY) {
        check_deadline(d, w, now, list);
    }
    if (w->njobs > 0 && w->state == LZR_WORKER_READY) {
        lzr_stalled_check(d, w, now);
    }
    if (w->njobs > 0 && w->state == LZR_WORKER_READY) {
        check_wanted(d, w, now);
    }
    check_retirement(d, w, now);
}

uint64_t lzr_worker_due(const struct lzr_worker *w)
{
    uint64_t due = UINT64_MAX;
    if (w->state == LZR_WORKER_READY && w->njobs > 0 && !w->unread) {
        due = w->dump_us == 0  ? w->jobs[0].deadline_us
              : w->njobs == 1 ? w->dump_us + DUMP_US
                              : UINT64_MAX; /* kill_late looks whether its answer has come */
    }
    return due;
}
