#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scratch.h"

static void errors(void **state)
{
    (void)state;
    struct lzr_err e = {.code = LZR_OK};
    assert_int_equal(lzr_err_set(&e, LZR_E_INVAL, "got %d", 3), LZR_E_INVAL);
    assert_string_equal(e.msg, "got 3");
    assert_int_equal(lzr_err_prefix(&e, "a.py: array \"%s\"", "x"), LZR_E_INVAL);
    assert_string_equal(e.msg, "a.py: array \"x\": got 3");
    lzr_err_set(&e, LZR_E_LIMIT, "again: %s", e.msg); /* its own text as an argument */
    assert_string_equal(e.msg, "again: a.py: array \"x\": got 3");
    errno = ENOENT;
    assert_int_equal(lzr_err_sys(&e, "cannot open '%s'", "f"), LZR_E_SYS);
    assert_string_equal(e.msg, "cannot open 'f': No such file or directory");
    assert_int_equal(e.sys, ENOENT);
    assert_int_equal(lzr_err_set(NULL, LZR_E_BUSY, "x"), LZR_E_BUSY);
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    /* Of a path that is too long the middle goes, and the reason stays, whichever is first. */
    char path[4096];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    for (int utf8 = 0; utf8 < 3; utf8++) {
        for (size_t i = 100; utf8 > 0 && i + 2 < sizeof path; i += 2) {
            memcpy(path + i + utf8 - 1, "\u00e9", 2);
        }
        lzr_err_set(&e, LZR_E_INVAL, "%s: it is no store", path);
        assert_non_null(strstr(e.msg, "…"));
        assert_string_equal(e.msg + strlen(e.msg) - 16, ": it is no store");
        lzr_err_set(&e, LZR_E_INVAL, "no store: %s", path);
        assert_memory_equal(e.msg, "no store: pp", 12);
        errno = ENOENT;
        lzr_err_sys(&e, "%s", path);
        assert_non_null(strstr(e.msg, ": No such file or directory"));
        lzr_err_set(&e, LZR_E_INVAL, "the reason");
        lzr_err_prefix(&e, "%s", path);
        assert_string_equal(e.msg + strlen(e.msg) - 12, ": the reason");
        assert_true(strlen(e.msg) < sizeof e.msg);
        const char *gap = strstr(e.msg, "…"); /* between characters */
        assert_true((gap[-1] & 0xc0) != 0xc0 && (gap[3] & 0xc0) != 0x80);
    }
    lzr_err_set(&e, LZR_E_INVAL, "%s", big);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    assert_string_equal(lzr_code_text(LZR_E_TIMEOUT), "timed out");
    assert_string_equal(lzr_code_text((enum lzr_code)999), "unknown error");
}

static void buffers(void **state)
{
    (void)state;
    struct lzr_buf b;
    size_t n = 0;
    lzr_buf_init(&b, 10);
    assert_string_equal(b.data, "");
    lzr_buf_puts(&b, "abc");
    lzr_buf_printf(&b, "%d", 4567);
    assert_string_equal(b.data, "abc4567");
    lzr_buf_puts(&b, "four");
    assert_true(lzr_buf_failed(&b));
    assert_string_equal(b.data, "abc4567"); /* as it was */
    lzr_buf_putc(&b, 'x');                  /* sticky */
    assert_int_equal(b.len, 7);
    assert_null(lzr_buf_detach(&b, &n));
    lzr_buf_clear(&b);
    lzr_buf_add(&b, "0123456789", 10);
    assert_false(lzr_buf_failed(&b));
    char *s = lzr_buf_detach(&b, &n);
    assert_int_equal(n, 10);
    assert_string_equal(s, "0123456789");
    lzr_free(s);
    for (long k = 0; k < 3; k++) {
        lzr_mem_fail_after(k);
        lzr_buf_init(&b, 1000);
        for (int i = 0; i < 200; i++) {
            lzr_buf_puts(&b, "abcd");
        }
        lzr_mem_fail_after(-1);
        assert_true(lzr_buf_failed(&b));
        lzr_buf_release(&b);
    }
    s = lzr_buf_detach(&b, &n); /* an empty one is an empty text */
    assert_string_equal(s, "");
    lzr_free(s);
}

static void blobs(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 0};
    struct lzr_blob *b = lzr_blob_new(1000, &budget);
    assert_int_equal(budget.used, lzr_blob_charge(1000));
    memset(b->data, 7, 1000);
    b = lzr_blob_shrink(b, 10);
    assert_int_equal(b->len, 10);
    assert_int_equal(b->data[9], 7);
    assert_int_equal(budget.used, lzr_blob_charge(10));
    struct lzr_blob *other = lzr_blob_ref(b);
    lzr_blob_unref(&b);
    assert_null(b);
    assert_int_equal(budget.used, lzr_blob_charge(10));
    lzr_blob_unref(&other);
    assert_int_equal(budget.used, 0);
    lzr_blob_unref(&other); /* NULL is fine */
    lzr_mem_fail_after(0);
    assert_null(lzr_blob_dup("x", 1, &budget));
    lzr_mem_fail_after(-1);
    assert_int_equal(budget.used, 0);
}

