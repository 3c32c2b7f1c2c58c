#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/mem.h"
#include "base/ring.h"
#include "cli/caution.h"
#include "cli/commands.h"
#include "cli/crash.h"
#include "cli/memory.h"
#include "cli/service.h"
#include "http/look.h"
#include "http/viewer.h"

/* So many arrays are named at the start; the page at / has more. */
enum { SAID_ARRAYS = 10 };
/* Who reads what the server says has so long: without taking anything, at a moment's end, and at
 * most until the stop must be over. */
#define STILL_US 500000
#define FLUSH_US 1000000
#define STOP_US 13500000
#define LAST_US 14500000 /* then it ends, whatever still holds it up */
#define ANNOUNCED (UINT64_C(1) << 30) /* bytes of URLs at most */

struct lzr_driver *lzr_open_driver(const struct lzr_options *o, const struct lzr_log *log)
{
    struct lzr_driver_options d = o->driver;
    struct lzr_driver *driver = NULL;
    struct lzr_err err = {.code = LZR_OK};
    char *traceback = NULL;
    d.log = log;
    if (lzr_driver_open(&d, &driver, &traceback, &err) == LZR_OK) {
        return driver;
    }
    lzr_log(log, LZR_LOG_ERROR, "%s", err.msg);
    if (traceback != NULL && *traceback != '\0') {
        lzr_log_text(log, traceback, strlen(traceback));
        if (traceback[strlen(traceback) - 1] != '\n') {
            lzr_log_text(log, "\n", 1);
        }
    }
    lzr_free(traceback);
    return NULL;
}

/* "http://127.0.0.1:8080", or --public-url without its last slash. */
static void base_url(const struct lzr_options *o, const char *host, uint16_t port, char *out,
                     size_t n)
{
    if (o->server.public_url != NULL) {
        (void)snprintf(out, n, "%s", o->server.public_url);
        size_t len = strlen(out);
        if (len > 0 && out[len - 1] == '/') {
            out[len - 1] = '\0';
        }
        return;
    }
    (void)snprintf(out, n, strchr(host, ':') != NULL ? "http://[%s]:%u" : "http://%s:%u", host,
                   port);
}

/* One line an array: its levels, its URL in every face that holds it, and why the others don't. */
static void print_array(struct lzr_buf *out, const struct lzr_array *a, const char *url)
{
    static const enum lzr_face faces[] = {LZR_FACE_ZARR3, LZR_FACE_ZARR2, LZR_FACE_N5,
                                          LZR_FACE_PRECOMPUTED, LZR_FACE_BDV};
    const char *cast = lzr_view_cast(a);
    struct lzr_buf reasons;
    lzr_buf_init(&reasons, 4096);
    lzr_buf_printf(out, "%s/%s", a->store->name, a->path);
    if (a->nlevels > 1) {
        /* How they come about, which nobody need have said: docs/levels.md has the words. */
        lzr_buf_printf(out, " (%u levels: %s)", a->nlevels, lzr_pyramid_name(a->pyramid));
    }
    for (size_t i = 0; i < sizeof faces / sizeof faces[0]; i++) {
        char why[LZR_WHY_BYTES];
        struct lzr_buf key;
        bool held = lzr_face_holds(a, faces[i], why);
        bool through_cast = false;
        if (faces[i] == LZR_FACE_PRECOMPUTED && !held) {
            held = lzr_look_shows(a, faces[i], &through_cast) && through_cast;
        }
        if (!held) {
            /* A plain array isn't expected in BigDataViewer: no line is made longer for that. */
            if (faces[i] != LZR_FACE_BDV || a->kind != LZR_PLAIN) {
                lzr_buf_printf(&reasons, "; %s", why);
            }
            continue;
        }
        lzr_buf_init(&key, LZR_MAX_KEY);
        lzr_array_key(&key, a, faces[i], true);
        lzr_buf_printf(out, "  %s/%s%s", url, key.data, through_cast ? cast : "");
        lzr_buf_release(&key);
    }
    if (!lzr_viewer_neuroglancer_has(a)) {
        lzr_buf_printf(&reasons, "; Neuroglancer lacks %s in Zarr", lzr_array_type(a));
    }
    if (reasons.len > 0) {
        lzr_buf_printf(out, "  (%s)", reasons.data + 2);
    }
    lzr_buf_printf(out, "\n");
    lzr_buf_release(&reasons);
}

