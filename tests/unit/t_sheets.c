/* http/sheets.h and the budget within a budget (base/blob.h): what is made for an answer is charged
 * to both, kept once under its name, and bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/sheets.h"

#define MIB ((size_t)1 << 20)

static char text[8 << 20];

static void test_one_for_all(void **state)
{
    struct lzr_budget all = {.limit = 64 * MIB};
    struct lzr_sheets s;
    struct lzr_digest d, e;
    (void)state;
    lzr_sheets_init(&s, &all);
    assert_null(lzr_sheets_find(&s, "page a", &d));
    struct lzr_blob *a = lzr_sheets_keep(&s, "page a", text, MIB, &d);
    struct lzr_blob *b = lzr_sheets_find(&s, "page a", &e);
    assert_ptr_equal(a, b);
    assert_memory_equal(&d, &e, sizeof d);
    lzr_blob_unref(&b);
    b = lzr_sheets_keep(&s, "page a", text, MIB, &e); /* made at the same time */
    assert_ptr_equal(a, b);
    assert_int_equal(atomic_load(&all.used), lzr_blob_charge(MIB));
    assert_int_equal(atomic_load(&s.budget.used), lzr_blob_charge(MIB));
    /* Sent twice, it counts once, in both. */
    lzr_blob_sending(a);
    lzr_blob_sending(a);
    assert_int_equal(atomic_load(&all.unsent), lzr_blob_charge(MIB));
    assert_int_equal(atomic_load(&s.budget.unsent), lzr_blob_charge(MIB));
    lzr_blob_sent(a);
    assert_int_equal(atomic_load(&all.unsent), lzr_blob_charge(MIB));
    lzr_blob_sent(a);
    assert_int_equal(atomic_load(&all.unsent), 0);
    lzr_blob_unref(&a);
    lzr_blob_unref(&b);
    lzr_sheets_release(&s);
    assert_int_equal(atomic_load(&all.used), 0);
}

static void test_bounds(void **state)
{
    struct lzr_budget all = {.limit = 0};
    struct lzr_sheets s;
    struct lzr_digest d;
    struct lzr_blob *held[3];
    char name[32];
    (void)state;
    lzr_sheets_init(&s, &all);
    assert_int_equal(s.budget.limit, LZR_SHEETS_LEAST);
    for (int i = 0; i < 100; i++) { /* kept: never more than half of it */
        (void)snprintf(name, sizeof name, "page %d", i);
        struct lzr_blob *b = lzr_sheets_keep(&s, name, text, 3 * MIB, &d);
        assert_non_null(b);
        lzr_blob_unref(&b);
        assert_true(atomic_load(&all.used) <= LZR_SHEETS_LEAST / 2 + 1000);
    }
    for (int i = 0; i < 3; i++) { /* held by clients: what is kept gives way */
        held[i] = lzr_sheets_make(&s, text, 5 * MIB);
        assert_non_null(held[i]);
    }
    assert_null(lzr_sheets_make(&s, text, 5 * MIB));
    assert_null(lzr_sheets_keep(&s, "more", text, 5 * MIB, &d));
    assert_int_equal(atomic_load(&s.refused), 2);
    struct lzr_blob *small = lzr_sheets_make(&s, "ok\n", 3);
    assert_non_null(small);
    lzr_blob_unref(&small);
    lzr_blob_unref(&held[0]);
    held[0] = lzr_sheets_make(&s, text, 5 * MIB);
    assert_non_null(held[0]);
    for (int i = 0; i < 3; i++) {
        lzr_blob_unref(&held[i]);
    }
    lzr_sheets_release(&s);
    assert_int_equal(atomic_load(&all.used), 0);
}

static void test_many_names(void **state)
{
    struct lzr_budget all = {.limit = 1024 * MIB};
    struct lzr_sheets s;
    struct lzr_digest d;
    char name[32];
    (void)state;
    lzr_sheets_init(&s, &all);
    assert_int_equal(s.budget.limit, LZR_SHEETS_MOST);
    for (int i = 0; i < 100; i++) {
        struct lzr_blob *b = lzr_sheets_find(&s, "page 0", &d); /* used again and again */
        assert_true(i == 0 ? b == NULL : b != NULL);
        lzr_blob_unref(&b);
        (void)snprintf(name, sizeof name, "page %d", i);
        b = lzr_sheets_keep(&s, name, name, strlen(name), &d);
        lzr_blob_unref(&b);
    }
    assert_int_equal(atomic_load(&all.used),
                     lzr_blob_charge(6) + (LZR_SHEETS_KEPT - 1) * lzr_blob_charge(7));
    lzr_sheets_release(&s);
}

static void test_no_memory(void **state)
{
    struct lzr_budget all = {.limit = 64 * MIB};
    struct lzr_sheets s;
    struct lzr_digest d;
    (void)state;
    lzr_sheets_init(&s, &all);
    lzr_mem_fail_at(0);
    assert_null(lzr_sheets_keep(&s, "a", text, 10, &d));
    lzr_mem_fail_at(1); /* made, but not kept */
    struct lzr_blob *b = lzr_sheets_keep(&s, "a", text, 10, &d);
    lzr_mem_fail_after(-1);
    assert_non_null(b);
    lzr_blob_unref(&b);
    assert_null(lzr_sheets_find(&s, "a", &d));
    lzr_sheets_release(&s);
    assert_int_equal(atomic_load(&all.used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_for_all),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
