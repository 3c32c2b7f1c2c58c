/* What changes something: POST /api/reload. The request waits, suspended, for the outcome. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/request.h"
#include "store/json_writer.h"

enum { MAX_ANSWER = 1 << 20 };

/* The path of the action, or of none. Before admission: r->path isn't set yet. */
bool lzr_is_action(const struct lzr_http_req *r)
{
    static const char reload[] = "/api/reload";
    size_t skip, prefix;
    lzr_request_path(r, &skip, &prefix);
    skip += prefix;
    size_t n = r->nraw - skip;
    const char *q = memchr(r->raw + skip, '?', n);
    n = q != NULL ? (size_t)(q - r->raw) - skip : n;
    return n == sizeof reload - 1 && memcmp(r->raw + skip, reload, n) == 0;
}

static void done(struct lzr_reload *w)
{
    lzr_http_resume(w->ctx, LZR_REQ_READY);
}

enum MHD_Result lzr_action_begin(struct lzr_http_req *r)
{
    enum MHD_Result out;
    if (!lzr_admit_action(r, &out)) {
        return out;
    }
    char array[LZR_MAX_KEY + 1];
    const char *query = memchr(r->raw, '?', r->nraw);
    int one = query != NULL ? lzr_query_value(query + 1, "array", array, sizeof array) : 0;
    bool more = one > 0 && strchr(query, '&') != NULL; /* nobody would make a second one new */
    if (one < 0 || more || (one == 0 && query != NULL && query[1] != '\0')) {
        return lzr_respond_text(r, 400, "a reload takes ?array=STORE/PATH, or nothing\n");
    }
    if (one > 0 && !lzr_driver_has(r->edition->driver, array)) {
        return lzr_respond_text(r, 404,
                                "there is no such array: it is STORE/PATH, without a level\n");
    }
    r->reload = lzr_calloc(1, sizeof *r->reload);
    if (r->reload == NULL) {
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    r->reload->array = one > 0 ? lzr_strdup(array) : NULL;
    if (one > 0 && r->reload->array == NULL) {
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    r->reload->done = done;
    r->reload->ctx = r;
    /* It shall not keep alive what it replaces. */
    lzr_edition_drop(&r->edition);
    atomic_store(&r->state, LZR_REQ_WAITING);
    atomic_fetch_add(&r->server->suspended, 1);
    MHD_suspend_connection(r->conn);
    lzr_editions_reload(r->server->editions, r->reload);
    return MHD_YES;
}

enum MHD_Result lzr_action_end(struct lzr_http_req *r)
{
    const struct lzr_reload *w = r->reload;
    struct lzr_json j;
    struct lzr_buf b;
    lzr_buf_init(&b, MAX_ANSWER);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "reloaded");
    lzr_json_bool(&j, w->code == LZR_OK);
    if (w->code == LZR_OK) {
        lzr_json_key(&j, "arrays");
        lzr_json_u64(&j, w->narrays);
        if (w->nfailed > 0) {
            lzr_json_key(&j, "failed_stores");
            lzr_json_u64(&j, w->nfailed);
        }
        lzr_json_key(&j, "took_us");
        lzr_json_u64(&j, w->took_us);
    } else {
        lzr_json_key(&j, "error");
        lzr_json_string(&j, w->err.msg);
        if (w->traceback != NULL) {
            lzr_json_key(&j, "traceback");
            lzr_json_string(&j, w->traceback);
        }
    }
    lzr_json_close(&j, '}');
    lzr_buf_putc(&b, '\n');
    bool later = w->code == LZR_E_BUSY || w->code == LZR_E_CANCELLED || w->code == LZR_E_NOMEM;
    struct lzr_answer a = {.status = w->code == LZR_OK ? 200
                                     : later           ? 503
                                                       : 500,
                           .type = "application/json",
                           .body = b.data,
                           .len = b.len,
                           .copy = true,
                           .retry_after = later ? 10 : 0,
                           .cache_control = "no-store"};
    enum MHD_Result ok =
        lzr_buf_failed(&b) ? lzr_respond_text(r, 500, "out of memory\n") : lzr_respond(r, &a);
    lzr_buf_release(&b);
    return ok;
}
