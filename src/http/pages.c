/* The page at / for a person, and the routing to the figures. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http/request.h"
#include "http/viewer.h"

enum { MAX_INDEX = 16 << 20, MAX_SHOWN = 1000 };

static const char head[] = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" "
                           "/>\n<title>lazarr</title>\n"
                           "<style>\n"
                           "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em "
                           "auto;padding:0 1em;color:#222}\n"
                           "code{background:#f3f3f0;padding:.1em .3em;border-radius:3px}\n"
                           "section{border-top:1px solid #ddd;padding:.6em 0}\n"
                           "td{padding:.1em 1em .1em 0;vertical-align:top}\n"
                           "#live{color:#666}\n"
                           "</style>\n</head>\n<body>\n<h1>lazarr</h1>\n<p id=\"live\"></p>\n";

/* Live figures; textContent only, nothing is interpreted. */
static const char tail[] =
    "<script>\n"
    "const here=new URL('.',location.href).href.replace(/\\/$/,'');\n"
    "for(const c of document.querySelectorAll('code[data-key]'))\n"
    "  c.textContent=c.dataset.before+here+'/'+c.dataset.key+c.dataset.after;\n"
    "async function live(){try{\n"
    "  const s=await(await fetch('api/stats')).json();\n"
    "  document.getElementById('live').textContent=\n"
    "   `${s.workers} workers · ${s.queued} queued · ${s.running} running · `+\n"
    "   `${s.cache_entries} chunks in the cache (${(s.cache_bytes/2**20).toFixed(1)} MiB) · `+\n"
    "   `${s.cache_hits_total} hits · ${s.computed_total} blocks computed`;\n"
    "  for(const a of s.arrays){const e=document.getElementById('a-'+a.store+'/'+a.path);\n"
    "   if(e)e.textContent=`${a.computed} computed, ${(a.mean_compute_us/1e3).toFixed(1)} ms each, "
    "`+\n"
    "    `${a.hits} hits, ${a.failed} failed`}\n"
    "}catch(e){document.getElementById('live').textContent='lazarr does not answer'}\n"
    "setTimeout(live,2000)}\n"
    "live()\n</script>\n</body>\n</html>\n";

static void numbers(struct lzr_buf *b, const uint64_t *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        lzr_buf_printf(b, "%s%" PRIu64, i > 0 ? " × " : "", v[i]);
    }
    if (n == 0) {
        lzr_buf_puts(b, "a scalar");
    }
}

/* One line to paste; the script puts this server's address before the key. */
static void paste(struct lzr_buf *b, const char *reader, const char *before, const char *key,
                  const char *after)
{
    lzr_buf_printf(
        b,
        "<tr><td>%s</td><td><code data-before='%s' data-key='%s' data-after='%s'>%s</code>"
        "</td></tr>\n",
        reader, before, key, after, key);
}

static void array_section(struct lzr_buf *b, const struct lzr_array *a)
{
    const struct lzr_grid *g = &a->levels[0].grid;
    struct lzr_buf k2, k3;
    char group[LZR_MAX_KEY];
    lzr_buf_init(&k2, LZR_MAX_KEY);
    lzr_buf_init(&k3, LZR_MAX_KEY);
    lzr_array_key(&k2, a, LZR_FACE_ZARR2, true);
    lzr_array_key(&k3, a, LZR_FACE_ZARR3, true);
    (void)snprintf(group, sizeof group, "zarr3/%s.zarr/%s", a->store->name, a->path);
    lzr_buf_printf(b, "<section>\n<h2>%s / %s</h2>\n<p>%s, ", a->store->name, a->path,
                   lzr_dtype_name(a->dtype));
    numbers(b, g->shape, g->rank);
    lzr_buf_puts(b, " in chunks of ");
    numbers(b, g->chunks, g->rank);
    lzr_buf_printf(b, " · <span id=\"a-%s/%s\"></span></p>\n<table>\n", a->store->name, a->path);
    paste(b, "zarr-python 3", "zarr.open(\"", k3.data, "\", mode=\"r\")");
    paste(b, "zarr-python 2", "zarr.open(\"", k2.data, "\", mode=\"r\")");
    paste(b, "dask", "dask.array.from_zarr(\"", k3.data, "\")");
    paste(b, "tensorstore", "tensorstore.open({\"driver\": \"zarr3\", \"kvstore\": \"", k3.data,
          "/\"}).result()");
    paste(b, "zarrita.js", "await zarr.open(new zarr.FetchStore(\"", k3.data, "\"))");
    if (!lzr_viewer_neuroglancer_has(a->dtype)) {
        lzr_buf_printf(b, "<tr><td>Neuroglancer</td><td>lacks %s</td></tr>\n",
                       lzr_dtype_name(a->dtype));
    } else if (a->kind != LZR_PLAIN) {
        paste(b, "Neuroglancer", "zarr3://", group, "");
    }
    lzr_buf_puts(b, "</table>\n</section>\n");
    lzr_buf_release(&k2);
    lzr_buf_release(&k3);
}

enum MHD_Result lzr_serve_index(struct lzr_http_req *r)
{
    const struct lzr_catalog *c = lzr_driver_catalog(r->server->driver);
    size_t n = lzr_catalog_narrays(c);
    struct lzr_buf b;
    lzr_buf_init(&b, MAX_INDEX);
    lzr_buf_puts(&b, head);
    lzr_buf_puts(&b,
                 "<p>Folders: <a href=\"zarr2/\">zarr2/</a> <a href=\"zarr3/\">zarr3/</a></p>\n");
    for (size_t i = 0; i < n && i < MAX_SHOWN; i++) {
        array_section(&b, lzr_catalog_array(c, i));
    }
    if (n > MAX_SHOWN) {
        lzr_buf_printf(&b, "<p>and %zu more arrays</p>\n", n - MAX_SHOWN);
    }
    lzr_buf_puts(&b, tail);
    if (lzr_buf_failed(&b)) {
        lzr_buf_release(&b);
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    struct lzr_answer a = {.status = 200,
                           .type = "text/html; charset=utf-8",
                           .body = b.data,
                           .len = b.len,
                           .copy = true,
                           .cache_control = "no-cache"};
    enum MHD_Result ok = lzr_respond(r, &a);
    lzr_buf_release(&b);
    return ok;
}

bool lzr_serve_page(struct lzr_http_req *r, const struct lzr_target *t, enum MHD_Result *out)
{
    if (t->len == 0) {
        *out = lzr_query_has(t->query, "acl") ? lzr_respond_404(r) : lzr_serve_index(r);
    } else if (strcmp(t->key, "healthz") == 0) {
        *out = lzr_respond_text(r, 200, "ok\n");
    } else if (strcmp(t->key, "metrics") == 0) {
        *out = lzr_serve_metrics(r);
    } else if (strcmp(t->key, "api/stats") == 0) {
        *out = lzr_serve_stats(r);
    } else if (strcmp(t->key, "api/workers") == 0) {
        *out = lzr_serve_workers(r);
    } else {
        return false;
    }
    return true;
}
