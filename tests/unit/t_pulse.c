/* Threads in calls that may never return: given up only while they are in one, and left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/errand.h"
#include "base/mem.h"

static void is_given_up_only_in_a_call(void **state)
{
    struct lzr_pulse p = {0};
    (void)state;
    assert_false(lzr_pulse_give_up(&p, UINT64_MAX - 1)); /* it is in none */
    assert_true(lzr_pulse_beat(&p));
    uint64_t now = lzr_now_us();
    assert_false(lzr_pulse_give_up(&p, 1)); /* not since then */
    assert_true(lzr_pulse_age(&p, now + 5000000) >= 5000000);
    assert_true(lzr_pulse_beat(&p)); /* the next one */
    assert_true(lzr_pulse_rest(&p));
    assert_int_equal(lzr_pulse_age(&p, now + 5000000), 0);
    assert_false(lzr_pulse_give_up(&p, now + 5000000));
    assert_true(lzr_pulse_beat(&p));
    assert_true(lzr_pulse_give_up(&p, lzr_now_us()));
    assert_false(lzr_pulse_give_up(&p, lzr_now_us())); /* once */
    assert_true(lzr_pulse_over(&p));
    assert_false(lzr_pulse_beat(&p));
    assert_false(lzr_pulse_rest(&p));
    assert_true(lzr_pulse_over(&p)); /* and for good */
    assert_int_equal(lzr_pulse_age(&p, now + 5000000), 0);
}

static void nobody_need_watch(void **state)
{
    (void)state;
    assert_true(lzr_pulse_beat(NULL));
    assert_true(lzr_pulse_rest(NULL));
    assert_false(lzr_pulse_over(NULL));
}

/* Both a thread that beats for ever and one that gives up: exactly one of them has it. */
static void *beats(void *arg)
{
    struct lzr_pulse *p = arg;
    uintptr_t n = 0;
    while (lzr_pulse_beat(p) && lzr_pulse_rest(p)) {
        n++;
    }
    return (void *)n;
}

static void one_of_both_has_it(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct lzr_pulse p = {0};
        pthread_t thread;
        void *n;
        assert_int_equal(pthread_create(&thread, NULL, beats, &p), 0);
        while (!lzr_pulse_give_up(&p, lzr_now_us())) {
        }
        assert_int_equal(pthread_join(thread, &n), 0);
        assert_true(lzr_pulse_over(&p));
    }
}

struct work {
    struct lzr_errand errand;
    sem_t *hold, *dropped; /* hold: NULL: it ends at once */
    int answer, steps;
};

static void run(struct lzr_errand *e)
{
    struct work *w = (struct work *)e;
    for (int i = 0; i < w->steps && lzr_pulse_beat(&e->pulse); i++) {
        struct timespec ts = {.tv_nsec = 1000000};
        (void)nanosleep(&ts, NULL);
    }
    if (w->hold != NULL) {
        LZR_ZERO(sem_wait(w->hold));
    }
    w->answer = 42;
}

static void drop(struct lzr_errand *e)
{
    struct work *w = (struct work *)e;
    sem_t *dropped = w->dropped;
    lzr_free(w);
    LZR_ZERO(sem_post(dropped));
}

static struct work *make(sem_t *hold, sem_t *dropped, _Atomic unsigned *left)
{
    struct work *w = lzr_calloc(1, sizeof *w);
    assert_non_null(w);
    w->errand.run = run;
    w->errand.drop = drop;
    w->errand.left = left;
    w->hold = hold;
    w->dropped = dropped;
    return w;
}

static void an_errand_ends(void **state)
{
    sem_t dropped;
    _Atomic unsigned left = 0;
    (void)state;
    assert_int_equal(sem_init(&dropped, 0, 0), 0);
    struct work *w = make(NULL, &dropped, &left);
    w->steps = 3;
    assert_int_equal(lzr_errand_run(&w->errand, UINT64_C(100000000), NULL, NULL), LZR_OK);
    assert_int_equal(w->answer, 42);
    lzr_errand_drop(&w->errand);
    assert_int_equal(sem_wait(&dropped), 0);
    assert_int_equal(left, 0);
}

static void one_that_hangs_is_left_behind(void **state)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        sem_t hold, dropped;
        _Atomic unsigned left = 0;
        atomic_bool cancel = cancelled != 0;
        struct lzr_err err;
        (void)state;
        assert_int_equal(sem_init(&hold, 0, 0), 0);
        assert_int_equal(sem_init(&dropped, 0, 0), 0);
        struct work *w = make(&hold, &dropped, &left);
        assert_int_equal(
            lzr_errand_run(&w->errand, cancelled ? 100000000 : 1000, &cancel, &err),
            cancelled ? LZR_E_CANCELLED : LZR_E_TIMEOUT);
        assert_int_equal(left, 1);
        assert_int_not_equal(sem_trywait(&dropped), 0);
        assert_int_equal(sem_post(&hold), 0);
        assert_int_equal(sem_wait(&dropped), 0); /* by its thread, when it is back */
        assert_int_equal(left, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_given_up_only_in_a_call), cmocka_unit_test(nobody_need_watch),
        cmocka_unit_test(one_of_both_has_it),         cmocka_unit_test(an_errand_ends),
        cmocka_unit_test(one_that_hangs_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
