/* The supervisor: the one thread that starts workers, waits for their ends, reads what they print
 * and looks at deadlines. It never encodes and never waits for anything but its epoll set. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"

/* What an epoll event is about: the worker's number and one of these. */
enum { ABOUT_PROCESS = 0, ABOUT_OUTPUT = 1 };
#define ABOUT_WAKE UINT64_MAX
/* While a folder asks for a worker it is looked so often whether it may have one now. */
#define TURN_US 20000

static uint64_t tag(const struct lzr_worker *w, unsigned about)
{
    return ((uint64_t)w->number << 1) | about;
}

void lzr_wake_supervisor(struct lzr_driver *d)
{
    uint64_t one = 1;
    ssize_t n = write(d->wake_fd, &one, sizeof one);
    (void)n; /* a full eventfd is awake already */
}

int lzr_watch_process(struct lzr_driver *d, struct lzr_worker *w)
{
    struct epoll_event p = {.events = EPOLLIN, .data.u64 = tag(w, ABOUT_PROCESS)};
    struct epoll_event o = {.events = EPOLLIN, .data.u64 = tag(w, ABOUT_OUTPUT)};
    struct epoll_event says = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = w};
    /* Its messages last: until they are read it isn't READY, and can be given up without a trace.
     */
    if (w->process.fd < 0 ||
        epoll_ctl(d->supervisor_epoll, EPOLL_CTL_ADD, w->process.fd, &p) != 0 ||
        epoll_ctl(d->supervisor_epoll, EPOLL_CTL_ADD, w->output_fd, &o) != 0 ||
        epoll_ctl(d->codec_epoll, EPOLL_CTL_ADD, w->channel->fd, &says) != 0) {
        return -1;
    }
    return 0;
}

/* A worker of another version says so at each start, the server once for all (code.h). */
static bool said_already(struct lzr_driver *d, const struct lzr_worker *w, const char *text,
                         size_t n)
{
    static const char line[] = "lazarr-worker: " LZR_VERSIONS_DIFFER;
    if (n < sizeof line || memcmp(text, line, sizeof line - 1) != 0) {
        return false;
    }
    pthread_mutex_lock(&d->mu);
    bool known = w->refused;
    pthread_mutex_unlock(&d->mu);
    return known;
}

/* The block that a worker computes, as a line of the log has it; "" if there is none. */
static void describe_running(struct lzr_driver *d, const struct lzr_worker *w, char *text, size_t n)
{
    text[0] = '\0';
    pthread_mutex_lock(&d->mu);
    const struct lzr_flight *f = w->njobs > 0 ? w->jobs[0].flight : NULL;
    if (f != NULL) {
        (void)snprintf(text, n, "%s/%s, chunk %llu", f->array->store->name, f->array->path,
                       (unsigned long long)f->index);
    }
    pthread_mutex_unlock(&d->mu);
}

/* Says what a worker printed, line by line. last: it has ended. */
static void read_output(struct lzr_driver *d, struct lzr_worker *w, bool last)
{
    char chunk[4096], running[LZR_MAX_LABEL + 1];
    w->output.log = d->log;
    for (int turn = 0; turn < 16; turn++) {
        ssize_t n = read(w->output_fd, chunk, sizeof chunk);
        if (n <= 0) {
            if (n == 0) {
                (void)epoll_ctl(d->supervisor_epoll, EPOLL_CTL_DEL, w->output_fd, NULL);
            }
            break;
        }
        if (!said_already(d, w, chunk, (size_t)n)) {
            lzr_output_add(&w->output, chunk, (size_t)n);
        }
    }
    describe_running(d, w, running, sizeof running);
    lzr_output_settle(&w->output, running, last);
}

static void describe_death(const siginfo_t *si, char *text, size_t n)
{
    if (si->si_pid == 0) {
        (void)snprintf(text, n, "it was killed");
    } else if (si->si_code == CLD_EXITED) {
        (void)snprintf(text, n, "it ended with status %d", si->si_status);
    } else {
        (void)snprintf(text, n, "it was ended by signal %d (SIG%s)", si->si_status,
                       sigabbrev_np(si->si_status) != NULL ? sigabbrev_np(si->si_status) : "?");
    }
}

