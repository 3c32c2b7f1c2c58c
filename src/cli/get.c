#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/commands.h"

/* Where the driver's callback leaves word. */
struct waiting {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
};

static void done(struct lzr_request *req)
{
    struct waiting *w = req->ctx;
    pthread_mutex_lock(&w->mu);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

static bool put(const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0) {
        return true;
    }
    (void)fprintf(stderr, "lazarr: cannot write to standard output: %s\n", strerror(errno));
    return false;
}

static int get_chunk(struct lzr_driver *d, const struct lzr_chunk *c)
{
    struct waiting w = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct lzr_request req = {.done = done, .ctx = &w};
    if (lzr_driver_get(d, c, &req) == LZR_GOT_LATER) {
        pthread_mutex_lock(&w.mu);
        while (!w.done) {
            pthread_cond_wait(&w.cond, &w.mu);
        }
        pthread_mutex_unlock(&w.mu);
    }
    if (req.result.code != LZR_OK) {
        const char *text =
            req.result.text != NULL ? req.result.text : lzr_code_text(req.result.code);
        /* One line: the traceback behind it is in the log, which is on stderr too. */
        (void)fprintf(stderr, "lazarr: %.*s\n", (int)strcspn(text, "\n"), text);
        lzr_free(req.result.text);
        return 1;
    }
    bool ok = put(req.result.blob->data, req.result.blob->len);
    lzr_blob_unref(&req.result.blob);
    return ok ? 0 : 1;
}

/* What isn't there, and the folder above it that is. */
static int no_key(struct lzr_driver *d, const char *key)
{
    size_t n = strlen(key);
    struct lzr_hit hit = {0};
    while (n > 0 && hit.node != LZR_NODE_DIR && hit.node != LZR_NODE_FOLDER) {
        while (n > 0 && key[--n] != '/') {
        }
        hit = lzr_catalog_lookup(lzr_driver_catalog(d), key, n);
    }
    (void)fprintf(stderr, "lazarr: there is no key '%s'; ", key);
    if (n > 0 || hit.node != LZR_NODE_DIR) {
        (void)fprintf(stderr, "the folder that is: %.*s/\n", (int)n, key);
        return 1;
    }
    (void)fputs("keys begin with", stderr);
    for (size_t i = 0; i < hit.dir->n; i++) {
        (void)fprintf(stderr, "%s %s/", i > 0 ? "," : "", hit.dir->entries[i].name);
    }
    (void)fputs("\n", stderr);
    return 1;
}

/* A key of what may be a URL as it was printed: without scheme, host and token. */
static const char *key_in(const char *given)
{
    const char *key = given;
    if (strncmp(key, "http://", 7) == 0 || strncmp(key, "https://", 8) == 0) {
        key = strstr(key, "//") + 2;
        key += strcspn(key, "/");
    }
    key += strspn(key, "/");
    if (key != given && strncmp(key, "t/", 2) == 0) {
        key += 2 + strcspn(key + 2, "/");
        key += strspn(key, "/");
    }
    return key;
}

static int get_key(struct lzr_driver *d, const char *given)
{
    const char *key = key_in(given);
    struct lzr_hit hit = lzr_catalog_lookup(lzr_driver_catalog(d), key, strlen(key));
    switch (hit.node) {
    case LZR_NODE_CHUNK:
        return get_chunk(d, &hit.chunk);
    case LZR_NODE_DOC:
        return put(hit.doc->data, hit.doc->len) ? 0 : 1;
    case LZR_NODE_DIR:
        for (size_t i = 0; i < hit.dir->n; i++) {
            (void)printf("%s%s\n", hit.dir->entries[i].name, hit.dir->entries[i].is_dir ? "/" : "");
        }
        return put("", 0) ? 0 : 1;
    case LZR_NODE_FAILED:
        (void)fprintf(stderr, "lazarr: the store \"%s\" has failed to load: %s\n",
                      hit.failed->name, hit.failed->why);
        return 1;
    case LZR_NODE_FOLDER:
    case LZR_NODE_NONE:
    default:
        return no_key(d, key);
    }
}

int lzr_get(const struct lzr_options *o)
{
    struct lzr_log log = {.fd = STDERR_FILENO,
                          .level = o->quiet ? LZR_LOG_WARN : LZR_LOG_INFO};
    struct lzr_options one = *o;
    one.driver.workers = 1;
    struct lzr_driver *d = lzr_open_driver(&one, &log);
    if (d == NULL) {
        return 1;
    }
    int rc = get_key(d, o->key);
    lzr_driver_close(&d);
    return rc;
}
