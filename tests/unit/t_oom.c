/* Every allocation of base, store and of what the engine starts with fails in turn: once so that
 * all after it fail too, once alone. Each time there is the right error, nothing is leaked (the
 * sanitizer build sees that) and nothing of what was asked for is half there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cJSON.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/mem.h"
#include "engine/cache.h"
#include "engine/failures.h"
#include "engine/flight.h"
#include "engine/queue.h"
#include "http/once.h"
#include "store/catalog.h"
#include "store/codec.h"
#include "store/compseg.h"
#include "store/json_writer.h"

/* Does something once with memory as it is; LZR_OK, or what failed. Frees all of it either way. */
typedef enum lzr_code (*scenario)(const void *arg, struct lzr_err *err);

/* The most allocations that one takes. */
enum { MANY = 200000 };

/* Runs it until no allocation fails any more, and returns how many it takes. One that was forgiven
 * (LZR_OK all the same) is fine. */
static long torture(scenario run, const void *arg)
{
    long needed = 0;
    for (unsigned alone = 0; alone < 2; alone++) {
        bool failed = true;
        for (long n = 0; failed; n++) {
            struct lzr_err err = {.code = LZR_OK};
            if (alone) {
                lzr_mem_fail_at(n);
            } else {
                lzr_mem_fail_after(n);
            }
            enum lzr_code code = run(arg, &err);
            failed = lzr_mem_failed();
            lzr_mem_fail_after(-1);
            assert_true(code == LZR_OK || (failed && code == LZR_E_NOMEM));
            assert_true(err.code == LZR_OK || err.code == code);
            assert_true(n < MANY);
            needed = n;
        }
    }
    return needed;
}

/* ------------------------------------------------------------------------------------------ base
 */

static enum lzr_code use_buf(const void *arg, struct lzr_err *err)
{
    struct lzr_buf b;
    (void)arg;
    (void)err;
    lzr_buf_init(&b, 1 << 20);
    for (int i = 0; i < 2000; i++) {
        lzr_buf_printf(&b, "%d ", i);
        lzr_buf_add(&b, "xyz", 3);
        lzr_buf_putc(&b, '\n');
    }
    bool failed = lzr_buf_failed(&b);
    size_t len = 0;
    char *text = lzr_buf_detach(&b, &len);
    if (failed) {
        assert_null(text); /* a text with a hole never comes out */
    }
    bool whole = text != NULL && len > 15000 && strncmp(text, "0 xyz\n1 xyz\n", 12) == 0 &&
                 strlen(text) == len;
    assert_true(text == NULL || whole);
    lzr_free(text);
    lzr_buf_release(&b);
    return whole ? LZR_OK : LZR_E_NOMEM;
}

static enum lzr_code use_arena(const void *arg, struct lzr_err *err)
{
    struct lzr_arena a;
    bool ok = true;
    (void)arg;
    (void)err;
    lzr_arena_init(&a);
    for (size_t i = 1; i < 400 && ok; i++) {
        unsigned char *p = lzr_arena_alloc(&a, i * 37);
        ok = p != NULL && p[0] == 0 && p[i * 37 - 1] == 0;
        if (ok) {
            memset(p, 0xff, i * 37);
            ok = lzr_arena_strndup(&a, "name", 4) != NULL;
        }
    }
    lzr_arena_release(&a);
    return ok ? LZR_OK : LZR_E_NOMEM;
}

static enum lzr_code use_blobs(const void *arg, struct lzr_err *err)
{
    struct lzr_budget budget = {.limit = 1 << 20};
    enum lzr_code code = LZR_E_NOMEM;
    (void)arg;
    (void)err;
    struct lzr_blob *a = lzr_blob_new(1000, &budget), *b = lzr_blob_dup("abc", 3, &budget);
    if (a != NULL && b != NULL) {
        a = lzr_blob_shrink(a, 10); /* can't fail: the old memory stays */
        assert_int_equal(a->len, 10);
        code = memcmp(b->data, "abc", 3) == 0 ? LZR_OK : LZR_E_NOMEM;
    }
    lzr_blob_unref(&a);
    lzr_blob_unref(&b);
    assert_int_equal(budget.used, 0); /* whatever failed, nothing stays charged */
    return code;
}

