/* Starting a worker's process, and its slots. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/nothing.h"
#include "base/spawn.h"
#include "engine/config.h"
#include "engine/engine.h"

extern char **environ;

void lzr_worker_init(struct lzr_worker *w, unsigned number)
{
    *w = (struct lzr_worker){.number = number,
                             .folder = LZR_NO_FOLDER,
                             .to = LZR_NO_FOLDER,
                             .pid = -1,
                             .process = LZR_PROCESS_NONE,
                             .output_fd = -1};
    LZR_ZERO(pthread_mutex_init(&w->read_mu, NULL));
    lzr_output_init(&w->output, number);
}

void lzr_worker_release(struct lzr_worker *w)
{
    lzr_worker_reset(w);
    lzr_birth_release(&w->birth);
    lzr_free(w->code);
    lzr_output_release(&w->output);
    LZR_ZERO(pthread_mutex_destroy(&w->read_mu));
}

static void release_manifests(struct lzr_driver *d, struct lzr_worker *w)
{
    for (size_t i = 0; w->manifests != NULL && i < d->nstores; i++) {
        lzr_buf_release(&w->manifests[i]);
    }
}

void lzr_worker_forget_why(struct lzr_worker *w)
{
    lzr_free(w->load_error);
    lzr_free(w->load_traceback);
    w->load_error = w->load_traceback = NULL;
}

void lzr_worker_reset(struct lzr_worker *w)
{
    LZR_CHECK(w->njobs == 0);
    while (w->slots != NULL) {
        struct lzr_slot *s = w->slots;
        w->slots = s->next;
        lzr_slot_unref(&s);
    }
    w->npinned = 0;
    lzr_channel_unref(&w->channel);
    lzr_process_leave(&w->process);
    if (w->output_fd >= 0) {
        close(w->output_fd);
    }
    w->output_fd = -1;
    w->pid = -1;
    w->state = LZR_WORKER_DOWN;
    w->killed = LZR_KILLED_NOT;
    w->full_us = w->dump_us = w->quit_us = w->killed_us = w->resident = w->slots_us = 0;
    w->late_reads = 0;
    w->unread = w->unseen = false;
    w->retire = NULL;
    w->stray = false;
    if (w->code != NULL) {
        memset(w->code, 0, w->code_room);
    }
    lzr_free(w->done);
    w->done = NULL;
    w->killed_why[0] = '\0';
    lzr_worker_forget_why(w);
}

bool lzr_worker_has_done(const struct lzr_worker *w, const struct lzr_array *a)
{
    return w->done != NULL && (w->done[a->id / 64] >> a->id % 64 & 1) != 0;
}

void lzr_worker_note_done(const struct lzr_driver *d, struct lzr_worker *w,
                          const struct lzr_array *a)
{
    if (w->done == NULL) {
        w->done = lzr_calloc(lzr_catalog_narrays(d->catalog) / 64 + 1, sizeof *w->done);
    }
    if (w->done != NULL) { /* else its next block counts as its first, too */
        w->done[a->id / 64] |= UINT64_C(1) << a->id % 64;
    }
}

void lzr_worker_kill(struct lzr_driver *d, struct lzr_worker *w)
{
    if (w->pid > 0) {
        if (!lzr_process_signal(&w->process, SIGKILL)) {
            lzr_log(d->log, LZR_LOG_DEBUG, "worker %u is gone already", w->number);
        }
        w->state = LZR_WORKER_ENDING;
        w->killed_us = w->killed_us != 0 ? w->killed_us : lzr_now_us();
    }
}

void lzr_worker_give_up(struct lzr_driver *d, struct lzr_worker *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(w->killed_why, sizeof w->killed_why, fmt, ap);
    va_end(ap);
    lzr_log(d->log, LZR_LOG_ERROR, "worker %u is killed: %s", w->number, w->killed_why);
    lzr_worker_kill(d, w);
}

struct lzr_slot *lzr_worker_free_slot(const struct lzr_worker *w)
{
    struct lzr_slot *s = w->slots;
    while (s != NULL && (s->busy || s->pinned || s->lost)) {
        s = s->next;
    }
    return s;
}

/* Takes a slot that isn't used again out of its worker's list, if it is there still: its process
 * may have been followed by another. */
static void drop_slot(struct lzr_worker *w, struct lzr_slot *s)
{
    struct lzr_slot **p = &w->slots;
    while (*p != NULL && *p != s) {
        p = &(*p)->next;
    }
    if (*p == NULL) {
        return;
    }
    *p = s->next;
    struct lzr_msg m = {.type = LZR_MSG_DROP_SLOT, .slot = s->id};
    /* Without it the worker only keeps a map of what nobody writes to. */
    (void)lzr_channel_send(w->channel, &m, NULL, 0, -1, NULL);
    lzr_slot_unref(&s);
}

