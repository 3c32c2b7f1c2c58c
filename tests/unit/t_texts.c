/* Arrays of texts (array.h) in the catalog: what each face shows of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/catalog.h"

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""

static struct lzr_hit look(const struct lzr_catalog *c, const char *key)
{
    return lzr_catalog_lookup(c, key, strlen(key));
}

/* Texts lack the axis of their characters in both Zarr faces, and no other face has them. */
static void test_texts(void **state)
{
#define TEXTS(path, dtype, dims, shape)                                                            \
    "{\"path\":\"" path "\",\"kind\":\"plain\",\"dtype\":\"" dtype "\",\"dims\":" dims              \
    ",\"dataset\":true,\"text\":true,\"levels\":[{\"shape\":" shape ",\"chunks\":" shape "}]," D "}"
    static const char JSON[] = "{\"lazarr\":1,\"arrays\":[" TEXTS(
        "u", "<u4", "[\"x\",\"n\"]", "[7,3]") "," TEXTS("b", "|u1", "[\"x\",\"n\"]", "[7,3]") "," TEXTS(
        "one", "<u4", "[\"n\"]", "[5]") ","
        "{\"path\":\"big\",\"kind\":\"plain\",\"dtype\":\"<u8\",\"dataset\":true,"
        "\"levels\":[{\"shape\":[2],\"chunks\":[2]}]," D "}]}";
#undef TEXTS
    static const char *const ROWS[][2] = {
        {"zarr2/s.zarr/u/.zarray", "\"shape\":[7],\"chunks\":[7],\"dtype\":\"<U3\""},
        {"zarr2/s.zarr/u/.zarray", "\"fill_value\":null"},
        {"zarr2/s.zarr/u/.zattrs", "{\"_ARRAY_DIMENSIONS\":[\"x\"]}"},
        {"zarr2/s.zarr/b/.zarray", "\"dtype\":\"|S3\""},
        {"zarr2/s.zarr/one/.zarray", "\"shape\":[],\"chunks\":[],\"dtype\":\"<U5\""},
        {"zarr2/s.zarr/big/.zarray", "\"fill_value\":null"},
        {"zarr3/s.zarr/u/zarr.json",
         "\"data_type\":{\"name\":\"fixed_length_utf32\",\"configuration\":{\"length_bytes\":12}},"
         "\"fill_value\":\"\""},
        {"zarr3/s.zarr/b/zarr.json",
         "\"data_type\":{\"name\":\"null_terminated_bytes\",\"configuration\":{\"length_bytes\":3}}"},
        {"zarr3/s.zarr/one/zarr.json", "\"dimension_names\":[],\"attributes\":{}"},
    };
    static const char *const CHUNKS[] = {"zarr2/s.zarr/u/0", "zarr3/s.zarr/u/c/0", "zarr2/s.zarr/one/0",
                                         "zarr3/s.zarr/one/c"};
    static const char *const NONE[] = {"zarr2/s.zarr/u/0.0", "zarr3/s.zarr/u/c/0/0", "zarr3/s.zarr/one/c/0",
                                       "n5/s.n5/u/attributes.json", "precomputed/s/u/info"};
    const struct lzr_manifest_text text = {"s", "s.py", JSON, strlen(JSON)};
    struct lzr_catalog *c = NULL;
    struct lzr_err err = {0};
    (void)state;
    if (lzr_catalog_new(&text, 1, &c, &err) != LZR_OK) {
        fail_msg("%s", err.msg);
    }
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        if (strstr(look(c, ROWS[i][0]).doc->data, ROWS[i][1]) == NULL) {
            fail_msg("%s: %s", ROWS[i][0], look(c, ROWS[i][0]).doc->data);
        }
    }
    for (size_t i = 0; i < sizeof CHUNKS / sizeof CHUNKS[0]; i++) {
        assert_int_equal(look(c, CHUNKS[i]).node, LZR_NODE_CHUNK);
    }
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++) {
        assert_int_equal(look(c, NONE[i]).node, LZR_NODE_NONE);
    }
    lzr_catalog_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
