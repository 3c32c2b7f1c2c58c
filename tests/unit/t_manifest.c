/* manifest.h: what is read, and every way in which a manifest is refused, with its whole text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/manifest.h"

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""
#define LEVEL "\"levels\":[{\"shape\":[10,20],\"chunks\":[4,5]}]"
/* Members of a plain array that are right; C is what a test adds or says instead. */
#define PLAIN(path, C)                                                                             \
    "{\"path\":\"" path "\",\"kind\":\"plain\",\"dtype\":\"<u2\"," LEVEL "," C D "}"
#define TEXT(dtype, dims, chunks, C)                                                               \
    "{\"path\":\"e\",\"kind\":\"plain\",\"dtype\":\"" dtype "\",\"dims\":" dims                     \
    ",\"levels\":[{\"shape\":[10,20],\"chunks\":" chunks "}],\"text\":true," C D "}"
#define STORE(arrays) "{\"lazarr\":1,\"arrays\":[" arrays "]}"

static enum lzr_code read_text(struct lzr_arena *arena, const char *json, struct lzr_store *out,
                               struct lzr_err *err)
{
    /* A copy of the exact length on the heap: a read beyond it is seen. */
    size_t n = strlen(json);
    char *copy = lzr_malloc(n);
    if (copy == NULL) {
        return LZR_E_NOMEM;
    }
    memcpy(copy, json, n);
    enum lzr_code code = lzr_manifest_read(arena, "brain", "brain.py", copy, n, out, err);
    lzr_free(copy);
    return code;
}

static const char FULL[] =
    " {\"lazarr\":1,\"store\":\"brain\",\"file\":\"brain.py\"," D ",\"later\":{\"x\":[1]},"
    "\"groups\":[{\"path\":\"\",\"attributes\":{\"title\":\"T\"}},"
    "{\"path\":\"g/h\",\"attributes\":{\"n\":123456789012345678901234567890123456789012345678901"
    "234567890123456789}}],"
    "\"arrays\":[{\"path\":\"x/y/edges\",\"kind\":\"plain\",\"source\":false,\"dtype\":\">f4\","
    "\"fill_value\":\"NaN\",\"dims\":[\"time\",\"lat\"],\"units\":null,"
    "\"levels\":[{\"shape\":[\"9007199254740993\",20],\"chunks\":[4,5],\"scale\":[0.1,2],"
    "\"translation\":[-1,0.5]}],\"separator\":\"/\",\"compressor\":{\"id\":\"blosc\",\"cname\":"
    "\"zstd\",\"clevel\":3,\"shuffle\":\"bitshuffle\"},"
    "\"attributes\":{ \"a\\u0000\" :\n[ 9007199254740993 ,\t\" \\\" \",\"\\u0000\"]},"
    "\"channels\":null,"
    "\"timeout\":1.5,\"first_timeout\":20,\"deterministic\":false,\"version\":\"v1\"," D "},"
    "{\"path\":\"t1\",\"kind\":\"image\",\"dtype\":\"|u1\",\"fill_value\":null,"
    "\"dims\":[\"c\",\"y\",\"x\"],\"units\":[null,\"millimeter\",\"millimeter\"],"
    "\"levels\":[{\"shape\":[2,10,20],\"chunks\":[1,4,5]},{\"shape\":[2,5,10],\"chunks\":[1,4,5],"
    "\"scale\":[1,2,2],\"factor\":[1,2,2]}],\"pyramid\":\"mean\",\"separator\":\".\","
    "\"compressor\":null,\"attributes\":{},"
    "\"channels\":[{\"label\":\"DAPI\"},\"GFP\"],\"version\":null," D "}]} ";

