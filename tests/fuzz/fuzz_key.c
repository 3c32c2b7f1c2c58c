/* Any bytes as a key: a lookup ends, reads nothing beyond them, and what it calls a chunk is one of
 * the format's grid. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "store/catalog.h"
#include "store/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""

static const char MANIFEST[] =
    "{\"lazarr\":1,\"arrays\":["
    "{\"path\":\"a\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"separator\":\".\",\"levels\":"
    "[{\"shape\":[10,20],\"chunks\":[4,8]}]," D "},"
    "{\"path\":\"5/3\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"separator\":\"/\",\"levels\":"
    "[{\"shape\":[\"4611686018427387904\"],\"chunks\":[1]}]," D "},"
    "{\"path\":\"s\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"levels\":"
    "[{\"shape\":[],\"chunks\":[]}]," D "},"
    "{\"path\":\"t\",\"kind\":\"image\",\"dtype\":\"|u1\",\"dims\":[\"z\",\"y\",\"x\"],"
    "\"levels\":[{\"shape\":[9,9,9],\"chunks\":[4,4,4]},{\"shape\":[5,5,5],\"chunks\":[4,4,4],"
    "\"factor\":[2,2,2]}],\"pyramid\":\"mean\"," D "},"
    "{\"path\":\"h\",\"kind\":\"image\",\"dtype\":\"<f8\",\"dims\":[\"c\",\"y\",\"x\"],"
    "\"levels\":[{\"shape\":[3,9,9],\"chunks\":[2,4,4],\"translation\":[0,-6,100]}]," D "}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lzr_catalog *catalog;
    if (catalog == NULL) {
        const struct lzr_manifest_text text = {"b", "b.py", MANIFEST, sizeof MANIFEST - 1};
        LZR_CHECK(lzr_catalog_new(&text, 1, &catalog, NULL) == LZR_OK);
    }
    struct lzr_view view;
    struct lzr_hit hit = lzr_catalog_lookup(catalog, (const char *)data, size);
    switch (hit.node) {
    case LZR_NODE_CHUNK:
        LZR_CHECK(hit.chunk.level < hit.chunk.array->nlevels);
        LZR_CHECK(lzr_view_of(hit.chunk.array, hit.chunk.level, hit.chunk.encoding, &view, NULL));
        LZR_CHECK(hit.chunk.index < view.grid.total);
        break;
    case LZR_NODE_DOC:
        LZR_CHECK(strlen(hit.doc->key) == size && memcmp(hit.doc->key, data, size) == 0);
        break;
    case LZR_NODE_DIR:
        LZR_CHECK(hit.dir != NULL); /* a precomputed level lists nothing: chunks never are */
        break;
    case LZR_NODE_FAILED:
    case LZR_NODE_NONE:
        break;
    }
    return 0;
}
