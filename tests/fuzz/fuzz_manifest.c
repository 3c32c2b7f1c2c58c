/* Any bytes as a manifest: refused with a text, or a catalog whose every document is valid JSON or
 * begins as XML. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "store/catalog.h"
#include "store/cost.h"
#include "store/json_span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct lzr_catalog *c, const struct lzr_dir *dir)
{
    for (size_t i = 0; i < dir->n; i++) {
        char key[LZR_MAX_KEY + LZR_MAX_NAME];
        size_t n = strlen(dir->key), m = strlen(dir->entries[i].name);
        memcpy(key, dir->key, n);
        key[n] = '/';
        memcpy(key + n + (n > 0), dir->entries[i].name, m);
        struct lzr_hit hit = lzr_catalog_lookup(c, key, n + (n > 0) + m);
        if (dir->entries[i].is_dir) {
            LZR_CHECK(hit.node == LZR_NODE_DIR);
            visit(c, hit.dir);
        } else {
            LZR_CHECK(hit.node == LZR_NODE_DOC);
            if (m > 4 && strcmp(dir->entries[i].name + m - 4, ".xml") == 0) { /* BigDataViewer's */
                LZR_CHECK(hit.doc->len > 5 && memcmp(hit.doc->data, "<?xml", 5) == 0);
                continue;
            }
            struct lzr_err err;
            enum lzr_code code = lzr_json_check(hit.doc->data, hit.doc->len, LZR_JSON_ANY, &err);
            /* The user's attributes lie a few levels deeper in ours than in the manifest. */
            LZR_CHECK(code == LZR_OK || code == LZR_E_LIMIT);
        }
    }
}

static void costs(void *ctx, const struct lzr_cost *c)
{
    (void)ctx;
    LZR_CHECK(c->blocks > 0 && c->most != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct lzr_manifest_text text = {"b", "b.py", (const char *)data, size};
    struct lzr_catalog *catalog = NULL;
    struct lzr_err err = {0};
    if (lzr_catalog_new(&text, 1, &catalog, &err) != LZR_OK) {
        LZR_CHECK(strncmp(err.msg, "b.py: ", 6) == 0);
        LZR_CHECK(catalog == NULL);
        return 0;
    }
    visit(catalog, lzr_catalog_lookup(catalog, "", 0).dir);
    LZR_CHECK(lzr_cost_check(lzr_catalog_store(catalog, 0), 0, costs, NULL, &err) == LZR_OK);
    lzr_catalog_free(&catalog);
    return 0;
}