static void test_full(void **state)
{
    struct lzr_arena arena;
    struct lzr_store s;
    struct lzr_err err = {0};
    (void)state;
    lzr_arena_init(&arena);
    assert_int_equal(read_text(&arena, FULL, &s, &err), LZR_OK);
    assert_string_equal(s.name, "brain");
    assert_int_equal(s.narrays, 2);
    static const char *const GROUPS[] = {"", "g", "g/h", "x", "x/y"};
    assert_int_equal(s.ngroups, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(s.groups[i].path, GROUPS[i]);
    }
    assert_string_equal(s.groups[0].attributes, "{\"title\":\"T\"}");
    assert_string_equal(s.groups[1].attributes, "{}");
    assert_non_null(strstr(s.groups[2].attributes, "890123456789012345678901234567890123456789}"));

    const struct lzr_array *a = &s.arrays[0];
    assert_ptr_equal(a->store, &s);
    assert_string_equal(a->path, "x/y/edges");
    assert_true(a->levels[0].grid.shape[0] == UINT64_C(9007199254740993));
    assert_true(a->levels[0].scale[0] == 0.1 && a->levels[0].translation[0] == -1.0);
    assert_true(a->dtype.big && a->fill_given && a->fill[0] == 0x7f && a->fill[1] == 0xc0);
    assert_int_equal(a->separator, '/');
    assert_string_equal(a->codec.cname, "zstd");
    assert_int_equal(a->codec.shuffle, 2);
    assert_string_equal(a->attributes, "{\"a\\u0000\":[9007199254740993,\" \\\" \",\"\\u0000\"]}");
    assert_true(a->timeout_s == 1.5 && a->first_timeout_s == 20 && !a->deterministic);
    assert_true(a->versioned && a->channels == NULL && a->has_dims);
    assert_string_equal(a->dims[1], "lat");

    a = &s.arrays[1];
    assert_int_equal(a->local_id, 1);
    assert_int_equal(a->nlevels, 2);
    assert_int_equal(a->separator, '/'); /* an image's always is */
    assert_true(a->units[0] == NULL && !a->fill_given && !a->versioned && a->deterministic);
    assert_true(a->levels[1].scale[2] == 2.0 && a->levels[0].scale[2] == 1.0);
    assert_true(a->timeout_s == 300.0 && a->first_timeout_s == 900.0);
    assert_string_equal(a->channels, "[{\"label\":\"DAPI\"},\"GFP\"]");
    lzr_arena_release(&arena);
}

