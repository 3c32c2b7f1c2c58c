/* json_writer.h, json_span.h, attributes.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "lazarr/limits.h"
#include "store/attributes.h"
#include "store/json_span.h"
#include "store/json_writer.h"

static void test_writer(void **state)
{
    struct lzr_buf b;
    struct lzr_json j;
    (void)state;
    lzr_buf_init(&b, 10000);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "a\"\\\n\t\x01\x7f\xc3\xa4");
    lzr_json_u64(&j, UINT64_MAX);
    lzr_json_key(&j, "b");
    lzr_json_open(&j, '[');
    lzr_json_close(&j, ']');
    lzr_json_key(&j, "c");
    lzr_json_open(&j, '[');
    lzr_json_real(&j, 0.1);
    lzr_json_real(&j, 1);
    lzr_json_int(&j, -3);
    lzr_json_bool(&j, true);
    lzr_json_null(&j);
    lzr_json_string_n(&j, "x\0y", 3);
    lzr_json_raw(&j, "{}", 2);
    lzr_json_open(&j, '{');
    lzr_json_close(&j, '}');
    lzr_json_close(&j, ']');
    lzr_json_close(&j, '}');
    assert_string_equal(b.data, "{\"a\\\"\\\\\\n\\t\\u0001\\u007f\xc3\xa4\":18446744073709551615,"
                                "\"b\":[],\"c\":[0.1,1.0,-3,true,null,\"x\\u0000y\",{},{}]}");
    assert_int_equal(lzr_json_check(b.data, b.len, LZR_JSON_ANY, NULL), LZR_OK);
    lzr_buf_release(&b);
}

/* Whatever user code says, the text is JSON: what is no UTF-8 is replaced, a byte at a time. */
static void test_no_utf8(void **state)
{
    static const struct {
        const char *text, *want;
    } ROWS[] = {
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\xff\x62", "\"a\\ufffdb\""},
        {"\xc3", "\"\\ufffd\""},
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},                       /* cut */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},                       /* too long */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_buf b;
        struct lzr_json j;
        lzr_buf_init(&b, 1000);
        lzr_json_init(&j, &b);
        lzr_json_string(&j, ROWS[i].text);
        assert_string_equal(b.data, ROWS[i].want);
        assert_int_equal(lzr_json_check(b.data, b.len, LZR_JSON_ANY, NULL), LZR_OK);
        lzr_buf_release(&b);
    }
}