static void print_arrays(struct lzr_buf *out, const struct lzr_catalog *c, const char *url)
{
    struct lzr_look look;
    size_t n = lzr_catalog_narrays(c);
    for (size_t i = 0; i < n && i < SAID_ARRAYS; i++) {
        print_array(out, lzr_catalog_array(c, i), url);
    }
    if (n > SAID_ARRAYS) {
        lzr_buf_printf(out, "… and %zu more: %s/\n", n - SAID_ARRAYS, url);
    }
    if (lzr_look_choose(c, NULL, NULL, &look)) {
        lzr_buf_printf(out, "lazarr: all of it in Neuroglancer: %s/view/%s\n", url,
                       lzr_catalog_nstores(c) == 1 ? lzr_catalog_store(c, 0)->name : "");
    }
}

/* Waits for signals from before the stores are loaded: a store that takes long to load can be
 * stopped too. */
struct stopper {
    const sigset_t *signals;
    const struct lzr_log *log;
    bool had_terminal, hup_ignored; /* at the start */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* Guarded by mu. */
    bool serves;               /* requests may come: from now on a stop is an orderly one */
    struct lzr_server *server; /* once it can be reloaded */
    bool stop;
    bool reload; /* wished before it served */
};

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

/* SIGHUP asks for a reload, unless it says that the terminal is gone: then there is nobody to serve
 * any more, except for one who started us with nohup. */
static bool hangs_up(const struct stopper *s)
{
    return s->had_terminal && !s->hup_ignored && !has_terminal();
}

/* SIGUSR1 opens the log's file again; a program that knows no better sends the other. */
static void take_user_signal(const struct stopper *s, int sig)
{
    if (sig == SIGUSR2) {
        lzr_log(s->log, LZR_LOG_INFO, "SIGUSR2 means nothing here and is ignored");
    } else if (!lzr_log_reopen(s->log)) {
        lzr_log(s->log, LZR_LOG_INFO, "SIGUSR1 opens --log-file again, and none was given");
    }
}

/* One signal; true once it is time to stop. */
static bool take_signal(struct stopper *s, int sig)
{
    if (sig == SIGUSR1 || sig == SIGUSR2) {
        take_user_signal(s, sig);
        return false;
    }
    bool stop = sig != SIGHUP || hangs_up(s);
    pthread_mutex_lock(&s->mu);
    if (!stop && s->server != NULL) {
        lzr_server_reload(s->server);
    }
    s->reload = s->reload || !stop;
    if (stop && !s->serves) {
        lzr_log_flush(s->log, STILL_US, FLUSH_US);
        _exit(0); /* nothing is served yet; the workers go with this process */
    }
    s->stop = stop;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
    return stop;
}

/* As the signal does by itself. Process 1 isn't ended by any: it ends as a shell would say it. */
static void end_by(int sig)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, sig);
    (void)signal(sig, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    (void)raise(sig);
    _exit(128 + sig);
}

static void *wait_for_signals(void *arg)
{
    struct stopper *s = arg;
    sigset_t last;
    int sig = 0;
    while (sigwait(s->signals, &sig) != 0 || !take_signal(s, sig)) {
    }
    /* From now on a second signal ends the process at once; one that asks for a reload doesn't. And
     * whatever holds the first one up, the process ends in time. */
    sigemptyset(&last);
    sigaddset(&last, SIGTERM);
    sigaddset(&last, SIGINT);
    sigaddset(&last, SIGQUIT);
    for (uint64_t now = lzr_now_us(), until = now + LAST_US; now < until; now = lzr_now_us()) {
        struct timespec left = lzr_timespec(until - now);
        sig = sigtimedwait(&last, NULL, &left);
        if (sig > 0) {
            end_by(sig);
        }
    }
    lzr_log(s->log, LZR_LOG_ERROR, "stopping is held up by what doesn't answer: lazarr ends now");
    lzr_log_flush(s->log, STILL_US / 5, STILL_US / 5);
    _exit(0);
}

/* Before the first request can come, which is before this thread knows or says that it can. */
static void begin_to_serve(struct stopper *s)
{
    pthread_mutex_lock(&s->mu);
    s->serves = true;
    pthread_mutex_unlock(&s->mu);
}