void lzr_worker_free(struct lzr_worker *w, struct lzr_slot *s)
{
    s->busy = false;
    if (s->pinned) {
        return;
    }
    if (s->lost) {
        drop_slot(w, s);
    } else {
        lzr_slot_trim(s);
    }
}

void lzr_worker_provide_slots(struct lzr_driver *d, struct lzr_worker *w)
{
    for (;;) {
        struct lzr_slot *fresh = NULL;
        struct lzr_request *list = NULL;
        struct lzr_err err;
        unsigned usable = 0;
        pthread_mutex_lock(&d->mu);
        for (struct lzr_slot *s = w->slots; s != NULL; s = s->next) {
            usable += !s->pinned && !s->lost;
        }
        bool wanted = w->state == LZR_WORKER_READY && usable < LZR_WORKER_SLOTS &&
                      w->npinned <= LZR_WORKER_PINNED && lzr_now_us() >= w->slots_us;
        uint32_t id = w->next_slot;
        pthread_mutex_unlock(&d->mu);
        if (!wanted) {
            return;
        }
        if (lzr_slot_new(id, d->slot_bytes, d->inputs_bytes, &d->budget, &fresh, &err) != LZR_OK) {
            lzr_log_as(d->log, LZR_LOG_ERROR, (struct lzr_log_how){.same = d->nonce | 1},
                       "worker %u: %s", w->number, err.msg); /* again every second */
            pthread_mutex_lock(&d->mu);
            w->slots_us = lzr_now_us() + LZR_SLOTS_US;
            pthread_mutex_unlock(&d->mu);
            return;
        }
        pthread_mutex_lock(&d->mu);
        if (w->state == LZR_WORKER_READY && w->next_slot == id) {
            struct lzr_msg m = {.type = LZR_MSG_SLOT,
                                .slot = id,
                                .bytes = fresh->capacity,
                                .total = fresh->inputs_capacity};
            /* The message must be on its way before a job can name the slot. A send of one packet
             * that never blocks is the one call made under mu, and only here. */
            if (lzr_channel_send(w->channel, &m, NULL, 0, fresh->fd, &err) == LZR_OK) {
                w->next_slot++;
                fresh->next = w->slots;
                w->slots = fresh;
                fresh = NULL;
            }
            lzr_dispatch(d, &list);
        }
        pthread_mutex_unlock(&d->mu);
        lzr_complete(list);
        if (fresh != NULL) {
            lzr_slot_unref(&fresh);
            return; /* the worker is gone or was given the slot by another thread */
        }
    }
}

