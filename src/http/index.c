/* The page at / for a person: each array, and what to paste into which reader. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http/look.h"
#include "http/request.h"
#include "http/unloaded.h"
#include "http/viewer.h"
#include "http/xarray.h"
#include "store/bdv.h"

enum { MAX_INDEX = 16 << 20, MAX_SHOWN = 1000 /* and in the script below */ };

static const char head[] = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" "
                           "/>\n<title>lazarr</title>\n"
                           "<style>\n"
                           "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em "
                           "auto;padding:0 1em;color:#222}\n"
                           "code{background:#f3f3f0;padding:.1em .3em;border-radius:3px}\n"
                           "section{border-top:1px solid #ddd;padding:.6em 0}\n"
                           "td{padding:.1em 1em .1em 0;vertical-align:top}\n"
                           "#live{color:#666}\n.failed{color:#a00}\n"
                           ".save{border:1px solid #888;border-radius:4px;padding:.1em .6em;"
                           "background:#f3f3f0;text-decoration:none;color:inherit}\n"
                           "</style>\n</head>\n<body>\n<h1>lazarr</h1>\n<p id=\"live\"></p>\n";

/* Live figures; textContent only, nothing is interpreted. */
static const char tail[] =
    "<script>\n"
    "function failures(at,list){\n"
    "  const now=JSON.stringify(list.map(x=>[x.key,x.times,x.reason]));\n"
    "  if(at.dataset.now===now)return;at.dataset.now=now;at.textContent='';\n"
    "  for(const x of list){const d=document.createElement(x.traceback?'details':'div');\n"
    "   const s=document.createElement(x.traceback?'summary':'span');\n"
    "   s.textContent=`chunk ${x.key} failed`+(x.times>1?` ${x.times} times`:'')+"
    "`, last at ${x.at}: ${x.reason}`;\n"
    "   d.append(s);if(x.traceback){const p=document.createElement('pre');"
    "p.textContent=x.traceback;d.append(p)}\n"
    "   at.append(d)}}\n"
    "async function live(){try{\n"
    "  const s=await(await fetch('api/stats?arrays=1000')).json();\n"
    "  document.getElementById('live').textContent=\n"
    "   `${s.workers} workers · ${s.queued} queued · ${s.running} running · `+\n"
    "   `${s.cache_entries} chunks in the cache (${(s.cache_bytes/2**20).toFixed(1)} MiB) · `+\n"
    "   `${s.cache_hits_total} hits · ${s.computed_total} blocks computed`;\n"
    "  for(const a of s.arrays){const e=document.getElementById('a-'+a.store+'/'+a.path);\n"
    "   if(e)e.textContent=(a.read?`${a.read} read, ${(a.mean_read_us/1e3).toFixed(1)} ms "
    "each, `:'')+\n"
    "    (a.computed||!a.read?`${a.computed} computed, ${(a.mean_compute_us/1e3).toFixed(1)} ms "
    "each, "
    "`:'')+\n"
    "    `${(a.encoded_bytes/2**20).toFixed(1)} MiB made, ${a.hits} hits`+\n"
    "    (a.failed?`, ${a.failed} failed`:'');\n"
    "   const f=document.getElementById('f-'+a.store+'/'+a.path);\n"
    "   if(f)failures(f,a.failures)}\n"
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

/* Where the page's own lines go, and what its URLs begin with. */
struct page {
    struct lzr_buf *b;
    char base[LZR_PUBLIC_BYTES]; /* escaped: nothing of it is markup */
};

/* What an operator or a client gave, as text. */
static void escape(const char *text, char *out, size_t n)
{
    size_t k = 0;
    for (; *text != '\0'; text++) {
        const char *as = *text == '<'   ? "&lt;"
                         : *text == '&' ? "&amp;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
        size_t len = as != NULL ? strlen(as) : 1;
        if (k + len + 1 > n) {
            break;
        }
        memcpy(out + k, as != NULL ? as : text, len);
        k += len;
    }
    out[k] = '\0';
}

