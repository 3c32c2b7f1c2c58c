/* xml_text.h, json_ascii.h, channels.h and what view.h refuses: texts of any kind, channels that
 * were said oddly, levels that differ in channels and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/catalog.h"
#include "store/channels.h"
#include "store/json_ascii.h"
#include "store/xml_text.h"

static void test_ascii(void **state)
{
    static const char *const ROWS[][2] = {
        {"", ""},
        {"{\"a\":1}", "{\"a\":1}"},
        {"\"\xc3\xa4\"", "\"\\u00e4\""},
        {"\"x\xc3\xa4y\xe2\x82\xacz\"", "\"x\\u00e4y\\u20acz\""},
        {"\"\xf0\x9f\xa7\xa0\"", "\"\\ud83e\\udde0\""},
        {"\"\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\"", "\"\\udbff\\udfff\\ud800\\udc00\""},
        {"\"\\\\\xc2\x80\\\"\xdf\xbf\"", "\"\\\\\\u0080\\\"\\u07ff\""},
        {"\"\xef\xbf\xbf\xe0\xa0\x80\"", "\"\\uffff\\u0800\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_buf b;
        lzr_buf_init(&b, 4096);
        lzr_buf_puts(&b, "\xc3\xa4"); /* what stands before is left alone */
        lzr_buf_puts(&b, ROWS[i][0]);
        lzr_json_to_ascii(&b, 2);
        assert_false(lzr_buf_failed(&b));
        assert_memory_equal(b.data, "\xc3\xa4", 2);
        assert_string_equal(b.data + 2, ROWS[i][1]);
        assert_int_equal(b.len, 2 + strlen(ROWS[i][1]));
        lzr_buf_release(&b);
    }
}

/* The limit of a buffer holds for what it becomes. */
static void test_ascii_limit(void **state)
{
    struct lzr_buf b;
    (void)state;
    lzr_buf_init(&b, 6);
    lzr_buf_puts(&b, "\"\xc3\xa4\"");
    lzr_json_to_ascii(&b, 0);
    assert_true(lzr_buf_failed(&b));
    lzr_buf_release(&b);
}

