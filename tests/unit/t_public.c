/* What URLs begin with, and which proxies may say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "http/public.h"

static bool trusted(const char *peer, const char *const *ranges, size_t n)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, peer, &four.sin_addr) == 1) {
        return lzr_proxy_trusted((struct sockaddr *)&four, ranges, n);
    }
    assert_int_equal(inet_pton(AF_INET6, peer, &six.sin6_addr), 1);
    return lzr_proxy_trusted((struct sockaddr *)&six, ranges, n);
}

static void test_who(void **state)
{
    static const char *const ranges[] = {"10.1.0.0/16", "192.0.2.7", "fd00::/9", "2001:db8::1"};
    (void)state;
    assert_true(trusted("127.0.0.1", NULL, 0));
    assert_true(trusted("127.200.3.4", NULL, 0));
    assert_true(trusted("::1", NULL, 0));
    assert_true(trusted("::ffff:127.0.0.1", NULL, 0)); /* IPv4 on a socket of both */
    assert_false(trusted("128.0.0.1", NULL, 0));
    assert_false(trusted("126.255.255.255", NULL, 0));
    assert_false(trusted("::2", NULL, 0));
    assert_false(trusted("::", NULL, 0));
    assert_false(trusted("10.1.2.3", NULL, 0));
    assert_true(trusted("10.1.2.3", ranges, 4));
    assert_true(trusted("::ffff:10.1.2.3", ranges, 4));
    assert_false(trusted("10.2.0.0", ranges, 4));
    assert_true(trusted("192.0.2.7", ranges, 4));
    assert_false(trusted("192.0.2.6", ranges, 4));
    assert_true(trusted("fd7f::1", ranges, 4));
    assert_false(trusted("fd80::1", ranges, 4)); /* the ninth bit */
    assert_true(trusted("2001:db8::1", ranges, 4));
    assert_false(trusted("2001:db8::2", ranges, 4));
    assert_false(lzr_proxy_trusted(NULL, ranges, 4));
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_false(lzr_proxy_trusted(&other, ranges, 4));
    static const char *const all[] = {"0.0.0.0/0"};
    assert_true(trusted("203.0.113.1", all, 1));
    assert_false(trusted("2001:db8::1", all, 1));
}

static void test_ranges(void **state)
{
    static const char *const good[] = {"1.2.3.4", "1.2.3.4/0", "1.2.3.4/32",
                                       "::1",     "::/0",      "fd00::/128"};
    static const char *const bad[] = {"",           "/",          "1.2.3",      "1.2.3.4/",
                                      "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/8x", "::/129",
                                      "host",       "1.2.3.4 ",   "1.2.3.4/ 8"};
    char endless[100];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(lzr_proxy_range_ok(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(lzr_proxy_range_ok(bad[i]));
    }
    memset(endless, '1', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_false(lzr_proxy_range_ok(endless));
}

static void check(const char *public_url, struct lzr_asked asked, const char *want)
{
    char out[LZR_PUBLIC_BYTES];
    lzr_public_base(public_url, &asked, "127.0.0.1:80", out);
    assert_string_equal(out, want);
}

static void test_base(void **state)
{
    char endless[700];
    (void)state;
    check(NULL, (struct lzr_asked){0}, "http://127.0.0.1:80");
    check(NULL, (struct lzr_asked){.host = "a:1"}, "http://a:1");
    check(NULL, (struct lzr_asked){.host = ""}, "http://127.0.0.1:80");
    check(NULL, (struct lzr_asked){.host = "a\"b"}, "http://127.0.0.1:80");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded_host = "b"}, "http://b");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded_host = " b , c"}, "http://b");
    check(NULL, (struct lzr_asked){.host = "a", .proto = "https"}, "https://a");
    check(NULL, (struct lzr_asked){.host = "a", .proto = "httpsx"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "/x/y//"}, "http://a/x/y");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "x"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "//x"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "/x'y"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .port = "8443"}, "http://a:8443");
    check(NULL, (struct lzr_asked){.host = "a", .port = "443", .proto = "https"}, "https://a");
    check(NULL, (struct lzr_asked){.host = "a", .port = "80", .proto = "https"}, "https://a:80");
    check(NULL, (struct lzr_asked){.host = "a:1", .port = "2"}, "http://a:1");
    check(NULL, (struct lzr_asked){.host = "[::1]", .port = "2"}, "http://[::1]:2");
    check(NULL, (struct lzr_asked){.host = "[::1]:3", .port = "2"}, "http://[::1]:3");
    check(NULL, (struct lzr_asked){.host = "a", .port = "2x"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .port = ""}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .port = "123456"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .port = "99999"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .port = "65535"}, "http://a:65535");
    check(NULL, (struct lzr_asked){.host = "a", .port = "0"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "/a/b/../c"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "/.."}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "/a/./"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .prefix = "/..a/.b/c..d/..."}, "http://a/..a/.b/c..d/...");
    check(NULL, (struct lzr_asked){.host = "a", .port = "2, 3", .prefix = "/x"}, "http://a:2/x");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "for=1.2.3.4;host=b;proto=https"},
          "https://b");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "Proto=HTTPS; Host=\"b:8443\" "},
          "https://b:8443");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "for=\"[::1]:4\";by=x , host=c"},
          "http://a"); /* only the first, which says nothing of it */
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "for=\"x;host=c\";proto=https"},
          "https://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=\"b<c\""}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=\"\\b\\:8\";proto=\"ht\\tps\""},
          "https://b:8"); /* a backslash before what needs none */
    check(NULL,
          (struct lzr_asked){.host = "a", .forwarded = "for=\"x\\\";host=c;y=\\\"\";proto=https"},
          "https://a"); /* a quote that doesn't end the text */
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=\"b\\\""}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=\"b;proto=https"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=\"b"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "for=\"x;host=b;proto=https"},
          "http://a"); /* it doesn't end */
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=\"b\"c"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "proto=https;,host=b"}, "https://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=b\"c\""}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host="}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "xhost=b;hostx=c"}, "http://a");
    check(NULL, (struct lzr_asked){.host = "a", .forwarded = "host=b", .forwarded_host = "c"},
          "http://c");
    check("https://h/p///", (struct lzr_asked){.host = "a", .prefix = "/x"}, "https://h/p");
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    check(NULL, (struct lzr_asked){.host = endless}, "http://127.0.0.1:80");
}

