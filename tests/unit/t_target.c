/* http/target.h: a raw request target to the one key it can mean, or to none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/target.h"

static const struct {
    const char *raw;
    enum lzr_target_kind kind;
    const char *key;
    bool slash;
    const char *query;
} ROWS[] = {
    {"/", LZR_TARGET_KEY, "", true, NULL},
    {"/?", LZR_TARGET_KEY, "", true, ""},
    {"/healthz", LZR_TARGET_KEY, "healthz", false, NULL},
    {"/zarr3/b.zarr/t1/c/0/0", LZR_TARGET_KEY, "zarr3/b.zarr/t1/c/0/0", false, NULL},
    {"/zarr2/b.zarr/", LZR_TARGET_KEY, "zarr2/b.zarr/", true, NULL},
    {"/a?token=x/y//..&b", LZR_TARGET_KEY, "a", false, "token=x/y//..&b"},
    {"/a??b", LZR_TARGET_KEY, "a", false, "?b"},
    {"/%7a%61rr3", LZR_TARGET_KEY, "zarr3", false, NULL},
    {"/a%3Fb", LZR_TARGET_KEY, "a?b", false, NULL},
    {"/.zattrs", LZR_TARGET_KEY, ".zattrs", false, NULL},
    {"/...", LZR_TARGET_KEY, "...", false, NULL},
    {"/a+b", LZR_TARGET_KEY, "a+b", false, NULL}, /* a plus is a plus in a path */
    {"/\xc3\xa9", LZR_TARGET_KEY, "\xc3\xa9", false, NULL},
    /* Slashes in a row are one. */
    {"//", LZR_TARGET_KEY, "", true, NULL},
    {"//evil.example/", LZR_TARGET_KEY, "evil.example/", true, NULL},
    {"/a//b", LZR_TARGET_KEY, "a/b", false, NULL},
    {"///a////b//", LZR_TARGET_KEY, "a/b/", true, NULL},
    {"/a//?b//c", LZR_TARGET_KEY, "a/", true, "b//c"},
    {"http://h//a//b", LZR_TARGET_KEY, "a/b", false, NULL},
    /* As a proxy is asked. */
    {"http://h:8080/a/b?c", LZR_TARGET_KEY, "a/b", false, "c"},
    {"HTTPS://h/a/", LZR_TARGET_KEY, "a/", true, NULL},
    {"http://h", LZR_TARGET_KEY, "", true, NULL},
    {"http://h?c", LZR_TARGET_KEY, "", true, "c"},
    {"http://h/../a", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"http:/a", LZR_TARGET_BAD, NULL, false, NULL},
    {"ftp://h/a", LZR_TARGET_BAD, NULL, false, NULL},
    /* No key has these. */
    {"//%2f", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a//..//b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a/%2f/b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/.", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/..", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a/../b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a/./b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a/%2e%2e/b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a/%2e/b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a%00b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a%00", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a%0ab", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a%7f", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a\\b", LZR_TARGET_NOTHING, NULL, false, NULL},
    {"/a%5cb", LZR_TARGET_NOTHING, NULL, false, NULL},
    /* No target at all. */
    {"", LZR_TARGET_BAD, NULL, false, NULL},
    {"?a", LZR_TARGET_BAD, NULL, false, NULL},
    {"a", LZR_TARGET_BAD, NULL, false, NULL},
    {"*", LZR_TARGET_BAD, NULL, false, NULL},
    {"/%", LZR_TARGET_BAD, NULL, false, NULL},
    {"/%4", LZR_TARGET_BAD, NULL, false, NULL},
    {"/%4g", LZR_TARGET_BAD, NULL, false, NULL},
    {"/%4?1", LZR_TARGET_BAD, NULL, false, NULL},
    {"/a b", LZR_TARGET_BAD, NULL, false, NULL},
    {"/a\x01\x02", LZR_TARGET_BAD, NULL, false, NULL},
    {"/a\x7f", LZR_TARGET_BAD, NULL, false, NULL},
};

static void test_targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_target t;
        lzr_target_parse(ROWS[i].raw, strlen(ROWS[i].raw), &t);
        if (t.kind != ROWS[i].kind) {
            fail_msg("row %zu, [%s]: kind %d", i, ROWS[i].raw, (int)t.kind);
        }
        if (t.kind == LZR_TARGET_KEY) {
            assert_int_equal(t.len, strlen(ROWS[i].key));
            assert_string_equal(t.key, ROWS[i].key);
            assert_int_equal(t.slash, ROWS[i].slash);
            if (ROWS[i].query == NULL) {
                assert_null(t.query);
            } else {
                assert_string_equal(t.query, ROWS[i].query);
            }
        }
    }
}

static void test_lengths(void **state)
{
    char raw[LZR_MAX_KEY + 3];
    struct lzr_target t;
    (void)state;
    memset(raw, 'a', sizeof raw);
    raw[0] = '/';
    lzr_target_parse(raw, LZR_MAX_KEY + 1, &t);
    assert_int_equal(t.kind, LZR_TARGET_KEY);
    assert_int_equal(t.len, LZR_MAX_KEY);
    lzr_target_parse(raw, LZR_MAX_KEY + 2, &t);
    assert_int_equal(t.kind, LZR_TARGET_NOTHING);
    /* The length counts, not a NUL. */
    lzr_target_parse("/ab\0cd", 3, &t);
    assert_string_equal(t.key, "ab");
    lzr_target_parse("/a%41", 4, &t);
    assert_int_equal(t.kind, LZR_TARGET_BAD);
}