static void test_xml(void **state)
{
    static const char *const ROWS[][2] = {
        {"\"\"", ""},
        {"\"a b\"", "a b"},
        {"\"<&>\\\"'\"", "&lt;&amp;&gt;&quot;'"},
        {"\"\\u00e4\xc3\xa4\"", "&#xE4;\xc3\xa4"},
        {"\"\\ud83e\\udde0x\"", "&#x1F9E0;x"},
        {"\"\\u0001\\u0009\\b\\n\"", "&#xFFFD;&#x9;&#xFFFD;\n"},
        {"\"\\uFFFE\xef\xbf\xbf\xef\xbf\xbd\"", "&#xFFFD;&#xFFFD;\xef\xbf\xbd"},
        {"\"\\\\\\/\"", "\\/"},
        {"\"\\u003c\"", "&#x3C;"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_buf b;
        lzr_buf_init(&b, 4096);
        lzr_xml_json_string(&b, (struct lzr_span){ROWS[i][0], strlen(ROWS[i][0])});
        assert_string_equal(b.data, ROWS[i][1]);
        lzr_buf_release(&b);
    }
}

static void test_channels(void **state)
{
    const struct lzr_array none = {.channels = NULL};
    const struct lzr_array a = {
        .channels = "[{\"label\":\"a\",\"color\":\"00fF80\",\"active\":false,"
                    "\"window\":{\"min\":-1.5,\"max\":9,\"start\":0,\"end\":1e3}},{},"
                    "{\"label\":7,\"color\":\"-00001\",\"window\":{\"min\":0,\"max\":1,\"start\":0}},"
                    "{\"color\":\"12345\",\"active\":true,\"window\":{\"min\":\"0\"}}]"};
    struct lzr_channels it;
    struct lzr_channel c;
    (void)state;
    lzr_channels_init(&it, &none);
    assert_false(lzr_channels_next(&it, &c));
    lzr_channels_init(&it, &a);
    assert_true(lzr_channels_next(&it, &c));
    assert_true(c.label.n == 3 && !c.active && c.colored && c.rgb == 0x00ff80 && c.windowed);
    assert_true(c.min == -1.5 && c.max == 9 && c.start == 0 && c.end == 1000);
    for (int i = 0; i < 3; i++) {
        assert_true(lzr_channels_next(&it, &c));
        assert_true(c.label.n == 0 && c.active && !c.colored && !c.windowed);
    }
    assert_false(lzr_channels_next(&it, &c));
    assert_true(c.active && !c.windowed); /* as if nothing were said */
    assert_true(lzr_channel_at(&a, 0).rgb == 0x00ff80 && !lzr_channel_at(&a, 0).active);
    assert_true(lzr_channel_at(&a, 3).active && !lzr_channel_at(&a, 3).colored);
    assert_true(lzr_channel_at(&a, 4).active && lzr_channel_at(&none, 7).active);
}

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""

/* An image with two levels: axes, its lengths and the factors to the second. */
static struct lzr_catalog *image(const char *axes, const int shape[], const int factor[])
{
    char text[2048];
    int n = 0;
#define PUT(...) n += snprintf(text + n, sizeof text - (size_t)n, __VA_ARGS__)
    PUT("{\"lazarr\":1," D ",\"arrays\":[{\"path\":\"a\",\"kind\":\"image\",\"dtype\":\"<u2\"," D
        ",\"pyramid\":\"mean\",\"dims\":[");
    for (int i = 0; axes[i] != '\0'; i++) {
        PUT("%s\"%c\"", i > 0 ? "," : "", axes[i]);
    }
    PUT("],\"levels\":[");
    for (int k = 0; k < 2; k++) {
        PUT("%s{\"shape\":[", k > 0 ? "," : "");
        for (int i = 0; axes[i] != '\0'; i++) {
            PUT("%s%d", i > 0 ? "," : "", k == 0 ? shape[i] : (shape[i] - 1) / factor[i] + 1);
        }
        PUT("],\"chunks\":[");
        for (int i = 0; axes[i] != '\0'; i++) {
            PUT("%s2", i > 0 ? "," : "");
        }
        PUT("],\"factor\":[");
        for (int i = 0; axes[i] != '\0'; i++) {
            PUT("%s%d", i > 0 ? "," : "", k == 0 ? 1 : factor[i]);
        }
        PUT("]}");
    }
    PUT("]}]}");
#undef PUT
    const struct lzr_manifest_text m = {"s", "s.py", text, strlen(text)};
    struct lzr_catalog *c = NULL;
    struct lzr_err err = {0};
    if (lzr_catalog_new(&m, 1, &c, &err) != LZR_OK) {
        fail_msg("%s", err.msg);
    }
    return c;
}

static void test_levels_that_differ(void **state)
{
    static const struct {
        const char *axes;
        int shape[5], factor[5];
        bool bdv, precomputed;
    } ROWS[] = {
        {"zyx", {4, 4, 4}, {2, 2, 2}, true, true},
        {"czyx", {3, 4, 4, 4}, {1, 2, 2, 2}, true, true},
        {"czyx", {3, 4, 4, 4}, {2, 2, 2, 2}, false, false},
        {"czyx", {3, 4, 4, 4}, {3, 1, 1, 1}, false, false},
        {"czyx", {1, 4, 4, 4}, {2, 2, 2, 2}, true, true},
        {"cyx", {2, 4, 4}, {2, 1, 1}, false, false},
        {"tzyx", {3, 4, 4, 4}, {1, 2, 2, 2}, true, false},
        {"tzyx", {3, 4, 4, 4}, {2, 2, 2, 2}, false, false},
        {"tczyx", {3, 2, 4, 4, 4}, {1, 2, 1, 1, 1}, false, false},
        {"tczyx", {3, 2, 4, 4, 4}, {3, 1, 1, 1, 1}, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_catalog *c = image(ROWS[i].axes, ROWS[i].shape, ROWS[i].factor);
        const struct lzr_array *a = lzr_catalog_array(c, 0);
        char why[LZR_WHY_BYTES] = "";
        assert_int_equal(lzr_face_holds(a, LZR_FACE_BDV, why), ROWS[i].bdv);
        assert_true(ROWS[i].bdv || strstr(why, "at each level") != NULL);
        assert_int_equal(lzr_face_holds(a, LZR_FACE_PRECOMPUTED, NULL), ROWS[i].precomputed);
        assert_true(lzr_face_holds(a, LZR_FACE_N5, NULL));
        static const char xml[] = "bdv/s/a/dataset.xml";
        struct lzr_hit hit = lzr_catalog_lookup(c, xml, strlen(xml));
        assert_true(hit.node == (ROWS[i].bdv ? LZR_NODE_DOC : LZR_NODE_NONE));
        assert_true(!ROWS[i].bdv || hit.doc->asked == a);
        lzr_catalog_free(&c);
    }
}

static void test_labels_are_not_averaged(void **state)
{
    static const char TEXT[] =
        "{\"lazarr\":1," D ",\"arrays\":[{\"path\":\"a\",\"kind\":\"labels\",\"dtype\":\"<u2\"," D
        ",\"pyramid\":\"mean\",\"dims\":[\"y\",\"x\"],\"levels\":[{\"shape\":[4,4],\"chunks\":[2,2]},"
        "{\"shape\":[2,2],\"chunks\":[2,2],\"factor\":[2,2]}]}]}";
    const struct lzr_manifest_text m = {"s", "s.py", TEXT, strlen(TEXT)};
    struct lzr_catalog *c = NULL;
    struct lzr_err err = {0};
    (void)state;
    assert_int_equal(lzr_catalog_new(&m, 1, &c, &err), LZR_E_INVAL);
    assert_non_null(strstr(err.msg, "ids that aren't there"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_ascii_limit),
        cmocka_unit_test(test_xml),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_levels_that_differ),
        cmocka_unit_test(test_labels_are_not_averaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