/* The job that a dead worker was at: tried once more in a fresh worker, or failed. With mu. */
static void bury_job(struct lzr_driver *d, struct lzr_worker *w, struct lzr_job *j, const char *how,
                     struct lzr_request **list)
{
    struct lzr_flight *f = j->flight;
    char text[512];
    j->slot->busy = false;
    if (f == NULL) {
        return; /* ended when the worker was killed for it */
    }
    f->deaths++;
    if (d->closing) {
        lzr_flight_fail(d, f, LZR_E_CANCELLED, "lazarr is stopping", list);
        return;
    }
    lzr_log(d->log, LZR_LOG_ERROR, "worker %u died over %s/%s, chunk %llu: %s", w->number,
            f->array->store->name, f->array->path, (unsigned long long)f->index, how);
    if (f->deaths >= 2) {
        (void)snprintf(text, sizeof text, "%s/%s: the worker died twice over this chunk: %s",
                       f->array->store->name, f->array->path, how);
        lzr_flight_fail(d, f, LZR_E_WORKER, text, list);
        return;
    }
    d->stats.retries_total++;
    f->needs_fresh = true;
    f->fresh_until_us = lzr_now_us() + UINT64_C(30) * 1000000;
    lzr_flight_requeue(d, f);
}

/* A process that was killed and isn't gone, or is dead and can't be waited for, since a debugger or
 * the kernel holds it: it is left to itself, and waited for when that can be. */
static void write_off(struct lzr_driver *d, const struct lzr_worker *w)
{
    unsigned i = 0;
    while (i < LZR_LOST && d->lost[i] != 0) {
        i++;
    }
    if (i < LZR_LOST) {
        d->lost[i] = w->pid;
    }
    lzr_log(d->log, LZR_LOG_ERROR,
            "worker %u (process %d) was killed and doesn't go: a debugger or the kernel holds it; "
            "it is written off",
            w->number, (int)w->pid);
}

static void wait_for_lost(struct lzr_driver *d)
{
    for (unsigned i = 0; i < LZR_LOST; i++) {
        if (d->lost[i] != 0 && waitpid(d->lost[i], NULL, WNOHANG) != 0) {
            d->lost[i] = 0;
        }
    }
}

/* Its end was seen, but it can't be waited for: no more events of that, which would never end. It
 * is looked at with every tick. */
static void await_end(struct lzr_driver *d, struct lzr_worker *w)
{
    (void)epoll_ctl(d->supervisor_epoll, EPOLL_CTL_DEL, w->process.fd, NULL);
    pthread_mutex_lock(&d->mu);
    w->state = LZR_WORKER_ENDING;
    w->unseen = true;
    w->killed_us = w->killed_us != 0 ? w->killed_us : lzr_now_us();
    pthread_mutex_unlock(&d->mu);
}

/* A process has ended before it had loaded its stores. With mu. */
static void note_lost_start(struct lzr_driver *d, struct lzr_worker *w, const char *how)
{
    w->failed_starts++;
    if (!w->said_why || w->load_error == NULL) {
        char text[320];
        (void)snprintf(text, sizeof text, "the worker died while it loaded the stores: %s",
                       how);
        lzr_worker_forget_why(w);
        w->load_error = lzr_strdup(text);
    }
    if (d->opened && !d->closing && w->killed != LZR_KILLED_CODE) {
        lzr_log(d->log, LZR_LOG_ERROR, "worker %u: %s%s%s", w->number, w->load_error,
                w->load_traceback != NULL ? "\n" : "",
                w->load_traceback != NULL ? w->load_traceback : "");
    }
    if (w->failed_starts >= LZR_CODE_STARTS && !w->refused) {
        struct lzr_code_record *c = &lzr_folder_of(d, w)->code;
        (void)snprintf(c->why, sizeof c->why,
                       "no worker can be started any more: %.300s; " LZR_RELOAD_WITH,
                       w->load_error != NULL ? w->load_error : how);
    }
}