/* What is the server's alone: what its service manager gave it, and what may hold a token. */
static bool withheld(const char *variable)
{
    static const char *const names[] = {"NOTIFY_SOCKET=",  "LISTEN_PID=",   "LISTEN_FDS=",
                                        "LISTEN_FDNAMES=", "WATCHDOG_PID=", "WATCHDOG_USEC=",
                                        "LAZARR_"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void free_environment(char **env)
{
    for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
        lzr_free(env[i]);
    }
    lzr_free(env);
}

/* The environment of a worker: its mark, ours, one thread a library (workers are the parallelism),
 * and the library path of the Python it is to run on. Freed with free_environment. */
static char **make_environment(const struct lzr_driver *d, const char *mark)
{
    static const char *const singles[] = {"OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1",
                                          "MKL_NUM_THREADS=1", "BLOSC_NTHREADS=1",
                                          "NUMEXPR_NUM_THREADS=1"};
    const size_t nsingles = sizeof singles / sizeof singles[0];
    size_t n = 0, k = 0;
    while (environ[n] != NULL) {
        n++;
    }
    char **env = lzr_calloc(n + nsingles + 3, sizeof *env);
    if (env == NULL) {
        return NULL;
    }
    bool ld = d->pyenv.ld_library_path[0] != '\0';
    bool ok = (env[k++] = lzr_strdup(mark)) != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        if (withheld(environ[i]) || (ld && strncmp(environ[i], "LD_LIBRARY_PATH=", 16) == 0)) {
            continue;
        }
        ok = (env[k++] = lzr_strdup(environ[i])) != NULL;
    }
    for (size_t i = 0; ok && i < nsingles; i++) {
        char name[64];
        size_t len = strcspn(singles[i], "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, singles[i]);
        if (getenv(name) == NULL) {
            ok = (env[k++] = lzr_strdup(singles[i])) != NULL;
        }
    }
    if (ok && ld) {
        size_t size = strlen(d->pyenv.ld_library_path) + 17;
        ok = (env[k] = lzr_malloc(size)) != NULL;
        if (ok) {
            (void)snprintf(env[k], size, "LD_LIBRARY_PATH=%s", d->pyenv.ld_library_path);
        }
    }
    if (!ok) { /* not with half of it */
        free_environment(env);
        return NULL;
    }
    return env;
}

/* The process begins as the leader of a group, by which whatever it starts can be ended. */
static int lead_group(posix_spawnattr_t *attr)
{
    short flags = 0;
    return posix_spawnattr_getflags(attr, &flags) | posix_spawnattr_setpgroup(attr, 0) |
           posix_spawnattr_setflags(attr, (short)(flags | POSIX_SPAWN_SETPGROUP));
}

/* fork + exec with the socket as descriptor 3, the pipe as stdout and stderr, nothing else open. */
static int spawn(const struct lzr_driver *d, const char *mark, int socket_fd, int output_fd,
                 int input_fd, pid_t *pid)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    const char *old = getenv("LD_LIBRARY_PATH");
    const char *args[14];
    char nofile[24];
    size_t n = 0;
    args[n++] = d->pyenv.worker;
    args[n++] = "--program";
    args[n++] = d->pyenv.program;
    args[n++] = "--package";
    args[n++] = d->pyenv.package;
    args[n++] = "--version";
    args[n++] = LZR_VERSION;
    if (d->pyenv.ld_library_path[0] != '\0') {
        args[n++] = "--restore-ld-library-path";
        args[n++] = old != NULL ? old : "";
    }
    if (d->nofile > 0) {
        (void)snprintf(nofile, sizeof nofile, "%llu", (unsigned long long)d->nofile);
        args[n++] = "--nofile";
        args[n++] = nofile;
    }
    args[n] = NULL;
    char **env = make_environment(d, mark);
    if (env == NULL) {
        return ENOMEM;
    }
    LZR_ZERO(posix_spawn_file_actions_init(&fa));
    /* Both ends lie well above 3 (start.c reserves the low numbers), so the order is safe. */
    int rc = posix_spawn_file_actions_adddup2(&fa, output_fd, 1) |
             posix_spawn_file_actions_adddup2(&fa, output_fd, 2) |
             posix_spawn_file_actions_adddup2(&fa, socket_fd, LZR_WORKER_FD) |
             posix_spawn_file_actions_adddup2(&fa, input_fd, 0) |
             posix_spawn_file_actions_addclosefrom_np(&fa, LZR_WORKER_FD + 1) |
             lzr_spawn_clean(&attr) | lead_group(&attr);
    if (rc == 0) {
        rc = posix_spawn(pid, d->pyenv.worker, &fa, &attr, (char *const *)(uintptr_t)args, env);
    }
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&attr);
    free_environment(env);
    return rc;
}

/* With mu. */
static void send_facts(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_err err;
    if (w->loader || w->facts_sent || !w->configured || w->state != LZR_WORKER_STARTING ||
        w->channel == NULL || lzr_folder_of(d, w)->handover.facts_fd < 0) {
        return;
    }
    const struct lzr_handover *h = &lzr_folder_of(d, w)->handover;
    struct lzr_msg m = {.type = LZR_MSG_FACTS, .bytes = h->facts_bytes};
    w->facts_sent = true;
    enum lzr_code code = lzr_channel_send(w->channel, &m, NULL, 0, h->facts_fd, &err);
    if (code != LZR_OK && code != LZR_E_WORKER) {
        /* It waits for them: without, it is of no use. One that is gone is noticed by its end. */
        lzr_worker_give_up(d, w, "it could not be told of the sources: %s", err.msg);
    }
}

/* Sends the part of CONFIG that begins at `at`. Behind the last one, the loader of an edition that
 * keeps another one's sources is told what that knows of them. */
static enum lzr_code send_config(struct lzr_driver *d, const struct lzr_folder *f,
                                 struct lzr_channel *c, bool loader, uint64_t at, bool *last,
                                 struct lzr_err *err)
{
    const struct lzr_folder *old =
        loader && d->kept.old != NULL ? lzr_folder_find(d->kept.old, f->root) : NULL;
    uint32_t flags =
        (loader ? LZR_CONFIG_LOADER : LZR_CONFIG_FACTS) | (old != NULL ? LZR_CONFIG_KEEP : 0) |
        (!loader && f->handover.facts_fd >= 0 ? LZR_CONFIG_KNOWN : 0) |
        (d->folders.n > 1 ? LZR_CONFIG_OTHERS : 0);
    enum lzr_code code = lzr_config_send(f, c, flags, at, last, err);
    return code == LZR_OK && *last && old != NULL ? lzr_keep_tell(d, &old->handover, c, err) : code;
}

bool lzr_send_more(struct lzr_driver *d, struct lzr_worker *w, uint64_t at)
{
    struct lzr_err err;
    if (w->configured) {
        return false;
    }
    enum lzr_code code = send_config(d, lzr_folder_of(d, w), w->channel, w->loader, at,
                                     &w->configured, &err);
    send_facts(d, w);
    if (code != LZR_OK && code != LZR_E_WORKER) {
        (void)snprintf(w->killed_why, sizeof w->killed_why,
                       "it could not be told of its stores: %.200s", err.msg);
        return false;
    }
    return true;
}

