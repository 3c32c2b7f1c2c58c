/* Jobs that are sent to a worker, on a driver without threads: what lies in shared memory is what the
 * worker makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/engine.h"
#include "engine/recipe.h"

static struct lzr_slot *scribbled; /* its control words are overwritten by the worker meanwhile */

/* In the place of libc's: the worker's socket is full. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    (void)fd;
    (void)m;
    (void)flags;
    if (scribbled != NULL) {
        memset(scribbled->map + scribbled->capacity, 0xff, 16);
    }
    errno = EAGAIN;
    return -1;
}

/* A job for which its worker's socket has no room goes back to the queue, whatever the slot says. */
static void a_job_that_there_is_no_room_for(void **state)
{
    (void)state;
    for (int scribble = 0; scribble < 2; scribble++) {
        uint32_t place = 0;
        struct lzr_driver d = {.nworkers = 1};
        struct lzr_channel channel = {.refs = 1, .fd = -1};
        struct lzr_worker w = {.state = LZR_WORKER_READY, .channel = &channel};
        struct lzr_level level = {.grid = {.rank = 1, .shape = {10}, .chunks = {10}}};
        struct lzr_array a = {.levels = &level, .nlevels = 1, .timeout_s = 1, .dtype = {.size = 1}};
        struct lzr_chunk c = {.array = &a};
        struct lzr_slot *s = NULL;
        assert_int_equal(lzr_grid_init(&level.grid, NULL), LZR_OK);
        assert_int_equal(lzr_queue_init(&d.queue, LZR_ORDER_BURSTS, NULL), LZR_OK);
        assert_int_equal(lzr_flights_init(&d.flights, NULL), LZR_OK);
        assert_int_equal(lzr_slot_new(0, 10, 0, &d.budget, &s, NULL), LZR_OK);
        d.workers = &w;
        d.folders.place = &place;
        d.active = 1;
        scribbled = scribble ? s : NULL;
        struct lzr_flight *f = lzr_flights_add(&d.flights, &c, 0);
        f->recipe = &lzr_recipe_inputs;
        lzr_send_job(&d, &w, f, s);
        assert_int_equal(w.njobs, 0);
        assert_true(w.full_us != 0);
        assert_false(s->busy);
        assert_int_equal(d.active, 0);
        assert_int_equal(f->state, LZR_QUEUED);
        lzr_queue_remove(&d.queue, f);
        lzr_flights_remove(&d.flights, &f);
        lzr_flights_release(&d.flights);
        lzr_queue_release(&d.queue);
        lzr_slot_unref(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_there_is_no_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