/* {a manifest, what its error says after "brain.py: "} */
static const char *const WRONG[][2] = {
    {"", "manifest: not valid JSON at byte 0: the text ends too early"},
    {"[]", "manifest: must be an object"},
    {"{\"lazarr\":1,}", "manifest: not valid JSON at byte 12: a member without a name"},
    {"{\"lazarr\":1,\"store\":\"a\\u0000b\"}", "manifest: not valid JSON at byte"},
    {"{}", "lazarr must be an integer, got nothing"},
    {"{\"lazarr\":2}", "lazarr must be 1 (the manifest's version), got 2"},
    {"{\"lazarr\":1,\"arrays\":{}}", "arrays must be a list, got an object"},
    {"{\"lazarr\":1,\"digest\":\"xyz\"}", "digest must be 32 lower-case hex digits, got \"xyz\""},
    {"{\"lazarr\":1,\"groups\":[{\"path\":\"a/.zattrs\"}]}",
     "group \"a/.zattrs\": path segment \".zattrs\" is reserved"},
    {"{\"lazarr\":1,\"groups\":[{\"path\":\"a\",\"attributes\":[]}]}",
     "group \"a\": attributes must be an object, got []"},
    {"{\"lazarr\":1,\"groups\":[7]}", "groups[0]: must be an object"},
    {"{\"lazarr\":1,\"groups\":[{\"path\":\"a\"},{\"path\":\"a\"}]}",
     "group \"a\": the path is used twice"},
    {"{\"lazarr\":1,\"groups\":[{\"path\":\"e/f\"}],\"arrays\":[" PLAIN("e", "") "]}",
     "group \"e/f\": the path is inside that of array \"e\""},
    {STORE("{}"), "arrays[0]: path must be a string, got nothing"},
    {STORE("{\"path\":5}"), "arrays[0]: path must be a string, got a number"},
    {STORE(PLAIN("", "")), "array \"\": path has an empty segment"},
    {STORE(PLAIN("/a", "")), "array \"/a\": path has an empty segment"},
    {STORE(PLAIN("a//b", "")), "array \"a//b\": path has an empty segment"},
    {STORE(PLAIN("a/", "")), "array \"a/\": path has an empty segment"},
    {STORE(PLAIN("a/../b", "")), "array \"a/../b\": path segment \"..\" is reserved"},
    {STORE(PLAIN(".", "")), "array \".\": path segment \".\" is reserved"},
    {STORE(PLAIN("info", "")), "array \"info\": path segment \"info\" is reserved"},
    {STORE(PLAIN("a/c", "")), "path segment \"c\" is reserved"},
    {STORE(PLAIN("labels/a", "")), "path segment \"labels\" is reserved"},
    {STORE(PLAIN("__a", "")), "path segment \"__a\" is reserved"},
    {STORE(PLAIN("zarr.json", "")), "is reserved"},
    {STORE(PLAIN("attributes.json", "")), "is reserved"},
    {STORE(PLAIN("~a", "")), "path segment \"~a\" must be made of"},
    {STORE(PLAIN("a b", "")), "path segment \"a b\" must be made of"},
    {STORE(PLAIN("\xc3\xa4", "")), "must be made of"},
    {STORE(PLAIN("a\\nb", "")), "must be made of"},
    {STORE(PLAIN("a", "") "," PLAIN("a", "")), "array \"a\": the path is used twice"},
    {STORE(PLAIN("a", "") "," PLAIN("a-b", "") "," PLAIN("a/b", "")),
     "array \"a/b\": the path is inside that of array \"a\""},
    {STORE("{\"path\":\"e\",\"kind\":\"mesh\"}"),
     "array \"e\": kind must be \"plain\", \"image\" or \"labels\", got \"mesh\""},
    {STORE("{\"path\":\"e\",\"kind\":\"plain\",\"dtype\":\"object\"}"),
     "array \"e\": dtype must be bool, int8..64, uint8..64, float16/32/64 or complex64/128, got "
     "\"object\""},
    {STORE(PLAIN("e", "\"fill_value\":\"70000\",")),
     "array \"e\": fill_value must be a value of uint16, got \"70000\""},
    {STORE(PLAIN("e", "\"fill_value\":7,")), "fill_value must be a text, a boolean or two texts"},
    {STORE(PLAIN("e", "\"fill_value\":[\"1\",\"2\"],")), "fill_value must be a value of uint16"},
    {STORE(PLAIN("e", "\"dims\":[\"a\"],")), "dims must be a list with one text per axis (2)"},
    {STORE(PLAIN("e", "\"dims\":[\"a\",null],")), "dims must be texts, got nothing on axis 1"},
    {STORE(PLAIN("e", "\"dims\":[\"a\",\"a\"],")), "dims has \"a\" twice"},
    {STORE(PLAIN("e", "\"separator\":\"-\",")), "separator must be \".\" or \"/\""},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"lzma\"},")),
     "array \"e\": compressor: unknown id \"lzma\"; known are blosc, zstd and gzip"},
    {STORE(PLAIN("e", "\"compressor\":\"gzip\",")), "compressor: must be an object or null"},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"gzip\",\"level\":10},")),
     "compressor: gzip level must be 0 to 9, got 10"},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"gzip\",\"level\":1.5},")),
     "compressor: level must be an integer, got 1.5"},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"blosc\",\"cname\":\"lz5\",\"clevel\":1,"
                      "\"shuffle\":\"shuffle\"},")),
     "compressor: blosc cname must be one that this build of blosc has"},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"blosc\",\"cname\":\"averylongname\",\"clevel\":1,"
                      "\"shuffle\":\"shuffle\"},")),
     "compressor: unknown blosc cname \"averylongname\""},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"blosc\",\"cname\":\"lz4\",\"clevel\":10,"
                      "\"shuffle\":\"shuffle\"},")),
     "compressor: blosc clevel must be 0 to 9, got 10"},
    {STORE(PLAIN("e", "\"compressor\":{\"id\":\"blosc\",\"cname\":\"lz4\",\"clevel\":1,"
                      "\"shuffle\":1},")),
     "compressor: shuffle must be a string, got a number"},
    {STORE(PLAIN("e", "\"attributes\":[1],")), "attributes must be an object, got [1]"},
    {STORE(PLAIN("e", "\"channels\":{},")), "channels must be a list, got {}"},
    {STORE(PLAIN("e", "\"timeout\":0,")), "timeout must be > 0 and at most a year, got 0"},
    {STORE(PLAIN("e", "\"first_timeout\":1e999,")), "first_timeout must be finite"},
    {STORE(PLAIN("e", "\"deterministic\":1,")), "deterministic must be true or false"},
    {STORE(PLAIN("e", "\"version\":1,")), "version must be a text, got a number"},
    {STORE(PLAIN("e", "\"dataset\":1,")), "dataset must be true or false"},
    {STORE(PLAIN("e", "\"text\":\"x\",")), "text must be true or false"},
    {STORE(PLAIN("e", "\"text\":true,")), "array \"e\": text must be a plain array of uint32 or uint8"},
    {STORE(TEXT("<u4", "[\"x\",\"y\"]", "[4,5]", "")), "text must be a plain array"},
    {STORE(TEXT("<u2", "[\"x\",\"y\"]", "[4,20]", "")), "text must be a plain array"},
    {STORE(TEXT(">u4", "[\"x\",\"y\"]", "[4,20]", "")), "text must be a plain array"},
    {STORE(TEXT("<u4", "null", "[4,20]", "")), "text must be a plain array"},
    {STORE(TEXT("<u4", "[\"x\",\"y\"]", "[4,20]", "\"fill_value\":\"0\",")),
     "text must be a plain array"},
};

