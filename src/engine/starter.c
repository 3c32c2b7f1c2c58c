#include "engine/starter.h"

#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"

static struct lzr_worker *next_asked(struct lzr_driver *d)
{
    for (unsigned i = 0; i < d->nworkers && !d->closing; i++) {
        if (d->workers[i].birth.state == LZR_BIRTH_ASKED) {
            return &d->workers[i];
        }
    }
    return NULL;
}

/* With mu, which it gives back meanwhile. */
static void start(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_birth *b = &w->birth;
    struct lzr_process process = LZR_PROCESS_NONE;
    struct lzr_err err = {.code = LZR_OK};
    b->state = LZR_BIRTH_AT;
    pthread_mutex_unlock(&d->mu);
    pid_t pid = lzr_worker_spawn(d, b->mark, b->socket_fd, b->write_fd, &process, &err);
    close(b->socket_fd);
    close(b->write_fd);
    pthread_mutex_lock(&d->mu);
    b->socket_fd = b->write_fd = -1;
    b->pid = pid;
    b->process = process;
    b->err = err;
    b->state = LZR_BIRTH_DONE;
    if (d->reads.closed && d->reads.left != NULL) { /* left behind until now */
        atomic_fetch_sub(d->reads.left, 1);
    }
    if (!d->supervisor_over) {
        lzr_wake_supervisor(d);
    } else if (pid > 0) { /* nobody takes it over */
        pthread_mutex_unlock(&d->mu);
        lzr_process_leave(&process);
        (void)lzr_process_end(pid);
        pthread_mutex_lock(&d->mu);
    }
}

static void *starter_main(void *driver)
{
    struct lzr_driver *d = driver;
    pthread_mutex_lock(&d->mu);
    while (!d->starter.ending) {
        struct lzr_worker *w = next_asked(d);
        if (w != NULL) {
            start(d, w);
        } else {
            pthread_cond_wait(&d->starter.work, &d->mu);
        }
    }
    lzr_thread_ends(d);
    return NULL;
}

bool lzr_starter_begin(struct lzr_driver *d)
{
    pthread_t thread;
    d->reads.threads++; /* before any other thread runs */
    if (pthread_create(&thread, NULL, starter_main, d) != 0) {
        d->reads.threads--;
        return false;
    }
    d->starter.runs = true;
    LZR_ZERO(pthread_detach(thread));
    return true;
}

void lzr_starter_ask(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_birth *b)
{
    pthread_mutex_lock(&d->mu);
    w->birth = *b;
    LZR_ZERO(pthread_cond_signal(&d->starter.work));
    pthread_mutex_unlock(&d->mu);
}

/* It takes longer than a file system may: whoever waits for the worker is told. With mu. */
static void say_late(struct lzr_driver *d, struct lzr_worker *w)
{
    char text[1200];
    (void)snprintf(text, sizeof text, "'%.1000s' cannot be started: its file system doesn't answer",
                   d->pyenv.worker);
    w->birth.late = true;
    lzr_log(d->log, LZR_LOG_ERROR, "worker %u: %s", w->number, text);
    lzr_worker_forget_why(w);
    w->load_error = lzr_strdup(text);
    w->failed_starts++;
    pthread_cond_broadcast(&d->started);
}

void lzr_starter_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now)
{
    struct lzr_birth b;
    uint64_t most = d->reads.timeout_us;
    pthread_mutex_lock(&d->mu);
    b = w->birth;
    if (b.state == LZR_BIRTH_DONE) {
        w->birth = (struct lzr_birth){.state = LZR_BIRTH_NONE};
    } else if (b.state != LZR_BIRTH_NONE && !b.late && most > 0 && now >= b.asked_us + most) {
        say_late(d, w);
    }
    pthread_mutex_unlock(&d->mu);
    if (b.state == LZR_BIRTH_DONE) {
        lzr_worker_born(d, w, &b);
    }
}

bool lzr_starter_awaited(const struct lzr_worker *w, uint64_t now)
{
    return w->birth.state == LZR_BIRTH_DONE ||
           (w->birth.state == LZR_BIRTH_AT && now < w->birth.asked_us + LZR_LOST_US);
}

bool lzr_starter_end(struct lzr_driver *d)
{
    bool stuck = false;
    d->starter.ending = true;
    pthread_cond_broadcast(&d->starter.work);
    for (unsigned i = 0; i < d->nworkers; i++) {
        stuck = stuck || d->workers[i].birth.state == LZR_BIRTH_AT;
    }
    return stuck;
}

void lzr_birth_release(struct lzr_birth *b)
{
    if (b->state == LZR_BIRTH_NONE) {
        return;
    }
    lzr_channel_unref(&b->channel);
    close(b->output_fd);
    if (b->socket_fd >= 0) {
        close(b->socket_fd);
        close(b->write_fd);
    }
    b->state = LZR_BIRTH_NONE;
}