/* Waits for a process that has ended, and ends all that it started. False: it hasn't ended, or
 * can't be waited for; lost: it is left to itself then. */
static bool end_family(struct lzr_driver *d, const struct lzr_worker *w, bool lost,
                       siginfo_t *si)
{
    bool ended = lzr_process_ended(&w->process, si);
    if (!ended && !lost) {
        return false;
    }
    (void)kill(-w->pid, SIGKILL); /* before it is waited for: its number is still its group's */
    if (ended) {
        (void)lzr_process_reap(&w->process, si);
    }
    lzr_orphans_seek(&d->orphans, w->mark, w->pid, lzr_now_us());
    return ended;
}

/* When a process has ended: its answers are read first, then its jobs are taken care of, then it is
 * started again, at once the first time and ever later if it keeps failing. lost: it isn't waited
 * for any longer. */
static void bury(struct lzr_driver *d, struct lzr_worker *w, bool lost)
{
    struct lzr_request *list = NULL;
    siginfo_t si = {0};
    char how[256];
    if (!end_family(d, w, lost, &si) && !lost) {
        await_end(d, w);
        return;
    }
    lzr_worker_read(d, w);
    read_output(d, w, true);
    describe_death(&si, how, sizeof how);
    if (si.si_pid == 0) {
        write_off(d, w);
    }
    pthread_mutex_lock(&w->read_mu); /* nobody is between taking a message and applying it */
    pthread_mutex_lock(&d->mu);
    if (w->killed_why[0] != '\0' &&
        (si.si_pid == 0 || (si.si_code == CLD_KILLED && si.si_status == SIGKILL))) {
        (void)snprintf(how, sizeof how, "%s", w->killed_why); /* not "SIGKILL" */
    }
    bool starting = !w->loaded; /* its state may say ENDING by now */
    if (!d->closing) {
        d->stats.worker_deaths_total +=
            w->killed == LZR_KILLED_MEMORY || (w->killed == LZR_KILLED_NOT && w->retire == NULL);
        w->deaths += w->killed != LZR_KILLED_NOT || w->retire == NULL;
    }
    (void)lzr_unprepare(d, w);
    for (unsigned i = w->njobs; i > 1; i--) {
        lzr_job_return(d, &w->jobs[i - 1]); /* sent ahead, never begun */
    }
    if ((w->killed == LZR_KILLED_CODE || w->killed == LZR_KILLED_STALLED) &&
        w->njobs > 0) { /* nor is it to blame for the first */
        if (w->jobs[0].flight != NULL) {
            lzr_job_return(d, &w->jobs[0]);
        }
        w->njobs = 0;
    }
    if (w->njobs > 0 && w->dump_us != 0 && w->jobs[0].flight != NULL && !d->closing) {
        w->njobs = 1;
        lzr_worker_late(d, w, &list); /* it was to be killed; the signal for its stacks did it */
    }
    if (w->njobs > 0) {
        bury_job(d, w, &w->jobs[0], how, &list);
        w->njobs = 0;
    } else if (d->opened && !d->closing && !starting && w->killed == LZR_KILLED_NOT &&
               w->retire == NULL) {
        lzr_log(d->log, LZR_LOG_WARN, "worker %u ended while idle: %s", w->number, how);
    }
    if (starting && si.si_code == CLD_EXITED && si.si_status == LZR_EXIT_VERSIONS) {
        lzr_worker_outdated(d, w, "the worker program was replaced by one of another version");
    }
    if (starting) {
        note_lost_start(d, w, how);
    }
    unsigned shift = w->failed_starts > 9 ? 9 : w->failed_starts;
    uint64_t wait = w->failed_starts == 0 ? 0 : UINT64_C(50000) << shift;
    w->restart_us = lzr_now_us() + (wait > 30000000 ? 30000000 : wait);
    (void)epoll_ctl(d->codec_epoll, EPOLL_CTL_DEL, w->channel->fd, NULL);
    (void)epoll_ctl(d->supervisor_epoll, EPOLL_CTL_DEL, w->process.fd, NULL); /* process.h: why */
    char *error = w->load_error, *traceback = w->load_traceback;
    w->load_error = w->load_traceback = NULL;
    lzr_homes_leave(d, w);
    lzr_worker_reset(w);
    w->load_error = error; /* kept until the next start: opening reads it */
    w->load_traceback = traceback;
    if (w->to != LZR_NO_FOLDER) {
        lzr_folder_enter(d, w, w->to);
        w->to = LZR_NO_FOLDER;
    } else if (starting && !d->opened) {
        lzr_folders_lost(d, w);
    }
    pthread_cond_broadcast(&d->started);
    lzr_code_check(d, &list);
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    pthread_mutex_unlock(&w->read_mu);
    lzr_complete(list);
}

