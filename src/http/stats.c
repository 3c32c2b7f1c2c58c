/* /metrics, /api/stats and /api/workers: figures for operators, none of which waits for anything.
 */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "http/request.h"
#include "http/troubles.h"
#include "http/unloaded.h"
#include "store/json_writer.h"

enum { MAX_PAGE = 64 << 20 };

static enum MHD_Result send_buf(struct lzr_http_req *r, struct lzr_buf *b, const char *type)
{
    if (lzr_buf_failed(b)) {
        lzr_buf_release(b);
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    struct lzr_answer a = {.status = 200,
                           .type = type,
                           .body = b->data,
                           .len = b->len,
                           .copy = true,
                           .cache_control = "no-store"};
    enum MHD_Result ok = lzr_respond(r, &a);
    lzr_buf_release(b);
    return ok;
}

static void metric(struct lzr_buf *b, const char *type, const char *name, const char *help,
                   uint64_t v)
{
    lzr_buf_printf(b, "# HELP lazarr_%s %s\n# TYPE lazarr_%s %s\nlazarr_%s %" PRIu64 "\n", name,
                   help, name, type, name, v);
}

/* A counter of two kinds. */
static void labelled(struct lzr_buf *b, const char *name, const char *help, const char *label,
                     const char *one, uint64_t v1, const char *two, uint64_t v2)
{
    lzr_buf_printf(b, "# HELP lazarr_%s %s\n# TYPE lazarr_%s counter\n", name, help, name);
    lzr_buf_printf(b, "lazarr_%s{%s=\"%s\"} %" PRIu64 "\nlazarr_%s{%s=\"%s\"} %" PRIu64 "\n", name,
                   label, one, v1, name, label, two, v2);
}

enum MHD_Result lzr_serve_metrics(struct lzr_http_req *r)
{
    struct lzr_server *s = r->server;
    struct lzr_stats st;
    struct lzr_buf b;
    struct lzr_reload_counts rc = lzr_editions_counts(s->editions);
    lzr_editions_stats(s->editions, &st);
    lzr_buf_init(&b, MAX_PAGE);
#define METRIC(type, name, help) metric(&b, #type, #name, help, st.name);
    LZR_DRIVER_STATS(METRIC)
#undef METRIC
    metric(&b, "gauge", "http_connections", "open connections", atomic_load(&s->connections));
    metric(&b, "gauge", "http_suspended", "requests that wait for a chunk",
           atomic_load(&s->suspended));
    metric(&b, "counter", "http_bytes_total", "bytes of answers' bodies", atomic_load(&s->bytes));
    metric(&b, "counter", "http_crowded_total",
           "connections closed because their address had too many", lzr_crowd_refused(s->crowd));
    metric(&b, "counter", "http_late_total", "connections ended because the client was too slow",
           lzr_patience_ended(s->patience));
    metric(&b, "counter", "http_unread_total",
           "connections ended because too much was held for a client that didn't read",
           lzr_patience_unread(s->patience));
    metric(&b, "gauge", "http_sheet_bytes", "bytes of pages, listings and figures, in the budget",
           atomic_load(&r->edition->sheets.budget.used));
    metric(&b, "counter", "http_sheets_refused_total",
           "answers not made because unread ones held all the memory there is for them (503)",
           atomic_load(&r->edition->sheets.refused));
    metric(&b, "counter", "http_bad_heads_total", "heads that the HTTP library refused",
           atomic_load(&s->bad_heads));
    metric(&b, "counter", "http_gone_total", "clients that left while they waited",
           atomic_load(&s->gone));
    metric(&b, "counter", "log_lost_total", "lines of the log that nobody read in time",
           lzr_log_lost(s->o.log));
    metric(&b, "gauge", "stores_failed", "stores that failed to load",
           lzr_catalog_count(lzr_driver_catalog(r->edition->driver), LZR_FAILED));
    metric(&b, "gauge", "editions", "loaded stores: the current ones, and replaced ones in use",
           rc.editions);
    labelled(&b, "reloads_total", "reloads of the stores", "result", "ok", rc.ok, "failed",
             rc.failed);
    labelled(&b, "http_refused_total", "requests refused for who asked", "reason", "host",
             atomic_load(&s->refused_hosts), "token", atomic_load(&s->refused_tokens));
    lzr_buf_puts(&b, "# HELP lazarr_http_requests_total answered requests\n"
                     "# TYPE lazarr_http_requests_total counter\n");
    for (unsigned code = 100; code < 600; code++) {
        uint64_t n = atomic_load_explicit(&s->by_status[code], memory_order_relaxed);
        if (n > 0) {
            lzr_buf_printf(&b, "lazarr_http_requests_total{code=\"%u\"} %" PRIu64 "\n", code, n);
        }
    }
    return send_buf(r, &b, "text/plain; version=0.0.4; charset=utf-8");
}

static void number(struct lzr_json *j, const char *name, uint64_t v)
{
    lzr_json_key(j, name);
    lzr_json_u64(j, v);
}

static void array_stats(struct lzr_json *j, struct lzr_driver *d, const struct lzr_array *a,
                        const struct lzr_trouble_list *troubles, bool tracebacks)
{
    struct lzr_array_stats s;
    lzr_driver_array_stats(d, a->id, &s);
    lzr_json_open(j, '{');
    lzr_json_key(j, "store");
    lzr_json_string(j, a->store->name);
    lzr_json_key(j, "path");
    lzr_json_string(j, a->path);
    number(j, "computed", s.computed);
    number(j, "failed", s.failed);
    number(j, "compute_us", s.compute_us);
    number(j, "mean_compute_us", s.computed > 0 ? s.compute_us / s.computed : 0);
    number(j, "read", s.read);
    number(j, "mean_read_us", s.read > 0 ? s.read_us / s.read : 0);
    number(j, "inputs_us", s.inputs_us);
    number(j, "encoded", s.encoded);
    number(j, "encoded_bytes", s.encoded_bytes);
    number(j, "hits", s.hits);
    number(j, "misses", s.misses);
    lzr_json_key(j, "failures");
    lzr_trouble_list_write(j, troubles, a, tracebacks);
    lzr_json_close(j, '}');
}

enum MHD_Result lzr_serve_stats(struct lzr_http_req *r, const char *query)
{
    struct lzr_driver *d = r->edition->driver;
    const struct lzr_catalog *c = lzr_driver_catalog(d);
    struct lzr_stats st;
    struct lzr_json j;
    struct lzr_buf b;
    lzr_editions_stats(r->server->editions, &st);
    lzr_buf_init(&b, MAX_PAGE);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "version");
    lzr_json_string(&j, LZR_VERSION);
#define FIELD(type, name, help) number(&j, #name, st.name);
    LZR_DRIVER_STATS(FIELD)
#undef FIELD
    number(&j, "http_connections", atomic_load(&r->server->connections));
    lzr_unloaded_stats(r, &j);
    struct lzr_trouble_list troubles;
    lzr_trouble_list_take(&troubles, d);
    bool tracebacks = r->server->loopback && lzr_is_local_peer(r); /* as in chunk.c */
    lzr_json_key(&j, "arrays");
    lzr_json_open(&j, '[');
    size_t n = lzr_catalog_narrays(c), most = lzr_query_number(query, "arrays", n);
    for (size_t i = 0; i < n && i < most; i++) {
        array_stats(&j, d, lzr_catalog_array(c, i), &troubles, tracebacks);
    }
    lzr_trouble_list_free(&troubles);
    lzr_json_close(&j, ']');
    lzr_json_close(&j, '}');
    lzr_buf_putc(&b, '\n');
    return send_buf(r, &b, "application/json");
}

