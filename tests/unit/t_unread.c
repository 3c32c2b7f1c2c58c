/* http/unread.h: which connections end for what they hold: of each budget one address half, all
 * together three quarters, a blob once, the longest first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/unread.h"

#define MIB (UINT64_C(1) << 20)

static char pools[4], blobs[4096];

static struct lzr_unread hold(unsigned address, unsigned blob, uint64_t mib, uint64_t since)
{
    struct lzr_unread u = {.pool = &pools[0],
                           .blob = &blobs[blob],
                           .bytes = mib * MIB,
                           .limit = 64 * MIB,
                           .since_us = since,
                           .line = since};
    memcpy(u.who + 12, &address, sizeof address);
    return u;
}

/* Which lines end, as a sorted list: "1 4 ". */
static const char *ended(struct lzr_unread *u, size_t n)
{
    static char text[4096];
    size_t k = 0, count = lzr_unread_reckon(u, n);
    text[0] = '\0';
    for (uint64_t line = 0; line < 2000; line++) {
        for (size_t i = 0; i < n; i++) {
            if (u[i].line == line && u[i].end) {
                k += (size_t)snprintf(text + k, sizeof text - k, "%u ", (unsigned)line);
                count--;
            }
        }
    }
    assert_int_equal(count, 0);
    return text;
}

static void test_within_bounds(void **state)
{
    struct lzr_unread u[] = {hold(1, 0, 32, 1), hold(2, 1, 8, 2), hold(3, 2, 8, 3)};
    (void)state;
    assert_string_equal(ended(u, 3), "");
    assert_string_equal(ended(u, 0), "");
}

static void test_one_address(void **state)
{
    struct lzr_unread u[] = {hold(1, 0, 10, 4), hold(1, 1, 10, 2), hold(1, 2, 10, 1),
                             hold(1, 3, 10, 3), hold(2, 4, 1, 0)};
    (void)state;
    assert_string_equal(ended(u, 5), "1 "); /* 40 are too much, 30 aren't */
}

static void test_a_blob_counts_once(void **state)
{
    struct lzr_unread u[600];
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        u[i] = hold(i % 7, 0, 30, i);
    }
    assert_string_equal(ended(u, 600), "");
    /* It goes only with the last who has it. */
    struct lzr_unread v[] = {hold(1, 0, 30, 1), hold(1, 0, 30, 2), hold(1, 1, 8, 3),
                             hold(1, 2, 8, 4)};
    assert_string_equal(ended(v, 4), "1 2 ");
}

static void test_all_together(void **state)
{
    /* 56 of 64, more than 48: those who hold most, not who has had his little for longest. */
    struct lzr_unread u[] = {hold(1, 0, 1, 0),  hold(2, 1, 18, 1), hold(3, 2, 18, 2),
                             hold(4, 3, 18, 3), hold(5, 4, 1, 4)};
    (void)state;
    assert_string_equal(ended(u, 5), "1 ");
}

static void test_budgets_apart(void **state)
{
    struct lzr_unread u[] = {hold(1, 0, 20, 1), hold(1, 1, 20, 2), hold(1, 2, 20, 3),
                             hold(1, 3, 20, 4)};
    (void)state;
    u[2].pool = u[3].pool = &pools[1];
    assert_string_equal(ended(u, 4), "1 3 ");
    u[2].limit = u[3].limit = 128 * MIB;
    for (int i = 0; i < 4; i++) {
        u[i].end = false;
    }
    assert_string_equal(ended(u, 4), "1 ");
}

static void test_small_budgets(void **state)
{
    struct lzr_unread u[] = {hold(1, 0, 4, 1), hold(1, 1, 4, 2), hold(1, 2, 4, 3)};
    (void)state;
    for (int i = 0; i < 3; i++) {
        u[i].limit = 0;
    }
    assert_string_equal(ended(u, 2), "");
    assert_string_equal(ended(u, 3), "1 ");
}

static void test_no_memory(void **state)
{
    (void)state;
    for (long n = 0; n < 3; n++) {
        struct lzr_unread u[] = {hold(1, 0, 40, 1), hold(1, 1, 40, 2)};
        lzr_mem_fail_at(n);
        assert_int_equal(lzr_unread_reckon(u, 2), 0);
        lzr_mem_fail_after(-1);
        assert_false(u[0].end || u[1].end);
    }
}

/* Whatever is held: afterwards nobody holds too much, and nobody was ended for nothing. */
static void test_any(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 300; round++) {
        struct lzr_unread u[200];
        size_t n = 1 + (size_t)rand() % 200;
        for (size_t i = 0; i < n; i++) {
            unsigned blob = (unsigned)rand() % 60;
            u[i] = hold((unsigned)rand() % 6, blob, 1 + blob % 9, i);
        }
        size_t gone = lzr_unread_reckon(u, n), marked = 0;
        uint64_t total = 0, each[6] = {0};
        bool seen[60] = {0}, his[6][60] = {{0}};
        for (size_t i = 0; i < n; i++) {
            unsigned who, blob = (unsigned)((const char *)u[i].blob - blobs);
            memcpy(&who, u[i].who + 12, sizeof who);
            marked += u[i].end;
            if (!u[i].end) {
                total += seen[blob] ? 0 : u[i].bytes;
                each[who] += his[who][blob] ? 0 : u[i].bytes;
                seen[blob] = his[who][blob] = true;
            }
        }
        assert_int_equal(gone, marked);
        for (int i = 0; i < 6; i++) {
            assert_true(each[i] <= 32 * MIB);
        }
        assert_true(total <= 48 * MIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_bounds),   cmocka_unit_test(test_one_address),
        cmocka_unit_test(test_a_blob_counts_once), cmocka_unit_test(test_all_together),
        cmocka_unit_test(test_budgets_apart),   cmocka_unit_test(test_small_budgets),
        cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
