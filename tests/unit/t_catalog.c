/* catalog.h: every document byte for byte, every kind of key, listings, digests, no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lazarr/limits.h"
#include "store/catalog.h"

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""

static const char BRAIN[] =
    "{\"lazarr\":1," D ",\"groups\":[{\"path\":\"g\",\"attributes\":{\"multiscales\":\"mine\"}}],"
    "\"arrays\":["
    "{\"path\":\"g/plain\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"levels\":[{\"shape\":[10,20],"
    "\"chunks\":[4,8]}],\"separator\":\".\",\"compressor\":{\"id\":\"blosc\",\"cname\":\"lz4\","
    "\"clevel\":5,\"shuffle\":\"shuffle\"},\"attributes\":{\"big\":9007199254740993,"
    "\"_ARRAY_DIMENSIONS\":[\"no\",\"no\"]}," D "},"
    "{\"path\":\"t1\",\"kind\":\"image\",\"dtype\":\">f4\",\"dims\":[\"z\",\"y\",\"x\"],"
    "\"units\":[null,\"millimeter\",\"millimeter\"],\"levels\":[{\"shape\":[9,9,9],\"chunks\":"
    "[4,4,4],\"scale\":[1,0.1,0.1]},{\"shape\":[5,5,5],\"chunks\":[4,4,4],\"scale\":[2,0.2,0.2],"
    "\"translation\":[0.5,0.05,0.05],\"factor\":[2,2,2]}],\"pyramid\":\"mean\",\"compressor\":{"
    "\"id\":\"zstd\",\"level\":3},"
    "\"attributes\":{\"ome\":1,\"note\":\"x\"},\"version\":\"1\"," D "},"
    "{\"path\":\"scalar\",\"kind\":\"plain\",\"dtype\":\"|b1\",\"fill_value\":true,\"levels\":"
    "[{\"shape\":[],\"chunks\":[]}],\"compressor\":{\"id\":\"gzip\",\"level\":1}," D "},"
    "{\"path\":\"5/3\",\"kind\":\"plain\",\"dtype\":\"<u8\",\"dims\":[\"t\"],\"levels\":"
    "[{\"shape\":[0],\"chunks\":[4]}],\"separator\":\"/\"," D "},"
    "{\"path\":\"5/4\",\"kind\":\"plain\",\"dtype\":\"<c8\",\"fill_value\":[\"NaN\",\"-1\"],"
    "\"levels\":[{\"shape\":[4,4],\"chunks\":[2,2]}],\"separator\":\"/\"," D "}]}";

static const char EMPTY[] = "{\"lazarr\":1,\"arrays\":[]}";

static struct lzr_catalog *make(void)
{
    const struct lzr_manifest_text texts[] = {
        {"brain", "x/brain.py", BRAIN, strlen(BRAIN)},
        {"an-empty.one", "empty.py", EMPTY, strlen(EMPTY)},
    };
    struct lzr_catalog *c = NULL;
    struct lzr_err err = {0};
    if (lzr_catalog_new(texts, 2, &c, &err) != LZR_OK) {
        fail_msg("%s", err.msg);
    }
    return c;
}

static struct lzr_hit look(const struct lzr_catalog *c, const char *key)
{
    return lzr_catalog_lookup(c, key, strlen(key));
}

#define PLAIN_ZARRAY                                                                               \
    "{\"zarr_format\":2,\"shape\":[10,20],\"chunks\":[4,8],\"dtype\":\"<u2\",\"compressor\":"      \
    "{\"id\":\"blosc\",\"cname\":\"lz4\",\"clevel\":5,\"shuffle\":1,\"blocksize\":0},"             \
    "\"fill_value\":null,\"order\":\"C\",\"filters\":null,\"dimension_separator\":\".\"}"
#define PLAIN_ZATTRS "{\"_ARRAY_DIMENSIONS\":[\"dim_0\",\"dim_1\"],\"big\":9007199254740993}"
#define PLAIN_V3                                                                                   \
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10,20],\"chunk_grid\":{\"name\":"       \
    "\"regular\",\"configuration\":{\"chunk_shape\":[4,8]}},\"chunk_key_encoding\":{\"name\":"     \
    "\"default\",\"configuration\":{\"separator\":\"/\"}},\"data_type\":\"uint16\","               \
    "\"fill_value\":0,\"codecs\":[{\"name\":\"bytes\",\"configuration\":{\"endian\":\"little\"}}," \
    "{\"name\":\"blosc\",\"configuration\":{\"cname\":\"lz4\",\"clevel\":5,\"shuffle\":"           \
    "\"shuffle\",\"typesize\":2,\"blocksize\":0}}],\"dimension_names\":[\"dim_0\",\"dim_1\"],"     \
    "\"attributes\":{\"big\":9007199254740993}}"
#define MULTISCALES(version)                                                                       \
    "\"multiscales\":[{" version                                                                   \
    "\"name\":\"t1\",\"type\":\"mean\",\"axes\":[{\"name\":\"z\",\"type\":\"space\"},"             \
    "{\"name\":\"y\",\"type\":\"space\",\"unit\":\"millimeter\"},{\"name\":\"x\",\"type\":"        \
    "\"space\",\"unit\":\"millimeter\"}],\"datasets\":[{\"path\":\"0\","                           \
    "\"coordinateTransformations\":[{\"type\":\"scale\",\"scale\":[1.0,0.1,0.1]},{\"type\":"       \
    "\"translation\",\"translation\":[0.0,0.0,0.0]}]},{\"path\":\"1\","                            \
    "\"coordinateTransformations\":[{\"type\":\"scale\",\"scale\":[2.0,0.2,0.2]},{\"type\":"       \
    "\"translation\",\"translation\":[0.5,0.05,0.05]}]}]}]"

static void test_documents(void **state)
{
    static const char *const ROWS[][2] = {
        {"zarr2/brain.zarr/.zgroup", "{\"zarr_format\":2}"},
        {"zarr2/brain.zarr/.zattrs", "{}"},
        {"zarr2/brain.zarr/5/.zgroup", "{\"zarr_format\":2}"},
        {"zarr2/brain.zarr/g/.zattrs", "{\"multiscales\":\"mine\"}"},
        {"zarr2/brain.zarr/g/plain/.zarray", PLAIN_ZARRAY},
        {"zarr2/brain.zarr/g/plain/.zattrs", PLAIN_ZATTRS},
        {"zarr2/brain.zarr/g/.zmetadata",
         "{\"zarr_consolidated_format\":1,\"metadata\":{\".zgroup\":{\"zarr_format\":2},"
         "\".zattrs\":{\"multiscales\":\"mine\"},\"plain/.zarray\":" PLAIN_ZARRAY
         ",\"plain/.zattrs\":" PLAIN_ZATTRS "}}"},
        {"zarr2/brain.zarr/t1/.zattrs", "{" MULTISCALES("\"version\":\"0.4\",") ",\"note\":\"x\"}"},
        {"zarr2/brain.zarr/t1/1/.zarray",
         "{\"zarr_format\":2,\"shape\":[5,5,5],\"chunks\":[4,4,4],\"dtype\":\">f4\","
         "\"compressor\":{\"id\":\"zstd\",\"level\":3},\"fill_value\":0.0,\"order\":\"C\","
         "\"filters\":null,\"dimension_separator\":\"/\"}"},
        {"zarr2/brain.zarr/t1/1/.zattrs", "{\"_ARRAY_DIMENSIONS\":[\"z\",\"y\",\"x\"]}"},
        {"zarr2/brain.zarr/scalar/.zarray",
         "{\"zarr_format\":2,\"shape\":[],\"chunks\":[],\"dtype\":\"|b1\",\"compressor\":"
         "{\"id\":\"gzip\",\"level\":1},\"fill_value\":true,\"order\":\"C\",\"filters\":null,"
         "\"dimension_separator\":\".\"}"},
        /* A43: uint64 is never null. */
        {"zarr2/brain.zarr/5/3/.zarray",
         "{\"zarr_format\":2,\"shape\":[0],\"chunks\":[4],\"dtype\":\"<u8\",\"compressor\":null,"
         "\"fill_value\":0,\"order\":\"C\",\"filters\":null,\"dimension_separator\":\"/\"}"},
        {"zarr3/brain.zarr/g/plain/zarr.json", PLAIN_V3},
        {"zarr3/brain.zarr/g/zarr.json",
         "{\"zarr_format\":3,\"node_type\":\"group\",\"attributes\":{\"multiscales\":\"mine\"},"
         "\"consolidated_metadata\":{\"kind\":\"inline\",\"must_understand\":false,\"metadata\":"
         "{\"plain\":" PLAIN_V3 "}}}"},
        /* A39: no endian for one byte. */
        {"zarr3/brain.zarr/scalar/zarr.json",
         "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[],\"chunk_grid\":{\"name\":"
         "\"regular\",\"configuration\":{\"chunk_shape\":[]}},\"chunk_key_encoding\":{\"name\":"
         "\"default\",\"configuration\":{\"separator\":\"/\"}},\"data_type\":\"bool\","
         "\"fill_value\":true,\"codecs\":[{\"name\":\"bytes\",\"configuration\":{}},{\"name\":"
         "\"gzip\",\"configuration\":{\"level\":1}}],\"dimension_names\":[],\"attributes\":{\"_FillValue\":true}}"},
        {"zarr3/an-empty.one.zarr/zarr.json",
         "{\"zarr_format\":3,\"node_type\":\"group\",\"attributes\":{},\"consolidated_metadata\":"
         "{\"kind\":\"inline\",\"must_understand\":false,\"metadata\":{}}}"},
    };
    struct lzr_catalog *c = make();
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_hit hit = look(c, ROWS[i][0]);
        if (hit.node != LZR_NODE_DOC) {
            fail_msg("no document %s", ROWS[i][0]);
        }
        assert_string_equal(hit.doc->data, ROWS[i][1]);
        assert_int_equal(hit.doc->len, strlen(ROWS[i][1]));
        assert_string_equal(hit.doc->key, ROWS[i][0]);
        assert_string_equal(hit.doc->type, "application/json");
        struct lzr_digest d = lzr_digest(hit.doc->data, hit.doc->len, 0);
        assert_true(d.hi == hit.doc->digest.hi && d.lo == hit.doc->digest.lo);
    }
    const char *v3 = look(c, "zarr3/brain.zarr/t1/zarr.json").doc->data;
    assert_non_null(strstr(v3, "\"attributes\":{\"ome\":{\"version\":\"0.5\"," MULTISCALES(
                                   "") "},\"note\":\"x\"}"));
    v3 = look(c, "zarr3/brain.zarr/t1/1/zarr.json").doc->data;
    assert_non_null(strstr(v3, "{\"endian\":\"big\"}},{\"name\":\"zstd\",\"configuration\":"
                               "{\"level\":3,\"checksum\":false}}]"));
    v3 = look(c, "zarr3/brain.zarr/5/4/zarr.json").doc->data;
    assert_non_null(strstr(v3, "\"fill_value\":[\"NaN\",-1.0]"));
    lzr_catalog_free(&c);
    assert_null(c);
}