void lzr_send_facts(struct lzr_driver *d)
{
    for (unsigned i = 0; i < d->nworkers; i++) {
        send_facts(d, &d->workers[i]);
    }
}

pid_t lzr_worker_spawn(const struct lzr_driver *d, const char *mark, int socket_fd, int output_fd,
                       struct lzr_process *process, struct lzr_err *err)
{
    pid_t pid = -1;
    int input_fd = lzr_nothing_open(false);
    if (input_fd < 0) {
        lzr_err_sys(err, "cannot open /dev/null, nor make a pipe in its place");
        return -1;
    }
    int rc = spawn(d, mark, socket_fd, output_fd, input_fd, &pid);
    close(input_fd);
    if (rc != 0) {
        errno = rc;
        lzr_err_sys(err, "cannot start '%s'", d->pyenv.worker);
        return -1;
    }
    if (!lzr_process_watch(process, pid)) {
        lzr_err_sys(err, "a worker's process can't be watched");
        (void)lzr_process_end(pid);
        return -1;
    }
    return pid;
}

static void start_failed(struct lzr_driver *d, struct lzr_worker *w, const char *text)
{
    lzr_log(d->log, LZR_LOG_ERROR, "worker %u: %s", w->number, text);
    pthread_mutex_lock(&d->mu);
    w->launching = false;
    lzr_worker_forget_why(w);
    w->load_error = lzr_strdup(text);
    w->failed_starts++;
    w->restart_us = lzr_now_us() + 1000000;
    pthread_cond_broadcast(&d->started);
    pthread_mutex_unlock(&d->mu);
}

/* A limit less up to a tenth of it, so that workers aren't all replaced at once. */
static uint64_t jitter(uint64_t limit, const struct lzr_worker *w)
{
    const uint64_t seed[2] = {w->number, w->began_us};
    uint64_t less = limit / 10;
    return less > 0 ? limit - lzr_hash64(seed, sizeof seed, 0) % less : limit;
}

void lzr_worker_start(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_birth b = {.state = LZR_BIRTH_ASKED, .asked_us = lzr_now_us()};
    struct lzr_err err = {.code = LZR_OK};
    int output[2];
    release_manifests(d, w);
    if (lzr_channel_new(&b.channel, &b.socket_fd, &err) != LZR_OK) {
        start_failed(d, w, err.msg);
        return;
    }
    if (pipe2(output, O_CLOEXEC) != 0) {
        lzr_err_sys(&err, "cannot make a pipe");
        close(b.socket_fd);
        lzr_channel_unref(&b.channel);
        start_failed(d, w, err.msg);
        return;
    }
    b.output_fd = output[0];
    b.write_fd = output[1];
    (void)fcntl(b.output_fd, F_SETFL, O_NONBLOCK);
    lzr_orphans_mark(b.mark, d->nonce, w->number, b.asked_us);
    lzr_starter_ask(d, w, &b);
}

void lzr_worker_born(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_birth *b)
{
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_channel *c = b->channel;
    bool last = false;
    pthread_mutex_lock(&d->mu);
    const struct lzr_folder *f = lzr_folder_of(d, w);
    bool loader = f->loader == w->number && f->handover.facts_fd < 0;
    pthread_mutex_unlock(&d->mu);
    if (b->pid <= 0) {
        close(b->output_fd);
        lzr_channel_unref(&c);
        start_failed(d, w, b->err.msg);
        return;
    }
    enum lzr_code told = send_config(d, f, c, loader, 0, &last, &err);
    pthread_mutex_lock(&d->mu);
    w->pid = b->pid;
    memcpy(w->mark, b->mark, sizeof w->mark);
    w->process = b->process;
    w->output_fd = b->output_fd;
    w->channel = c;
    w->state = LZR_WORKER_STARTING;
    w->launching = false;
    w->jobs_done = 0;
    w->loaded = w->facts_sent = w->said_why = false;
    w->configured = last;
    w->loader = loader;
    w->next_slot = 0;
    w->began_us = lzr_now_us();
    w->start_deadline_us = w->began_us + d->start_timeout_us;
    w->most_jobs = jitter(d->worker_jobs, w);
    w->retire_us = d->worker_age_us > 0 ? w->began_us + jitter(d->worker_age_us, w) : 0;
    d->stats.worker_starts_total++;
    if (told != LZR_OK && told != LZR_E_WORKER) { /* one that is gone is noticed by its end */
        lzr_worker_give_up(d, w, "it could not be told of its stores: %s", err.msg);
    }
    send_facts(d, w);
    if (d->closing) {
        lzr_worker_kill(d, w);
    }
    pthread_mutex_unlock(&d->mu);
}
