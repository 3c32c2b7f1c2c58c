#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/flight.h"

static struct lzr_array array_of(uint32_t id)
{
    return (struct lzr_array){.id = id};
}

static void one_flight_a_chunk(void **state)
{
    (void)state;
    struct lzr_flights t;
    struct lzr_array a = array_of(0), b = array_of(1);
    assert_int_equal(lzr_flights_init(&t, NULL), LZR_OK);
    struct lzr_flight *made[5000];
    for (uint64_t i = 0; i < 5000; i++) { /* beyond the first size of the table */
        struct lzr_chunk c = {.array = i % 2 ? &a : &b, .level = (uint32_t)(i % 3), .index = i / 6};
        assert_null(lzr_flights_find(&t, &c));
        made[i] = lzr_flights_add(&t, &c, i);
        assert_ptr_equal(lzr_flights_find(&t, &c), made[i]);
    }
    assert_int_equal(t.n, 5000);
    for (uint64_t i = 0; i < 5000; i++) {
        struct lzr_chunk c = {.array = i % 2 ? &a : &b, .level = (uint32_t)(i % 3), .index = i / 6};
        assert_ptr_equal(lzr_flights_find(&t, &c), made[i]);
        lzr_flights_remove(&t, &made[i]);
        assert_null(lzr_flights_find(&t, &c));
    }
    lzr_flights_release(&t);
}

static void joining_and_leaving(void **state)
{
    (void)state;
    struct lzr_flight f = {0};
    struct lzr_request r[3] = {0};
    for (int i = 0; i < 3; i++) {
        lzr_flight_join(&f, &r[i]);
    }
    assert_int_equal(f.nwaiters, 3);
    assert_false(lzr_flight_unwanted(&f, 1));
    lzr_flight_leave(&f, &r[1]);
    assert_null(r[1].flight);
    lzr_flight_leave(&f, &r[2]);
    lzr_flight_leave(&f, &r[0]);
    assert_null(f.waiters);
    assert_true(lzr_flight_unwanted(&f, 1));
    f.held_until_us = 10;
    assert_false(lzr_flight_unwanted(&f, 9));
    assert_true(lzr_flight_unwanted(&f, 10));
}

static void order_of_the_queue(void **state)
{
    (void)state;
    struct lzr_queue q = {0};
    struct lzr_flight f[4] = {0};
    lzr_queue_push(&q, &f[0]);
    lzr_queue_push(&q, &f[1]);
    f[2].needs_fresh = true;
    f[2].fresh_until_us = 100;
    lzr_queue_push_front(&q, &f[2]);
    assert_ptr_equal(lzr_queue_next(&q, true, 50), &f[2]);
    assert_ptr_equal(lzr_queue_next(&q, false, 50), &f[0]);
    assert_ptr_equal(lzr_queue_next(&q, false, 100), &f[2]); /* no fresh one came: any will do */
    lzr_queue_remove(&q, &f[0]);
    assert_ptr_equal(lzr_queue_next(&q, false, 50), &f[1]);
    lzr_queue_remove(&q, &f[2]);
    lzr_queue_remove(&q, &f[1]);
    assert_null(lzr_queue_next(&q, true, 50));
    assert_int_equal(lzr_queue_n(&q), 0);
    assert_null(q.urgent.head);
    assert_null(q.urgent.tail);
    assert_null(q.roots.head);
}

static void urgent_ones_come_first(void **state)
{
    (void)state;
    struct lzr_queue q = {0};
    struct lzr_flight f[4] = {0};
    f[0].unstarted = true;
    lzr_queue_push(&q, &f[0]);
    lzr_queue_push(&q, &f[1]);
    assert_null(lzr_queue_next(&q, true, 0)); /* the first has to be started; none passes it */
    assert_ptr_equal(lzr_queue_root(&q), &f[0]);
    lzr_queue_push_urgent(&q, &f[2]);
    lzr_queue_push_urgent(&q, &f[3]);
    assert_ptr_equal(lzr_queue_next(&q, true, 0), &f[2]);
    lzr_queue_remove(&q, &f[2]);
    assert_ptr_equal(lzr_queue_next(&q, true, 0), &f[3]);
    lzr_queue_remove(&q, &f[3]);
    lzr_queue_remove(&q, &f[0]);
    assert_ptr_equal(lzr_queue_next(&q, true, 0), &f[1]);
    lzr_queue_remove(&q, &f[1]);
    assert_int_equal(lzr_queue_n(&q), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_flight_a_chunk),
        cmocka_unit_test(joining_and_leaving),
        cmocka_unit_test(order_of_the_queue),
        cmocka_unit_test(urgent_ones_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
