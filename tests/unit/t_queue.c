#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/flight.h"
#include "engine/queue.h"

static const struct lzr_filter ANY = {NULL, NULL, 0};

enum { A = 11, B = 22, C = 33 }; /* clients */
#define MS UINT64_C(1000)

struct world {
    struct lzr_queue q;
    struct lzr_array arrays[3];
    struct lzr_flight f[64];
    unsigned n;
};

static struct world *world_of(enum lzr_order order)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(lzr_queue_init(&w->q, order, NULL), LZR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        w->arrays[i] = (struct lzr_array){.id = i};
    }
    return w;
}

static void end(struct world *w)
{
    assert_int_equal(lzr_queue_n(&w->q), 0);
    assert_null(w->q.first);
    assert_null(w->q.last);
    assert_null(w->q.urgent.head);
    lzr_queue_release(&w->q);
    free(w);
}

/* A client asks for the next chunk of an array; its index is its number here. */
static struct lzr_flight *ask(struct world *w, uint64_t client, unsigned array, uint64_t now)
{
    struct lzr_flight *f = &w->f[w->n];
    f->array = &w->arrays[array];
    f->index = w->n++;
    f->client = client;
    f->burst = lzr_queue_burst(&w->q, client, now);
    f->queued_us = now;
    lzr_queue_push(&w->q, f);
    return f;
}

/* What a worker that is free at this time gets, until the queue is empty. */
static void expect(struct world *w, uint64_t now, const char *numbers)
{
    char got[512] = "";
    while (lzr_queue_n(&w->q) > 0) {
        struct lzr_flight *f = lzr_queue_next(&w->q, true, now, ANY);
        assert_non_null(f);
        lzr_queue_take(&w->q, f);
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%llu", len > 0 ? " " : "",
                 (unsigned long long)f->index);
    }
    assert_string_equal(got, numbers);
}

static void arrival_inside_a_burst(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    for (int i = 0; i < 5; i++) {
        (void)ask(w, A, 0, 1000 * MS + (uint64_t)i * 40 * MS); /* never a pause of 50 ms */
    }
    expect(w, 1200 * MS, "0 1 2 3 4");
    end(w);
}

static void the_newest_burst_first(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    for (int burst = 0; burst < 3; burst++) {
        for (int i = 0; i < 3; i++) {
            (void)ask(w, A, 0, 1000 * MS + (uint64_t)burst * 100 * MS + (uint64_t)i * MS);
        }
    }
    expect(w, 1500 * MS, "6 7 8 3 4 5 0 1 2");
    end(w);
    /* Asked for while others are served. */
    w = world_of(LZR_ORDER_BURSTS);
    (void)ask(w, A, 0, 1000 * MS);
    (void)ask(w, A, 0, 1001 * MS);
    (void)ask(w, A, 0, 1100 * MS);
    lzr_queue_take(&w->q, lzr_queue_next(&w->q, false, 1101 * MS, ANY));
    (void)ask(w, A, 0, 1120 * MS); /* still the second burst, though nothing of it is queued */
    expect(w, 1130 * MS, "3 0 1");
    end(w);
}

static void the_old_have_every_other_turn(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    (void)ask(w, A, 0, 1000 * MS);
    (void)ask(w, A, 0, 3000 * MS);
    struct lzr_flight *f = lzr_queue_next(&w->q, false, 5999 * MS, (struct lzr_filter){0});
    assert_int_equal(f->index, 1);
    f = lzr_queue_next(&w->q, false, 6000 * MS, (struct lzr_filter){0});
    assert_int_equal(f->index, 0);
    expect(w, 6000 * MS, "0 1");
    end(w);
    w = world_of(LZR_ORDER_BURSTS); /* beside a newer burst that goes on */
    for (int i = 0; i < 4; i++) {
        (void)ask(w, A, 0, 1000 * MS);
    }
    for (int i = 0; i < 3; i++) {
        (void)ask(w, A, 0, 9000 * MS);
    }
    (void)ask(w, A, 0, 9100 * MS);
    (void)ask(w, A, 0, 9100 * MS);
    expect(w, 9200 * MS, "0 7 1 8 2 4 3 5 6");
    end(w);
    w = world_of(LZR_ORDER_BURSTS); /* another client's turn comes all the same */
    for (int i = 0; i < 3; i++) {
        (void)ask(w, A, 0, 1000 * MS);
    }
    (void)ask(w, B, 0, 9000 * MS);
    (void)ask(w, B, 0, 9100 * MS);
    expect(w, 9200 * MS, "0 4 1 3 2");
    end(w);
}