/* One line to paste: before and after stand around the URL of a key. */
static void paste(const struct page *p, const char *reader, const char *before, const char *key,
                  const char *after)
{
    lzr_buf_printf(p->b, "<tr><td>%s</td><td><code data-key='%s'>%s%s/%s%s</code></td></tr>\n",
                   reader, key, before, p->base, key, after);
}

static void absent(const struct page *p, const char *reader, const char *why)
{
    lzr_buf_printf(p->b, "<tr><td>%s</td><td>absent: %s</td></tr>\n", reader, why);
}

/* The key of an array in a face; level: of its finest level. Into text of LZR_MAX_KEY + 1. */
static const char *key_of(const struct lzr_array *a, enum lzr_face face, bool level, char *text)
{
    struct lzr_buf b;
    lzr_buf_init(&b, LZR_MAX_KEY);
    lzr_array_key(&b, a, face, level);
    (void)snprintf(text, LZR_MAX_KEY + 1, "%s", b.data);
    lzr_buf_release(&b);
    return text;
}

/* It opens groups: of a plain array the one that it lies in. */
static void xarray_row(const struct page *p, const struct lzr_array *a)
{
    struct lzr_buf behind;
    char key[LZR_MAX_KEY + 1];
    lzr_buf_init(&behind, 16384);
    (void)key_of(a, LZR_FACE_ZARR3, false, key);
    if (lzr_xarray_opens(a, key, &behind)) {
        paste(p, "xarray", "xarray.open_zarr(\"", key, behind.data);
    } else {
        absent(p, "xarray", "its group's other arrays have axes of these names and other lengths");
    }
    lzr_buf_release(&behind);
}

static void zarr_rows(const struct page *p, const struct lzr_array *a)
{
    char key[LZR_MAX_KEY + 1];
    key_of(a, LZR_FACE_ZARR3, true, key);
    paste(p, "zarr-python 3", "zarr.open(\"", key, "\", mode=\"r\")");
    paste(p, "dask", "dask.array.from_zarr(\"", key, "\")");
    if (!a->text) {
        paste(p, "tensorstore", "tensorstore.open({\"driver\": \"zarr3\", \"kvstore\": \"", key,
              "/\"}).result()");
        paste(p, "zarrita.js", "await zarr.open(new zarr.FetchStore(\"", key, "\"))");
    }
    if (a->kind != LZR_PLAIN) {
        paste(p, "OME-Zarr 0.5 (ngff-zarr, napari, vizarr ...)", "",
              key_of(a, LZR_FACE_ZARR3, false, key), "");
        paste(p, "OME-Zarr 0.4", "", key_of(a, LZR_FACE_ZARR2, false, key), "");
    }
    xarray_row(p, a);
    paste(p, "zarr-python 2", "zarr.open(\"", key_of(a, LZR_FACE_ZARR2, true, key),
          "\", mode=\"r\")");
}

/* BigDataViewer opens files: a document to save, and beside it what it is to look like. */
static void bdv_rows(const struct page *p, const struct lzr_array *a)
{
    char key[LZR_MAX_KEY + 1], before[LZR_MAX_PATH + 32];
    const char *slash = strrchr(a->path, '/'), *name = slash != NULL ? slash + 1 : a->path;
    key_of(a, LZR_FACE_BDV, false, key);
    lzr_buf_printf(p->b,
                   "<tr><td>BigDataViewer, Fiji</td><td><a class=\"save\" "
                   "href=\"%s\" download=\"%s.xml\">save %s.xml</a>",
                   key, name, name);
    if (a->channels != NULL) {
        lzr_buf_printf(p->b,
                       " <a class=\"save\" href=\"bdv/%s/%s/" LZR_BDV_SETTINGS "\" "
                       "download=\"%s.settings.xml\">save %s.settings.xml</a> beside it "
                       "(colours, ranges)",
                       a->store->name, a->path, name, name);
    }
    lzr_buf_printf(p->b, ", then open %s.xml</td></tr>\n", name);
    (void)snprintf(before, sizeof before, "curl -o %s.xml ", name);
    paste(p, "", before, key, "");
}