/* Requests whose own deadline has passed are answered "busy" and their flight is held. With mu. */
static void check_waiters(struct lzr_driver *d, uint64_t now, struct lzr_request **list)
{
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        for (struct lzr_flight *f = d->flights.buckets[b]; f != NULL; f = f->hash_next) {
            struct lzr_request *next;
            for (struct lzr_request *req = f->waiters; req != NULL; req = next) {
                next = req->next;
                if (req->deadline_us == 0 || now < req->deadline_us) {
                    continue;
                }
                lzr_flight_leave(f, req);
                d->waiting--;
                f->held_until_us = now + LZR_HOLD_US;
                req->result =
                    (struct lzr_result){.code = LZR_E_BUSY,
                                        .again = true,
                                        .text = lzr_strdup(
                                            "the chunk is still being computed; ask again")};
                req->next = *list;
                *list = req;
            }
        }
    }
}

void lzr_check_holds(struct lzr_driver *d, uint64_t now)
{
    struct lzr_flight *next;
    for (struct lzr_flight *f = d->held; f != NULL; f = next) {
        next = f->next;
        if (now < f->held_until_us) {
            continue;
        }
        if (f->prev != NULL) {
            f->prev->next = f->next;
        } else {
            d->held = f->next;
        }
        if (f->next != NULL) {
            f->next->prev = f->prev;
        }
        lzr_flights_remove(&d->flights, &f);
    }
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        for (struct lzr_flight *f = d->flights.buckets[b]; f != NULL; f = next) {
            next = f->hash_next;
            if ((f->state == LZR_QUEUED || f->state == LZR_GATHERING ||
                 f->state == LZR_PREPARING) &&
                f->held_until_us != 0 && lzr_flight_unwanted(f, now)) {
                uint32_t before = d->flights.n;
                lzr_flight_abandon(d, f);
                /* Its needs may have gone with it, what came next among them: from the start. But
                 * one whose slot is being filled stays until that is done. */
                next = d->flights.n < before ? d->flights.buckets[b] : next;
            }
        }
    }
}

/* A process that can't be watched (no descriptor left) is ended here and tried again later. */
static void give_up(struct lzr_driver *d, struct lzr_worker *w, int sys)
{
    struct lzr_err why;
    errno = sys;
    lzr_err_sys(&why, "a worker's process can't be watched");
    lzr_log(d->log, LZR_LOG_ERROR, "worker %u is killed: %s", w->number, why.msg);
    if (!lzr_process_end(w->pid)) {
        write_off(d, w);
    }
    pthread_mutex_lock(&w->read_mu);
    pthread_mutex_lock(&d->mu);
    lzr_worker_reset(w);
    w->load_error = lzr_strdup(why.msg); /* ends opening */
    w->failed_starts++;
    w->restart_us = lzr_now_us() + 1000000;
    pthread_cond_broadcast(&d->started);
    pthread_mutex_unlock(&d->mu);
    pthread_mutex_unlock(&w->read_mu);
}