static void clients_and_arrays_take_turns(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    for (int i = 0; i < 4; i++) {
        (void)ask(w, A, 0, 1000 * MS);
    }
    for (int i = 0; i < 2; i++) {
        (void)ask(w, B, 0, 1001 * MS);
    }
    (void)ask(w, C, 0, 1002 * MS);
    expect(w, 1010 * MS, "0 4 6 1 5 2 3");
    end(w);
    w = world_of(LZR_ORDER_BURSTS);
    for (unsigned i = 0; i < 6; i++) {
        (void)ask(w, A, i < 3 ? 0 : i < 5 ? 1 : 2, 1000 * MS + i);
    }
    expect(w, 1010 * MS, "0 3 5 1 4 2");
    end(w);
}

static void urgent_ones_come_first(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    struct lzr_flight retry = {.needs_fresh = true, .fresh_until_us = 2000 * MS, .index = 99};
    struct lzr_flight input = {.index = 98};
    (void)ask(w, A, 0, 1800 * MS);
    lzr_queue_push_front(&w->q, &retry);
    assert_int_equal(lzr_queue_next(&w->q, true, 1500 * MS, ANY)->index, 99);
    assert_int_equal(lzr_queue_next(&w->q, false, 1500 * MS, ANY)->index, 0);
    assert_int_equal(lzr_queue_next(&w->q, false, 2000 * MS, ANY)->index,
                     99); /* any will do by now */
    lzr_queue_push_front(&w->q, &input);
    expect(w, 2100 * MS, "99 98 0"); /* to workers that have run nothing */
    end(w);
}

/* A worker that has run nothing is there for the retry, whoever else has the turn: given something
 * else it is fresh no more, and the retry would wait until another worker dies. */
static void a_fresh_worker_is_for_the_retry(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    struct lzr_flight retry = {.needs_fresh = true, .fresh_until_us = 9000 * MS, .index = 99};
    struct lzr_flight before = {.index = 98}, urgent[LZR_URGENT_RUN];
    (void)ask(w, A, 0, 1000 * MS);
    for (int i = 0; i < LZR_URGENT_RUN; i++) {
        urgent[i] = (struct lzr_flight){.index = 100};
        lzr_queue_push_urgent(&w->q, &urgent[i]);
        lzr_queue_take(&w->q, &urgent[i]);
    }
    assert_true(lzr_queue_turn(&w->q, 0)); /* a root's */
    lzr_queue_push_front(&w->q, &retry);
    lzr_queue_push_front(&w->q, &before); /* one that was prepared for another worker */
    assert_int_equal(lzr_queue_next(&w->q, true, 1500 * MS, ANY)->index, 99);
    assert_int_equal(lzr_queue_next(&w->q, false, 1500 * MS, ANY)->index, 0);
    lzr_queue_take(&w->q, &retry);
    assert_int_equal(lzr_queue_next(&w->q, true, 1500 * MS, ANY)->index, 0);
    lzr_queue_remove(&w->q, &before);
    expect(w, 1500 * MS, "0");
    end(w);
}

static void a_root_that_has_to_be_started(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    struct lzr_flight input = {.index = 98}, other = {.index = 99};
    struct lzr_flight *f = ask(w, A, 0, 1000 * MS);
    f->unstarted = true;
    (void)ask(w, A, 0, 1001 * MS);
    assert_null(lzr_queue_next(&w->q, true, 1010 * MS, ANY)); /* none passes it */
    assert_ptr_equal(lzr_queue_root(&w->q, 1010 * MS, ANY), f);
    lzr_queue_push_urgent(&w->q, &input);
    lzr_queue_push_urgent(&w->q, &other);
    assert_ptr_equal(lzr_queue_next(&w->q, true, 1010 * MS, ANY), &input);
    lzr_queue_take(&w->q, &input);
    assert_ptr_equal(lzr_queue_next(&w->q, true, 1010 * MS, ANY), &other);
    f->unstarted = false;
    expect(w, 1020 * MS, "99 0 1");
    end(w);
}

static bool not_array(const void *ctx, const struct lzr_flight *f)
{
    return f->array == NULL || f->array->id != *(const uint32_t *)ctx;
}