/* A47: for every group of both faces, the consolidated document holds each descendant's own
 * document, and nothing else. */
static void check_consolidated(const struct lzr_catalog *c, const char *group, const char *doc,
                               size_t members)
{
    char key[LZR_MAX_KEY];
    snprintf(key, sizeof key, "%s/%s", group, doc);
    cJSON *root = cJSON_Parse(look(c, key).doc->data);
    assert_non_null(root);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(root, "consolidated_metadata");
    bool v3 = inner != NULL;
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(v3 ? inner : root, "metadata");
    assert_int_equal(cJSON_GetArraySize(all), members);
    const cJSON *one;
    cJSON_ArrayForEach(one, all)
    {
        snprintf(key, sizeof key, "%s/%s%s", group, one->string, v3 ? "/zarr.json" : "");
        struct lzr_hit hit = look(c, key);
        assert_int_equal(hit.node, LZR_NODE_DOC);
        cJSON *own = cJSON_Parse(hit.doc->data);
        cJSON_DeleteItemFromObjectCaseSensitive(own, "consolidated_metadata");
        assert_true(cJSON_Compare(own, one, 1));
        cJSON_Delete(own);
    }
    cJSON_Delete(root);
}

static void test_consolidated(void **state)
{
    struct lzr_catalog *c = make();
    (void)state;
    /* Nodes below the root: g, g/plain, t1, t1/0, t1/1, scalar, 5, 5/3, 5/4; v2 has two documents
     * each and those of the group itself. */
    check_consolidated(c, "zarr2/brain.zarr", ".zmetadata", 20);
    check_consolidated(c, "zarr3/brain.zarr", "zarr.json", 9);
    check_consolidated(c, "zarr2/brain.zarr/t1", ".zmetadata", 6);
    check_consolidated(c, "zarr3/brain.zarr/t1", "zarr.json", 2);
    check_consolidated(c, "zarr2/brain.zarr/5", ".zmetadata", 6);
    check_consolidated(c, "zarr3/brain.zarr/5", "zarr.json", 2);
    lzr_catalog_free(&c);
}