/* Returns when it is time to stop. */
static void serve_until_stopped(struct stopper *s, struct lzr_server *server)
{
    pthread_mutex_lock(&s->mu);
    s->server = server;
    if (s->reload) {
        lzr_server_reload(server);
    }
    while (!s->stop) {
        pthread_cond_wait(&s->cond, &s->mu);
    }
    pthread_mutex_unlock(&s->mu);
}

/* What the server says: standard error is its log, standard output has the URLs and the line that
 * it listens. Neither is waited for: whoever starts it may read only one of them, or none. */
struct outlets {
    struct lzr_log *log;
    struct lzr_ring *out; /* NULL: nothing was said yet */
    struct lzr_service *service;
};

/* As many workers as cores, unless the user has said how many. After what keeps it from serving,
 * which is a line of its own. */
static void say_workers(const struct lzr_log *log, const struct lzr_cores *cores, unsigned workers,
                        bool told)
{
    char text[160];
    lzr_cores_text(cores, text, sizeof text);
    lzr_log(log, LZR_LOG_INFO, "%u worker%s%s: this process may use %s", workers,
            workers == 1 ? "" : "s", told ? " (--workers)" : "", text);
}

static void say_python(const struct lzr_log *log, const struct lzr_driver *d)
{
    char text[2048];
    lzr_driver_python(d, text, sizeof text);
    lzr_log(log, LZR_LOG_INFO, "stores run in %s; another: --python PREFIX", text);
}

/* The URLs to copy; before anything is served, since a reload then frees the catalog. */
static enum lzr_code announce(struct outlets *says, const struct lzr_options *o,
                              const struct lzr_catalog *c, const struct lzr_server *server,
                              struct lzr_err *err)
{
    const char *token = lzr_server_token(server);
    char url[2048];
    struct lzr_buf text;
    base_url(o, lzr_server_name(server), lzr_server_port(server), url, sizeof url);
    if (token != NULL) {
        /* For whoever reads it, not for a journal: standard output may be one. One that was made
         * nobody would know otherwise. */
        bool shown = o->server.token == NULL || isatty(STDOUT_FILENO) != 0;
        size_t n = strlen(url);
        (void)snprintf(url + n, sizeof url - n, "/t/%s", shown ? token : "***");
    }
    lzr_buf_init(&text, ANNOUNCED);
    print_arrays(&text, c, url);
    if (token != NULL) { /* the line that it listens has no token */
        lzr_buf_printf(&text, "lazarr: the page: %s/\n", url);
    }
    enum lzr_code code = lzr_buf_failed(&text)
                             ? lzr_err_set(err, LZR_E_NOMEM, "no memory to print the arrays' URLs")
                             : lzr_ring_new(STDOUT_FILENO, 2 * text.len + 65536, &says->out, err);
    if (code == LZR_OK) {
        /* What was said of the stores comes before them, where one file or terminal gets both. */
        lzr_log_flush(says->log, STILL_US, FLUSH_US);
        (void)lzr_ring_put_text(says->out, text.data, text.len);
    }
    lzr_buf_release(&text);
    return code;
}

/* The line that says that requests are accepted. */
static void announce_listening(struct outlets *says, const struct lzr_options *o,
                               const struct lzr_server *server)
{
    struct lzr_options plain = *o;
    char own[2048], text[2100];
    plain.server.public_url = NULL;
    base_url(&plain, lzr_server_host(server), lzr_server_port(server), own, sizeof own);
    int n = snprintf(text, sizeof text, "lazarr: listening on %s/\n", own);
    (void)lzr_ring_put_text(says->out, text, (size_t)n);
}

/* A reload has begun or is over, for the service manager; the start is one, too. */
static void tell_reloads(void *ctx, bool begins)
{
    if (begins) {
        lzr_service_say(ctx, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=loading the stores",
                        (unsigned long long)lzr_now_us());
    } else {
        lzr_service_say(ctx, "READY=1\nSTATUS=serving");
    }
}

static bool is_alive(void *server)
{
    return lzr_server_alive(server);
}