static void test_client(void **state)
{
    static const struct {
        const char *list, *forwarded, *want; /* NULL: nobody */
    } rows[] = {
        {NULL, NULL, NULL},
        {"1.2.3.4", NULL, "1.2.3.4"},
        {"9.9.9.9 , 1.2.3.4 ", NULL, "1.2.3.4"},
        {"1.2.3.4:567", NULL, "1.2.3.4"},
        {"2001:db8::1", NULL, "2001:db8::1"},
        {"[2001:db8::1]:567", NULL, "2001:db8::1"},
        {"[2001:db8::1]", NULL, "2001:db8::1"},
        {"unknown", NULL, NULL},
        {"1.2.3.4,", NULL, NULL},
        {"", "for=1.2.3.4", "1.2.3.4"},
        {NULL, "for=1.2.3.4;proto=https", "1.2.3.4"},
        {NULL, "proto=https;For=\"[2001:db8::1]:99\"", "2001:db8::1"},
        {NULL, "for=9.9.9.9, for=\"1.2.3.4:5\";by=x", "1.2.3.4"},
        {NULL, "for=9.9.9.9,by=x", NULL}, /* it doesn't say */
        {NULL, "for=\"9.9.9.9, for=1.2.3.4\"", NULL},
        {NULL, "for=_hidden", NULL},
        {NULL, "for=unknown", NULL},
        {NULL, "for=\"1.2.3.4", NULL},
        {"1.2.3.4", "for=9.9.9.9", "1.2.3.4"},
    };
    char out[64], tiny[5] = "-";
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(out, sizeof out, "-");
        bool said = lzr_public_client(rows[i].list, rows[i].forwarded, out, sizeof out);
        assert_int_equal(said, rows[i].want != NULL);
        assert_string_equal(out, said ? rows[i].want : "-");
    }
    assert_false(lzr_public_client("1.2.3.4", NULL, tiny, sizeof tiny));
    assert_string_equal(tiny, "-");
}

static void test_prefix(void **state)
{
    struct lzr_asked none = {0}, some = {.prefix = "/x"}, slash = {.prefix = "/"};
    (void)state;
    assert_false(lzr_public_has_prefix(NULL, &none));
    assert_true(lzr_public_has_prefix(NULL, &some));
    assert_false(lzr_public_has_prefix(NULL, &slash));
    assert_false(lzr_public_has_prefix("http://h", &some));
    assert_false(lzr_public_has_prefix("http://h/", &some));
    assert_true(lzr_public_has_prefix("http://h/x", &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who), cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_base), cmocka_unit_test(test_client),
                                       cmocka_unit_test(test_prefix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
