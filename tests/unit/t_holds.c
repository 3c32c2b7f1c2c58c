/* What the supervisor does about holds whose time is over, on a driver without threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/recipe.h"

/* A flight whose hold ended while a codec thread fills its slot can't be taken back: it is passed
 * over, and looked at again when the thread is done. (This ran in a circle with the mutex held.) */
static void one_whose_slot_is_being_filled_is_passed_over(void **state)
{
    (void)state;
    struct lzr_driver d = {.nworkers = 1};
    struct lzr_worker w = {.state = LZR_WORKER_READY};
    struct lzr_array a = {.id = 0};
    struct lzr_chunk filled = {.array = &a, .index = 1};
    assert_int_equal(lzr_flights_init(&d.flights, NULL), LZR_OK);
    d.workers = &w;
    struct lzr_flight *f = lzr_flights_add(&d.flights, &filled, 0);
    f->recipe = &lzr_recipe_inputs;
    f->state = LZR_PREPARING;
    f->held_until_us = 1;
    d.active = 1;
    w.next = (struct lzr_prepared){.flight = f};
    alarm(10);
    lzr_check_holds(&d, 100);
    alarm(0);
    assert_ptr_equal(lzr_flights_find(&d.flights, &filled), f);
    assert_int_equal(d.active, 1);
    lzr_flights_remove(&d.flights, &f);
    lzr_flights_release(&d.flights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_whose_slot_is_being_filled_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