static void test_lookup(void **state)
{
    static const struct {
        const char *key;
        enum lzr_node node;
        const char *path; /* of a chunk's array */
        uint32_t level;
        uint64_t index;
    } ROWS[] = {
        {"", LZR_NODE_DIR, NULL, 0, 0},
        {"zarr2", LZR_NODE_DIR, NULL, 0, 0},
        {"zarr2/", LZR_NODE_DIR, NULL, 0, 0},
        {"zarr3/brain.zarr/t1/0/", LZR_NODE_DIR, NULL, 0, 0},
        {"zarr2/brain.zarr/g/plain", LZR_NODE_DIR, NULL, 0, 0},
        {"zarr2/brain.zarr/g/plain/2.1", LZR_NODE_CHUNK, "g/plain", 0, 7},
        {"zarr3/brain.zarr/g/plain/c/2/1", LZR_NODE_CHUNK, "g/plain", 0, 7},
        {"zarr2/brain.zarr/t1/0/2/2/2", LZR_NODE_CHUNK, "t1", 0, 26},
        {"zarr2/brain.zarr/t1/1/0/0/1", LZR_NODE_CHUNK, "t1", 1, 1},
        {"zarr3/brain.zarr/t1/1/c/1/1/1", LZR_NODE_CHUNK, "t1", 1, 7},
        {"zarr2/brain.zarr/scalar/0", LZR_NODE_CHUNK, "scalar", 0, 0},
        {"zarr3/brain.zarr/scalar/c", LZR_NODE_CHUNK, "scalar", 0, 0},
        {"zarr2/brain.zarr/5/4/1/1", LZR_NODE_CHUNK, "5/4", 0, 3},
        {"zarr3/brain.zarr/5/4/c/1/1", LZR_NODE_CHUNK, "5/4", 0, 3},
        {"zarr2/an-empty.one.zarr", LZR_NODE_DIR, NULL, 0, 0},
#define NONE(key) {key, LZR_NODE_NONE, NULL, 0, 0}
        NONE("/"),
        NONE("//"),
        NONE("zarr2//"),
        NONE("/zarr2"),
        NONE("zarr4"),
        NONE("zarr2/brain"),
        NONE("zarr2//brain.zarr"),
        NONE("zarr2/./brain.zarr"),
        NONE("zarr2/brain.zarr/../brain.zarr"),
        NONE("zarr2/~1/brain.zarr"),
        NONE("zarr2/~1/brain.zarr/.zgroup"),
        NONE("zarr2/BRAIN.zarr"),
        NONE("zarr2/.zgroup"),
        NONE("zarr2/brain.zarr/.zarray"),
        NONE("zarr2/brain.zarr/.zgroup/"),
        NONE("zarr2/brain.zarr/zarr.json"),
        NONE("zarr3/brain.zarr/.zgroup"),
        NONE("zarr3/brain.zarr/t1/.zattrs"),
        NONE("zarr2/brain.zarr/g/plain/.zgroup"),
        NONE("zarr2/brain.zarr/g/plain/.zattrs/.zarray"),
        NONE("zarr2/brain.zarr/g/plain/2/1"),
        NONE("zarr2/brain.zarr/g/plain/c/2/1"),
        NONE("zarr2/brain.zarr/g/plain/2.1/"),
        NONE("zarr2/brain.zarr/g/plain/2.3"),
        NONE("zarr2/brain.zarr/g/plain/3.0"),
        NONE("zarr2/brain.zarr/g/plain/02.1"),
        NONE("zarr2/brain.zarr/g/plain/2.1.0"),
        NONE("zarr2/brain.zarr/g/plain/2"),
        NONE("zarr2/brain.zarr/g/plain/+2.1"),
        NONE("zarr2/brain.zarr/g/plain/-0.0"),
        NONE("zarr2/brain.zarr/g/plain/"
             "1.0\n"),
        NONE("zarr2/brain.zarr/g/0.0"),
        NONE("zarr2/brain.zarr/0.0"),
        NONE("zarr2/brain.zarr/t1/2"),
        NONE("zarr2/brain.zarr/t1/0/0.0.0"),
        {"zarr2/brain.zarr/t1/0/0", LZR_NODE_FOLDER, NULL, 0, 0},
        NONE("zarr2/brain.zarr/t1/0/0/0/3"),
        NONE("zarr2/brain.zarr/t1/0/0/0/0/0"),
        NONE("zarr2/brain.zarr/t1/00/0/0/0"),
        NONE("zarr3/brain.zarr/t1/0/0/0/0"),
        {"zarr3/brain.zarr/t1/0/c", LZR_NODE_FOLDER, NULL, 0, 0},
        {"zarr3/brain.zarr/t1/0/c/", LZR_NODE_FOLDER, NULL, 0, 0},
        {"zarr3/brain.zarr/t1/0/c/0/0", LZR_NODE_FOLDER, NULL, 0, 0},
        NONE("zarr3/brain.zarr/t1/0/c/0/0/0/"),
        NONE("zarr3/brain.zarr/t1/0/c/0/0/0/0"),
        NONE("zarr3/brain.zarr/t1/0/c/0//0/0"),
        NONE("zarr3/brain.zarr/t1/0/c/c/0/0/0"),
        NONE("zarr3/brain.zarr/t1/c/0/0/0"),
        NONE("zarr3/brain.zarr/scalar/c/0"),
        NONE("zarr3/brain.zarr/scalar/0"),
        NONE("zarr2/brain.zarr/scalar/c"),
        NONE("zarr2/brain.zarr/5/3/0"),
        NONE("zarr3/brain.zarr/5/3/c/0"),
        NONE("0"),
        NONE("0/0"),
        NONE("c"),
        NONE("/0"),
        NONE("favicon.ico"),
        NONE("zarr2/brain.zarr/t1/labels/.zattrs"),
#undef NONE
    };
    struct lzr_catalog *c = make();
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        /* On the heap in its exact length: a lookup that reads beyond is seen. */
        size_t n = strlen(ROWS[i].key);
        char *key = lzr_malloc(n);
        memcpy(key, ROWS[i].key, n);
        struct lzr_hit hit = lzr_catalog_lookup(c, key, n);
        lzr_free(key);
        if (hit.node != ROWS[i].node) {
            fail_msg("%s: got %d, wanted %d", ROWS[i].key, (int)hit.node, (int)ROWS[i].node);
        }
        if (hit.node == LZR_NODE_CHUNK) {
            assert_string_equal(hit.chunk.array->path, ROWS[i].path);
            assert_int_equal(hit.chunk.level, ROWS[i].level);
            assert_true(hit.chunk.index == ROWS[i].index);
            assert_int_equal(hit.chunk.encoding, LZR_ENC_ZARR);
        }
    }
    assert_int_equal(lzr_catalog_lookup(c, "zarr2\0", 6).node, LZR_NODE_NONE);
    char longest[LZR_MAX_KEY + 1];
    memset(longest, '0', sizeof longest);
    assert_int_equal(lzr_catalog_lookup(c, longest, sizeof longest).node, LZR_NODE_NONE);
    lzr_catalog_free(&c);
}

