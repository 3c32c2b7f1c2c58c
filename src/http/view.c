/* /view/<store>[/<array>]: to Neuroglancer with a full state. The range of each image is taken from
 * one chunk in its middle, which is computed like any other; what doesn't come in time is left to
 * the viewer's own range. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/glance.h"
#include "http/look.h"
#include "http/public.h"
#include "http/request.h"
#include "http/troubles.h"
#include "http/unloaded.h"

/* How long a link may wait for all of its ranges. */
#define VIEW_US (UINT64_C(4) * 1000000)
/* Failures that are told, of how many bytes. */
enum { MAX_TOLD = 20, MAX_TOLD_BYTES = 256 << 10 };

struct lzr_view_job {
    struct lzr_look look;
    size_t at; /* the layer whose chunk is waited for */
    size_t nfailed;
    struct lzr_buf failed; /* what is said of those whose chunk has failed; no bytes: none */
    uint64_t until_us;
};

static void fill_asked(const struct lzr_http_req *r, struct lzr_asked *asked)
{
    const struct lzr_server_options *o = &r->server->o;
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *asked = (struct lzr_asked){.host = lzr_header(r, "Host")};
    if (peer != NULL && lzr_proxy_trusted(peer->client_addr, o->proxies, o->nproxies)) {
        asked->proto = lzr_header(r, "X-Forwarded-Proto");
        asked->forwarded_host = lzr_header(r, "X-Forwarded-Host");
        asked->port = lzr_header(r, "X-Forwarded-Port");
        asked->prefix = lzr_header(r, "X-Forwarded-Prefix");
        asked->forwarded = lzr_header(r, "Forwarded");
    }
}

void lzr_request_base(const struct lzr_http_req *r, char out[LZR_PUBLIC_BYTES])
{
    const struct lzr_server_options *o = &r->server->o;
    struct lzr_asked asked;
    char own[300];
    fill_asked(r, &asked);
    const char *host = lzr_server_name(r->server);
    (void)snprintf(own, sizeof own, strchr(host, ':') != NULL ? "[%.255s]:%u" : "%.255s:%u", host,
                   r->server->port);
    lzr_public_base(o->public_url, &asked, own, out);
    if (r->prefix > 0) { /* whoever follows the URL needs it; a header's stays a header's */
        size_t n = strlen(out);
        (void)snprintf(out + n, LZR_PUBLIC_BYTES - n, "/t/%s", o->token);
    }
}

bool lzr_request_prefixed(const struct lzr_http_req *r)
{
    struct lzr_asked asked;
    fill_asked(r, &asked);
    return lzr_public_has_prefix(r->server->o.public_url, &asked);
}

const char *lzr_request_folder(const struct lzr_http_req *r, size_t *n)
{
    const char *public_url = r->server->o.public_url;
    struct lzr_asked asked = {0};
    *n = 0;
    if (public_url == NULL && lzr_header(r, "X-Forwarded-Prefix") == NULL) {
        return NULL; /* most requests: who is trusted need not be found out */
    }
    fill_asked(r, &asked);
    return lzr_public_folder(public_url, &asked, n);
}

const char *lzr_request_private(const struct lzr_http_req *r)
{
    return r->server->o.public_url != NULL ? "no-cache" : "private, no-cache";
}

static void drop_job(struct lzr_http_req *r)
{
    if (r->view != NULL) {
        lzr_buf_release(&r->view->failed);
        lzr_free(r->view);
        r->view = NULL;
    }
}

void lzr_view_drop(struct lzr_http_req *r)
{
    drop_job(r);
}

static void escape(struct lzr_buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n && text[i] != '\0'; i++) {
        const char *as = text[i] == '<'   ? "&lt;"
                         : text[i] == '&' ? "&amp;"
                         : text[i] == '"' ? "&quot;"
                                          : NULL;
        lzr_buf_add(b, as != NULL ? as : text + i, as != NULL ? strlen(as) : 1);
    }
}

/* For a person whose image would stay black: why, and the link all the same. */
static enum MHD_Result tell(struct lzr_http_req *r, const struct lzr_buf *url)
{
    struct lzr_buf b;
    lzr_buf_init(&b, 4 * LZR_LOOK_URL_BYTES);
    lzr_buf_puts(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n"
                     "<title>lazarr: a chunk fails</title>\n</head>\n<body>\n"
                     "<h1>A chunk in the middle fails</h1>\n<ul>\n");
    lzr_buf_add(&b, r->view->failed.data, r->view->failed.len);
    lzr_buf_puts(&b, "</ul>\n<p><a href=\"");
    escape(&b, url->data, url->len);
    lzr_buf_puts(&b, "\">Look at it in Neuroglancer all the same</a>: what fails stays black "
                     "there.</p>\n</body>\n</html>\n");
    struct lzr_answer a = {.status = 200,
                           .type = "text/html; charset=utf-8",
                           .body = b.data,
                           .len = b.len,
                           .copy = true,
                           .cache_control = "no-store"};
    enum MHD_Result ok =
        lzr_buf_failed(&b) ? lzr_respond_text(r, 500, "out of memory\n") : lzr_respond(r, &a);
    lzr_buf_release(&b);
    return ok;
}