#define ARRAY(kind, dims, levels)                                                                  \
    STORE("{\"path\":\"e\",\"kind\":\"" kind "\",\"dtype\":\"<f4\",\"dims\":" dims                 \
          ",\"pyramid\":\"mean\",\"levels\":" levels "," D "}")

static const char *const WRONG_LEVELS[][2] = {
    {ARRAY("plain", "null", "[]"), "levels must be a list of 1 to 1, got 0"},
    {ARRAY("plain", "null", "[{},{}]"), "levels must be a list of 1 to 1, got 2"},
    {ARRAY("plain", "null", "[7]"), "levels must be objects, got a number"},
    {ARRAY("plain", "null", "[{}]"), "shape must be a list, got nothing"},
    {ARRAY("plain", "null", "[{\"shape\":[4,4,4],\"chunks\":[2,2,0]}]"),
     "array \"e\": chunks must be >= 1, got 0 on axis 2"},
    {ARRAY("plain", "null", "[{\"shape\":[4,4],\"chunks\":[2]}]"),
     "chunks must have one number per axis (2), got 1"},
    {ARRAY("plain", "null", "[{\"shape\":[-1],\"chunks\":[2]}]"),
     "shape must be >= 0, got -1 on axis 0"},
    {ARRAY("plain", "null", "[{\"shape\":[1.5],\"chunks\":[2]}]"),
     "shape must be >= 0, got 1.5 on axis 0"},
    {ARRAY("plain", "null", "[{\"shape\":[9007199254740994],\"chunks\":[2]}]"),
     "shape must be >= 0, got 9007199254740994 on axis 0"},
    {ARRAY("plain", "null", "[{\"shape\":[\"1x\"],\"chunks\":[2]}]"),
     "shape must be >= 0, got \"1x\" on axis 0"},
    {ARRAY("plain", "null", "[{\"shape\":[\"99999999999999999999\"],\"chunks\":[2]}]"),
     "shape must be >= 0"},
    {ARRAY("plain", "null", "[{\"shape\":[true],\"chunks\":[2]}]"),
     "shape must be >= 0, got a boolean on axis 0"},
    {ARRAY("plain", "null", "[{\"shape\":[\"9223372036854775808\"],\"chunks\":[2]}]"),
     "an array has at most 2^62 elements"},
    {ARRAY("plain", "null", "[{\"shape\":[1,1,1,1,1,1,1,1,1],\"chunks\":[1]}]"),
     "shape has 9 axes, the limit is 8"},
    {ARRAY("plain", "null", "[{\"shape\":[9],\"chunks\":[67108865]}]"),
     "chunks make 268435460 bytes a chunk, the limit is 268435456"},
    {ARRAY("plain", "null", "[{\"shape\":[9],\"chunks\":[9],\"scale\":[0]}]"),
     "scale must be > 0, got 0 on axis 0"},
    {ARRAY("plain", "null", "[{\"shape\":[9],\"chunks\":[9],\"translation\":[1,2]}]"),
     "translation must be a list with one number per axis (1)"},
    {ARRAY("plain", "null", "[{\"shape\":[9],\"chunks\":[9],\"translation\":[\"1\"]}]"),
     "translation must be a number, got a string"},
    {ARRAY("image", "null", "[{\"shape\":[9,9],\"chunks\":[9,9]}]"),
     "dims must be there: the axes of an image"},
    {ARRAY("image", "[\"x\",\"y\"]", "[{\"shape\":[9,9],\"chunks\":[9,9]}]"),
     "axes must be names out of t, c, z, y, x in that order, got \"y\" on axis 1"},
    {ARRAY("image", "[\"y\",\"lon\"]", "[{\"shape\":[9,9],\"chunks\":[9,9]}]"), "got \"lon\""},
    {ARRAY("image", "[\"c\",\"x\"]", "[{\"shape\":[9,9],\"chunks\":[9,9]}]"),
     "axes must hold y and x at least"},
    {ARRAY("labels", "[\"y\",\"x\"]", "[{\"shape\":[9,9],\"chunks\":[9,9]}]"),
     "dtype of labels must be an integer or bool, got float32"},
    {ARRAY("image", "[\"y\",\"x\"]",
           "[{\"shape\":[9,9],\"chunks\":[9,9]},{\"shape\":[9],\"chunks\":[9]}]"),
     "array \"e\": level 1: shape must have one number per axis (2), got 1"},
    {STORE("{\"path\":\"e\",\"kind\":\"plain\",\"dtype\":\"<f4\"," LEVEL "}"),
     "array \"e\": digest must be a string, got nothing"},
};