static void check_dir(const struct lzr_catalog *c, const char *key, const char *want)
{
    struct lzr_buf b;
    lzr_buf_init(&b, 10000);
    struct lzr_hit hit = look(c, key);
    assert_int_equal(hit.node, LZR_NODE_DIR);
    for (size_t i = 0; i < hit.dir->n; i++) {
        lzr_buf_printf(&b, "%s%s ", hit.dir->entries[i].name,
                       hit.dir->entries[i].is_dir ? "/" : "");
    }
    assert_string_equal(b.data, want);
    lzr_buf_release(&b);
}

static void test_dirs(void **state)
{
    struct lzr_catalog *c = make();
    (void)state;
    check_dir(c, "", "bdv/ n5/ precomputed/ zarr2/ zarr3/ ");
    check_dir(c, "zarr2", "an-empty.one.zarr/ brain.zarr/ ");
    check_dir(c, "zarr2/brain.zarr", "5/ g/ scalar/ t1/ .zattrs .zgroup .zmetadata ");
    check_dir(c, "zarr3/brain.zarr/", "5/ g/ scalar/ t1/ zarr.json ");
    check_dir(c, "zarr2/brain.zarr/t1", "0/ 1/ .zattrs .zgroup .zmetadata ");
    check_dir(c, "zarr2/brain.zarr/t1/0", ".zarray .zattrs ");
    check_dir(c, "zarr3/brain.zarr/t1/0", "zarr.json ");
    check_dir(c, "zarr3/an-empty.one.zarr", "zarr.json ");
    assert_string_equal(look(c, "zarr3/brain.zarr/t1/0/").dir->key, "zarr3/brain.zarr/t1/0");
    lzr_catalog_free(&c);
}

