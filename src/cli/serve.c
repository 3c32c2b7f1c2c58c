#include <errno.h>
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

/* One line an array: its URL in every face that holds it, and why the others don't. */
static void print_array(const struct lzr_array *a, const char *url)
{
    static const enum lzr_face faces[] = {LZR_FACE_ZARR3, LZR_FACE_ZARR2, LZR_FACE_N5,
                                          LZR_FACE_PRECOMPUTED, LZR_FACE_BDV};
    const char *cast = lzr_view_cast(a);
    struct lzr_buf reasons;
    lzr_buf_init(&reasons, 4096);
    (void)printf("%s/%s", a->store->name, a->path);
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
    for (size_t i = 0; i < lzr_catalog_narrays(c); i++) {
        print_array(lzr_catalog_array(c, i), url);
    }
    if (lzr_look_choose(c, NULL, NULL, &look)) {
        (void)printf("lazarr: all of it in Neuroglancer: %s/view/%s\n", url,
                     lzr_catalog_nstores(c) == 1 ? lzr_catalog_store(c, 0)->name : "");
    }
}

/* Waits for SIGTERM or SIGINT from before the stores are loaded: a store that takes long to load
 * can be stopped too. */
struct stopper {
    const sigset_t *signals;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool serving, stop; /* guarded by mu */
};

static void *wait_for_signal(void *arg)
{
    struct stopper *s = arg;
    int sig = 0;
    while (sigwait(s->signals, &sig) != 0) {
    }
    pthread_mutex_lock(&s->mu);
    if (!s->serving) {
        _exit(0); /* nothing is served yet; the workers go with this process */
    }
    s->stop = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
    /* From now on a second signal ends the process at once. */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, s->signals, NULL);
    for (;;) {
        (void)pause();
    }
}

/* Returns when it is time to stop. */
static void serve_until_stopped(struct stopper *s)
{
    pthread_mutex_lock(&s->mu);
    s->serving = true;
    while (!s->stop) {
        pthread_cond_wait(&s->cond, &s->mu);
    }
    pthread_mutex_unlock(&s->mu);
}

int lzr_serve(const struct lzr_options *o, const sigset_t *signals)
{
    struct lzr_log log = {.fd = STDERR_FILENO, .level = o->quiet ? LZR_LOG_WARN : LZR_LOG_INFO};
    struct stopper stopper = {.signals = signals,
                              .mu = PTHREAD_MUTEX_INITIALIZER,
                              .cond = PTHREAD_COND_INITIALIZER};
    struct lzr_server *server = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_server_options so = o->server;
    struct lzr_options plain = *o;
    char url[2048], own[2048];
    pthread_t thread;
    so.log = &log;
    if (pthread_create(&thread, NULL, wait_for_signal, &stopper) != 0) {
        (void)fputs("lazarr: cannot start a thread\n", stderr);
        return 1;
    }
    struct lzr_driver *d = lzr_open_driver(o, &log);
    if (d == NULL) {
        return 1;
    }
    if (lzr_server_start(&so, d, &server, &err) != LZR_OK) {
        (void)fprintf(stderr, "lazarr: %s\n", err.msg);
        lzr_driver_close(&d);
        return 1;
    }
    base_url(o, lzr_server_port(server), url, sizeof url);
    plain.server.public_url = NULL;
    base_url(&plain, lzr_server_port(server), own, sizeof own);
    print_arrays(lzr_driver_catalog(d), url);
    (void)printf("lazarr: listening on %s/\n", own);
    (void)fflush(stdout);
    serve_until_stopped(&stopper);
    lzr_log(&log, LZR_LOG_INFO, "stopping");
    lzr_server_stop(&server);
    lzr_driver_close(&d);
    return 0;
}
