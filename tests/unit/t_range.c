/* http/range.h: every form of the Range header, A13 to A16 of the readers' contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/range.h"

static const struct {
    const char *header;
    uint64_t total;
    struct lzr_range want;
} ROWS[] = {
    {NULL, 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"", 100, {LZR_RANGE_WHOLE, 0, 0}},
    /* A13 */
    {"bytes=0-0", 100, {LZR_RANGE_PART, 0, 1}},
    {"bytes=0-99", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=10-19", 100, {LZR_RANGE_PART, 10, 10}},
    {"bytes=99-99", 100, {LZR_RANGE_PART, 99, 1}},
    {"bytes=90-1000", 100, {LZR_RANGE_PART, 90, 10}},
    {"bytes=0-18446744073709551615", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=0-99999999999999999999999999", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=0-", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=99-", 100, {LZR_RANGE_PART, 99, 1}},
    {"bytes=-1", 100, {LZR_RANGE_PART, 99, 1}},
    {"bytes=-100", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=0-0", 1, {LZR_RANGE_PART, 0, 1}},
    {"bytes=00010-0019", 100, {LZR_RANGE_PART, 10, 10}},
    {"Bytes=1-2", 100, {LZR_RANGE_PART, 1, 2}},
    {"bytes= 1-2 ", 100, {LZR_RANGE_PART, 1, 2}},
    /* A14 */
    {"bytes=-101", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=-99999999999999999999999999", 100, {LZR_RANGE_PART, 0, 100}},
    {"bytes=100-", 100, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    {"bytes=100-200", 100, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    {"bytes=18446744073709551616-", 100, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    {"bytes=-0", 100, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    {"bytes=0-0", 0, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    {"bytes=0-", 0, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    {"bytes=-5", 0, {LZR_RANGE_UNSATISFIABLE, 0, 0}},
    /* A16 */
    {"bytes=0-1,5-6", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=0-1, 5-6", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=0-,-5", 100, {LZR_RANGE_WHOLE, 0, 0}},
    /* Not a range: as if it weren't there. */
    {"bytes", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=-", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=--5", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=5", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=5-2", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=a-b", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=1-2x", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=+1-2", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"bytes=0x1-0x2", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"items=0-5", 100, {LZR_RANGE_WHOLE, 0, 0}},
    {"0-5", 100, {LZR_RANGE_WHOLE, 0, 0}},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_range got = lzr_range_parse(ROWS[i].header, ROWS[i].total);
        if (got.kind != ROWS[i].want.kind ||
            (got.kind == LZR_RANGE_PART &&
             (got.first != ROWS[i].want.first || got.len != ROWS[i].want.len))) {
            fail_msg("row %zu, \"%s\" of %llu: kind %d, %llu+%llu", i,
                     ROWS[i].header != NULL ? ROWS[i].header : "(none)",
                     (unsigned long long)ROWS[i].total, (int)got.kind,
                     (unsigned long long)got.first, (unsigned long long)got.len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