static const char BROKEN[] =
    "{\"lazarr\":1,\"failed\":\"b.py: no\",\"traceback\":\"line\",\"arrays\":[]}";
static const char HELPER[] = "{\"lazarr\":1,\"skipped\":\"no array\",\"arrays\":[]}";

/* Of stores that didn't load, what failed has one answer for all its keys, and what isn't a store
 * none. */
static void test_unloaded(void **state)
{
    static const struct {
        const char *key;
        enum lzr_node node;
    } ROWS[] = {
        {"zarr2/b.zarr", LZR_NODE_FAILED},
        {"zarr3/b.zarr/", LZR_NODE_FAILED},
        {"zarr3/b.zarr/zarr.json", LZR_NODE_FAILED},
        {"n5/b.n5/a/s0/0/0/0", LZR_NODE_FAILED},
        {"precomputed/b/a/info", LZR_NODE_FAILED},
        {"bdv/b/a/dataset.xml", LZR_NODE_FAILED},
        {"zarr3/b.zarr//", LZR_NODE_FAILED},
        {"zarr3/b.zar", LZR_NODE_NONE},
        {"zarr3/b.zarr.zarr", LZR_NODE_NONE},
        {"zarr3//b.zarr", LZR_NODE_NONE},
        {"b.zarr/a", LZR_NODE_NONE},
        {"zarr2/b", LZR_NODE_NONE},
        {"zarr2/u.zarr", LZR_NODE_NONE},
        {"zarr2/u.zarr/.zgroup", LZR_NODE_NONE},
        {"zarr2/brain.zarr/.zgroup", LZR_NODE_DOC},
        {"zarr2", LZR_NODE_DIR},
    };
    const struct lzr_manifest_text texts[] = {
        {"b", "b.py", BROKEN, strlen(BROKEN)},
        {"brain", "x/brain.py", BRAIN, strlen(BRAIN)},
        {"u", "u.py", HELPER, strlen(HELPER)},
    };
    struct lzr_catalog *c = NULL;
    (void)state;
    assert_int_equal(lzr_catalog_new(texts, 3, &c, NULL), LZR_OK);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_hit hit = look(c, ROWS[i].key);
        assert_int_equal(hit.node, ROWS[i].node);
        if (hit.node == LZR_NODE_FAILED) {
            assert_ptr_equal(hit.failed, lzr_catalog_store(c, 0));
        }
    }
    check_dir(c, "zarr3", "b.zarr/ brain.zarr/ ");
    check_dir(c, "bdv", "b/ brain/ ");
    assert_int_equal(lzr_catalog_nstores(c), 3);
    assert_int_equal(lzr_catalog_count(c, LZR_LOADED), 1);
    assert_string_equal(lzr_catalog_store(c, 0)->why, "b.py: no");
    assert_string_equal(lzr_catalog_store(c, 0)->traceback, "line");
    assert_int_equal(lzr_catalog_store(c, 2)->fate, LZR_SKIPPED);
    lzr_catalog_free(&c);
}