static void java_rows(const struct page *p, const struct lzr_array *a)
{
    char key[LZR_MAX_KEY + 1], why[LZR_WHY_BYTES], path[LZR_MAX_PATH + 2];
    if (lzr_face_holds(a, LZR_FACE_N5, why)) {
        paste(p, "tensorstore, N5", "tensorstore.open({\"driver\": \"n5\", \"kvstore\": \"",
              key_of(a, LZR_FACE_N5, true, key), "/\"}).result()");
        (void)snprintf(key, sizeof key, "n5/%s.n5", a->store->name);
        (void)snprintf(path, sizeof path, "?%s", a->path);
        paste(p, "Fiji, n5-viewer, MoBIE", "", key, path);
    } else {
        absent(p, "N5", why);
    }
    if (lzr_face_holds(a, LZR_FACE_BDV, why)) {
        bdv_rows(p, a);
    } else {
        absent(p, "BigDataViewer", why);
    }
}

/* Neuroglancer's own two ways, and a link that opens it. */
static void neuroglancer_rows(const struct page *p, const struct lzr_array *a)
{
    char key[LZR_MAX_KEY + 1], why[LZR_WHY_BYTES];
    bool cast = false, shown = lzr_look_shows(a, LZR_FACE_PRECOMPUTED, &cast);
    size_t n = strlen(key_of(a, LZR_FACE_PRECOMPUTED, false, key));
    if (cast && shown) {
        (void)snprintf(key + n, sizeof key - n, "%s", lzr_view_cast(a));
        lzr_buf_printf(
            p->b, "<tr><td>Neuroglancer precomputed</td><td>has no %s; shown as %s:</td></tr>\n",
            lzr_dtype_name(a->dtype), lzr_view_cast(a) + 1);
    } else if (!lzr_face_holds(a, LZR_FACE_PRECOMPUTED, why)) {
        absent(p, "Neuroglancer precomputed", why);
    }
    if (lzr_face_holds(a, LZR_FACE_PRECOMPUTED, NULL) || (cast && shown)) {
        paste(p, "cloud-volume", "CloudVolume(\"precomputed://", key, "\")");
        paste(p, "Neuroglancer", "precomputed://", key, "");
    }
    if (!lzr_viewer_neuroglancer_has(a)) {
        lzr_buf_printf(p->b, "<tr><td>Neuroglancer, Zarr</td><td>lacks %s</td></tr>\n",
                       lzr_array_type(a));
    } else {
        paste(p, "Neuroglancer, Zarr", "zarr3://", key_of(a, LZR_FACE_ZARR3, false, key), "/");
    }
}

static void array_section(const struct page *p, const struct lzr_array *a)
{
    const struct lzr_grid *g = &a->levels[0].grid;
    lzr_buf_printf(p->b, "<section>\n<h2>%s / %s</h2>\n<p>%s, ", a->store->name, a->path,
                   lzr_array_type(a));
    numbers(p->b, g->shape, g->rank);
    lzr_buf_puts(p->b, " in chunks of ");
    numbers(p->b, g->chunks, g->rank);
    if (a->nlevels > 1) {
        lzr_buf_printf(p->b, ", %u levels", a->nlevels);
    }
    lzr_buf_printf(p->b, " · <span id=\"a-%s/%s\"></span>", a->store->name, a->path);
    if (lzr_look_shows(a, LZR_FACE_ZARR3, NULL) || lzr_look_shows(a, LZR_FACE_PRECOMPUTED, NULL)) {
        lzr_buf_printf(p->b, " · <a href=\"view/%s/%s\">look at it in Neuroglancer</a>",
                       a->store->name, a->path);
    }
    lzr_buf_printf(p->b, "</p>\n<div class=\"failed\" id=\"f-%s/%s\"></div>\n<table>\n",
                   a->store->name, a->path);
    zarr_rows(p, a);
    java_rows(p, a);
    neuroglancer_rows(p, a);
    lzr_buf_puts(p->b, "</table>\n</section>\n");
}