/* Until it is told to stop; the exit status, and when it was told. */
static int serve(const struct lzr_options *o, struct stopper *stopper, struct outlets *says,
                 uint64_t *stopped_us)
{
    struct lzr_server *server = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_options own = *o;
    const struct lzr_cores cores = lzr_cores_find("");
    pthread_t thread;
    if (own.driver.workers == 0) { /* in later loads, too */
        own.driver.workers = cores.n < LZR_MAX_WORKERS ? cores.n : LZR_MAX_WORKERS;
    }
    errno = pthread_create(&thread, NULL, wait_for_signals, stopper);
    if (errno != 0) {
        lzr_err_sys(&err, "cannot start a thread");
        lzr_log(says->log, LZR_LOG_ERROR, "%s", err.msg);
        return 1;
    }
    if (lzr_server_new(&o->server, &server, &err) != LZR_OK) {
        lzr_log(says->log, LZR_LOG_ERROR, "%s", err.msg);
        return 1;
    }
    struct lzr_driver *d = lzr_open_driver(&own, says->log);
    if (d == NULL) {
        lzr_server_free(&server);
        return 1;
    }
    lzr_caution_say(o, server, says->log);
    say_workers(says->log, &cores, own.driver.workers, o->driver.workers != 0);
    say_python(says->log, d);
    enum lzr_code code = announce(says, o, lzr_driver_catalog(d), server, &err);
    if (code == LZR_OK) {
        begin_to_serve(stopper);
        code = lzr_server_start(server, &d, &own.driver, &err);
    }
    if (code != LZR_OK) {
        lzr_log(says->log, LZR_LOG_ERROR, "%s", err.msg);
        lzr_server_free(&server);
        lzr_driver_close(&d);
        return 1;
    }
    announce_listening(says, o, server);
    lzr_service_alive(says->service, is_alive, server);
    tell_reloads(says->service, false);
    serve_until_stopped(stopper, server);
    *stopped_us = lzr_now_us();
    lzr_log(says->log, LZR_LOG_INFO, "stopping");
    lzr_service_say(says->service, "STOPPING=1\nSTATUS=stopping");
    lzr_service_alive(says->service, NULL, NULL);
    lzr_server_free(&server);
    return 0;
}

int lzr_serve(const struct lzr_options *o, const sigset_t *signals, struct lzr_service *service)
{
    /* Its memory is there until the process ends: a thread that was given up may still log. */
    static struct lzr_log log;
    static _Atomic unsigned left; /* the same of threads that hang in a file system */
    struct sigaction hup;
    struct stopper stopper = {.signals = signals,
                              .log = &log,
                              .had_terminal = has_terminal(),
                              .hup_ignored =
                                  sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN,
                              .mu = PTHREAD_MUTEX_INITIALIZER,
                              .cond = PTHREAD_COND_INITIALIZER};
    struct outlets says = {.log = &log, .service = service};
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_options own = *o;
    log = (struct lzr_log){.fd = STDERR_FILENO,
                           .path = o->log_file,
                           .json = o->log_json,
                           .level = o->quiet ? LZR_LOG_WARN : LZR_LOG_INFO};
    if (lzr_log_start(&log, &err) != LZR_OK) {
        lzr_log(&log, LZR_LOG_ERROR, "%s", err.msg);
        return 1;
    }
    lzr_caution_cores(o->core_dumps);
    lzr_crash_waits(&log);
    own.server.log = own.driver.log = &log;
    own.driver.left = &left;
    own.server.given = service->given;
    own.server.ngiven = service->ngiven;
    own.server.reloads = tell_reloads;
    own.server.reloads_ctx = service;
    if (lzr_service_start(service, &log, &err) != LZR_OK) {
        lzr_log(&log, LZR_LOG_ERROR, "%s", err.msg);
        return 1;
    }
    lzr_memory_settle(&own, &log);
    uint64_t began = lzr_now_us();
    int rc = serve(&own, &stopper, &says, &began);
    lzr_service_end(service);
    /* An orderly stop ends within 15 s, also when nobody reads. */
    uint64_t until = (rc == 0 ? began : lzr_now_us()) + STOP_US, now = lzr_now_us();
    uint64_t most = until > now + FLUSH_US ? until - now : FLUSH_US;
    if (says.out != NULL) {
        lzr_ring_end(says.out, STILL_US, FLUSH_US);
        lzr_ring_free(&says.out);
    }
    lzr_log_end(&log, STILL_US, most);
    if (atomic_load(&left) > 0) {
        _exit(rc); /* threads that hang may come back at any time, as to what exit() takes down */
    }
    return rc;
}
