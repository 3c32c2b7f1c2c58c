#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "http/look.h"
#include "http/viewer.h"

/* So many arrays are named at the start; the page at / has more. */
enum { SAID_ARRAYS = 10 };

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
    (void)fprintf(stderr, "lazarr: %s\n", err.msg);
    if (traceback != NULL && *traceback != '\0') {
        (void)fprintf(stderr, "%s%s", traceback,
                      traceback[strlen(traceback) - 1] == '\n' ? "" : "\n");
    }
    lzr_free(traceback);
    return NULL;
}

/* "http://127.0.0.1:8080", or --public-url without its last slash. */
static void base_url(const struct lzr_options *o, uint16_t port, char *out, size_t n)
{
    const char *host = o->server.host;
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
static void print_array(const struct lzr_array *a, const char *url)
{
    static const enum lzr_face faces[] = {LZR_FACE_ZARR3, LZR_FACE_ZARR2, LZR_FACE_N5,
                                          LZR_FACE_PRECOMPUTED, LZR_FACE_BDV};
    const char *cast = lzr_view_cast(a);
    struct lzr_buf reasons;
    lzr_buf_init(&reasons, 4096);
    (void)printf("%s/%s", a->store->name, a->path);
    if (a->nlevels > 1) {
        /* How they come about, which nobody need have said: docs/levels.md has the words. */
        (void)printf(" (%u levels: %s)", a->nlevels, lzr_pyramid_name(a->pyramid));
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
        (void)printf("  %s/%s%s", url, key.data, through_cast ? cast : "");
        lzr_buf_release(&key);
    }
    if (!lzr_viewer_neuroglancer_has(a->dtype)) {
        lzr_buf_printf(&reasons, "; Neuroglancer lacks %s in Zarr", lzr_dtype_name(a->dtype));
    }
    if (reasons.len > 0) {
        (void)printf("  (%s)", reasons.data + 2);
    }
    (void)printf("\n");
    lzr_buf_release(&reasons);
}

static void print_arrays(const struct lzr_catalog *c, const char *url)
{
    struct lzr_look look;
    size_t n = lzr_catalog_narrays(c);
    for (size_t i = 0; i < n && i < SAID_ARRAYS; i++) {
        print_array(lzr_catalog_array(c, i), url);
    }
    if (n > SAID_ARRAYS) {
        (void)printf("… and %zu more: %s/\n", n - SAID_ARRAYS, url);
    }
    if (lzr_look_choose(c, NULL, NULL, &look)) {
        (void)printf("lazarr: all of it in Neuroglancer: %s/view/%s\n", url,
                     lzr_catalog_nstores(c) == 1 ? lzr_catalog_store(c, 0)->name : "");
    }
}

/* Waits for signals from before the stores are loaded: a store that takes long to load can be
 * stopped too. */
struct stopper {
    const sigset_t *signals;
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

/* One signal; true once it is time to stop. */
static bool take_signal(struct stopper *s, int sig)
{
    bool stop = sig != SIGHUP || hangs_up(s);
    pthread_mutex_lock(&s->mu);
    if (!stop && s->server != NULL) {
        lzr_server_reload(s->server);
    }
    s->reload = s->reload || !stop;
    if (stop && !s->serves) {
        _exit(0); /* nothing is served yet; the workers go with this process */
    }
    s->stop = stop;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
    return stop;
}

static void *wait_for_signals(void *arg)
{
    struct stopper *s = arg;
    sigset_t last;
    int sig = 0;
    while (sigwait(s->signals, &sig) != 0 || !take_signal(s, sig)) {
    }
    /* From now on a second signal ends the process at once; one that asks for a reload doesn't. */
    sigemptyset(&last);
    sigaddset(&last, SIGTERM);
    sigaddset(&last, SIGINT);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, &last, NULL);
    while (pause() != 0) {
    }
    return NULL;
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

/* The URLs to copy; before anything is served, since a reload then frees the catalog. */
static void announce(const struct lzr_options *o, const struct lzr_catalog *c, uint16_t port)
{
    char url[2048];
    base_url(o, port, url, sizeof url);
    if (o->server.token != NULL) {
        /* For whoever reads it, not for a journal: standard output may be one. */
        size_t n = strlen(url);
        (void)snprintf(url + n, sizeof url - n, "/t/%s",
                       isatty(STDOUT_FILENO) ? o->server.token : "***");
    }
    print_arrays(c, url);
}

/* The line that says that requests are accepted. */
static void announce_listening(const struct lzr_options *o, uint16_t port)
{
    struct lzr_options plain = *o;
    char own[2048];
    plain.server.public_url = NULL;
    base_url(&plain, port, own, sizeof own);
    (void)printf("lazarr: listening on %s/\n", own);
    (void)fflush(stdout);
}

int lzr_serve(const struct lzr_options *o, const sigset_t *signals)
{
    struct lzr_log log = {.fd = STDERR_FILENO, .level = o->quiet ? LZR_LOG_WARN : LZR_LOG_INFO};
    struct sigaction hup;
    struct stopper stopper = {.signals = signals,
                              .had_terminal = has_terminal(),
                              .hup_ignored =
                                  sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN,
                              .mu = PTHREAD_MUTEX_INITIALIZER,
                              .cond = PTHREAD_COND_INITIALIZER};
    struct lzr_server *server = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_server_options so = o->server;
    struct lzr_driver_options again = o->driver;
    pthread_t thread;
    so.log = again.log = &log;
    if (pthread_create(&thread, NULL, wait_for_signals, &stopper) != 0) {
        (void)fputs("lazarr: cannot start a thread\n", stderr);
        return 1;
    }
    if (lzr_server_new(&so, &server, &err) != LZR_OK) {
        (void)fprintf(stderr, "lazarr: %s\n", err.msg);
        return 1;
    }
    struct lzr_driver *d = lzr_open_driver(o, &log);
    if (d == NULL) {
        lzr_server_free(&server);
        return 1;
    }
    announce(o, lzr_driver_catalog(d), lzr_server_port(server));
    begin_to_serve(&stopper);
    if (lzr_server_start(server, &d, &again, &err) != LZR_OK) {
        (void)fprintf(stderr, "lazarr: %s\n", err.msg);
        lzr_server_free(&server);
        return 1;
    }
    announce_listening(o, lzr_server_port(server));
    serve_until_stopped(&stopper, server);
    lzr_log(&log, LZR_LOG_INFO, "stopping");
    lzr_server_free(&server);
    return 0;
}