static void test_check(void **state)
{
    static const struct {
        const char *text;
        bool any, cjson;
    } ROWS[] = {
        {"{}", true, true},
        {" [1, -0, 0.5, 1e9, -1.5E-3, true, false, null, \"\"] \n", true, true},
        {"\"\\ud83d\\ude00 \\u00e4 \\\" \\/\"", true, true},
        {"\"\xf0\x9f\x98\x80\"", true, true},
        {"\"a\\u0000b\"", true, false},
        {"1234567890123456789012345678901234567890123456789012345678901234", true, false},
        {"", false, false},
        {"  ", false, false},
        {"{", false, false},
        {"[1,]", false, false},
        {"[,1]", false, false},
        {"{\"a\":1,}", false, false},
        {"{\"a\" 1}", false, false},
        {"{a:1}", false, false},
        {"{1:1}", false, false},
        {"[1 2]", false, false},
        {"[1}", false, false},
        {"01", false, false},
        {"+1", false, false},
        {"1.", false, false},
        {".5", false, false},
        {"1e", false, false},
        {"-", false, false},
        {"NaN", false, false},
        {"Infinity", false, false},
        {"nul", false, false},
        {"1 1", false, false},
        {"\"a", false, false},
        {"\"\\", false, false},
        {"\"\\x\"", false, false},
        {"\"\\u12g4\"", false, false},
        {"\"\\u12", false, false},
        {"\"\\ud83d\"", false, false},
        {"\"\\ud83d\\u0041\"", false, false},
        {"\"\\ude00\"", false, false},
        {"\"\n\"", false, false},
        {"\"\x80\"", false, false},
        {"\"\xc0\xaf\"", false, false},
        {"\"\xe0\x80\x80\"", false, false},
        {"\"\xed\xa0\x80\"", false, false},
        {"\"\xf4\x90\x80\x80\"", false, false},
        {"\"\xe2\x82", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        /* An exact copy on the heap, so that a read beyond the end is seen. */
        size_t n = strlen(ROWS[i].text);
        char *copy = malloc(n > 0 ? n : 1);
        assert_non_null(copy);
        memcpy(copy, ROWS[i].text, n);
        struct lzr_err err = {0};
        assert_int_equal(lzr_json_check(copy, n, LZR_JSON_ANY, &err) == LZR_OK, ROWS[i].any);
        assert_int_equal(lzr_json_check(copy, n, LZR_JSON_FOR_CJSON, &err) == LZR_OK,
                         ROWS[i].cjson);
        free(copy);
    }
}

static void test_depth(void **state)
{
    char text[2 * (LZR_MAX_JSON_DEPTH + 1)];
    (void)state;
    for (size_t depth = 1; depth <= LZR_MAX_JSON_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(lzr_json_check(text, 2 * depth, 0, NULL),
                         depth <= LZR_MAX_JSON_DEPTH ? LZR_OK : LZR_E_LIMIT);
    }
}

static struct lzr_span span(const char *s)
{
    return (struct lzr_span){s, strlen(s)};
}

static void test_members(void **state)
{
    const char *text = "{ \"a\" : [1, {\"b\":\"]}\\\"\"}, 2] , \"n\\u0061me\":1.50, \"x\\n\": {} ,"
                       "\"a\":9, \"e\":[]}";
    struct lzr_span v, key;
    (void)state;
    assert_int_equal(lzr_json_check(text, strlen(text), 0, NULL), LZR_OK);
    assert_true(lzr_json_member(span(text), "a", &v)); /* the first of two */
    assert_int_equal(v.n, strlen("[1, {\"b\":\"]}\\\"\"}, 2]"));
    assert_true(lzr_json_member(span(text), "name", &v));
    assert_int_equal(v.n, 4);
    assert_memory_equal(v.p, "1.50", 4);
    assert_true(lzr_json_member(span(text), "x\n", &v));
    assert_memory_equal(v.p, "{}", 2);
    assert_false(lzr_json_member(span(text), "b", &v)); /* only deeper */
    assert_false(lzr_json_member(span(text), "nam", &v));
    assert_false(lzr_json_member(span("[1]"), "b", &v));
    assert_false(lzr_json_member(span("12"), "b", &v));

    struct lzr_json_iter it;
    const char *const want[] = {"1", "{\"b\":\"]}\\\"\"}", "2"};
    assert_true(lzr_json_member(span(text), "a", &v));
    lzr_json_iter_init(&it, v);
    for (size_t i = 0; i < 3; i++) {
        struct lzr_span element;
        assert_true(lzr_json_next(&it, &key, &element));
        assert_int_equal(key.n, 0);
        assert_int_equal(element.n, strlen(want[i]));
        assert_memory_equal(element.p, want[i], element.n);
    }
    assert_false(lzr_json_next(&it, &key, &v));
}

static void test_merge(void **state)
{
    const char *own = "{\"big\":123456789012345678901234567890, \"f\": 0.30000000000000004,"
                      "\"multiscales\":1,\"o\\u006de\":2,\"_ARRAY_DIMENSIONS\":[\"q\"],\"z\":null}";
    struct lzr_buf b;
    struct lzr_json j;
    (void)state;
    lzr_buf_init(&b, 10000);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "first");
    lzr_json_int(&j, 1);
    lzr_attributes_merge(&j, own, lzr_attributes_zarr);
    lzr_json_close(&j, '}');
    assert_string_equal(b.data, "{\"first\":1,\"big\":123456789012345678901234567890,"
                                "\"f\":0.30000000000000004,\"z\":null}");
    lzr_buf_clear(&b);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '{');
    lzr_attributes_merge(&j, "{ \"ome\" : 2 }", NULL);
    lzr_attributes_merge(&j, "{ }", NULL);
    lzr_json_close(&j, '}');
    assert_string_equal(b.data, "{\"ome\":2}");
    lzr_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer), cmocka_unit_test(test_no_utf8), cmocka_unit_test(test_check),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_members), cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
