/* When memory that malloc keeps is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/trim.h"

#define MIB (UINT64_C(1) << 20)

static void due(void **state)
{
    (void)state;
    struct lzr_trim t = {0};
    assert_false(lzr_trim_due(&t, 5, 100 * MIB, 100 * MIB));
    assert_false(lzr_trim_due(&t, 5, 10 * MIB, 100 * MIB)); /* charged, not touched yet */
    assert_false(lzr_trim_due(&t, 5, 100 * MIB + LZR_TRIM_SLACK, 100 * MIB));
    assert_true(lzr_trim_due(&t, 5, 101 * MIB + LZR_TRIM_SLACK, 100 * MIB));
    t.next_us = 6;
    assert_false(lzr_trim_due(&t, 5, 900 * MIB, 100 * MIB));
}

/* What gives nothing back is asked for ever more rarely, what does soon again. */
static void pauses(void **state)
{
    (void)state;
    struct lzr_trim t = {0};
    uint64_t now = 1000, last = 0;
    lzr_trim_done(&t, now, 200 * MIB, 100 * MIB);
    assert_int_equal(t.next_us, now + LZR_TRIM_SHORT);
    for (int i = 0; i < 10; i++) {
        lzr_trim_done(&t, now, 200 * MIB, 199 * MIB);
        assert_true(t.next_us - now >= last && t.next_us - now <= LZR_TRIM_LONG);
        last = t.next_us - now;
    }
    assert_int_equal(last, LZR_TRIM_LONG);
    lzr_trim_done(&t, now, 100 * MIB, 200 * MIB); /* it grew meanwhile */
    assert_int_equal(t.next_us, now + LZR_TRIM_LONG);
    lzr_trim_done(&t, now, 200 * MIB, 100 * MIB);
    assert_int_equal(t.next_us, now + LZR_TRIM_SHORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(due), cmocka_unit_test(pauses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