static void test_arrays(void **state)
{
    struct lzr_catalog *c = make();
    struct lzr_buf b;
    (void)state;
    assert_int_equal(lzr_catalog_nstores(c), 2);
    assert_int_equal(lzr_catalog_narrays(c), 5);
    assert_null(lzr_catalog_array(c, 5));
    assert_null(lzr_catalog_store(c, 2));
    assert_true(lzr_catalog_max_chunk_bytes(c) == 64 * 4);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(lzr_catalog_array(c, i)->id, i);
    }
    lzr_buf_init(&b, 1000);
    lzr_array_key(&b, lzr_catalog_array(c, 0), LZR_FACE_ZARR2, true);
    lzr_buf_putc(&b, ' ');
    lzr_array_key(&b, lzr_catalog_array(c, 1), LZR_FACE_ZARR3, true);
    assert_string_equal(b.data, "zarr2/brain.zarr/g/plain zarr3/brain.zarr/t1/0");
    lzr_buf_release(&b);
    lzr_catalog_free(&c);
}

static bool same(struct lzr_digest a, struct lzr_digest b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static void test_digests(void **state)
{
    struct lzr_catalog *c = make(), *again = make();
    (void)state;
    struct lzr_chunk a = look(c, "zarr2/brain.zarr/g/plain/0.1").chunk;
    struct lzr_chunk b = look(again, "zarr3/brain.zarr/g/plain/c/0/1").chunk;
    assert_true(same(lzr_chunk_digest(&a, 1), lzr_chunk_digest(&b, 1)));
    assert_false(same(lzr_chunk_digest(&a, 1), lzr_chunk_digest(&a, 2)));
    b.index = 2;
    assert_false(same(lzr_chunk_digest(&a, 1), lzr_chunk_digest(&b, 1)));
    b = look(c, "zarr2/brain.zarr/5/4/0/1").chunk; /* the same digest from Python, other path */
    assert_false(same(lzr_chunk_digest(&a, 1), lzr_chunk_digest(&b, 1)));
    /* version= makes it survive a restart. */
    a = look(c, "zarr2/brain.zarr/t1/0/0/0/0").chunk;
    b = look(c, "zarr2/brain.zarr/t1/1/0/0/0").chunk;
    assert_true(same(lzr_chunk_digest(&a, 1), lzr_chunk_digest(&a, 2)));
    assert_false(same(lzr_chunk_digest(&a, 1), lzr_chunk_digest(&b, 1)));
    lzr_catalog_free(&again);
    lzr_catalog_free(&c);
}

static void test_stores_refused(void **state)
{
    static const struct {
        const char *one, *two, *error;
    } ROWS[] = {
        {"a", "a", "f2.py: the store's name \"a\" is also that of f1.py"},
        {"a", "..", "f2.py: store name: \"..\" is no name"},
        {"a b", "c", "f1.py: store name: path segment \"a b\" must be made of"},
        {"~a", "c", "f1.py: store name: path segment \"~a\" must be made of"},
        {"", "c", "f1.py: store name: path has an empty segment"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const struct lzr_manifest_text texts[] = {
            {ROWS[i].one, "f1.py", EMPTY, strlen(EMPTY)},
            {ROWS[i].two, "f2.py", EMPTY, strlen(EMPTY)},
        };
        struct lzr_catalog *c = NULL;
        struct lzr_err err = {0};
        assert_int_not_equal(lzr_catalog_new(texts, 2, &c, &err), LZR_OK);
        assert_null(c);
        assert_non_null(strstr(err.msg, ROWS[i].error));
    }
}

/* xarray opens a group only if a dimension's name means one length in it, a tree only if it means the
 * same in the groups above. */
static void test_dims(void **state)
{
#define UNNAMED(path, shape, chunks)                                                               \
    "{\"path\":\"" path "\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"levels\":[{"                    \
    "\"shape\":" shape ",\"chunks\":" chunks "}]," D "}"
    static const char JSON[] =
        "{\"lazarr\":1,\"arrays\":[" UNNAMED("b", "[5,6]", "[1,1]") "," UNNAMED(
            "a", "[5]", "[1]") "," UNNAMED("cc", "[5,7]",
                                           "[1,1]") "," UNNAMED("d", "[5,6,7]",
                                                                "[1,1,1]") "," UNNAMED("g/e", "[9]",
                                                                                       "[1]") ","
        UNNAMED("g/h/f", "[5,6]", "[1,1]") "," UNNAMED("k/l", "[5,6,7,8]", "[1,1,1,1]") "]}";
#undef UNNAMED
    static const char *const ROWS[][2] = {
        {"zarr3/s.zarr/a/zarr.json", "\"dimension_names\":[\"dim_0\"]"},
        {"zarr3/s.zarr/b/zarr.json", "\"dimension_names\":[\"dim_0\",\"dim_1\"]"},
        {"zarr3/s.zarr/cc/zarr.json", "\"dimension_names\":[\"dim_0_5\",\"dim_1_7\"]"},
        {"zarr2/s.zarr/cc/.zattrs", "[\"dim_0_5\",\"dim_1_7\"]"},
        {"zarr3/s.zarr/d/zarr.json", "\"dimension_names\":[\"dim_0\",\"dim_1\",\"dim_2\"]"},
        {"zarr3/s.zarr/g/e/zarr.json", "\"dimension_names\":[\"dim_0_9\"]"},
        {"zarr3/s.zarr/g/h/f/zarr.json", "\"dimension_names\":[\"dim_0\",\"dim_1\"]"},
        {"zarr3/s.zarr/k/l/zarr.json", "\"dimension_names\":[\"dim_0\",\"dim_1\",\"dim_2\",\"dim_3\"]"},
    };
    const struct lzr_manifest_text text = {"s", "s.py", JSON, strlen(JSON)};
    struct lzr_catalog *c = NULL;
    (void)state;
    assert_int_equal(lzr_catalog_new(&text, 1, &c, NULL), LZR_OK);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        assert_non_null(strstr(look(c, ROWS[i][0]).doc->data, ROWS[i][1]));
    }
    lzr_catalog_free(&c);
}

/* A hostile manifest of moderate size whose consolidated documents would take gigabytes. */
static void test_deep_and_large(void **state)
{
    struct lzr_buf b;
    struct lzr_err err = {0};
    struct lzr_catalog *c = NULL;
    (void)state;
    lzr_buf_init(&b, UINT64_C(64) << 20);
    lzr_buf_puts(&b, "{\"lazarr\":1,\"groups\":[{\"path\":\"a");
    for (int i = 0; i < 500; i++) {
        lzr_buf_puts(&b, "/a");
    }
    lzr_buf_puts(&b, "\",\"attributes\":{\"x\":\"");
    for (int i = 0; i < 4 << 20; i++) {
        lzr_buf_putc(&b, 'x');
    }
    lzr_buf_puts(&b, "\"}}]}");
    const struct lzr_manifest_text text = {"s", "s.py", b.data, b.len};
    assert_int_equal(lzr_catalog_new(&text, 1, &c, &err), LZR_E_LIMIT);
    assert_non_null(strstr(err.msg, "s.py: the metadata documents of all stores exceed"));
    lzr_buf_release(&b);
}

static void test_memory(void **state)
{
    const struct lzr_manifest_text texts[] = {
        {"brain", "brain.py", BRAIN, strlen(BRAIN)},
        {"b", "b.py", BROKEN, strlen(BROKEN)},
    };
    cJSON_Hooks hooks = {lzr_malloc, lzr_free};
    enum lzr_code code = LZR_E_NOMEM;
    long n;
    (void)state;
    cJSON_InitHooks(&hooks);
    for (n = 0; code != LZR_OK; n++) {
        struct lzr_catalog *c = NULL;
        struct lzr_err err = {0};
        lzr_mem_fail_after(n);
        code = lzr_catalog_new(texts, 2, &c, &err);
        lzr_mem_fail_after(-1);
        if (code != LZR_OK) {
            assert_int_equal(code, LZR_E_NOMEM);
            assert_non_null(strstr(err.msg, "out of memory"));
            assert_null(c);
        }
        lzr_catalog_free(&c);
        assert_true(n < 100000);
    }
    cJSON_InitHooks(NULL);
    assert_true(n > 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),      cmocka_unit_test(test_consolidated),
        cmocka_unit_test(test_lookup),         cmocka_unit_test(test_dirs),
        cmocka_unit_test(test_arrays),         cmocka_unit_test(test_digests),
        cmocka_unit_test(test_stores_refused), cmocka_unit_test(test_dims),
        cmocka_unit_test(test_deep_and_large), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_unloaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
