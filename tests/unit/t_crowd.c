#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "http/crowd.h"

struct address {
    struct sockaddr_storage a;
};

static struct sockaddr *at(struct address *x, const char *text)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&x->a;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&x->a;
    memset(x, 0, sizeof *x);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        six->sin6_family = AF_INET6;
    }
    return (struct sockaddr *)&x->a;
}

static void an_address_has_so_many(void **state)
{
    (void)state;
    struct lzr_crowd *c = NULL;
    struct address x;
    assert_int_equal(lzr_crowd_new(2, &c, NULL), LZR_OK);
    assert_true(lzr_crowd_enter(c, at(&x, "192.0.2.1")));
    assert_true(lzr_crowd_enter(c, at(&x, "192.0.2.1")));
    assert_false(lzr_crowd_enter(c, at(&x, "192.0.2.1")));
    assert_true(lzr_crowd_enter(c, at(&x, "192.0.2.2")));
    /* The same client through a socket of the other family. */
    assert_false(lzr_crowd_enter(c, at(&x, "::ffff:192.0.2.1")));
    assert_true(lzr_crowd_enter(c, at(&x, "::ffff:192.0.2.3")));
    assert_int_equal(lzr_crowd_refused(c), 2);
    assert_int_equal(lzr_crowd_addresses(c), 3);
    /* Refused ones count until they have left. */
    lzr_crowd_leave(c, at(&x, "192.0.2.1"));
    lzr_crowd_leave(c, at(&x, "192.0.2.1"));
    assert_false(lzr_crowd_enter(c, at(&x, "192.0.2.1")));
    for (int i = 0; i < 3; i++) {
        lzr_crowd_leave(c, at(&x, "192.0.2.1"));
    }
    assert_int_equal(lzr_crowd_addresses(c), 2);
    lzr_crowd_leave(c, at(&x, "192.0.2.1")); /* never entered */
    assert_true(lzr_crowd_enter(c, at(&x, "192.0.2.1")));
    lzr_crowd_free(&c);
}

static void a_network_is_one_client(void **state)
{
    (void)state;
    struct lzr_crowd *c = NULL;
    struct address x;
    assert_int_equal(lzr_crowd_new(1, &c, NULL), LZR_OK);
    assert_true(lzr_crowd_enter(c, at(&x, "2001:db8::1")));
    assert_false(lzr_crowd_enter(c, at(&x, "2001:db8::ffff:0:0:2")));
    assert_true(lzr_crowd_enter(c, at(&x, "2001:db8:0:1::1")));
    lzr_crowd_free(&c);
}

static void what_is_not_counted(void **state)
{
    (void)state;
    struct lzr_crowd *c = NULL;
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    struct address x;
    assert_int_equal(lzr_crowd_new(1, &c, NULL), LZR_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(lzr_crowd_enter(c, (struct sockaddr *)&here));
    }
    lzr_crowd_leave(c, (struct sockaddr *)&here);
    lzr_crowd_free(&c);
    assert_int_equal(lzr_crowd_new(0, &c, NULL), LZR_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(lzr_crowd_enter(c, at(&x, "192.0.2.1")));
    }
    assert_int_equal(lzr_crowd_addresses(c), 0);
    lzr_crowd_free(&c);
    lzr_crowd_free(&c);
}

static void many_addresses(void **state)
{
    (void)state;
    struct lzr_crowd *c = NULL;
    struct sockaddr_in a = {.sin_family = AF_INET};
    assert_int_equal(lzr_crowd_new(1, &c, NULL), LZR_OK);
    for (uint32_t i = 0; i < 20000; i++) {
        a.sin_addr.s_addr = htonl(i);
        assert_true(lzr_crowd_enter(c, (struct sockaddr *)&a));
    }
    assert_int_equal(lzr_crowd_addresses(c), 20000);
    for (uint32_t i = 0; i < 20000; i++) {
        a.sin_addr.s_addr = htonl(i);
        assert_false(lzr_crowd_enter(c, (struct sockaddr *)&a));
        lzr_crowd_leave(c, (struct sockaddr *)&a);
        lzr_crowd_leave(c, (struct sockaddr *)&a);
    }
    assert_int_equal(lzr_crowd_addresses(c), 0);
    lzr_crowd_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_so_many),
        cmocka_unit_test(a_network_is_one_client),
        cmocka_unit_test(what_is_not_counted),
        cmocka_unit_test(many_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
