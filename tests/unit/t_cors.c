/* http/cors.h: who may read, who may not, and that each refusal is told once; A25, A27. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/cors.h"

static void test_loopback(void **state)
{
    static const char *const YES[] = {
        "http://localhost", "https://localhost",   "http://localhost:3000",
        "http://127.0.0.1", "http://127.0.0.1:80", "https://127.1.2.3:8",
        "http://[::1]",     "https://[::1]:8443",  "http://app.localhost:3000",
    };
    static const char *const NO[] = {
        "",
        "null",
        "localhost",
        "ftp://localhost",
        "http://",
        "http://localhost.evil.example",
        "http://localhost:",
        "http://localhost:80x",
        "http://localhost@evil.example",
        "http://evil.example:80",
        "http://127.0.0.1.evil.example",
        "http://127.evil.example",
        "http://127.0.0.1.",
        "http://127.0..1",
        "http://127.0.0.1.5",
        "http://evillocalhost",
        "http://.evil/localhost",
        "http://user@localhost",
        "http://128.0.0.1",
        "http://1270.0.0.1",
        "http://[::2]",
        "http://[::1",
        "http://[::1]x",
        "http://[::1].evil.example",
        "http://evil.example/http://localhost",
    };
    (void)state;
    for (size_t i = 0; i < sizeof YES / sizeof YES[0]; i++) {
        if (!lzr_origin_is_loopback(YES[i])) {
            fail_msg("%s is not taken for this machine", YES[i]);
        }
    }
    for (size_t i = 0; i < sizeof NO / sizeof NO[0]; i++) {
        if (lzr_origin_is_loopback(NO[i])) {
            fail_msg("%s is taken for this machine", NO[i]);
        }
    }
}

static void test_allow(void **state)
{
    const char *const given[] = {"https://lab.example:8443"};
    const char *const all[] = {"*"};
    struct lzr_log log = {.fd = -1, .level = LZR_LOG_ERROR};
    struct lzr_cors c;
    (void)state;
    lzr_cors_init(&c, given, 1, &log);
    assert_null(lzr_cors_allow(&c, NULL)); /* a cache would give a "*" to every page */
    assert_string_equal(lzr_cors_resource_policy(&c), "same-origin");
    assert_string_equal(lzr_cors_frames(&c), "frame-ancestors 'self' https://lab.example:8443");
    assert_true(lzr_cors_named(&c, given[0]));
    assert_false(lzr_cors_named(&c, "http://localhost:5173"));
    assert_string_equal(lzr_cors_allow(&c, given[0]), given[0]);
    assert_string_equal(lzr_cors_allow(&c, "http://localhost:5173"), "http://localhost:5173");
    assert_non_null(lzr_cors_allow(&c, "https://neuroglancer-demo.appspot.com"));
    assert_non_null(lzr_cors_allow(&c, "https://hms-dbmi.github.io"));
    assert_null(lzr_cors_allow(&c, "https://lab.example"));
    assert_null(lzr_cors_allow(&c, "http://neuroglancer-demo.appspot.com"));
    assert_null(lzr_cors_allow(&c, "https://neuroglancer-demo.appspot.com.evil.example"));
    assert_null(lzr_cors_allow(&c, "null"));
    assert_null(lzr_cors_allow(&c, ""));
    lzr_cors_release(&c);
    lzr_cors_init(&c, all, 1, &log);
    assert_string_equal(lzr_cors_allow(&c, "https://evil.example"), "https://evil.example");
    assert_string_equal(lzr_cors_allow(&c, NULL), "*");
    assert_string_equal(lzr_cors_resource_policy(&c), "cross-origin");
    assert_string_equal(lzr_cors_frames(&c), "frame-ancestors *");
    assert_false(lzr_cors_named(&c, "https://evil.example"));
    lzr_cors_release(&c);
}

static void test_same(void **state)
{
    static const char *const YES[][2] = {
        {"https://a.b", "https://a.b"},          {"HTTPS://A.b", "https://a.B"},
        {"https://a.b:443", "https://a.b"},      {"https://a.b", "https://a.b:443"},
        {"http://a.b:80", "http://a.b"},         {"http://[::1]:80", "http://[::1]"},
        {"http://a.b:8080", "http://a.b:8080"},  {"null", "null"},
        {"chrome-extension://x", "chrome-extension://x"},
    };
    static const char *const NO[][2] = {
        {"https://a.b", "http://a.b"},       {"https://a.b:80", "https://a.b"},
        {"http://a.b:443", "http://a.b"},    {"https://a.b", "https://a.bc"},
        {"https://a.b", "https://a.b."},     {"https://a.b:4430", "https://a.b"},
        {"https://a.b", ""},                 {"http://a:8", "http://a:80"},
        {"ftp://a.b:80", "ftp://a.b"},       {"http://:80", "http://x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof YES / sizeof YES[0]; i++) {
        assert_true(lzr_origin_same(YES[i][0], YES[i][1]));
    }
    for (size_t i = 0; i < sizeof NO / sizeof NO[0]; i++) {
        assert_false(lzr_origin_same(NO[i][0], NO[i][1]));
    }
}

/* What was logged, as a string. */
static size_t drain(int fd, char *out, size_t size)
{
    ssize_t n = read(fd, out, size - 1);
    assert_true(n >= 0);
    out[n] = '\0';
    return (size_t)n;
}

static void test_told_once(void **state)
{
    int pipes[2];
    static char text[1 << 16];
    struct lzr_cors c;
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    struct lzr_log log = {.fd = pipes[1], .level = LZR_LOG_WARN};
    lzr_cors_init(&c, NULL, 0, &log);
    for (int i = 0; i < 5; i++) {
        assert_null(lzr_cors_allow(&c, "https://page.example"));
    }
    (void)drain(pipes[0], text, sizeof text);
    assert_non_null(strstr(text, "--allow-origin https://page.example"));
    assert_null(strstr(strchr(text, '\n') + 1, "page.example"));
    /* A flood of origins is bounded, in the log and in memory. */
    for (int i = 0; i < 1000; i++) {
        char origin[64];
        (void)snprintf(origin, sizeof origin, "https://p%d.example", i);
        assert_null(lzr_cors_allow(&c, origin));
    }
    assert_int_equal(c.told.n, LZR_ONCE_NAMES);
    (void)drain(pipes[0], text, sizeof text);
    size_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    /* The first names and one of the others; more only if this took more than LZR_ONCE_US. */
    assert_in_range(lines, LZR_ONCE_NAMES, LZR_ONCE_NAMES + 3);
    lzr_cors_release(&c);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void test_header_names(void **state)
{
    char text[2048];
    (void)state;
    assert_true(lzr_cors_headers_safe("Range"));
    assert_true(lzr_cors_headers_safe("range, if-none-match,cache-control, x-my_header"));
    assert_false(lzr_cors_headers_safe("Range\r\nSet-Cookie: a"));
    assert_false(lzr_cors_headers_safe("Range: a"));
    assert_false(lzr_cors_headers_safe("<script>"));
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(lzr_cors_headers_safe(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_told_once),
        cmocka_unit_test(test_header_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
