/* Which folder a worker's place is for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/share.h"

#define S UINT64_C(1000000)
#define NOW (1000 * S)
#define COST (S / 10)

enum { A, B, C, N };

/* A folder with so many workers for which something has waited for so long; 0: nothing waits. */
static struct lzr_share folder(uint32_t workers, uint64_t waited_us)
{
    return (struct lzr_share){.waiting = waited_us > 0 ? 3 : 0,
                              .since_us = NOW - waited_us,
                              .workers = workers,
                              .cost_us = COST};
}

/* A place that has served its folder for so long. */
static struct lzr_share_place place(uint32_t of, bool busy, uint64_t held_us)
{
    return (struct lzr_share_place){of, busy, NOW - COST, NOW - held_us, COST};
}

static uint32_t pick(const struct lzr_share *all, struct lzr_share_place p)
{
    return lzr_share_pick(all, N, &p, NOW);
}

static void what_idles_is_given_to_one_that_has_none(void **state)
{
    (void)state;
    struct lzr_share all[N] = {folder(2, 0), folder(0, 1), folder(0, 0)};
    assert_int_equal(pick(all, place(A, false, 0)), B);
    all[C] = folder(0, 5); /* has waited longer */
    assert_int_equal(pick(all, place(A, false, 0)), C);
    all[B] = all[C] = folder(0, 0);
    assert_int_equal(pick(all, place(A, false, 100 * S)), A); /* nobody asks */
    all[B] = folder(0, 1);
    assert_int_equal(pick(all, place(N, false, 0)), B); /* one that was for none */
}

static void who_reads_on_keeps_its_place(void **state)
{
    (void)state;
    struct lzr_share all[N] = {folder(1, 0), folder(0, S - 1), folder(0, 0)};
    struct lzr_share_place p = place(A, false, 9 * S);
    assert_int_equal(pick(all, p), B);
    p.idle_us++; /* not idle for as long as a start takes */
    assert_int_equal(pick(all, p), A);
    all[B] = folder(0, S); /* but no longer than its turn */
    assert_int_equal(pick(all, p), B);
    p.held_us = NOW - S + 1;
    assert_int_equal(pick(all, p), A);
    p.cost_us = 50 * S;
    p.idle_us = NOW - S + 1;
    assert_int_equal(pick(all, p), A);
    p.idle_us = NOW - S;
    assert_int_equal(pick(all, p), B);
}

static void one_more_is_given_when_that_pays(void **state)
{
    (void)state;
    struct lzr_share all[N] = {folder(2, 0), folder(1, COST - 1), folder(0, 0)};
    assert_int_equal(pick(all, place(A, false, 0)), A);
    all[B] = folder(1, COST);
    assert_int_equal(pick(all, place(A, false, 0)), B);
    all[B].idle = 1; /* one of its own has nothing to do: it isn't for want of one */
    assert_int_equal(pick(all, place(A, false, 0)), A);
    all[B].idle = 0;
    all[B].coming = 3; /* as many as wait are on their way */
    assert_int_equal(pick(all, place(A, false, 0)), A);
    all[B].coming = 2;
    assert_int_equal(pick(all, place(A, false, 0)), B);
    all[B].not_before_us = NOW + 1; /* it can't be started */
    assert_int_equal(pick(all, place(A, false, 0)), A);
    all[B].not_before_us = NOW;
    assert_int_equal(pick(all, place(A, false, 0)), B);
}

static void what_is_busy_is_given_in_turns(void **state)
{
    (void)state;
    struct lzr_share all[N] = {folder(1, 30 * S), folder(0, S - 1), folder(0, 0)};
    assert_int_equal(pick(all, place(A, true, 60 * S)), A); /* it hasn't waited for a turn yet */
    all[B] = folder(0, S);
    assert_int_equal(pick(all, place(A, true, 60 * S)), B);
    assert_int_equal(pick(all, place(A, true, S)), B);
    assert_int_equal(pick(all, place(A, true, S - 1)), A); /* nor has the other had one */
    struct lzr_share_place slow = place(A, true, 4 * S);
    slow.cost_us = 5 * S; /* a start takes no more than half of the time */
    assert_int_equal(pick(all, slow), A);
    slow = place(A, true, 5 * S);
    slow.cost_us = 5 * S;
    assert_int_equal(pick(all, slow), B);
}

static void places_that_are_busy_are_shared_evenly(void **state)
{
    (void)state;
    for (uint32_t a = 1; a < 8; a++) {
        for (uint32_t b = 0; b < 8; b++) {
            struct lzr_share all[N] = {folder(a, 9 * S), folder(b, 9 * S), folder(0, 0)};
            bool gives = b == 0 || a >= b + 2;
            assert_int_equal(pick(all, place(A, true, 9 * S)), gives ? B : A);
        }
    }
}

/* Workers that always have something to do, a second a step: each folder gets most of its share. */
static void all_have_their_turns(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 4; workers++) {
        struct lzr_share_place at[4];
        struct lzr_share all[N];
        uint64_t lost[N] = {0}, served[N] = {0}, changes = 0;
        for (uint32_t i = 0; i < workers; i++) {
            at[i] = (struct lzr_share_place){A, true, 0, 0, COST};
        }
        for (uint64_t now = 10 * S; now < 310 * S; now += S) {
            for (uint32_t i = 0; i < workers; i++) {
                for (uint32_t f = 0; f < N; f++) { /* each has a backlog since long ago */
                    all[f] = (struct lzr_share){.waiting = 99, .since_us = lost[f], .cost_us = COST};
                    for (uint32_t k = 0; k < workers; k++) {
                        all[f].workers += at[k].folder == f;
                    }
                }
                uint32_t to = lzr_share_pick(all, N, &at[i], now);
                if (to != at[i].folder) {
                    lost[at[i].folder] = all[at[i].folder].workers == 1 ? now : lost[at[i].folder];
                    at[i] = (struct lzr_share_place){to, true, 0, now, COST};
                    changes++;
                }
                served[at[i].folder]++;
            }
        }
        for (uint32_t f = 0; f < N; f++) {
            assert_true(served[f] >= 300 * workers / N * 7 / 10);
        }
        assert_true(workers < N || changes < 8); /* one each, and no change any more */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_idles_is_given_to_one_that_has_none),
        cmocka_unit_test(who_reads_on_keeps_its_place),
        cmocka_unit_test(one_more_is_given_when_that_pays),
        cmocka_unit_test(what_is_busy_is_given_in_turns),
        cmocka_unit_test(places_that_are_busy_are_shared_evenly),
        cmocka_unit_test(all_have_their_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
