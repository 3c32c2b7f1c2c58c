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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_flight_a_chunk),
        cmocka_unit_test(joining_and_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
