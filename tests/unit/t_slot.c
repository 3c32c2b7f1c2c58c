#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/channel.h"
#include "engine/slot.h"

static void sealed_charged_and_trimmed(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 1};
    struct lzr_slot *s = NULL;
    assert_int_equal(lzr_slot_new(3, 40 << 20, 30 << 20, &budget, &s, NULL), LZR_OK);
    assert_int_equal(budget.used, 0);
    assert_int_equal(ftruncate(s->fd, 0), -1); /* nobody can take the memory away under a reader */
    assert_int_equal(errno, EPERM);
    lzr_slot_touch(s, 4096, 0);
    lzr_slot_touch(s, 100, 0);
    assert_int_equal(budget.used, 4096);
    lzr_slot_trim(s);
    assert_int_equal(budget.used, 4096); /* little memory is kept for the next job */
    lzr_slot_touch(s, 40 << 20, 50);
    assert_int_equal(budget.used, (40 << 20) + 50);
    memset(s->map, 1, 40 << 20);
    s->inputs[49] = 3;
    s->map[s->capacity] = 5;
    lzr_slot_trim(s);
    assert_int_equal(budget.used, 50); /* little of the inputs' is kept */
    assert_int_equal(s->inputs[49], 3);
    assert_int_equal(s->map[s->capacity], 5);
    assert_int_equal(s->map[12345], 0);
    lzr_slot_touch(s, 7, 30 << 20);
    assert_int_equal(budget.used, 7 + (30 << 20));
    s->inputs[(30 << 20) - 1] = 1;
    lzr_slot_trim(s);
    assert_int_equal(s->inputs[(30 << 20) - 1], 0);
    lzr_slot_ref(s);
    struct lzr_slot *other = s;
    lzr_slot_unref(&other);
    assert_int_equal(budget.used, 7);
    lzr_slot_unref(&s);
    assert_null(s);
    assert_int_equal(budget.used, 0);
}

static void either_side_claims_a_job(void **state)
{
    (void)state;
    struct lzr_budget budget = {.limit = 1};
    struct lzr_slot *s = NULL;
    assert_int_equal(lzr_slot_new(0, 100, 0, &budget, &s, NULL), LZR_OK);
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(s->map + s->capacity);
    lzr_slot_claim(s, 9);
    assert_true(lzr_slot_withdraw(s, 9));
    uint64_t seq = 9;
    assert_false(atomic_compare_exchange_strong(word, &seq, 0)); /* the worker comes too late */
    lzr_slot_claim(s, 10);
    seq = 10;
    assert_true(atomic_compare_exchange_strong(word, &seq, 0));
    assert_false(lzr_slot_withdraw(s, 10));
    lzr_slot_unref(&s);
}

static void channel_carries_whole_messages(void **state)
{
    (void)state;
    struct lzr_channel *c = NULL;
    struct lzr_packet p;
    int theirs = -1;
    assert_int_equal(lzr_channel_new(&c, &theirs, NULL), LZR_OK);
    assert_int_equal(lzr_channel_receive(c, &p), LZR_RECEIVED_NOTHING);
    struct lzr_msg m = {.type = LZR_MSG_READY, .version = LZR_PROTOCOL_VERSION, .len = 3};
    char packet[sizeof m + 3];
    memcpy(packet, &m, sizeof m);
    memcpy(packet + sizeof m, "abc", 3);
    assert_int_equal(write(theirs, packet, sizeof packet), sizeof packet);
    assert_int_equal(lzr_channel_receive(c, &p), LZR_RECEIVED);
    assert_int_equal(p.msg.type, LZR_MSG_READY);
    assert_string_equal(p.text, "abc");
    assert_int_equal(write(theirs, packet, sizeof packet - 1), sizeof packet - 1); /* wrong length */
    assert_int_equal(lzr_channel_receive(c, &p), LZR_RECEIVED_GARBAGE);
    assert_int_equal(write(theirs, "x", 1), 1);
    assert_int_equal(lzr_channel_receive(c, &p), LZR_RECEIVED_GARBAGE);
    struct lzr_msg out = {.type = LZR_MSG_JOB, .seq = 5};
    assert_int_equal(lzr_channel_send(c, &out, "hey", 3, -1, NULL), LZR_OK);
    assert_int_equal(read(theirs, packet, sizeof packet), sizeof packet);
    static char big[LZR_MAX_MESSAGE];
    assert_int_equal(lzr_channel_send(c, &out, big, LZR_MAX_MESSAGE, -1, NULL), LZR_E_LIMIT);
    enum lzr_code code = LZR_OK;
    for (int i = 0; i < 100000 && code == LZR_OK; i++) {
        code = lzr_channel_send(c, &out, big, 8192, -1, NULL); /* a worker that never reads */
    }
    assert_int_equal(code, LZR_E_BUSY);
    close(theirs);
    assert_int_equal(lzr_channel_send(c, &out, NULL, 0, -1, NULL), LZR_E_WORKER);
    assert_int_equal(lzr_channel_receive(c, &p), LZR_RECEIVED_END);
    lzr_channel_unref(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_charged_and_trimmed),
        cmocka_unit_test(either_side_claims_a_job),
        cmocka_unit_test(channel_carries_whole_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
