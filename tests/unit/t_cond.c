/* http/condition.h: entity tags in If-None-Match (weak), If-Match and If-Range (strong); A19. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/condition.h"

static const char TAG[] = "\"00112233445566778899aabbccddeeff\"";
#define T "\"00112233445566778899aabbccddeeff\""
#define U "\"ffeeddccbbaa99887766554433221100\""

static const struct {
    const char *header;
    bool weak, strong; /* what the two comparisons say */
} ROWS[] = {
    {T, true, true},
    {" " T " ", true, true},
    {"W/" T, true, false},
    {"w/" T, false, false}, /* the prefix is case-sensitive */
    {"*", true, true},
    {" * ", true, true},
    {U, false, false},
    {U ", " T, true, true},
    {U "," T, true, true},
    {U ", W/" T, true, false},
    {"W/" U ", " U ", " T ", " U, true, true},
    {", ,, " T, true, true},
    {"\"a, b\", " T, true, true}, /* a comma inside a tag */
    {"\"\", " T, true, true},
    {"", false, false},
    {",", false, false},
    {"00112233445566778899aabbccddeeff", false, false}, /* no quotes: no tag */
    {"\"00112233445566778899aabbccddeeff", false, false},
    {"\"00112233445566778899AABBCCDDEEFF\"", false, false},
    {"\"0011\"", false, false},
    {"Tue, 24 Nov 2026 12:00:00 GMT", false, false}, /* If-Range with a date */
    {"*x", false, false},
};

static void test_tags(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        bool weak = lzr_etag_matches(ROWS[i].header, TAG, true);
        bool strong = lzr_etag_matches(ROWS[i].header, TAG, false);
        if (weak != ROWS[i].weak || strong != ROWS[i].strong) {
            fail_msg("row %zu, [%s]: weak %d, strong %d", i, ROWS[i].header, weak, strong);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
