#include "http/unloaded.h"

#include <string.h>

#include "base/buf.h"
#include "store/json_writer.h"

enum { MAX_TEXT = 1 << 20 };

bool lzr_unloaded_all(struct lzr_http_req *r)
{
    return r->server->loopback && lzr_is_local_peer(r);
}

enum MHD_Result lzr_serve_unloaded(struct lzr_http_req *r, const struct lzr_store *s)
{
    struct lzr_buf b;
    lzr_buf_init(&b, MAX_TEXT);
    lzr_buf_printf(&b,
                   "the store \"%s\" has failed to load: %s\n"
                   "mend it and reload: SIGHUP or POST /api/reload\n",
                   s->name, s->why);
    if (s->traceback[0] != '\0' && lzr_unloaded_all(r)) {
        lzr_buf_puts(&b, s->traceback);
    }
    enum MHD_Result ok =
        lzr_respond_text(r, 503, lzr_buf_failed(&b) ? "the store has failed to load\n" : b.data);
    lzr_buf_release(&b);
    return ok;
}

void lzr_unloaded_stats(struct lzr_http_req *r, struct lzr_json *j)
{
    const struct lzr_catalog *c = lzr_driver_catalog(r->edition->driver);
    bool all = lzr_unloaded_all(r);
    lzr_json_key(j, "failed_stores");
    lzr_json_open(j, '[');
    for (size_t i = 0; i < lzr_catalog_nstores(c); i++) {
        const struct lzr_store *s = lzr_catalog_store(c, i);
        if (s->fate != LZR_FAILED) {
            continue;
        }
        lzr_json_open(j, '{');
        lzr_json_key(j, "store");
        lzr_json_string(j, s->name);
        lzr_json_key(j, "error");
        lzr_json_string(j, s->why);
        if (all && s->traceback[0] != '\0') {
            lzr_json_key(j, "traceback");
            lzr_json_string(j, s->traceback);
        }
        lzr_json_close(j, '}');
    }
    lzr_json_close(j, ']');
}

/* Text of a user's as text of the page. */
static void escaped(struct lzr_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            lzr_buf_puts(b, "&lt;");
            break;
        case '&':
            lzr_buf_puts(b, "&amp;");
            break;
        default:
            lzr_buf_putc(b, *text);
        }
    }
}

void lzr_unloaded_page(struct lzr_buf *b, const struct lzr_catalog *c, bool all)
{
    for (size_t i = 0; i < lzr_catalog_nstores(c); i++) {
        const struct lzr_store *s = lzr_catalog_store(c, i);
        if (s->fate != LZR_FAILED) {
            continue;
        }
        lzr_buf_printf(b, "<section id=\"failed-%s\">\n<h2>%s</h2>\n<p><strong>failed to load: ",
                       s->name, s->name);
        escaped(b, s->why);
        lzr_buf_puts(b, "</strong></p>\n<p>Mend it and reload: SIGHUP or POST /api/reload.</p>\n");
        if (all && s->traceback[0] != '\0') {
            lzr_buf_puts(b, "<pre>");
            escaped(b, s->traceback);
            lzr_buf_puts(b, "</pre>\n");
        }
        lzr_buf_puts(b, "</section>\n");
    }
}