static enum MHD_Result finish(struct lzr_http_req *r)
{
    struct lzr_buf url;
    char base[LZR_PUBLIC_BYTES];
    enum MHD_Result ok;
    lzr_request_base(r, base);
    lzr_buf_init(&url, 2 * LZR_LOOK_URL_BYTES);
    lzr_look_url(&url, &r->view->look, base, r->server->o.neuroglancer);
    if (lzr_buf_failed(&url)) {
        ok = lzr_respond_text(r, 500, "out of memory\n");
    } else if (r->view->failed.len > 0 && lzr_request_by_person(r)) {
        ok = tell(r, &url);
    } else {
        struct lzr_answer a = {.status = 302, .location = url.data, .cache_control = "no-store"};
        ok = lzr_respond(r, &a);
    }
    lzr_buf_release(&url);
    drop_job(r);
    return ok;
}

/* What a layer's chunk failed with: its line only, as wherever it is read from. */
static void note_failure(struct lzr_http_req *r, const struct lzr_result *res)
{
    struct lzr_view_job *job = r->view;
    const char *text = res->text != NULL ? res->text : lzr_code_text(res->code);
    if (job->nfailed++ >= MAX_TOLD) {
        return;
    }
    lzr_buf_puts(&job->failed, "<li>");
    if (r->chunk.encoding == LZR_ENC_ZARR) {
        lzr_trouble_key(&job->failed, r->chunk.array, r->chunk.level, r->chunk.index);
    } else {
        lzr_buf_printf(&job->failed, "%s/%s", r->chunk.array->store->name, r->chunk.array->path);
    }
    lzr_buf_puts(&job->failed, ": ");
    escape(&job->failed, text, strcspn(text, "\n"));
    lzr_buf_puts(&job->failed, "</li>\n");
}

/* The wish has its result: the layer's range, if there is one in it. */
static void take(struct lzr_http_req *r)
{
    struct lzr_view_job *job = r->view;
    struct lzr_result *res = &r->wish.result;
    struct lzr_look_layer *l = &job->look.layers[job->at++];
    if (res->code == LZR_OK && lzr_glance_range(l, &r->chunk, res->blob->data, res->blob->len)) {
        lzr_glances_keep(&r->edition->glances, l);
    } else if (res->code != LZR_OK && res->code != LZR_E_BUSY && res->code != LZR_E_CANCELLED &&
               res->code != LZR_E_NOMEM) {
        note_failure(r, res);
    }
    lzr_blob_unref(&res->blob);
    lzr_free(res->text);
    res->text = NULL;
}

static enum MHD_Result go_on(struct lzr_http_req *r)
{
    struct lzr_view_job *job = r->view;
    while (job->at < job->look.n) {
        struct lzr_look_layer *l = &job->look.layers[job->at];
        if (l->array->kind == LZR_LABELS || lzr_glances_recall(&r->edition->glances, l) ||
            !lzr_glance_chunk(l, &r->chunk)) {
            job->at++;
            continue;
        }
        r->wish = (struct lzr_request){0};
        if (lzr_driver_try(r->edition->driver, &r->chunk, &r->wish)) {
            take(r);
        } else if (lzr_now_us() < job->until_us) {
            return lzr_chunk_wait(r, job->until_us);
        } else {
            job->at++;
        }
    }
    return finish(r);
}

enum MHD_Result lzr_view_end(struct lzr_http_req *r)
{
    take(r);
    return go_on(r);
}

static const struct lzr_store *find_store(const struct lzr_catalog *c, const char *name, size_t n)
{
    for (size_t i = 0; i < lzr_catalog_nstores(c); i++) {
        const struct lzr_store *s = lzr_catalog_store(c, i);
        if (strlen(s->name) == n && memcmp(s->name, name, n) == 0) {
            return s;
        }
    }
    return NULL;
}

static const struct lzr_array *find_array(const struct lzr_store *s, const char *path, size_t n)
{
    for (size_t i = 0; i < s->narrays; i++) {
        const struct lzr_array *a = &s->arrays[i];
        if (strlen(a->path) == n && memcmp(a->path, path, n) == 0) {
            return a;
        }
    }
    return NULL;
}

/* key: "view", "view/brain", "view/brain/t1", each with or without a slash at its end. False: there
 * is nothing to look at; *failed: because the store has failed to load, else NULL. */
static bool choose(const struct lzr_catalog *c, const char *key, size_t n, struct lzr_look *out,
                   const struct lzr_store **failed)
{
    const struct lzr_store *store = NULL;
    *failed = NULL;
    const struct lzr_array *array = NULL;
    n -= n > 0 && key[n - 1] == '/';
    key += 4;
    n -= 4;
    if (n > 0) {
        const char *name = key + 1, *slash = memchr(name, '/', n - 1);
        size_t len = slash != NULL ? (size_t)(slash - name) : n - 1;
        store = find_store(c, name, len);
        if (store == NULL || store->fate != LZR_LOADED) {
            *failed = store != NULL && store->fate == LZR_FAILED ? store : NULL;
            return false;
        }
        if (slash != NULL) {
            array = find_array(store, slash + 1, n - 1 - len - 1);
            if (array == NULL) {
                return false;
            }
        }
    }
    return lzr_look_choose(c, store, array, out);
}

enum MHD_Result lzr_serve_view(struct lzr_http_req *r, const struct lzr_target *t)
{
    const struct lzr_catalog *c = lzr_driver_catalog(r->edition->driver);
    const struct lzr_store *failed = NULL;
    r->view = lzr_calloc(1, sizeof *r->view);
    if (r->view == NULL) {
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    lzr_buf_init(&r->view->failed, MAX_TOLD_BYTES);
    if (lzr_query_has(t->query, "acl") || !choose(c, t->key, t->len, &r->view->look, &failed)) {
        drop_job(r);
        return failed != NULL ? lzr_serve_unloaded(r, failed) : lzr_respond_404(r);
    }
    r->view->until_us = lzr_now_us() + VIEW_US;
    return go_on(r);
}