static void check_wrong(const char *const rows[][2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct lzr_arena arena;
        struct lzr_store s = {.name = "untouched"};
        struct lzr_err err = {0};
        lzr_arena_init(&arena);
        assert_int_not_equal(read_text(&arena, rows[i][0], &s, &err), LZR_OK);
        if (strncmp(err.msg, "brain.py: ", 10) != 0 || strstr(err.msg, rows[i][1]) == NULL) {
            fail_msg("row %zu: got '%s', wanted '%s'", i, err.msg, rows[i][1]);
        }
        assert_string_equal(s.name, "untouched");
        assert_int_not_equal(read_text(&arena, rows[i][0], &s, NULL), LZR_OK);
        lzr_arena_release(&arena);
    }
}

static void test_wrong(void **state)
{
    (void)state;
    check_wrong(WRONG, sizeof WRONG / sizeof WRONG[0]);
    check_wrong(WRONG_LEVELS, sizeof WRONG_LEVELS / sizeof WRONG_LEVELS[0]);
}

/* The source's digest counts, except where version= stands for it. */
static void test_digest_of_the_source(void **state)
{
    static const char *const VERSIONS[] = {"", "\"version\":\"1\","};
    (void)state;
    for (int versioned = 0; versioned < 2; versioned++) {
        struct lzr_digest seen[2];
        for (int edit = 0; edit < 2; edit++) {
            struct lzr_arena arena;
            struct lzr_store s;
            char text[1000];
            snprintf(text, sizeof text, "{\"lazarr\":1,\"digest\":\"%032d\",\"arrays\":[%s%s%s]}",
                     edit, "{\"path\":\"e\",\"kind\":\"plain\",\"dtype\":\"<u2\"," LEVEL ",",
                     VERSIONS[versioned], D "}");
            lzr_arena_init(&arena);
            assert_int_equal(read_text(&arena, text, &s, NULL), LZR_OK);
            seen[edit] = s.arrays[0].digest;
            lzr_arena_release(&arena);
        }
        assert_int_equal(seen[0].hi == seen[1].hi && seen[0].lo == seen[1].lo, versioned);
    }
}

static void test_lengths(void **state)
{
    struct lzr_buf b;
    struct lzr_arena arena;
    struct lzr_store s;
    (void)state;
    for (int too_long = 0; too_long < 4; too_long++) {
        struct lzr_err err = {0};
        lzr_buf_init(&b, 100000);
        lzr_arena_init(&arena);
        lzr_buf_puts(&b, "{\"lazarr\":1,\"arrays\":[{\"path\":\"");
        for (int i = 0; i < (too_long >= 2 ? 256 : 1); i++) {
            lzr_buf_puts(&b, too_long >= 2 ? "abc/" : "");
        }
        for (int i = 0; i < (too_long == 0   ? 200
                             : too_long == 1 ? 201
                             : too_long == 2 ? 0
                                             : 1);
             i++) {
            lzr_buf_putc(&b, 'a');
        }
        if (too_long == 2) {
            b.len -= 1; /* exactly 1023 bytes: without the last slash */
        }
        lzr_buf_puts(&b, "\",\"kind\":\"plain\",\"dtype\":\"<u2\"," LEVEL "," D "}]}");
        enum lzr_code code = read_text(&arena, b.data, &s, &err);
        assert_int_equal(code, too_long % 2 == 0 ? LZR_OK : LZR_E_LIMIT);
        if (too_long == 2) {
            assert_int_equal(s.ngroups, 256);
        }
        lzr_arena_release(&arena);
        lzr_buf_release(&b);
    }
}

/* Every allocation fails in turn, cJSON's too: an error that says so, and nothing leaks. */
static void test_memory(void **state)
{
    cJSON_Hooks hooks = {lzr_malloc, lzr_free};
    enum lzr_code code = LZR_E_NOMEM;
    (void)state;
    cJSON_InitHooks(&hooks);
    long n;
    for (n = 0; code != LZR_OK; n++) {
        struct lzr_arena arena;
        struct lzr_store s;
        struct lzr_err err = {0};
        lzr_arena_init(&arena);
        lzr_mem_fail_after(n);
        code = lzr_manifest_read(&arena, "brain", "brain.py", FULL, strlen(FULL), &s, &err);
        lzr_mem_fail_after(-1);
        if (code != LZR_OK) {
            assert_int_equal(code, LZR_E_NOMEM);
            assert_non_null(strstr(err.msg, "out of memory"));
        }
        lzr_arena_release(&arena);
        assert_true(n < 100000);
    }
    cJSON_InitHooks(NULL);
    assert_true(n > 100); /* cJSON alone makes more than that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_digest_of_the_source),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