enum MHD_Result lzr_serve_workers(struct lzr_http_req *r)
{
    struct lzr_worker_info info[LZR_MAX_WORKERS];
    struct lzr_json j;
    struct lzr_buf b;
    size_t n = lzr_driver_workers(r->edition->driver, info, LZR_MAX_WORKERS);
    lzr_buf_init(&b, MAX_PAGE);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '[');
    for (size_t i = 0; i < n; i++) {
        lzr_json_open(&j, '{');
        lzr_json_key(&j, "pid");
        lzr_json_int(&j, info[i].pid);
        lzr_json_key(&j, "state");
        lzr_json_string(&j, info[i].state);
        number(&j, "jobs", info[i].jobs);
        number(&j, "deaths", info[i].deaths);
        bool all = r->server->loopback && lzr_is_local_peer(r); /* as in chunk.c */
        if (all) {
            lzr_json_key(&j, "folder");
            lzr_json_string(&j, info[i].folder);
        }
        if (info[i].error[0] != '\0') {
            lzr_json_key(&j, "error");
            /* Even its first line may name a file. */
            lzr_json_string(&j, all ? info[i].error : "it failed to start; the log says why");
        }
        lzr_json_close(&j, '}');
    }
    lzr_json_close(&j, ']');
    lzr_buf_putc(&b, '\n');
    return send_buf(r, &b, "application/json");
}
