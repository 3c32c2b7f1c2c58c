/* What is remembered of chunks that were dropped while they ran, and what is said of them; how long
 * blocks take, and what follows for one that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/drops.h"
#include "engine/pace.h"
#include "store/catalog.h"

#define S UINT64_C(1000000)

static void remembered_until_somebody_got_it(void **state)
{
    (void)state;
    struct lzr_drops t;
    lzr_drops_init(&t);
    assert_false(lzr_drops_has(&t, 1, 0, 7));
    lzr_drops_forget(&t, 1, 0, 7);
    lzr_drops_note(&t, 1, 0, 7);
    lzr_drops_note(&t, 1, 0, 7);
    assert_int_equal(t.n, 1);
    assert_true(lzr_drops_has(&t, 1, 0, 7));
    assert_false(lzr_drops_has(&t, 1, 0, 8));
    assert_false(lzr_drops_has(&t, 1, 1, 7));
    assert_false(lzr_drops_has(&t, 2, 0, 7));
    lzr_drops_forget(&t, 1, 0, 7);
    assert_false(lzr_drops_has(&t, 1, 0, 7));
    assert_int_equal(t.n, 0);
    lzr_drops_release(&t);
}

static void bounded_and_the_newest_stay(void **state)
{
    (void)state;
    struct lzr_drops t;
    lzr_drops_init(&t);
    uint64_t n = 10 * LZR_DROPS_MAX, kept = 0;
    for (uint64_t i = 0; i < n; i++) {
        lzr_drops_note(&t, 3, 1, i * i);
        assert_true(lzr_drops_has(&t, 3, 1, i * i));
        assert_true(t.n <= LZR_DROPS_MAX);
    }
    for (uint64_t i = n - LZR_DROPS_MAX / 8; i < n; i++) {
        kept += lzr_drops_has(&t, 3, 1, i * i);
    }
    assert_true(kept >= LZR_DROPS_MAX / 8 - 4); /* but for a bucket or two */
    assert_false(lzr_drops_has(&t, 3, 1, 0));
    lzr_drops_release(&t);
}

static void drops_are_summed_up(void **state)
{
    (void)state;
    struct lzr_store store = {.name = (char *)(uintptr_t) "s"};
    struct lzr_array a = {.store = &store, .path = (char *)(uintptr_t) "a"},
                     b = {.store = &store, .path = (char *)(uintptr_t) "b"};
    struct lzr_drops t;
    char text[300], cut[20];
    lzr_drops_init(&t);
    uint64_t now = 5 * S;
    assert_false(lzr_drops_line(&t, now, true, text, sizeof text));
    lzr_drops_count(&t, &a, 3, 60 * S);
    assert_true(lzr_drops_line(&t, now, false, text, sizeof text));
    assert_string_equal(text, "1 block was dropped while running, as nobody waited any more: "
                              "s/a, chunk 3, after 60 s; one that is asked for again is finished");
    assert_false(lzr_drops_line(&t, now + 2 * LZR_DROPS_SAY_US, false, text, sizeof text));
    lzr_drops_count(&t, &a, 4, S);
    lzr_drops_count(&t, &b, 5, 2 * S);
    lzr_drops_count(&t, &a, 6, S);
    assert_false(lzr_drops_line(&t, now + LZR_DROPS_SAY_US - 1, false, text, sizeof text));
    assert_true(lzr_drops_line(&t, now + LZR_DROPS_SAY_US, false, text, sizeof text));
    assert_non_null(strstr(text, "3 blocks were dropped while running"));
    assert_non_null(strstr(text, "s/b, chunk 5, after 2 s was the longest"));
    lzr_drops_count(&t, &a, 7, 2 * S);
    assert_true(lzr_drops_line(&t, now + LZR_DROPS_SAY_US + 1, true, cut, sizeof cut));
    assert_true(strlen(cut) < sizeof cut);
    lzr_drops_release(&t);
}

static void interrupted_if_that_saves_something(void **state)
{
    (void)state;
    struct lzr_pace p = {0};
    assert_true(lzr_pace_interrupt(&p, 0)); /* nothing is known */
    lzr_pace_note(&p, true, 3 * S);
    assert_true(lzr_pace_interrupt(&p, S));
    assert_false(lzr_pace_interrupt(&p, 3 * S - 1));
    /* Those that follow count, not the one that warmed up. */
    lzr_pace_note(&p, false, S / 25);
    assert_false(lzr_pace_interrupt(&p, 0));
    assert_false(lzr_pace_interrupt(&p, S / 25));
    assert_true(lzr_pace_interrupt(&p, S)); /* as long again, by all one knows */
}

static void killed_if_it_would_not_end(void **state)
{
    (void)state;
    struct lzr_pace p = {0};
    assert_false(lzr_pace_kill(&p, 2 * S, 2 * S - 1, S / 10));
    assert_true(lzr_pace_kill(&p, 2 * S, 2 * S, S / 10));
    assert_false(lzr_pace_kill(&p, 9 * S, 9 * S, 5 * S)); /* a new worker takes long */
    assert_true(lzr_pace_kill(&p, 60 * S, 60 * S, 1000 * S));
    /* C calls of 4 s, which look at no signals, end by themselves; what takes twice as long may
     * never. */
    lzr_pace_note(&p, true, 4 * S);
    lzr_pace_note(&p, false, 4 * S);
    for (uint64_t t = 0; t < 8; t++) {
        assert_false(lzr_pace_kill(&p, t * S, t * S, S / 10));
    }
    assert_true(lzr_pace_kill(&p, 8 * S, 8 * S, S / 10));
    /* Of 30 s: nobody waits so long for a worker that costs less. */
    p = (struct lzr_pace){0};
    lzr_pace_note(&p, true, 30 * S);
    lzr_pace_note(&p, false, 30 * S);
    assert_true(lzr_pace_kill(&p, 3 * S, 2 * S, S / 10));
    assert_false(lzr_pace_kill(&p, 25 * S, 20 * S, S / 10)); /* now it is nearly there */
    assert_false(lzr_pace_kill(&p, 3 * S, 2 * S, 20 * S));
    /* A worker that has warmed up for 20 s isn't given away for a block. */
    p = (struct lzr_pace){0};
    lzr_pace_note(&p, true, 20 * S);
    lzr_pace_note(&p, false, S / 10);
    assert_false(lzr_pace_kill(&p, 10 * S, 10 * S, S / 10));
    assert_true(lzr_pace_kill(&p, 41 * S, 41 * S, S / 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembered_until_somebody_got_it),
        cmocka_unit_test(bounded_and_the_newest_stay),
        cmocka_unit_test(drops_are_summed_up),
        cmocka_unit_test(interrupted_if_that_saves_something),
        cmocka_unit_test(killed_if_it_would_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