static enum lzr_code use_strings(const void *arg, struct lzr_err *err)
{
    (void)arg;
    (void)err;
    char *a = lzr_strdup("one"), *b = lzr_strndup("two and", 3);
    bool ok = a != NULL && b != NULL && strcmp(a, "one") == 0 && strcmp(b, "two") == 0;
    assert_true(ok || a == NULL || b == NULL);
    lzr_free(a);
    lzr_free(b);
    return ok ? LZR_OK : LZR_E_NOMEM;
}

static void test_base(void **state)
{
    (void)state;
    assert_true(torture(use_buf, NULL) > 3);
    assert_true(torture(use_arena, NULL) > 3);
    assert_int_equal(torture(use_blobs, NULL), 3); /* that of shrinking is forgiven */
    assert_int_equal(torture(use_strings, NULL), 2);
}

/* ----------------------------------------------------------------------------------------- store
 */

struct text {
    char *data;
    size_t len;
};

static enum lzr_code use_catalog(const void *arg, struct lzr_err *err)
{
    const struct text *t = arg;
    const struct lzr_manifest_text text = {"s", "s.py", t->data, t->len};
    struct lzr_catalog *c = NULL;
    enum lzr_code code = lzr_catalog_new(&text, 1, &c, err);
    if (code != LZR_OK) {
        assert_null(c);
        assert_true(strncmp(err->msg, "s.py: ", 6) == 0 || strstr(err->msg, "memory") != NULL);
        return code;
    }
    lzr_catalog_free(&c);
    return LZR_OK;
}

static void read_file(const char *path, struct text *out)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    out->len = (size_t)ftell(f);
    rewind(f);
    out->data = malloc(out->len + 1);
    assert_non_null(out->data);
    assert_int_equal(fread(out->data, 1, out->len, f), out->len);
    out->data[out->len] = '\0';
    (void)fclose(f);
}

/* The catalogs of real stores (tests/unit/manifests says which): images, levels, inputs, sources,
 * all codecs. Not of the fuzzers' corpus: that grows with each hour of fuzzing, and this with its
 * square.
 */
static void test_catalogs(void **state)
{
    static const char *const stores[] = {"basic", "climate", "levels", "projection", "regions"};
    char folder[4096], path[8192];
    cJSON_Hooks hooks = {lzr_malloc, lzr_free};
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", __FILE__);
    *strrchr(folder, '/') = '\0';
    cJSON_InitHooks(&hooks);
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        struct text t = {NULL, 0};
        (void)snprintf(path, sizeof path, "%s/manifests/%s.json", folder, stores[i]);
        read_file(path, &t);
        assert_true(torture(use_catalog, &t) > 100);
        free(t.data);
    }
    cJSON_InitHooks(NULL);
}

static enum lzr_code use_writer(const void *arg, struct lzr_err *err)
{
    struct lzr_json j;
    struct lzr_buf b;
    (void)arg;
    (void)err;
    lzr_buf_init(&b, 1 << 20);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '[');
    for (int i = 0; i < 500; i++) {
        lzr_json_string(&j, "text \x01 \xff");
        lzr_json_real(&j, i / 3.0);
        lzr_json_u64(&j, (uint64_t)i);
    }
    lzr_json_close(&j, ']');
    bool ok = !lzr_buf_failed(&b);
    assert_true(!ok || b.data[b.len - 1] == ']');
    lzr_buf_release(&b);
    return ok ? LZR_OK : LZR_E_NOMEM;
}

static enum lzr_code use_compseg(const void *arg, struct lzr_err *err)
{
    const uint64_t extent[4] = {1, 9, 9, 9};
    uint32_t labels[9 * 9 * 9], out[16384];
    size_t len = 0;
    (void)arg;
    for (unsigned i = 0; i < 9 * 9 * 9; i++) {
        labels[i] = i % 5;
    }
    assert_true(lzr_compseg_bound(extent, 4) <= sizeof out);
    return lzr_compseg_encode(extent, 4, labels, out, &len, err);
}

