/* Pages of their own for large blobs: nothing overlaps, what is kept is bounded, all goes back. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/pages.h"

#define KEEP ((size_t)1 << 20)

/* Bytes of these pages that the kernel holds for us. */
static size_t resident(void *at, size_t bytes)
{
    unsigned char in[LZR_PAGES_MOST / 4096];
    size_t n = 0;
    assert_int_equal(mincore(at, bytes, in), 0);
    for (size_t i = 0; i < (bytes + 4095) / 4096; i++) {
        n += in[i] & 1;
    }
    return n * 4096;
}

static void one(void **state)
{
    (void)state;
    struct lzr_pages *p = lzr_pages_new(KEEP);
    char *a = lzr_pages_take(p, 20000), *b = lzr_pages_take(p, 20000);
    assert_true((uintptr_t)a % 4096 == 0 && (uintptr_t)b % 4096 == 0 && a != b);
    memset(a, 1, 20000);
    memset(b, 2, 20000);
    assert_int_equal(a[19999], 1);
    assert_int_equal(lzr_pages_stats(p).taken, 2 * 20480);
    lzr_pages_give(p, a, 20000);
    assert_int_equal(lzr_pages_stats(p).kept, 20480);
    char *again = lzr_pages_take(p, 18000); /* what is kept is used first */
    assert_ptr_equal(again, a);
    assert_int_equal(lzr_pages_stats(p).kept, 0);
    lzr_pages_cut(p, again, 18000, 5000);
    assert_int_equal(lzr_pages_stats(p).taken, 20480 + 8192);
    assert_int_equal(lzr_pages_stats(p).kept, 12288);
    lzr_pages_give(p, again, 5000);
    lzr_pages_give(p, b, 20000);
    lzr_pages_free(&p);
    assert_null(p);
}

static void the_rest_goes_back(void **state)
{
    (void)state;
    enum { N = 64 };
    struct lzr_pages *p = lzr_pages_new(KEEP);
    char *at[N];
    for (int i = 0; i < N; i++) {
        at[i] = lzr_pages_take(p, 256 << 10);
        memset(at[i], i, 256 << 10);
    }
    assert_int_equal(resident(at[7], 256 << 10), 256 << 10);
    for (int i = 0; i < N; i += 2) { /* none beside another: each hole is its own */
        lzr_pages_give(p, at[i], 256 << 10);
        assert_true(lzr_pages_stats(p).kept <= KEEP);
    }
    size_t left = 0;
    for (int i = 0; i < N; i += 2) {
        left += resident(at[i], 256 << 10);
    }
    assert_true(left <= KEEP);
    for (int i = 1; i < N; i += 2) {
        assert_int_equal(at[i][(256 << 10) - 1], i); /* and nothing of what is in use */
        lzr_pages_give(p, at[i], 256 << 10);
    }
    struct lzr_pages_stats s = lzr_pages_stats(p);
    assert_true(s.taken == 0 && s.kept <= KEEP && s.mapped <= 2 * ((size_t)16 << 20));
    lzr_pages_free(&p);
}

/* Holes that are each too short make a long one, once the kernel has them. */
static void holes_are_joined(void **state)
{
    (void)state;
    enum { N = 800 };
    struct lzr_pages *p = lzr_pages_new((size_t)64 << 20);
    char *at[N];
    for (int i = 0; i < N; i++) {
        at[i] = lzr_pages_take(p, 16384);
        at[i][0] = 1;
    }
    size_t mapped = lzr_pages_stats(p).mapped;
    for (int i = 0; i < N; i++) {
        lzr_pages_give(p, at[i], 16384);
    }
    char *big = lzr_pages_take(p, LZR_PAGES_MOST);
    assert_non_null(big);
    assert_int_equal(lzr_pages_stats(p).mapped, mapped);
    lzr_pages_give(p, big, LZR_PAGES_MOST);
    lzr_pages_free(&p);
}