static void what_may_not_have_its_turn_is_passed_over(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    uint32_t busy = 0;
    struct lzr_filter filter = {not_array, &busy, 0};
    struct lzr_flight input = {.index = 98, .array = &w->arrays[0]};
    (void)ask(w, A, 0, 1000 * MS);
    (void)ask(w, A, 0, 1001 * MS);
    (void)ask(w, B, 0, 1002 * MS);
    (void)ask(w, A, 1, 1003 * MS);
    lzr_queue_push_urgent(&w->q, &input);
    assert_int_equal(lzr_queue_next(&w->q, true, 1010 * MS, filter)->index, 3);
    assert_int_equal(lzr_queue_root(&w->q, 1010 * MS, filter)->index, 3);
    assert_int_equal(lzr_queue_next(&w->q, true, 9000 * MS, filter)->index, 3); /* old ones too */
    busy = 1;
    assert_int_equal(lzr_queue_next(&w->q, true, 1010 * MS, filter)->index, 98);
    assert_int_equal(lzr_queue_root(&w->q, 1010 * MS, filter)->index, 0);
    busy = 0;
    lzr_queue_remove(&w->q, lzr_queue_root(&w->q, 1010 * MS, filter));
    assert_null(lzr_queue_root(&w->q, 1010 * MS, filter));
    assert_null(lzr_queue_next(&w->q, true, 1010 * MS, filter));
    while (lzr_queue_n(&w->q) > 0) {
        lzr_queue_take(&w->q, lzr_queue_next(&w->q, true, 1010 * MS, ANY));
    }
    end(w);
}

/* More of array 0 than are looked at, by client A. */
enum { MANY = 2 * LZR_QUEUE_LOOK };

static struct lzr_flight *ask_many(struct world *w, uint64_t now)
{
    struct lzr_flight *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = (struct lzr_flight){.array = &w->arrays[0],
                                      .client = A,
                                      .burst = lzr_queue_burst(&w->q, A, now),
                                      .queued_us = now};
        lzr_queue_push(&w->q, &many[i]);
    }
    return many;
}

static void take_back(struct world *w, struct lzr_flight *many)
{
    for (unsigned i = 0; i < MANY; i++) {
        lzr_queue_remove(&w->q, &many[i]);
    }
    free(many);
}

/* Also where they are more than are looked at: another array of the same client has its turn. */
static void more_that_may_not_than_are_looked_at(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    uint32_t busy = 0;
    struct lzr_filter filter = {not_array, &busy, 0};
    struct lzr_flight *many = ask_many(w, 1000 * MS);
    struct lzr_flight *f = ask(w, A, 1, 1001 * MS);
    assert_ptr_equal(lzr_queue_next(&w->q, true, 1010 * MS, filter), f);
    assert_ptr_equal(lzr_queue_root(&w->q, 1010 * MS, filter), f);
    assert_ptr_equal(lzr_queue_root(&w->q, 9000 * MS, filter), f);
    lzr_queue_remove(&w->q, f);
    assert_null(lzr_queue_root(&w->q, 1010 * MS, filter));
    take_back(w, many);
    end(w);
}

/* Nor does another array's that stands behind them in their row. */
static void others_behind_what_may_not(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    uint32_t busy = 0;
    struct lzr_filter filter = {not_array, &busy, 0};
    w->arrays[1].id = LZR_QUEUE_LANES;
    for (unsigned i = 0; i < 3; i++) {
        (void)ask(w, A, 1, 1000 * MS);
    }
    struct lzr_flight *many = ask_many(w, 2000 * MS);
    for (unsigned i = 0; i < 3; i++) { /* young, old, old after an old one */
        struct lzr_flight *f = lzr_queue_next(&w->q, true, i == 0 ? 2010 * MS : 9000 * MS, filter);
        assert_ptr_equal(f, &w->f[i]);
        lzr_queue_take(&w->q, f);
    }
    assert_null(lzr_queue_next(&w->q, true, 9000 * MS, filter));
    take_back(w, many);
    end(w);
}

/* Beside a burst that is newer still, and may not have its turn. */
static void the_old_have_theirs_where_the_newest_may_not(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    uint32_t busy = 0;
    struct lzr_filter filter = {not_array, &busy, 0};
    for (unsigned i = 0; i < 6; i++) {
        (void)ask(w, A, 1, i < 3 ? 1000 * MS : 2000 * MS);
    }
    struct lzr_flight *newest = ask(w, A, 0, 3000 * MS);
    static const uint64_t order[] = {0, 3, 1, 4, 2, 5};
    for (unsigned i = 0; i < 6; i++) {
        struct lzr_flight *f = lzr_queue_next(&w->q, true, 9000 * MS, filter);
        assert_non_null(f);
        assert_int_equal(f->index, order[i]);
        lzr_queue_take(&w->q, f);
    }
    lzr_queue_remove(&w->q, newest);
    end(w);
}

