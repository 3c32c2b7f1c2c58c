/* Metadata documents and directories: ready before anybody asks. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http/request.h"
#include "store/bdv.h"

enum { MAX_LISTING = 16 << 20 };

/* BigDataViewer's, with the address that its container has for who asks. */
static enum MHD_Result serve_bdv(struct lzr_http_req *r, const struct lzr_doc *doc)
{
    char base[LZR_PUBLIC_BYTES], hex[33];
    struct lzr_buf b;
    lzr_request_base(r, base);
    lzr_buf_init(&b, LZR_MAX_DOCUMENTS);
    lzr_bdv_xml_at(&b, doc->asked, doc->data, doc->len, base);
    if (lzr_buf_failed(&b)) {
        lzr_buf_release(&b);
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    lzr_digest_hex(lzr_digest_join(doc->digest, base, strlen(base)), hex);
    (void)snprintf(r->etag, sizeof r->etag, "\"%s\"", hex);
    struct lzr_answer a = {
        .type = doc->type, .body = b.data, .len = b.len, .copy = true, .etag = r->etag};
    enum MHD_Result ok = lzr_respond_key(r, &a);
    lzr_buf_release(&b);
    return ok;
}

enum MHD_Result lzr_serve_doc(struct lzr_http_req *r, const struct lzr_doc *doc)
{
    char hex[33];
    if (doc->asked != NULL) {
        return serve_bdv(r, doc);
    }
    lzr_digest_hex(doc->digest, hex);
    (void)snprintf(r->etag, sizeof r->etag, "\"%s\"", hex);
    struct lzr_answer a = {.type = doc->type, .body = doc->data, .len = doc->len, .etag = r->etag};
    return lzr_respond_key(r, &a);
}

/* The page that Python's http.server makes, as far as readers parse it: one plain relative link an
 * entry, folders with a slash, nothing else that looks like a link. Names are of a safe alphabet
 * (design 1), so they need no escaping. */
static void listing(struct lzr_buf *b, const struct lzr_dir *dir)
{
    lzr_buf_printf(b,
                   "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\" />\n"
                   "<title>/%s</title>\n</head>\n<body>\n<h1>/%s</h1>\n<hr />\n<ul>\n",
                   dir->key, dir->key);
    for (size_t i = 0; i < dir->n; i++) {
        const char *slash = dir->entries[i].is_dir ? "/" : "";
        lzr_buf_printf(b, "<li><a href=\"%s%s\">%s%s</a></li>\n", dir->entries[i].name, slash,
                       dir->entries[i].name, slash);
    }
    lzr_buf_puts(b, "</ul>\n<hr />\n</body>\n</html>\n");
}

/* A directory asked for without its slash: to where its relative links work. Behind a proxy that
 * has us in a folder only a relative Location is right for all who ask. */
enum MHD_Result lzr_redirect_to_slash(struct lzr_http_req *r)
{
    struct lzr_buf b;
    const char *q = memchr(r->raw, '?', r->nraw);
    size_t path = q != NULL ? (size_t)(q - r->raw) : r->nraw;
    size_t authority = lzr_target_authority(r->raw, r->nraw);
    size_t from = lzr_target_path(r->raw, r->nraw); /* "//zarr3" would be a host's name */
    bool relative = lzr_request_prefixed(r);
    for (size_t i = from; relative && i < path; i++) {
        from = r->raw[i] == '/' ? i + 1 : from;
    }
    lzr_buf_init(&b, 8192);
    lzr_buf_add(&b, r->raw, relative ? 0 : authority);
    lzr_buf_add(&b, r->raw + from, path - from);
    lzr_buf_putc(&b, '/');
    lzr_buf_add(&b, r->raw + path, r->nraw - path);
    if (lzr_buf_failed(&b)) {
        lzr_buf_release(&b);
        return lzr_respond_text(r, 500, "out of memory\n");
    }
    struct lzr_answer a = {.status = 301,
                           .location = b.data,
                           .cache_control = lzr_request_private(r)};
    enum MHD_Result ok = lzr_respond(r, &a);
    lzr_buf_release(&b);
    return ok;
}

enum MHD_Result lzr_serve_dir(struct lzr_http_req *r, const struct lzr_dir *dir,
                              const struct lzr_target *t)
{
    /* An S3 client looks whether this is a bucket: a page would say yes (clients-java 13). */
    if (lzr_query_has(t->query, "acl")) {
        return lzr_respond_404(r);
    }
    if (!t->slash) {
        return lzr_redirect_to_slash(r);
    }
    struct lzr_sheets *sheets = &r->edition->sheets;
    struct lzr_digest digest;
    char name[LZR_MAX_KEY + 16], hex[33];
    (void)snprintf(name, sizeof name, "folder %s", dir->key);
    struct lzr_blob *blob = lzr_sheets_find(sheets, name, &digest);
    if (blob == NULL) {
        struct lzr_buf b;
        lzr_buf_init(&b, MAX_LISTING);
        listing(&b, dir);
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
