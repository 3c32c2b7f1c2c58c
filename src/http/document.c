/* Metadata documents, ready before anybody asks; and where folders are. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http/request.h"
#include "store/bdv.h"

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