static void a_newer_wish_renews(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    struct lzr_flight *old = ask(w, A, 0, 1000 * MS);
    (void)ask(w, A, 0, 1001 * MS);
    (void)ask(w, A, 0, 1100 * MS);
    lzr_queue_renew(&w->q, old, A, lzr_queue_burst(&w->q, A, 1101 * MS));
    expect(w, 1110 * MS, "2 0 1");
    end(w);
    w = world_of(LZR_ORDER_BURSTS); /* by another client; its age stays */
    old = ask(w, A, 0, 1000 * MS);
    (void)ask(w, B, 0, 2000 * MS);
    lzr_queue_renew(&w->q, old, B, lzr_queue_burst(&w->q, B, 5900 * MS));
    lzr_queue_renew(&w->q, old, A, 1); /* nothing newer: stays where it is */
    assert_int_equal(lzr_queue_next(&w->q, false, 5950 * MS, ANY)->index, 0);
    expect(w, 6100 * MS, "0 1");
    end(w);
}

/* A worker of one folder isn't kept from its blocks by those of another, however many these are,
 * and a client of both has a place in each. */
static void folders_apart(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    const struct lzr_filter one = {NULL, NULL, 1}, two = {NULL, NULL, 2}, three = {NULL, NULL, 3};
    struct lzr_flight *many = ask_many(w, 1000 * MS);
    struct lzr_flight *f = &w->f[w->n++], retry = {.array = &w->arrays[1], .folder = 1};
    assert_null(lzr_queue_next(&w->q, true, 1010 * MS, two));
    assert_null(lzr_queue_oldest(&w->q, two));
    *f = (struct lzr_flight){.array = &w->arrays[0], .folder = 1, .client = A, .index = 7};
    f->burst = lzr_queue_burst(&w->q, A, 1001 * MS);
    f->queued_us = 1001 * MS;
    lzr_queue_push(&w->q, f);
    assert_int_equal(w->q.waiting[0], MANY);
    assert_int_equal(w->q.waiting[1], 1);
    for (unsigned at = 1010; at < 10000; at += 8000) {
        assert_ptr_equal(lzr_queue_next(&w->q, true, at * MS, two), f);
        assert_ptr_equal(lzr_queue_root(&w->q, at * MS, two), f);
        assert_int_equal(lzr_queue_next(&w->q, true, at * MS, one)->folder, 0);
        assert_null(lzr_queue_next(&w->q, true, at * MS, three));
    }
    assert_ptr_equal(lzr_queue_oldest(&w->q, two), f);
    assert_ptr_equal(lzr_queue_oldest(&w->q, one), &many[0]);
    lzr_queue_renew(&w->q, f, B, lzr_queue_burst(&w->q, B, 1002 * MS));
    retry.queued_us = 900 * MS;
    lzr_queue_push_front(&w->q, &retry);
    assert_int_equal(w->q.waiting[1], 2);
    assert_int_equal(w->q.urgent_of[1], 1);
    assert_ptr_equal(lzr_queue_oldest(&w->q, two), &retry);
    assert_ptr_equal(lzr_queue_next(&w->q, false, 1010 * MS, two), &retry);
    assert_false(lzr_queue_next(&w->q, false, 1010 * MS, one)->urgent);
    lzr_queue_take(&w->q, &retry);
    lzr_queue_take(&w->q, f);
    assert_int_equal(w->q.waiting[1] + w->q.urgent_of[1], 0);
    take_back(w, many);
    end(w);
}

static void who_gives_way(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    assert_null(lzr_queue_victim(&w->q, A, 0));
    for (unsigned i = 0; i < 6; i++) {
        (void)ask(w, A, i % 2, 1000 * MS + (uint64_t)(i / 3) * 100 * MS + i);
    }
    assert_null(lzr_queue_victim(&w->q, A, 0)); /* has most itself */
    (void)ask(w, B, 0, 1200 * MS);
    struct lzr_flight *v = lzr_queue_victim(&w->q, B, 0);
    assert_int_equal(v->index, 2); /* the oldest burst, the last of it */
    lzr_queue_remove(&w->q, v);
    v = lzr_queue_victim(&w->q, C, 0);
    assert_int_equal(v->index, 1);
    lzr_queue_remove(&w->q, v);
    expect(w, 1300 * MS, "3 6 4 5 0");
    end(w);
}

