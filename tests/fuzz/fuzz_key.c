/* Any bytes as a key: a lookup ends, reads nothing beyond them, and what it calls a chunk is one of
 * the format's grid. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "store/catalog.h"
#include "store/names.h"
#include "store/view.h"

/* What a folder of chunks lists is there. */
static void check_folder(const struct lzr_catalog *c, const struct lzr_hit *hit, const char *key,
                         size_t n)
{
    struct lzr_names names;
    char below[LZR_MAX_KEY + LZR_NAME_TEXT + 1];
    LZR_CHECK(lzr_catalog_names(hit, &names));
    uint64_t count = lzr_names_count(&names, hit->depth);
    LZR_CHECK(count > 0 && n <= LZR_MAX_KEY);
    n -= key[n - 1] == '/';
    memcpy(below, key, n);
    below[n++] = '/';
    n += lzr_names_write(&names, hit->depth, count - 1, below + n);
    bool folders = lzr_names_are_folders(&names, hit->depth);
    LZR_CHECK(lzr_catalog_lookup(c, below, n).node ==
              (folders ? LZR_NODE_FOLDER : LZR_NODE_CHUNK));
}

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
        LZR_CHECK(hit.dir != NULL);
        break;
    case LZR_NODE_FOLDER:
        check_folder(catalog, &hit, (const char *)data, size);
        break;
    case LZR_NODE_FAILED:
    case LZR_NODE_NONE:
        break;
    }
    return 0;
}