static void tick(struct lzr_driver *d)
{
    struct lzr_request *list = NULL;
    for (unsigned i = 0; i < d->nworkers; i++) {
        lzr_worker_measure(d, &d->workers[i]);
    }
    uint64_t now = lzr_now_us();
    (void)lzr_orphans_look(&d->orphans, now);
    lzr_trim_look(&d->trim, now, atomic_load(&d->budget.used));
    pthread_mutex_lock(&d->mu);
    for (unsigned i = 0; i < d->nworkers; i++) {
        lzr_worker_check(d, &d->workers[i], now, &list);
    }
    if (d->waiting > 0) {
        check_waiters(d, now, &list);
    }
    lzr_check_holds(d, now);
    lzr_reads_check(d, now, &list);
    lzr_code_check(d, &list);
    lzr_say_drops(d, now, d->closing);
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
    lzr_reads_provide(d);
    wait_for_lost(d);
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        pthread_mutex_lock(&d->mu);
        bool opened = d->opened;
        bool lost = w->pid > 0 && w->killed_us != 0 && now >= w->killed_us + LZR_LOST_US;
        bool unseen = w->pid > 0 && w->unseen;
        bool start = w->state == LZR_WORKER_DOWN && now >= w->restart_us && !d->closing &&
                     w->birth.state == LZR_BIRTH_NONE &&
                     (opened || lzr_folders_assign(d, w));
        w->launching = w->launching || start;
        pthread_mutex_unlock(&d->mu);
        if (lost || unseen) {
            bury(d, w, lost);
        }
        if (opened) {
            lzr_worker_provide_slots(d, w); /* that pins took, or that couldn't be made */
        }
        if (start) {
            lzr_worker_start(d, w);
        } else if (w->pid <= 0) {
            lzr_starter_check(d, w, now);
            if (w->pid > 0 && lzr_watch_process(d, w) != 0) {
                give_up(d, w, errno);
            }
        }
    }
}

/* Milliseconds until something is due, at most a tick. */
static int pause_ms(struct lzr_driver *d)
{
    uint64_t now = lzr_now_us(), due = now + LZR_TICK_US;
    pthread_mutex_lock(&d->mu);
    for (unsigned i = 0; i < d->nworkers; i++) {
        uint64_t t = lzr_worker_due(&d->workers[i]);
        due = t < due ? t : due;
    }
    if (d->asked && due > now + TURN_US) {
        due = now + TURN_US;
    }
    pthread_mutex_unlock(&d->mu);
    return due <= now ? 0 : (int)((due - now) / 1000 + 1);
}

static bool all_down(struct lzr_driver *d)
{
    bool down = true;
    uint64_t now = lzr_now_us();
    pthread_mutex_lock(&d->mu);
    bool closing = d->closing;
    for (unsigned i = 0; i < d->nworkers; i++) {
        down = down && d->workers[i].pid <= 0 && !lzr_starter_awaited(&d->workers[i], now);
    }
    pthread_mutex_unlock(&d->mu);
    return closing && down;
}

void *lzr_supervisor_main(void *driver)
{
    struct lzr_driver *d = driver;
    lzr_orphans_init(&d->orphans);
    tick(d); /* starts the first workers */
    while (!all_down(d)) {
        struct epoll_event ev[32];
        int n = epoll_wait(d->supervisor_epoll, ev, 32, pause_ms(d));
        for (int i = 0; i < n; i++) {
            if (ev[i].data.u64 == ABOUT_WAKE) {
                uint64_t count;
                ssize_t got = read(d->wake_fd, &count, sizeof count);
                (void)got;
                continue;
            }
            struct lzr_worker *w = &d->workers[ev[i].data.u64 >> 1];
            if (w->pid <= 0) {
                continue; /* buried by an earlier event of this turn */
            }
            if ((ev[i].data.u64 & 1) == ABOUT_OUTPUT) {
                read_output(d, w, false);
            } else {
                bury(d, w, false);
            }
        }
        tick(d);
    }
    while (lzr_orphans_look(&d->orphans, lzr_now_us())) { /* bounded: LZR_ORPHANS_US */
        (void)poll(NULL, 0, 5);
    }
    pthread_mutex_lock(&d->mu);
    d->supervisor_over = true;
    pthread_cond_broadcast(&d->started);
    pthread_mutex_unlock(&d->mu);
    return NULL;
}
