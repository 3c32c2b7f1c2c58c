/* copy_box.h: which chunks are neighbours, found at once however many they are, and how many go together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "engine/copy_box.h"
#include "engine/engine.h"
#include "store/view.h"

static struct lzr_grid grid(uint64_t length, uint64_t chunk)
{
    struct lzr_grid g = {.rank = 1, .shape = {length}, .chunks = {chunk}};
    assert_int_equal(lzr_grid_init(&g, NULL), LZR_OK);
    return g;
}

static struct lzr_copy_box box(const struct lzr_grid *own, const struct lzr_grid *from, uint64_t at)
{
    struct lzr_copy_box b = {.own = own, .from = {.grid = from}};
    lzr_grid_block(own, &at, b.start, b.extent);
    b.n = lzr_view_sources(from, b.start, b.extent, b.first, b.count);
    return b;
}

/* Every small grid: those with the same chunks as b, as they are found one by one. */
static void neighbours_have_the_same_chunks(void **state)
{
    (void)state;
    for (uint64_t length = 1; length < 30; length++) {
        for (uint64_t pair = 0; pair < 144; pair++) {
            struct lzr_grid own = grid(length, 1 + pair % 12), from = grid(length, 1 + pair / 12);
            for (uint64_t at = 0; at < own.total; at++) {
                struct lzr_copy_box b = box(&own, &from, at);
                struct lzr_neighbours s = lzr_neighbours_of(&b);
                assert_int_equal(s.own, at - s.low[0]);
                assert_int_equal(s.all, s.n[0]);
                for (uint64_t k = 0; k < own.total; k++) {
                    struct lzr_copy_box o = box(&own, &from, k);
                    bool same = o.first[0] == b.first[0] && o.count[0] == b.count[0];
                    assert_int_equal(same, k >= s.low[0] && k < s.low[0] + s.n[0]);
                }
            }
        }
    }
}

/* Cells of a model's grid, each a chunk: this is asked with the driver's mutex. */
static void neighbours_are_not_counted_one_by_one(void **state)
{
    (void)state;
    struct lzr_grid own = grid(UINT64_C(3) << 28, 1), from = grid(UINT64_C(3) << 28, 1 << 28);
    alarm(20);
    for (unsigned i = 0; i < 100; i++) {
        struct lzr_copy_box b = box(&own, &from, UINT64_C(5) << 26);
        struct lzr_neighbours s = lzr_neighbours_of(&b);
        assert_int_equal(s.low[0], 1 << 28);
        assert_int_equal(s.all, 1 << 28);
        assert_int_equal(s.own, 1 << 26);
    }
    alarm(0);
}

/* All threads together keep within the budget, however many there are. */
static void threads_share_the_budget(void **state)
{
    (void)state;
    struct lzr_level level = {.grid = grid(UINT64_C(1) << 40, 1024)};
    struct lzr_array a = {.levels = &level, .nlevels = 1, .dtype = {.size = 4}};
    for (unsigned n = 2; n <= 64; n++) {
        struct lzr_driver d = {.budget = {.limit = UINT64_C(1) << 28}, .ncodecs = n};
        uint64_t most = lzr_neighbours_most(&d, &a, 0);
        assert_true(most > 64);
        assert_true(n * most * 4096 <= d.budget.limit / 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_have_the_same_chunks),
        cmocka_unit_test(neighbours_are_not_counted_one_by_one),
        cmocka_unit_test(threads_share_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