static void more_clients_than_places(void **state)
{
    (void)state;
    enum { N = 3 * LZR_QUEUE_CLIENTS };
    struct lzr_queue q;
    struct lzr_array a = {.id = 5};
    struct lzr_flight *f = calloc(N, sizeof *f);
    assert_non_null(f);
    assert_int_equal(lzr_queue_init(&q, LZR_ORDER_BURSTS, NULL), LZR_OK);
    for (unsigned i = 0; i < N; i++) {
        f[i] = (struct lzr_flight){.array = &a, .client = 1000 + i, .queued_us = 10 + i};
        f[i].burst = lzr_queue_burst(&q, f[i].client, 10 + i);
        lzr_queue_push(&q, &f[i]);
    }
    assert_int_equal(q.nroots, N);
    for (unsigned i = 0; i < N; i++) { /* each comes once */
        struct lzr_flight *next = lzr_queue_next(&q, false, 1000, ANY);
        assert_non_null(next);
        assert_true(next->burst != 0);
        next->burst = 0;
        if (i % 3 == 0) {
            lzr_queue_take(&q, next);
        } else {
            lzr_queue_remove(&q, next);
        }
    }
    assert_int_equal(lzr_queue_n(&q), 0);
    assert_null(lzr_queue_next(&q, true, 1000, ANY));
    lzr_queue_release(&q);
    free(f);
}

static void at_random(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    bool in[64] = {false};
    unsigned seed = 7;
    w->n = 64;
    uint64_t now = 1000 * MS;
    for (int step = 0; step < 200000; step++) {
        unsigned r = (unsigned)rand_r(&seed), i = r % 64;
        struct lzr_flight *f = &w->f[i];
        now += (r >> 8) % 20 * MS;
        if (!in[i]) {
            *f = (struct lzr_flight){.array = &w->arrays[r / 64 % 3],
                                     .index = i,
                                     .client = 1 + r / 512 % 5,
                                     .queued_us = now};
            f->burst = lzr_queue_burst(&w->q, f->client, now);
            if (r % 7 == 0) {
                lzr_queue_push_front(&w->q, f);
            } else {
                lzr_queue_push(&w->q, f);
            }
            in[i] = true;
        } else if (r % 5 == 0) {
            uint64_t client = 1 + r / 4096 % 5;
            lzr_queue_renew(&w->q, f, client, lzr_queue_burst(&w->q, client, now));
        } else if (r % 5 == 1) {
            lzr_queue_remove(&w->q, f);
            in[i] = false;
        } else {
            struct lzr_flight *next = lzr_queue_next(&w->q, true, now, ANY);
            assert_true(next != NULL && in[next->index]);
            lzr_queue_take(&w->q, next);
            in[next->index] = false;
        }
        unsigned n = 0;
        for (unsigned k = 0; k < 64; k++) {
            n += in[k];
        }
        assert_int_equal(lzr_queue_n(&w->q), n);
    }
    while (lzr_queue_n(&w->q) > 0) {
        lzr_queue_take(&w->q, lzr_queue_next(&w->q, true, now, ANY));
    }
    end(w);
}

static void the_orders_it_is_measured_against(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_ARRIVAL);
    for (int i = 0; i < 4; i++) {
        (void)ask(w, i % 2 ? A : B, 0, 1000 * MS + (uint64_t)i * 100 * MS);
    }
    expect(w, 1500 * MS, "0 1 2 3");
    end(w);
    w = world_of(LZR_ORDER_NEWEST);
    for (int i = 0; i < 4; i++) {
        (void)ask(w, i % 2 ? A : B, 0, 1000 * MS + (uint64_t)i * 100 * MS);
    }
    expect(w, 1500 * MS, "3 2 1 0");
    end(w);
}

/* What a started flight waits for comes first, but not without an end: u an urgent one, r a root.
 */