/* Why what the page shows isn't all that is on the disk; "" where it is. */
static void stale_line(struct lzr_buf *b, const char *why)
{
    char text[2048];
    if (*why != '\0') {
        escape(why, text, sizeof text);
        lzr_buf_printf(b, "<p id=\"stale\"><strong>%s</strong></p>\n", text);
    }
}

/* The whole page. It is the same for all who see the stores under the same address, but for
 * tracebacks. */
static void make_index(struct lzr_buf *b, const struct lzr_catalog *c, const char *base,
                       const char *why, bool all)
{
    size_t n = lzr_catalog_narrays(c);
    struct page p = {.b = b};
    struct lzr_look look;
    escape(base, p.base, sizeof p.base);
    lzr_buf_puts(b, head);
    lzr_buf_puts(b, "<p>Folders: <a href=\"zarr2/\">zarr2/</a> <a href=\"zarr3/\">zarr3/</a> "
                    "<a href=\"n5/\">n5/</a> <a href=\"precomputed/\">precomputed/</a> "
                    "<a href=\"bdv/\">bdv/</a></p>\n");
    if (lzr_look_choose(c, NULL, NULL, &look)) {
        lzr_buf_puts(b, "<p><a href=\"view/\">look at all of it in Neuroglancer</a></p>\n");
    }
    lzr_buf_puts(b, "<p>zarr-python 2 (Debian 12's), and xarray and dask on it, read no zarr3/: "
                    "put <code>zarr2/</code> in its place below, and of images say "
                    "<code>mask_and_scale=False</code> to xarray, else it takes their zeros for "
                    "missing.</p>\n");
    stale_line(b, why);
    lzr_unloaded_page(b, c, all);
    for (size_t i = 0; i < n && i < MAX_SHOWN; i++) {
        array_section(&p, lzr_catalog_array(c, i));
    }
    if (n > MAX_SHOWN) {
        lzr_buf_printf(b, "<p>and %zu more arrays</p>\n", n - MAX_SHOWN);
    }
    lzr_buf_puts(b, tail);
}

enum MHD_Result lzr_serve_index(struct lzr_http_req *r)
{
    struct lzr_sheets *sheets = &r->edition->sheets;
    struct lzr_digest digest;
    char base[LZR_PUBLIC_BYTES], why[512] = "", name[LZR_PUBLIC_BYTES + sizeof why + 8];
    lzr_request_base(r, base);
    (void)lzr_driver_stale(r->edition->driver, why, sizeof why);
    bool all = lzr_unloaded_all(r);
    (void)snprintf(name, sizeof name, "page %d %s %s", all, base, why);
    struct lzr_blob *blob = lzr_sheets_find(sheets, name, &digest);
    if (blob == NULL) {
        struct lzr_buf b;
        lzr_buf_init(&b, MAX_INDEX);
        make_index(&b, lzr_driver_catalog(r->edition->driver), base, why, all);
        if (!lzr_buf_failed(&b)) {
            blob = lzr_sheets_keep(sheets, name, b.data, b.len, &digest);
        }
        lzr_buf_release(&b);
    }
    if (blob == NULL) {
        return lzr_respond_busy(r);
    }
    /* Its links begin with what this request said of where we are: nobody else's business. */
    struct lzr_answer a = {.status = 200,
                           .type = "text/html; charset=utf-8",
                           .body = blob->data,
                           .len = blob->len,
                           .blob = blob,
                           .cache_control = lzr_request_private(r)};
    return lzr_respond(r, &a);
}
