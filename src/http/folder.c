/* Folders: a page of links, one a name. Nothing is computed for it: a folder of chunks has the
 * names that the grid says there are (names.h). A listing is all of the truth or an error. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http/request.h"
#include "store/names.h"

/* Enough for LZR_MAX_LISTED names of any length that they have. */
enum { MAX_LISTING = 32 << 20 };

struct folder {
    const struct lzr_hit *hit;
    const char *key; /* without a slash at its end */
    bool slash;      /* it was asked for with one: its links are relative to it */
    uint64_t n;      /* names of chunks and their folders */
    struct lzr_names names;
};

static void link_to(struct lzr_buf *b, const char *name, size_t n, bool folder)
{
    char line[2 * LZR_MAX_KEY + 64];
    static const char start[] = "<li><a href=\"", middle[] = "\">", end[] = "</a></li>\n";
    const struct {
        const char *text;
        size_t n;
    } parts[] = {{start, sizeof start - 1}, {name, n}, {"/", folder}, {middle, sizeof middle - 1},
                 {name, n}, {"/", folder}, {end, sizeof end - 1}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        memcpy(line + at, parts[i].text, parts[i].n);
        at += parts[i].n;
    }
    lzr_buf_add(b, line, at);
}

static void list_names(struct lzr_buf *b, const struct folder *f, bool folders)
{
    char name[LZR_NAME_TEXT];
    if (f->n == 0 || lzr_names_are_folders(&f->names, f->hit->depth) != folders) {
        return;
    }
    for (uint64_t i = 0; i < f->n; i++) {
        size_t n = lzr_names_write(&f->names, f->hit->depth, i, name);
        link_to(b, name, n, folders);
    }
}

/* The page that Python's http.server makes, as far as readers parse it: one plain relative link an
 * entry, folders with a slash and first, nothing else that looks like a link. Names are of a safe
 * alphabet (design 1), so they need no escaping. Asked for without its slash the links begin at its
 * parent, which <base> mends: readers that join the URL themselves put a slash before the name. */
static void listing(struct lzr_buf *b, const struct folder *f)
{
    const struct lzr_dir *dir = f->hit->dir;
    size_t n = dir != NULL ? dir->n : 0;
    lzr_buf_puts(b, "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\" />\n");
    if (!f->slash) {
        const char *last = strrchr(f->key, '/');
        lzr_buf_printf(b, "<base href=\"%s/\" />\n", last != NULL ? last + 1 : f->key);
    }
    lzr_buf_printf(b, "<title>/%s</title>\n</head>\n<body>\n<h1>/%s</h1>\n<hr />\n<ul>\n", f->key,
                   f->key);
    list_names(b, f, true);
    for (size_t i = 0; i < n; i++) {
        link_to(b, dir->entries[i].name, strlen(dir->entries[i].name), dir->entries[i].is_dir);
    }
    list_names(b, f, false);
    lzr_buf_puts(b, "</ul>\n<hr />\n</body>\n</html>\n");
}

static enum MHD_Result respond_too_many(struct lzr_http_req *r, uint64_t n)
{
    char text[256];
    if (r->head) { /* the folder is there, and readers ask only that */
        struct lzr_answer a = {.status = 200,
                               .type = "text/html; charset=utf-8",
                               .no_length = true,
                               .cache_control = "no-cache"};
        return lzr_respond(r, &a);
    }
    (void)snprintf(text, sizeof text,
                   "this folder holds %" PRIu64 " chunks or folders of them, too many to list (the"
                   " limit is %d): take their names from the array's metadata\n",
                   n, LZR_MAX_LISTED);
    return lzr_respond_text(r, 500, text);
}

static enum MHD_Result respond_listing(struct lzr_http_req *r, const struct folder *f)
{
    struct lzr_sheets *sheets = &r->edition->sheets;
    struct lzr_digest digest;
    char name[LZR_MAX_KEY + 16], hex[33];
    (void)snprintf(name, sizeof name, "folder %s%s", f->key, f->slash ? "/" : "");
    struct lzr_blob *blob = lzr_sheets_find(sheets, name, &digest);
    if (blob == NULL) {
        struct lzr_buf b;
        lzr_buf_init(&b, MAX_LISTING);
        listing(&b, f);
        bool failed = lzr_buf_failed(&b);
        blob = failed ? NULL : lzr_sheets_keep(sheets, name, b.data, b.len, &digest);
        lzr_buf_release(&b);
        if (failed) {
            return lzr_respond_text(r, 500, "the listing is too long\n");
        }
    }
    if (blob == NULL) {
        return lzr_respond_busy(r);
    }
    lzr_digest_hex(digest, hex);
    (void)snprintf(r->etag, sizeof r->etag, "\"%s\"", hex);
    struct lzr_answer a = {.type = "text/html; charset=utf-8",
                           .body = blob->data,
                           .len = blob->len,
                           .blob = blob,
                           .etag = r->etag};
    return lzr_respond_key(r, &a);
}

enum MHD_Result lzr_serve_folder(struct lzr_http_req *r, const struct lzr_hit *hit,
                                 const struct lzr_target *t)
{
    /* An S3 client looks whether this is a bucket: a page would say yes (clients-java 13). */
    if (lzr_query_has(t->query, "acl")) {
        return lzr_respond_404(r);
    }
    if (!t->slash && r->head) { /* else Java takes it for a file (clients-java 22) */
        return lzr_redirect_to_slash(r);
    }
    char key[LZR_MAX_KEY + 1];
    struct folder f = {.hit = hit, .key = key, .slash = t->slash};
    (void)snprintf(key, sizeof key, "%.*s", (int)(t->len - t->slash), t->key);
    if (lzr_catalog_names(hit, &f.names)) {
        f.n = lzr_names_count(&f.names, hit->depth);
    }
    return f.n > LZR_MAX_LISTED ? respond_too_many(r, f.n) : respond_listing(r, &f);
}