static void test_turns_of_roots(void **state)
{
    (void)state;
    for (int roots = 0; roots < 2; roots++) {
        struct world *w = world_of(LZR_ORDER_BURSTS);
        char got[64] = "";
        for (int i = 0; i < 4 * roots; i++) {
            ask(w, A, 0, 1 * MS);
        }
        for (int i = 0; i < 30; i++) {
            struct lzr_flight *f = &w->f[w->n];
            f->array = &w->arrays[1];
            f->index = w->n++;
            lzr_queue_push_urgent(&w->q, f);
        }
        while (lzr_queue_n(&w->q) > 0) {
            bool turn = lzr_queue_turn(&w->q, 0);
            struct lzr_flight *f = lzr_queue_next(&w->q, true, 2 * MS, ANY);
            assert_non_null(f);
            assert_true(f->urgent ? !turn : turn || w->q.urgent.n == 0);
            got[strlen(got)] = f->urgent ? 'u' : 'r';
            lzr_queue_take(&w->q, f);
        }
        assert_string_equal(got, roots ? "uuuuuuuuuuuuuuuuruuuruuuruuuruuuuu"
                                       : "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
        end(w);
    }
}

/* Long blocks make long runs: a root that has waited for 0.3 s has its turn after three of them, and
 * for 0.7 s after one; never two roots in a row. */
static void test_a_root_that_has_waited(void **state)
{
    (void)state;
    for (int ms = 100; ms <= 1000; ms += 900) {
        struct world *w = world_of(LZR_ORDER_BURSTS);
        char got[30] = "";
        for (int i = 0; i < 8; i++) {
            (void)ask(w, A, 0, 1000 * MS);
            struct lzr_flight *f = &w->f[w->n];
            f->array = &w->arrays[1];
            f->index = w->n++;
            lzr_queue_push_urgent(&w->q, f);
        }
        for (int i = 0; i < 8; i++) {
            struct lzr_flight *f =
                lzr_queue_next(&w->q, true, (uint64_t)(1000 + i * ms) * MS, ANY);
            got[i] = f->urgent ? 'u' : 'r';
            lzr_queue_take(&w->q, f);
        }
        while (w->q.nroots > 0) {
            lzr_queue_remove(&w->q, lzr_queue_root(&w->q, 9000 * MS, ANY));
        }
        while (w->q.urgent.n > 0) {
            lzr_queue_remove(&w->q, w->q.urgent.head);
        }
        assert_string_equal(got, ms == 100 ? "uuuruuur" : "urururur");
        end(w);
    }
}

/* A root that has to be started first, and for which there was no room, keeps no worker from urgent
 * work, and asks again after as many as if it had been taken. */
static void test_a_turn_that_is_passed(void **state)
{
    (void)state;
    struct world *w = world_of(LZR_ORDER_BURSTS);
    struct lzr_flight *root = ask(w, A, 0, 1 * MS);
    root->unstarted = true;
    for (int i = 0; i < 20; i++) {
        struct lzr_flight *f = &w->f[w->n];
        f->array = &w->arrays[1];
        f->index = w->n++;
        lzr_queue_push_urgent(&w->q, f);
    }
    for (int i = 0; i < 20; i++) {
        struct lzr_flight *f = lzr_queue_next(&w->q, true, 2 * MS, ANY);
        assert_true(f != NULL && f->urgent);
        lzr_queue_take(&w->q, f);
        assert_int_equal(lzr_queue_turn(&w->q, 0), i == 15 || i == 18);
        if (lzr_queue_turn(&w->q, 0)) {
            lzr_queue_pass(&w->q);
        }
    }
    assert_null(lzr_queue_next(&w->q, true, 2 * MS, ANY));
    lzr_queue_remove(&w->q, root);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_of_roots),
        cmocka_unit_test(test_a_turn_that_is_passed),
        cmocka_unit_test(test_a_root_that_has_waited),
        cmocka_unit_test(arrival_inside_a_burst),
        cmocka_unit_test(the_newest_burst_first),
        cmocka_unit_test(the_old_have_every_other_turn),
        cmocka_unit_test(clients_and_arrays_take_turns),
        cmocka_unit_test(urgent_ones_come_first),
        cmocka_unit_test(a_fresh_worker_is_for_the_retry),
        cmocka_unit_test(a_root_that_has_to_be_started),
        cmocka_unit_test(what_may_not_have_its_turn_is_passed_over),
        cmocka_unit_test(more_that_may_not_than_are_looked_at),
        cmocka_unit_test(others_behind_what_may_not),
        cmocka_unit_test(the_old_have_theirs_where_the_newest_may_not),
        cmocka_unit_test(a_newer_wish_renews),
        cmocka_unit_test(folders_apart),
        cmocka_unit_test(who_gives_way),
        cmocka_unit_test(more_clients_than_places),
        cmocka_unit_test(at_random),
        cmocka_unit_test(the_orders_it_is_measured_against),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
