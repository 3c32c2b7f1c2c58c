#include "http/cors.h"

#include <string.h>

#include "base/clock.h"
#include "http/access.h"

/* Viewers that read public data in the user's browser (docs/operations.md lists them). */
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
    lzr_once_init(&c->told);
}

void lzr_cors_release(struct lzr_cors *c)
{
    lzr_once_release(&c->told);
}

bool lzr_origin_is_loopback(const char *origin)
{
    const char *host = strncmp(origin, "http://", 7) == 0    ? origin + 7
                       : strncmp(origin, "https://", 8) == 0 ? origin + 8
                                                             : NULL;
    if (host == NULL || !lzr_host_is_valid(host, strlen(host))) {
        return false;
    }
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    return host[strlen(host) - 1] != ':' && lzr_host_is_loopback(host, n);
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

const char *lzr_cors_allow(struct lzr_cors *c, const char *origin)
{
    if (origin == NULL) {
        return "*";
    }
    if (known(c, origin)) {
        return origin;
    }
    if (lzr_once_due(&c->told, origin, lzr_now_us())) {
        lzr_log_as(c->log, LZR_LOG_WARN, (struct lzr_log_how){.client = true},
                   "a page of %.256s may not read this server; to allow it: --allow-origin %.256s",
                   origin, origin);
    }
    return NULL;
}

bool lzr_cors_headers_safe(const char *names)
{
    return strlen(names) <= 1024 &&
           strspn(names, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") ==
               strlen(names);
}
