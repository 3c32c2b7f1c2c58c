#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/cache.h"

static struct lzr_cache_key key(uint64_t i)
{
    return (struct lzr_cache_key){.array = 1, .index = i};
}

static bool put(struct lzr_cache *c, struct lzr_budget *budget, uint64_t i, size_t n)
{
    struct lzr_cache_key k = key(i);
    struct lzr_blob *b = lzr_blob_new(n, budget);
    memset(b->data, (int)i, n);
    bool ok = lzr_cache_put(c, &k, b, 1);
    lzr_blob_unref(&b);
    return ok;
}

static bool has(struct lzr_cache *c, uint64_t i)
{
    struct lzr_cache_key k = key(i);
    struct lzr_blob *b = lzr_cache_get(c, &k, true);
    bool got = b != NULL && b->data[0] == (unsigned char)i;
    lzr_blob_unref(&b);
    return got;
}

static void least_recently_used_goes_first(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 200000};
    struct lzr_cache *c = lzr_cache_new(&budget, 200000);
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(put(c, &budget, i, 1000));
    }
    assert_true(has(c, 0)); /* used: 1 is the oldest now */
    uint64_t i = 100;
    while (lzr_cache_stats(c).evictions == 0) {
        assert_true(put(c, &budget, i++, 1000));
        assert_true(i < 1000);
    }
    assert_false(has(c, 1));
    assert_true(has(c, 2));
    assert_true(has(c, 0));
    assert_true(budget.used <= budget.limit);
    struct lzr_cache_stats s = lzr_cache_stats(c);
    assert_true(s.evictions > 0);
    assert_int_equal(s.inserts, i);
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
}

static void never_above_its_bytes(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 1 << 20};
    struct lzr_cache *c = lzr_cache_new(&budget, 300000);
    for (uint64_t i = 0; i < 3000; i++) {
        put(c, &budget, i, 100 + i % 5000);
        assert_true(lzr_cache_stats(c).bytes <= 300000);
        assert_true(budget.used <= budget.limit);
    }
    assert_false(put(c, &budget, 5000, 300000 / 8)); /* more than an eighth is never kept */
    assert_true(put(c, &budget, 5001, 300000 / 8 - 8192));
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
}

static void makes_room_but_not_of_what_is_held(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 100000};
    struct lzr_cache *c = lzr_cache_new(&budget, 100000);
    struct lzr_blob *held[8];
    for (uint64_t i = 0; i < 8; i++) {
        struct lzr_cache_key k = key(i);
        assert_true(put(c, &budget, i, 8000));
        held[i] = lzr_cache_get(c, &k, false);
    }
    assert_true(lzr_cache_make_room(c, 20000));
    assert_false(lzr_cache_make_room(c, 90000)); /* all evicted, but somebody still sends them */
    assert_int_equal(lzr_cache_stats(c).entries, 0);
    for (int i = 0; i < 8; i++) {
        lzr_blob_unref(&held[i]);
    }
    assert_true(lzr_cache_make_room(c, 90000));
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
}

/* What the cache keeps and others hold as well is counted, in whatever order they take and let go. */
static void counts_what_others_hold(void **state)
{
    (void)state;
    struct lzr_budget all = {.limit = 0}, budget = {.limit = 1 << 20, .parent = &all};
    struct lzr_cache *c = lzr_cache_new(&budget, 1 << 20);
    struct lzr_cache_key k = key(1);
    struct lzr_blob *b = lzr_blob_new(1000, &budget);
    uint64_t charge = lzr_blob_charge(1000);
    memset(b->data, 1, 1000);
    assert_int_equal(budget.kept_held, 0);
    assert_true(lzr_cache_put(c, &k, b, 1));
    assert_int_equal(budget.kept_held, charge); /* by us */
    lzr_blob_unref(&b);
    assert_int_equal(budget.kept_held, 0);
    struct lzr_blob *one = lzr_cache_get(c, &k, true), *two = lzr_cache_get(c, &k, true);
    assert_int_equal(budget.kept_held, charge); /* once */
    lzr_blob_unref(&one);
    assert_int_equal(budget.kept_held, charge);
    lzr_cache_clear(c);
    assert_int_equal(budget.kept_held, 0); /* held, but not kept */
    assert_int_equal(all.kept_held, 0);
    lzr_blob_unref(&two);
    assert_int_equal(budget.kept_held, 0);
    lzr_cache_free(&c);
    assert_int_equal(all.used, 0);
}