static enum lzr_code use_codec(const void *arg, struct lzr_err *err)
{
    const struct lzr_codec *c = arg;
    static unsigned char out[1 << 18];
    unsigned char raw[512], back[512];
    size_t len = 0;
    for (unsigned i = 0; i < sizeof raw; i++) {
        raw[i] = (unsigned char)(i / 7);
    }
    assert_true(lzr_codec_bound(c, sizeof raw) <= sizeof out);
    enum lzr_code code = lzr_codec_encode(c, 2, raw, sizeof raw, out, sizeof out, &len, err);
    if (code == LZR_OK) {
        code = lzr_codec_decode(c, out, len, back, sizeof back, err);
        assert_true(code != LZR_OK || memcmp(raw, back, sizeof raw) == 0);
    }
    return code;
}

static void test_store(void **state)
{
    static const struct lzr_codec codecs[] = {
        {.id = LZR_CODEC_NONE},
        {.id = LZR_CODEC_BLOSC, .level = 5, .cname = "lz4", .shuffle = 1},
        {.id = LZR_CODEC_ZSTD, .level = 3},
        {.id = LZR_CODEC_GZIP, .level = 1},
        {.id = LZR_CODEC_LZ4},
    };
    (void)state;
    assert_true(torture(use_writer, NULL) > 2);
    assert_true(torture(use_compseg, NULL) > 0);
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        (void)torture(use_codec, &codecs[i]); /* what the libraries take is theirs */
    }
}

/* ---------------------------------------------------------------------- engine and http, as far as
 * they are pure */

static enum lzr_code use_cache(const void *arg, struct lzr_err *err)
{
    struct lzr_budget budget = {.limit = 1 << 20};
    (void)arg;
    (void)err;
    struct lzr_cache *c = lzr_cache_new(&budget, 1 << 18);
    bool all = c != NULL;
    for (uint64_t i = 0; c != NULL && i < 50; i++) {
        struct lzr_cache_key k = {.array = 1, .index = i};
        struct lzr_blob *b = lzr_blob_new(100, &budget);
        if (b == NULL || !lzr_cache_put(c, &k, b, 1)) {
            all = false; /* not kept, and that is all */
        } else {
            struct lzr_blob *again = lzr_cache_get(c, &k, true);
            assert_ptr_equal(again, b);
            lzr_blob_unref(&again);
        }
        lzr_blob_unref(&b);
    }
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
    return all ? LZR_OK : LZR_E_NOMEM;
}

static enum lzr_code use_tables(const void *arg, struct lzr_err *err)
{
    struct lzr_flights t = {.buckets = NULL};
    struct lzr_queue q = {.clients = NULL};
    (void)arg;
    enum lzr_code code = lzr_flights_init(&t, err);
    if (code == LZR_OK) {
        code = lzr_queue_init(&q, LZR_ORDER_BURSTS, err);
        lzr_queue_release(&q);
        lzr_flights_release(&t);
    }
    return code;
}

static enum lzr_code use_failures(const void *arg, struct lzr_err *err)
{
    struct lzr_failures f;
    bool all = true;
    (void)arg;
    (void)err;
    lzr_failures_init(&f);
    for (uint64_t i = 0; i < 20; i++) {
        all = lzr_failures_note(&f, 1, 0, i, LZR_E_USER, "ValueError: no", 5) && all;
        const struct lzr_failure *noted = lzr_failures_recall(&f, 1, 0, i, 6);
        assert_true(noted == NULL || noted->code == LZR_E_USER);
    }
    lzr_failures_release(&f);
    return all ? LZR_OK : LZR_E_NOMEM;
}

static enum lzr_code use_once(const void *arg, struct lzr_err *err)
{
    struct lzr_once o;
    char name[32];
    (void)arg;
    (void)err;
    lzr_once_init(&o);
    for (int i = 0; i < LZR_ONCE_NAMES; i++) {
        (void)snprintf(name, sizeof name, "name %d", i);
        (void)lzr_once_due(&o, name, 1);
    }
    bool all = o.n == LZR_ONCE_NAMES;
    lzr_once_release(&o);
    return all ? LZR_OK : LZR_E_NOMEM;
}

static void test_engine(void **state)
{
    (void)state;
    assert_true(torture(use_cache, NULL) > 50);
    assert_true(torture(use_tables, NULL) > 1);
    assert_true(torture(use_failures, NULL) > 1);
    assert_true(torture(use_once, NULL) == LZR_ONCE_NAMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base),
        cmocka_unit_test(test_catalogs),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
