#include "http/cors.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

/* Viewers that read public data in the user's browser (README, "Limits"). */
static const char *const viewers[] = {
    "https://neuroglancer-demo.appspot.com",
    "https://hms-dbmi.github.io",
    "https://avivator.gehlenborglab.org",
    "https://vitessce.io",
    "https://www.vitessce.io",
    "https://ome.github.io",
    "https://kitware.github.io",
    "https://volumeviewer.allencell.org",
    "https://vole.allencell.org",
    "https://webknossos.org",
    "https://spelunker.cave-explorer.org",
    "https://ngapp.org",
};

void lzr_cors_init(struct lzr_cors *c, const char *const *allowed, size_t nallowed,
                   const struct lzr_log *log)
{
    *c = (struct lzr_cors){.allowed = allowed, .nallowed = nallowed, .log = log};
    LZR_ZERO(pthread_mutex_init(&c->mu, NULL));
}

void lzr_cors_release(struct lzr_cors *c)
{
    for (size_t i = 0; i < c->nrefused; i++) {
        lzr_free(c->refused[i]);
    }
    LZR_ZERO(pthread_mutex_destroy(&c->mu));
}

bool lzr_origin_is_loopback(const char *origin)
{
    static const char *const schemes[] = {"http://", "https://"};
    const char *host = NULL;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(origin, schemes[i], n) == 0) {
            host = origin + n;
        }
    }
    if (host == NULL) {
        return false;
    }
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    const char *port = host + (len <= strlen(host) ? len : strlen(host));
    if (*port != '\0' &&
        (*port != ':' || port[1] == '\0' || strspn(port + 1, "0123456789") != strlen(port + 1))) {
        return false;
    }
    if ((len == 9 && strncmp(host, "localhost", 9) == 0) ||
        (len == 5 && strncmp(host, "[::1]", 5) == 0)) {
        return true;
    }
    /* 127.a.b.c, digits and dots only: "127.0.0.1.example" is somebody else's. */
    return len >= 9 && len <= 15 && strncmp(host, "127.", 4) == 0 &&
           strspn(host, "0123456789.") >= len;
}

static bool known(const struct lzr_cors *c, const char *origin)
{
    for (size_t i = 0; i < c->nallowed; i++) {
        if (strcmp(c->allowed[i], "*") == 0 || strcmp(c->allowed[i], origin) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof viewers / sizeof viewers[0]; i++) {
        if (strcmp(viewers[i], origin) == 0) {
            return true;
        }
    }
    return lzr_origin_is_loopback(origin);
}

/* One line an origin. */
static void tell(struct lzr_cors *c, const char *origin)
{
    bool fresh = true;
    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; i < c->nrefused; i++) {
        fresh = fresh && strcmp(c->refused[i], origin) != 0;
    }
    if (fresh && c->nrefused < LZR_CORS_REFUSED_MAX) {
        char *copy = lzr_strndup(origin, 256);
        if (copy != NULL) {
            c->refused[c->nrefused++] = copy;
        }
    } else {
        fresh = false;
    }
    pthread_mutex_unlock(&c->mu);
    if (fresh) {
        lzr_log(c->log, LZR_LOG_WARN,
                "a page of %.256s may not read this server; to allow it: --allow-origin %.256s",
                origin, origin);
    }
}

const char *lzr_cors_allow(struct lzr_cors *c, const char *origin)
{
    if (origin == NULL) {
        return "*";
    }
    if (known(c, origin)) {
        return origin;
    }
    tell(c, origin);
    return NULL;
}

bool lzr_cors_headers_safe(const char *names)
{
    return strlen(names) <= 1024 &&
           strspn(names, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") ==
               strlen(names);
}