static void *share(void *arg)
{
    struct lzr_blob *b = arg;
    for (int i = 0; i < 50000; i++) {
        struct lzr_blob *mine = lzr_blob_ref(b);
        lzr_blob_unref(&mine);
    }
    lzr_blob_unref(&b);
    return NULL;
}

static void blobs_between_threads(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 0};
    struct lzr_blob *b = lzr_blob_new(10, &budget);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, share, lzr_blob_ref(b)), 0);
    }
    lzr_blob_unref(&b);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    assert_int_equal(budget.used, 0);
}

static void sizes(void **state)
{
    (void)state;
    uint64_t r = 5;
    assert_false(lzr_mul_u64(UINT64_MAX, 2, &r));
    assert_false(lzr_add_u64(UINT64_MAX, 1, &r));
    assert_int_equal(r, 5);
    assert_true(lzr_mul_u64(3, 4, &r) && r == 12);
    assert_true(lzr_add_u64(3, 4, &r) && r == 7);
}

static void arenas(void **state)
{
    (void)state;
    struct lzr_arena a;
    lzr_arena_init(&a);
    for (size_t n = 0; n < 50000; n = n * 2 + 1) {
        unsigned char *p = lzr_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i], 0);
            p[i] = 255;
        }
    }
    assert_string_equal(lzr_arena_strndup(&a, "hello", 3), "hel");
    lzr_mem_fail_after(0);
    assert_null(lzr_arena_alloc(&a, 1 << 20));
    lzr_mem_fail_after(-1);
    lzr_arena_release(&a);
    assert_int_equal(a.total, 0);
}

static void logs(void **state)
{
    (void)state;
    int fds[2];
    char text[4096];
    assert_int_equal(pipe(fds), 0);
    struct lzr_log log = {.fd = fds[1], .level = LZR_LOG_INFO};
    lzr_log(&log, LZR_LOG_DEBUG, "not shown");
    lzr_log(&log, LZR_LOG_INFO, "a\x1b[31m\r\tb\nc");
    lzr_log_lines(&log, LZR_LOG_INFO, "worker 1", "x\ny", 3);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "lazarr: a\\x1b[31m\\x0d\tb\n    c\n"
                              "lazarr: worker 1: x\nlazarr: worker 1: y\n");
    close(fds[0]);
    close(fds[1]);
    lzr_log(NULL, LZR_LOG_ERROR, "nowhere");
}

static void digests(void **state)
{
    (void)state;
    char a[33], b[33];
    lzr_digest_hex(lzr_digest("abc", 3, 0), a);
    lzr_digest_hex(lzr_digest("abd", 3, 0), b);
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    assert_string_not_equal(a, b);
    struct lzr_digest d = lzr_digest("abc", 3, 0);
    lzr_digest_hex(lzr_digest_join(d, "x", 1), a);
    lzr_digest_hex(lzr_digest_join(d, "y", 1), b);
    assert_string_not_equal(a, b);
    assert_int_not_equal(lzr_hash64("a", 1, 0), lzr_hash64("a", 1, 1));
}

static void scratches(void **state)
{
    (void)state;
    struct lzr_scratch_pool pool = {0};
    struct lzr_scratch *a = lzr_scratch_take(&pool, 1000), *first = a;
    assert_true(a->cap >= 1000 && (uintptr_t)a->data % 16 == 0);
    memset(a->data, 1, 1000);
    lzr_scratch_give(&pool, &a);
    assert_null(a);
    a = lzr_scratch_take(&pool, 900); /* the same one again */
    assert_ptr_equal(a, first);
    struct lzr_scratch *b = lzr_scratch_take(&pool, 900);
    assert_ptr_not_equal(a, b);
    lzr_scratch_give(&pool, &a);
    lzr_scratch_give(&pool, &b);
    a = lzr_scratch_take(&pool, 5000); /* what is kept is too small */
    memset(a->data, 1, 5000);
    lzr_scratch_give(&pool, &a);
    /* More than is kept, and larger: each is freed when it is given back. */
    struct lzr_scratch *many[LZR_SCRATCH_BUFFERS + 2];
    for (unsigned i = 0; i < LZR_SCRATCH_BUFFERS + 2; i++) {
        many[i] = lzr_scratch_take(&pool, i == 0 ? LZR_SCRATCH_KEPT + 1 : 10);
    }
    for (unsigned i = 0; i < LZR_SCRATCH_BUFFERS + 2; i++) {
        lzr_scratch_give(&pool, &many[i]);
    }
    for (unsigned i = 0; i < LZR_SCRATCH_BUFFERS; i++) {
        assert_true(pool.kept[i] != NULL && pool.kept[i]->cap <= LZR_SCRATCH_KEPT);
    }
    lzr_scratch_give(&pool, &many[0]); /* NULL */
    assert_null(lzr_scratch_take(&pool, SIZE_MAX));
    lzr_mem_fail_after(0);
    assert_null(lzr_scratch_take(&pool, LZR_SCRATCH_KEPT + 1));
    lzr_mem_fail_after(-1);
    lzr_scratch_release(&pool);
    lzr_scratch_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors), cmocka_unit_test(buffers),
        cmocka_unit_test(blobs),  cmocka_unit_test(blobs_between_threads),
        cmocka_unit_test(sizes),  cmocka_unit_test(arenas),
        cmocka_unit_test(scratches), cmocka_unit_test(logs),   cmocka_unit_test(digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
