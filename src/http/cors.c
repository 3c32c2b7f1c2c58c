#include "http/cors.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/access.h"
#include "http/mask.h"

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

enum { MAX_FRAMES = 1 << 16 };

static const char own_frames[] = "frame-ancestors 'self'";

/* Origins are checked when options are read: none has a blank or a semicolon. */
static char *frames_of(const struct lzr_cors *c)
{
    struct lzr_buf b;
    lzr_buf_init(&b, MAX_FRAMES);
    lzr_buf_puts(&b, c->all ? "frame-ancestors *" : own_frames);
    for (size_t i = 0; !c->all && i < c->nallowed; i++) {
        if (strcmp(c->allowed[i], "null") != 0) { /* can't be named there */
            lzr_buf_printf(&b, " %s", c->allowed[i]);
        }
    }
    char *out = lzr_buf_detach(&b, NULL);
    lzr_buf_release(&b);
    return out;
}

void lzr_cors_init(struct lzr_cors *c, const char *const *allowed, size_t nallowed,
                   const struct lzr_log *log)
{
    *c = (struct lzr_cors){.allowed = allowed, .nallowed = nallowed, .log = log};
    for (size_t i = 0; i < nallowed; i++) {
        c->all = c->all || strcmp(allowed[i], "*") == 0;
    }
    c->frames = frames_of(c);
    lzr_once_init(&c->told);
}

void lzr_cors_release(struct lzr_cors *c)
{
    lzr_once_release(&c->told);
    lzr_free(c->frames);
    c->frames = NULL;
}

const char *lzr_cors_frames(const struct lzr_cors *c)
{
    return c->frames != NULL ? c->frames : own_frames;
}

const char *lzr_cors_resource_policy(const struct lzr_cors *c)
{
    return c->all ? "cross-origin" : "same-origin";
}

/* Bytes of an origin without the port that its scheme has anyway. */
static size_t without_port(const char *origin)
{
    static const struct {
        const char *scheme, *port;
    } usual[] = {{"http://", ":80"}, {"https://", ":443"}};
    size_t n = strlen(origin);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        size_t p = strlen(usual[i].port);
        if (strncasecmp(origin, usual[i].scheme, strlen(usual[i].scheme)) == 0 && n > p &&
            strcmp(origin + n - p, usual[i].port) == 0) {
            return n - p;
        }
    }
    return n;
}

bool lzr_origin_same(const char *named, const char *origin)
{
    size_t n = without_port(named);
    return n == without_port(origin) && strncasecmp(named, origin, n) == 0;
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

bool lzr_cors_named(const struct lzr_cors *c, const char *origin)
{
    for (size_t i = 0; i < c->nallowed; i++) {
        if (lzr_origin_same(c->allowed[i], origin)) {
            return true;
        }
    }
    return false;
}

static bool known(const struct lzr_cors *c, const char *origin)
{
    if (c->all || lzr_cors_named(c, origin)) {
        return true;
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
        return c->all ? "*" : NULL;
    }
    if (known(c, origin)) {
        return origin;
    }
    char shown[257];
    bool plain = lzr_text_mask(origin, strlen(origin), c->token, shown, sizeof shown);
    if (lzr_once_due(&c->told, shown, lzr_now_us())) {
        bool valid = plain && lzr_origin_is_valid(origin);
        lzr_log_as(c->log, LZR_LOG_WARN, (struct lzr_log_how){.client = true},
                   "a page of %s may not read this server%s%s", shown,
                   valid ? "; to allow it: --allow-origin " : ", and is none that can be named",
                   valid ? shown : "");
    }
    return NULL;
}

bool lzr_cors_headers_safe(const char *names)
{
    return strlen(names) <= 1024 &&
           strspn(names, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") ==
               strlen(names);
}
