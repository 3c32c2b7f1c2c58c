#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdbool.h>
#include <time.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/patience.h"

#define LATER (lzr_now_us() + UINT64_C(600) * 1000000)

/* A connection as the library has it, and its client. */
struct connection {
    int fds[2]; /* the server's, the client's */
    struct lzr_line *line;
};

static struct connection connect_to(struct lzr_patience *p)
{
    struct connection c;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c.fds), 0);
    c.line = lzr_line_open(p, c.fds[0], NULL, LATER);
    assert_non_null(c.line);
    return c;
}

static void leave(struct lzr_patience *p, struct connection *c)
{
    lzr_line_close(p, &c->line);
    close(c->fds[0]);
    close(c->fds[1]);
}

static int turn_of(const struct connection *c)
{
    return atomic_load(&c->line->turn);
}

/* When it was this turn for the last time that one looked. */
static uint64_t await_other_turn(const struct connection *c, int than)
{
    const struct timespec pause = {.tv_nsec = 100000};
    uint64_t now = lzr_now_us(), seen = now;
    while (turn_of(c) == than) {
        seen = now;
        (void)nanosleep(&pause, NULL);
        now = lzr_now_us();
    }
    return seen;
}

/* Until there have been two looks more at least. */
static void await_looks(struct lzr_patience *p)
{
    struct connection c = connect_to(p);
    (void)await_other_turn(&c, LZR_TURN_SEND);
    (void)await_other_turn(&c, LZR_TURN_SENT);
    leave(p, &c);
}

static bool is_shut(const struct connection *c)
{
    char byte;
    ssize_t n = recv(c->fds[1], &byte, 1, MSG_DONTWAIT);
    assert_true(n == 0 || (n < 0 && errno == EAGAIN));
    return n == 0;
}

static void who_has_said_all_is_ended(void **state)
{
    (void)state;
    struct lzr_patience *p;
    assert_int_equal(lzr_patience_new(&p, NULL), LZR_OK);
    struct connection c = connect_to(p), other = connect_to(p);
    char byte;
    assert_int_equal(shutdown(c.fds[1], SHUT_WR), 0);
    assert_int_equal(recv(c.fds[1], &byte, 1, 0), 0);
    await_looks(p);
    assert_false(is_shut(&other));
    assert_int_equal(lzr_patience_ended(p), 0); /* it wasn't late */
    leave(p, &c);
    leave(p, &other);
    lzr_patience_free(&p);
}

/* What came with the end has just been read, and isn't begun yet when it is looked at. */
static void who_has_just_said_all_is_answered(void **state)
{
    (void)state;
    struct lzr_patience *p;
    assert_int_equal(lzr_patience_new(&p, NULL), LZR_OK);
    bool late = true;
    for (int i = 0; late && i < 100; i++) {
        struct connection c = connect_to(p);
        assert_int_equal(shutdown(c.fds[1], SHUT_WR), 0);
        (void)await_other_turn(&c, LZR_TURN_SEND);
        uint64_t seen = await_other_turn(&c, LZR_TURN_SENT);
        (void)await_other_turn(&c, LZR_TURN_LOOKED);
        lzr_line_due(c.line, LATER);
        /* Only this test may have been late, by a whole look. */
        late = lzr_now_us() - seen >= LZR_PATIENCE_LOOK_US / 2;
        await_looks(p);
        assert_true(late || !is_shut(&c));
        leave(p, &c);
    }
    assert_false(late);
    lzr_patience_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_said_all_is_ended),
        cmocka_unit_test(who_has_just_said_all_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