/* --cache 0 keeps nothing, and what is computed has the budget's room all the same. */
static void keeps_nothing_but_makes_room(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 50000};
    struct lzr_cache *c = lzr_cache_new(&budget, 0);
    assert_true(lzr_cache_make_room(c, 20000));
    assert_false(put(c, &budget, 1, 100));
    assert_false(lzr_cache_make_room(c, 50001));
    lzr_cache_free(&c);
}

static void same_key_is_replaced(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 1 << 20};
    struct lzr_cache *c = lzr_cache_new(&budget, 1 << 20);
    for (int n = 1; n < 50; n++) {
        assert_true(put(c, &budget, 7, (size_t)n * 10));
    }
    assert_int_equal(lzr_cache_stats(c).entries, 1);
    lzr_cache_clear(c);
    assert_false(has(c, 7));
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
}

static void survives_no_memory(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 1 << 20};
    for (long n = 0; n < 4; n++) {
        lzr_mem_fail_after(n);
        struct lzr_cache *c = lzr_cache_new(&budget, 1 << 20);
        lzr_mem_fail_after(-1);
        if (c != NULL) {
            struct lzr_blob *b = lzr_blob_dup("x", 1, &budget);
            struct lzr_cache_key k = key(0);
            lzr_mem_fail_after(0);
            assert_false(lzr_cache_put(c, &k, b, 1));
            lzr_mem_fail_after(-1);
            assert_false(has(c, 0));
            lzr_blob_unref(&b);
            lzr_cache_free(&c);
        }
        assert_int_equal(budget.used, 0);
    }
}

/* Goal: at most 160 bytes of bookkeeping an entry at a million entries, all included: what malloc
 * really takes, less the bytes of the chunks. */
static void bookkeeping_at_a_million_entries(void **state)
{
    (void)state;
    enum { N = 1000000, BYTES = 24 };
    struct lzr_budget budget = {.limit = UINT64_C(1) << 40};
    struct lzr_cache *c = lzr_cache_new(&budget, UINT64_C(1) << 40);
    struct mallinfo2 before = mallinfo2();
    for (uint64_t i = 0; i < N; i++) {
        assert_true(put(c, &budget, i, BYTES));
    }
    struct mallinfo2 after = mallinfo2();
    size_t taken = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    double each = (double)taken / N - BYTES;
    double charged = (double)lzr_cache_stats(c).bytes / N - BYTES;
    printf("bookkeeping at a million entries: %.1f bytes taken, %.1f charged\n", each, charged);
    assert_true(each == 0 - BYTES || each <= 160); /* a sanitizer's allocator counts nothing */
    assert_true(charged <= 160 && charged + 1 >= each);
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
}

struct shared {
    struct lzr_cache *c;
    struct lzr_budget *budget;
    unsigned seed;
};

static void *stress(void *arg)
{
    struct shared *s = arg;
    unsigned x = s->seed;
    for (int i = 0; i < 20000; i++) {
        x = x * 1103515245u + 12345u;
        uint64_t k = (x >> 8) % 300;
        if (!has(s->c, k)) {
            put(s->c, s->budget, k, 100 + k);
        }
        if (i % 1000 == 0) {
            lzr_cache_make_room(s->c, 1000);
        }
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 60000};
    struct lzr_cache *c = lzr_cache_new(&budget, 60000);
    pthread_t t[4];
    struct shared s[4];
    for (unsigned i = 0; i < 4; i++) {
        s[i] = (struct shared){c, &budget, i + 1};
        assert_int_equal(pthread_create(&t[i], NULL, stress, &s[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    assert_true(lzr_cache_stats(c).evictions > 100);
    lzr_cache_free(&c);
    assert_int_equal(budget.used, 0);
    assert_int_equal(budget.kept_held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_recently_used_goes_first),
        cmocka_unit_test(never_above_its_bytes),
        cmocka_unit_test(makes_room_but_not_of_what_is_held),
        cmocka_unit_test(counts_what_others_hold),
        cmocka_unit_test(keeps_nothing_but_makes_room),
        cmocka_unit_test(same_key_is_replaced),
        cmocka_unit_test(survives_no_memory),
        cmocka_unit_test(bookkeeping_at_a_million_entries),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