/* A random walk beside a plain account of what is taken. */
static void random_walk(void **state)
{
    (void)state;
    enum { N = 200 };
    struct held {
        unsigned char *at;
        size_t bytes;
        unsigned char mark;
    } held[N] = {0};
    struct lzr_pages *p = lzr_pages_new(KEEP);
    uint64_t x = 88172645463325252u;
    size_t taken = 0;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        struct held *h = &held[x % N];
        if (h->at == NULL) {
            h->bytes = (x >> 20) % 10 == 0 ? 1 + (x >> 24) % LZR_PAGES_MOST : 1 + (x >> 24) % 90000;
            h->at = lzr_pages_take(p, h->bytes);
            h->mark = (unsigned char)i;
            assert_non_null(h->at);
            h->at[0] = h->at[h->bytes - 1] = h->mark;
            taken += lzr_pages_round(h->bytes);
        } else if ((x >> 20) % 4 == 0) {
            size_t to = 1 + (x >> 24) % h->bytes;
            lzr_pages_cut(p, h->at, h->bytes, to);
            taken -= lzr_pages_round(h->bytes) - lzr_pages_round(to);
            h->bytes = to;
            h->at[to - 1] = h->mark;
        } else {
            assert_true(h->at[0] == h->mark && h->at[h->bytes - 1] == h->mark);
            lzr_pages_give(p, h->at, h->bytes);
            taken -= lzr_pages_round(h->bytes);
            h->at = NULL;
        }
        struct lzr_pages_stats s = lzr_pages_stats(p);
        assert_true(s.taken == taken && s.kept <= KEEP);
    }
    for (int i = 0; i < N; i++) {
        if (held[i].at != NULL) {
            lzr_pages_give(p, held[i].at, held[i].bytes);
        }
    }
    assert_int_equal(lzr_pages_stats(p).taken, 0);
    lzr_pages_free(&p);
}

static void *churn(void *arg)
{
    struct lzr_pages *p = arg;
    char *at[16] = {NULL};
    for (unsigned i = 0; i < 20000; i++) {
        char **a = &at[i * 7 % 16];
        if (*a != NULL) {
            assert_true((*a)[40000] == (char)(uintptr_t)&at);
            lzr_pages_give(p, *a, 50000 + (size_t)(a - at) * 4096);
        }
        *a = lzr_pages_take(p, 50000 + (size_t)(a - at) * 4096);
        (*a)[40000] = (char)(uintptr_t)&at;
    }
    for (unsigned i = 0; i < 16; i++) {
        lzr_pages_give(p, at[i], 50000 + (size_t)i * 4096);
    }
    return NULL;
}

static void between_threads(void **state)
{
    (void)state;
    struct lzr_pages *p = lzr_pages_new(KEEP / 4);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, churn, p), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    assert_int_equal(lzr_pages_stats(p).taken, 0);
    lzr_pages_free(&p);
}

static void blobs(void **state)
{
    (void)state;
    struct lzr_budget budget = {.pages = lzr_pages_new(KEEP)};
    static const size_t sizes[] = {0, 10, 16000, 16384, 100000, 1 << 20, 9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k <= i; k++) {
            struct lzr_blob *b = lzr_blob_new(sizes[i], &budget);
            assert_int_equal(budget.used, lzr_blob_charge(sizes[i]));
            memset(b->data, 7, sizes[i]);
            b = lzr_blob_shrink(b, sizes[k]);
            assert_int_equal(budget.used, lzr_blob_charge(sizes[k]));
            assert_true(b->len == sizes[k] && (sizes[k] == 0 || b->data[sizes[k] - 1] == 7));
            lzr_blob_unref(&b);
            assert_int_equal(budget.used, 0);
        }
    }
    lzr_mem_fail_after(0);
    assert_null(lzr_blob_new(100000, &budget));
    lzr_mem_fail_after(-1);
    assert_int_equal(budget.used, 0);
    struct lzr_blob *b = lzr_blob_new(100000, &budget);
    memset(b->data, 3, 100000);
    lzr_mem_fail_after(0);
    b = lzr_blob_shrink(b, 100); /* without memory to move it to, it stays */
    lzr_mem_fail_after(-1);
    assert_true(b->len == 100 && b->data[99] == 3 && budget.used == lzr_blob_charge(100));
    lzr_blob_unref(&b);
    assert_int_equal(lzr_pages_stats(budget.pages).taken, 0);
    lzr_pages_free(&budget.pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one),         cmocka_unit_test(the_rest_goes_back),
        cmocka_unit_test(random_walk), cmocka_unit_test(holes_are_joined),
        cmocka_unit_test(blobs),       cmocka_unit_test(between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
