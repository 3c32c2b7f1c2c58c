#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/failures.h"

#define S UINT64_C(1000000)

static void remembered_longer_on_repeats(void **state)
{
    (void)state;
    struct lzr_failures t;
    lzr_failures_init(&t);
    uint64_t now = 100 * S;
    assert_null(lzr_failures_recall(&t, 1, 0, 7, now));
    assert_true(lzr_failures_note(&t, 1, 0, 7, LZR_E_USER, "boom", now));
    const struct lzr_failure *f = lzr_failures_recall(&t, 1, 0, 7, now + LZR_FAILURE_FIRST_US - 1);
    assert_non_null(f);
    assert_string_equal(f->text, "boom");
    assert_null(lzr_failures_recall(&t, 1, 0, 8, now));
    assert_null(lzr_failures_recall(&t, 1, 1, 7, now));
    assert_null(lzr_failures_recall(&t, 2, 0, 7, now));
    now += LZR_FAILURE_FIRST_US;
    assert_null(lzr_failures_recall(&t, 1, 0, 7, now));
    assert_true(lzr_failures_note(&t, 1, 0, 7, LZR_E_USER, "again", now));
    assert_non_null(lzr_failures_recall(&t, 1, 0, 7, now + 2 * LZR_FAILURE_FIRST_US - 1));
    assert_null(lzr_failures_recall(&t, 1, 0, 7, now + 2 * LZR_FAILURE_FIRST_US));
    for (int i = 0; i < 100; i++) {
        lzr_failures_note(&t, 1, 0, 7, LZR_E_USER, "again", now);
    }
    assert_null(lzr_failures_recall(&t, 1, 0, 7, now + LZR_FAILURE_MOST_US));
    lzr_failures_forget(&t, 1, 0, 7);
    assert_null(lzr_failures_recall(&t, 1, 0, 7, now));
    assert_int_equal(t.n, 0);
    lzr_failures_release(&t);
}

static void first_timeout_is_only_counted(void **state)
{
    (void)state;
    struct lzr_failures t;
    lzr_failures_init(&t);
    assert_false(lzr_failures_note(&t, 0, 0, 0, LZR_E_TIMEOUT, "slow", S));
    assert_null(lzr_failures_recall(&t, 0, 0, 0, S));
    assert_true(lzr_failures_note(&t, 0, 0, 0, LZR_E_TIMEOUT, "slow", 2 * S));
    assert_non_null(lzr_failures_recall(&t, 0, 0, 0, 2 * S));
    lzr_failures_release(&t);
}

static void bounded_and_oldest_goes(void **state)
{
    (void)state;
    struct lzr_failures t;
    lzr_failures_init(&t);
    for (uint64_t i = 0; i < LZR_FAILURES_MAX + 1; i++) {
        assert_true(lzr_failures_note(&t, 0, 0, i, LZR_E_USER, NULL, S + i));
    }
    assert_int_equal(t.n, LZR_FAILURES_MAX);
    assert_null(lzr_failures_recall(&t, 0, 0, 0, S));
    assert_non_null(lzr_failures_recall(&t, 0, 0, 1, S));
    lzr_failures_release(&t);
}

static void no_memory_means_not_remembered(void **state)
{
    (void)state;
    struct lzr_failures t;
    lzr_failures_init(&t);
    lzr_mem_fail_after(0);
    assert_false(lzr_failures_note(&t, 0, 0, 0, LZR_E_USER, "x", S));
    lzr_mem_fail_after(1);
    assert_true(lzr_failures_note(&t, 0, 0, 0, LZR_E_USER, "x", S));
    lzr_mem_fail_after(-1);
    assert_null(lzr_failures_recall(&t, 0, 0, 0, S)->text);
    lzr_failures_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembered_longer_on_repeats),
        cmocka_unit_test(first_timeout_is_only_counted),
        cmocka_unit_test(bounded_and_oldest_goes),
        cmocka_unit_test(no_memory_means_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
