/* Which keys are pages for people and figures for operators. */
#include <string.h>

#include "http/request.h"

bool lzr_serve_page(struct lzr_http_req *r, const struct lzr_target *t, enum MHD_Result *out)
{
    if (t->len == 0) {
        *out = lzr_query_has(t->query, "acl") ? lzr_respond_404(r) : lzr_serve_index(r);
    } else if (strncmp(t->key, "view", 4) == 0 && (t->len == 4 || t->key[4] == '/')) {
        *out = lzr_serve_view(r, t);
    } else if (strcmp(t->key, "healthz") == 0) {
        *out = lzr_respond_text(r, 200, "ok\n");
    } else if (strcmp(t->key, "readyz") == 0) {
        *out = lzr_driver_ready(r->edition->driver)
                   ? lzr_respond_text(r, 200, "ready\n")
                   : lzr_respond_text(r, 503, "no worker can compute now\n");
    } else if (strcmp(t->key, "metrics") == 0) {
        *out = lzr_serve_metrics(r);
    } else if (strcmp(t->key, "api/stats") == 0) {
        *out = lzr_serve_stats(r, t->query);
    } else if (strcmp(t->key, "api/workers") == 0) {
        *out = lzr_serve_workers(r);
    } else if (strcmp(t->key, "api/reload") == 0) {
        *out = lzr_action_begin(r);
    } else {
        return false;
    }
    return true;
}