static size_t folder(const char *path, const char *name)
{
    return lzr_target_folder(path, strlen(path), name, strlen(name));
}

static void test_folder(void **state)
{
    static const char *const YES[] = {"/data/zarr3/s.zarr", "/data", "/data/", "/data?x", "/data//?x",
                                      "/data//zarr3/", "/data/t/abc/zarr3/", "/data/healthz",
                                      "/data/view"};
    static const char *const NO[] = {"/", "/dat", "/database/zarr3", "/zarr3/data", "/data/x",
                                     "/data/zarr33/", "/data/../zarr3", "/Data/zarr3", "/data/%2f"};
    (void)state;
    for (size_t i = 0; i < sizeof YES / sizeof YES[0]; i++) {
        assert_int_equal(folder(YES[i], "/data"), 5);
    }
    for (size_t i = 0; i < sizeof NO / sizeof NO[0]; i++) {
        assert_int_equal(folder(NO[i], "/data"), 0);
    }
    /* Slashes in a row are one. */
    assert_int_equal(folder("/data//x/zarr3/", "/data/x"), 8);
    assert_int_equal(folder("/data///x//zarr3/", "/data/x"), 9);
    assert_int_equal(folder("/data//x", "/data/x"), 8);
    assert_int_equal(folder("/data/x/zarr3/", "/data//x"), 7);
    assert_int_equal(folder("/data//", "/data/x"), 0);
    assert_int_equal(folder("/data", "/data/x"), 0);
    assert_int_equal(folder("/data//xy/zarr3/", "/data/x"), 0);
    /* One that is called as what we have ourselves. */
    assert_int_equal(folder("/zarr3/zarr3/s.zarr", "/zarr3"), 6);
    assert_int_equal(folder("/zarr3/s.zarr", "/zarr3"), 0);
    assert_int_equal(folder("/zarr3/", "/zarr3"), 0);
    assert_int_equal(folder("/a/b/zarr3/", "/a/b"), 4);
    assert_int_equal(folder("/zarr3/", ""), 0);
    assert_int_equal(lzr_target_path("///a", 4), 2);
    assert_int_equal(lzr_target_path("http://h//a", 11), 9);
    assert_int_equal(lzr_target_path("//", 2), 1);
    assert_int_equal(lzr_target_path("", 0), 0);
}

static void test_query(void **state)
{
    (void)state;
    assert_true(lzr_query_has("acl", "acl"));
    assert_true(lzr_query_has("acl=", "acl"));
    assert_true(lzr_query_has("a=b&acl&c", "acl"));
    assert_true(lzr_query_has("list-type=2&prefix=x", "list-type"));
    assert_false(lzr_query_has("aclx", "acl"));
    assert_false(lzr_query_has("xacl", "acl"));
    assert_false(lzr_query_has("a=acl", "acl"));
    assert_false(lzr_query_has("", "acl"));
    assert_false(lzr_query_has(NULL, "acl"));
    assert_int_equal(lzr_query_number("arrays=12", "arrays", 7), 12);
    assert_int_equal(lzr_query_number("a=1&arrays=0&b", "arrays", 7), 0);
    assert_int_equal(lzr_query_number("arrays=", "arrays", 7), 7);
    assert_int_equal(lzr_query_number("arrays", "arrays", 7), 7);
    assert_int_equal(lzr_query_number("arrays=-1", "arrays", 7), 7);
    assert_int_equal(lzr_query_number("arrays=1x", "arrays", 7), 7);
    assert_int_equal(lzr_query_number("arrays=99999999999999999999", "arrays", 7), 7);
    assert_int_equal(lzr_query_number(NULL, "arrays", 7), 7);
}

static void test_values(void **state)
{
    (void)state;
    char out[8];
    static const struct {
        const char *query;
        int code;
        const char *value;
    } tries[] = {{"array=s/a", 1, "s/a"},
                 {"array=s%2Fa", 1, "s/a"},
                 {"x=1&array=s&array=t", 1, "s"},
                 {"array=", 1, ""},
                 {"array=&x", 1, ""},
                 {"array=1234567", 1, "1234567"},
                 {"array=12345678", -1, NULL},
                 {"array=%", -1, NULL},
                 {"array=%4", -1, NULL},
                 {"array=%4&", -1, NULL},
                 {"array=%zz", -1, NULL},
                 {"array=%00", -1, NULL},
                 {"array", 0, NULL},
                 {"arrays=s", 0, NULL},
                 {"x=array=s", 0, NULL},
                 {"", 0, NULL},
                 {NULL, 0, NULL}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        assert_int_equal(lzr_query_value(tries[i].query, "array", out, sizeof out), tries[i].code);
        if (tries[i].code > 0) {
            assert_string_equal(out, tries[i].value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
