/* http/access.h: hosts, tokens, origins, and what the log may show; http/once.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/access.h"
#include "http/mask.h"
#include "http/once.h"
#include "http/target.h"

#define TOKEN "0123456789abcdef-._~"

static void test_host_syntax(void **state)
{
    static const char *const yes[] = {"a",       "a.b-c_d:80", "127.0.0.1:8080", "[::1]",
                                      "[::1]:1", "a:",         "A.EXAMPLE:65535"};
    static const char *const no[] = {"",         ":80",  "a b",     "a/b",    "a:b",
                                     "a:123456", "[]:1", "[::1",    "[::g]",  "::1",
                                     "u@h",      "a,b",  "a\\b",    "[::1]x", "a\x80z",
                                     "a?b",      "a\tb", "a:80:80", "%61.de"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!lzr_host_is_valid(yes[i], strlen(yes[i]))) {
            fail_msg("'%s' is refused", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (lzr_host_is_valid(no[i], strlen(no[i]))) {
            fail_msg("'%s' is taken", no[i]);
        }
    }
    char name[300];
    memset(name, 'a', sizeof name);
    assert_false(lzr_host_is_valid(name, sizeof name));
}

static bool host(const struct lzr_access *a, const char *h)
{
    return lzr_access_host(a, h, strlen(h));
}

static void test_loopback_authorities(void **state)
{
    static const char *const yes[] = {"localhost",      "LOCALHOST:80", "x.localhost:1",
                                      "127.0.0.1:8080", "127.255.0.9",  "[::1]",
                                      "[::1]:8080"};
    static const char *const no[] = {
        "",         "data.example", "data.example:80", "localhost.example:80", "127.0.0.1.example",
        "[::2]:80", "192.168.1.5",  "0.0.0.0:80"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        assert_true(lzr_authority_is_loopback(yes[i], strlen(yes[i])));
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_false(lzr_authority_is_loopback(no[i], strlen(no[i])));
    }
}

static void test_hosts(void **state)
{
    const char *const more[] = {"lab.example", "[fd00::1]"};
    const char *const any[] = {"*"};
    struct lzr_access a = {.check_hosts = true, .host = "127.0.0.1"};
    (void)state;
    assert_true(host(&a, "localhost:8080") && host(&a, "LocalHost") && host(&a, "127.0.0.1:1"));
    assert_true(host(&a, "[::1]:8080") && host(&a, "x.localhost"));
    assert_false(host(&a, "lab.example") || host(&a, "evil.example:8080"));
    assert_false(host(&a, "127.0.0.1.evil.example") || host(&a, "localhost.evil.example"));
    a.hosts = more;
    a.nhosts = 2;
    assert_true(host(&a, "lab.example:80") && host(&a, "LAB.example") && host(&a, "[fd00::1]:80"));
    assert_false(host(&a, "xlab.example") || host(&a, "lab.example.com") || host(&a, "[fd00::2]"));
    a.public_url = "https://view.example:8443/lazarr";
    assert_true(host(&a, "view.example:8443") && host(&a, "VIEW.example"));
    assert_false(host(&a, "view.example.com") || host(&a, "lazarr"));
    a.hosts = any;
    a.nhosts = 1;
    assert_true(host(&a, "evil.example"));
    a = (struct lzr_access){.check_hosts = true, .host = "fd00::5"};
    assert_true(host(&a, "[fd00::5]:80"));
    a = (struct lzr_access){.check_hosts = false};
    assert_true(host(&a, "evil.example"));
}

static void test_token(void **state)
{
    char longest[LZR_TOKEN_MAX + 2];
    struct lzr_access a = {.token = TOKEN};
    (void)state;
    assert_true(lzr_token_is_valid(TOKEN));
    assert_false(lzr_token_is_valid("") || lzr_token_is_valid("short") ||
                 lzr_token_is_valid("0123456789abcde/") || lzr_token_is_valid("0123456789abcde "));
    memset(longest, 'x', sizeof longest);
    longest[LZR_TOKEN_MAX] = '\0';
    assert_true(lzr_token_is_valid(longest));
    longest[LZR_TOKEN_MAX] = 'x';
    longest[LZR_TOKEN_MAX + 1] = '\0';
    assert_false(lzr_token_is_valid(longest));

    static const char path[] = "/t/" TOKEN "/zarr3/";
    size_t n = strlen("/t/" TOKEN);
    assert_int_equal(lzr_access_path(&a, path, sizeof path - 1), n);
    assert_int_equal(lzr_access_path(&a, path, n), n);
    assert_int_equal(lzr_access_path(&a, path, n - 1), 0);
    static const char *const wrong[] = {"/t/",           "/t/" TOKEN "x/", "/T/" TOKEN "/",
                                        "/x/" TOKEN "/", "/t//" TOKEN,     "/",
                                        "/t/0123/",      "//t/" TOKEN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(lzr_access_path(&a, wrong[i], strlen(wrong[i])), 0);
    }
    assert_int_equal(lzr_access_path(&a, "/t/" TOKEN "?q", n + 2), n);

    assert_true(lzr_access_bearer(&a, "Bearer " TOKEN) && lzr_access_bearer(&a, "bearer  " TOKEN));
    assert_false(lzr_access_bearer(&a, NULL) || lzr_access_bearer(&a, "Bearer") ||
                 lzr_access_bearer(&a, "Bearer " TOKEN "x") ||
                 lzr_access_bearer(&a, "Basic " TOKEN) || lzr_access_bearer(&a, TOKEN));
    a.token = NULL;
    assert_int_equal(lzr_access_path(&a, path, sizeof path - 1), 0);
    assert_false(lzr_access_bearer(&a, "Bearer "));
}

static void test_same_origin(void **state)
{
    struct lzr_access a = {.public_url = "https://view.example/lazarr"};
    (void)state;
    assert_true(lzr_access_same_origin(&a, "http://127.0.0.1:8080", "127.0.0.1:8080"));
    assert_true(lzr_access_same_origin(&a, "https://view.example", "inner:80"));
    assert_false(lzr_access_same_origin(&a, "http://view.example", "inner:80"));
    assert_false(lzr_access_same_origin(&a, "http://127.0.0.1:3000", "127.0.0.1:8080"));
    assert_false(lzr_access_same_origin(&a, "null", "127.0.0.1:8080"));
    assert_false(lzr_access_same_origin(&a, "http://127.0.0.1:8080/", "127.0.0.1:8080"));
    assert_false(lzr_access_same_origin(&a, "http://127.0.0.1:8080", NULL));
    assert_false(lzr_access_same_origin(&a, "https://view.example.evil", "inner:80"));
}

static void test_options(void **state)
{
    (void)state;
    assert_true(lzr_origin_is_valid("*") && lzr_origin_is_valid("https://a.example:8443") &&
                lzr_origin_is_valid("null") && lzr_origin_is_valid("chrome-extension://abc"));
    assert_false(lzr_origin_is_valid("") || lzr_origin_is_valid("a.example") ||
                 lzr_origin_is_valid("https://a.example/") || lzr_origin_is_valid("https://") ||
                 lzr_origin_is_valid("https://a b"));
    /* What no browser writes would be taken, and never match. */
    static const char *const odd[] = {"https://a.example:",         "https://a.example:08443",
                                      "https://a.example:0",        "https://a.example:99999",
                                      "http://127.1",               "http://2130706433:3000",
                                      "http://127.0.0.01",          "http://0x7f.0.0.1",
                                      "http://1.2.3.4.5",           "http://[0:0:0:0:0:0:0:1]:3000",
                                      "http://[2001:db8::0:1]",     "http://[2001:0db8::1]",
                                      "http://[::1.2.3.4.5]",       "http://[:::1]",
                                      "http://[1:2]",               "http://a.1"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        if (lzr_origin_is_valid(odd[i])) {
            fail_msg("%s is taken", odd[i]);
        }
    }
    static const char *const good[] = {"HTTPS://Lab.Example:443", "http://127.0.0.1:3000",
                                       "http://[::1]:3000",       "http://[2001:DB8::1]",
                                       "http://a1.2b.example.",   "http://a:65535",
                                       "http://[::ffff:102:304]", "https://xn--bcher-kva.example"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!lzr_origin_is_valid(good[i])) {
            fail_msg("%s is refused", good[i]);
        }
    }
    static const char *const bases[] = {"http://h", "https://h.example:8443/", "http://[::1]:80/a/b",
                                        "http://h/..a/b.", "HTTP://H//a/"};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (!lzr_base_is_valid(bases[i])) {
            fail_msg("%s is refused", bases[i]);
        }
    }
    static const char *const none[] = {"http://h/a?b",   "http://h/#",      "http://u:p@h/",
                                       "http://h:99999", "http://h/a/../b", "http://h/.",
                                       "http://h:08/",   "http://h:/",      "http://"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        if (lzr_base_is_valid(none[i])) {
            fail_msg("%s is taken", none[i]);
        }
    }
    assert_true(lzr_allow_host_is_valid("*") && lzr_allow_host_is_valid("a.example") &&
                lzr_allow_host_is_valid("[::1]"));
    assert_false(lzr_allow_host_is_valid("") || lzr_allow_host_is_valid("a:80") ||
                 lzr_allow_host_is_valid("http://a"));
}

static void test_mask(void **state)
{
    static const struct {
        const char *raw, *want;
    } rows[] = {
        {"/zarr3/a/t/b", "/zarr3/a/t/b"},
        {"/t/" TOKEN "/zarr3/", "/t/***/zarr3/"},
        {"/t/nearly-right/zarr3/?x", "/t/***/zarr3/?x"},
        {"/t/" TOKEN, "/t/***"},
        {"/t/" TOKEN "?a", "/t/***?a"},
        {"/%74/" TOKEN "/a", "/t/***/a"},
        {"/t%2f" TOKEN "/a", "/t/***/a"},
        {"//t/" TOKEN "/a", "/t/***/a"},
        {"http://h:80/t/" TOKEN "/a", "/t/***/a"},
        {"/T/" TOKEN "/a", "(the token)"},
        {"/a?token=" TOKEN, "(the token)"},
        {"/t/x/" TOKEN, "/t/***(the token)"},
        {"/a/%30123456789abcdef-._%7e", "(the token)"},
        {"/t", "/t"},
        {"/tt/a", "/tt/a"},
        {"*", "*"},
        {"", ""},
        {"/%", "/%"},
        {"/%7", "/%7"},
        /* Other programs' secrets. */
        {"/a?token=abc", "/a?token=***"},
        {"/tree?x=1&ToKeN=abc&y=2", "/tree?x=1&ToKeN=***&y=2"},
        {"/a?%74oken=abc", "/a?%74oken=***"},
        {"/a?access_token=a=b", "/a?access_token=***"},
        {"/a?X-Amz-Signature=ab&X-Amz-Date=1", "/a?X-Amz-Signature=***&X-Amz-Date=1"},
        {"/a?api_key=1;sig=2?code=3", "/a?api_key=***;sig=***?code=***"},
        {"/a?next=http%3A%2F%2Fh%2F%3Ftoken%3Dabc", "/a?next=***"},
        {"/lab?_xsrf=2%7Cab&csrfmiddlewaretoken=1&x-csrf=3", "/lab?_xsrf=***&csrfmiddlewaretoken=***&x-csrf=***"},
        {"/a?otp=1&totp=2&options=3", "/a?otp=***&totp=***&options=3"},
        {"/a?tok&design=1&coded=2", "/a?tok&design=1&coded=2"},
        {"http://me:secret@h/a", "***@h/a"},
        {"/a@b?c@d", "/a@b?c@d"},
    };
    char out[200];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lzr_target_mask(rows[i].raw, strlen(rows[i].raw), TOKEN, out, sizeof out);
        assert_string_equal(out, rows[i].want);
    }
    lzr_target_mask("/t/abc/def", 10, NULL, out, 8);
    assert_string_equal(out, "/t/***/");
    lzr_target_mask("/t/abc/def", 10, NULL, out, 4);
    assert_string_equal(out, "/t/");
    lzr_target_mask("/abcdef", 7, NULL, out, 4);
    assert_string_equal(out, "/ab");
}

static void test_text_mask(void **state)
{
    char out[40];
    (void)state;
    assert_true(lzr_text_mask("lab.example:80", 14, TOKEN, out, sizeof out));
    assert_string_equal(out, "lab.example:80");
    assert_true(lzr_text_mask("lab.example", 3, NULL, out, sizeof out));
    assert_string_equal(out, "lab");
    assert_false(lzr_text_mask("http://" TOKEN ".a", 29, TOKEN, out, sizeof out));
    assert_string_equal(out, "(the token)");
    assert_false(lzr_text_mask("0123456789ABCDEF-._%7E", 22, TOKEN, out, sizeof out));
}

static void test_beyond_loopback(void **state)
{
    static const char *const own[] = {"box", "box.lab.example"};
    const struct lzr_access a = {.check_hosts = true, .addresses = true, .own = own, .nown = 2};
    static const char *const yes[] = {"box", "BOX.lab.example:8080", "10.1.2.3", "10.1.2.3:80",
                                      "[fe80::1]:80", "[::ffff:1.2.3.4]", "localhost:1"};
    static const char *const no[] = {"evil.example", "box.evil.example", "1.2.3.4.evil.example",
                                     "1.2.3",        "2130706433",       "0x7f.1.2.3",
                                     "[1.2.3.4]",    "lab.example"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!host(&a, yes[i])) {
            fail_msg("'%s' is refused", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (host(&a, no[i])) {
            fail_msg("'%s' is taken", no[i]);
        }
    }
}

static void test_clean(void **state)
{
    (void)state;
    assert_true(lzr_target_is_clean("/a?b=c%00", 9) && lzr_target_is_clean("*", 1));
    assert_false(lzr_target_is_clean("", 0) || lzr_target_is_clean("/a b", 4) ||
                 lzr_target_is_clean("/a?b\r", 5) || lzr_target_is_clean("/a\0", 3) ||
                 lzr_target_is_clean("/a#b", 4) || lzr_target_is_clean("/\x7f", 2));
    assert_int_equal(lzr_target_authority("http://h:1/a", 12), 10);
    assert_int_equal(lzr_target_authority("/http://h:1/a", 13), 0);
}

static void test_once(void **state)
{
    struct lzr_once o;
    char name[16];
    (void)state;
    lzr_once_init(&o);
    assert_true(lzr_once_due(&o, "a", 1));
    assert_false(lzr_once_due(&o, "a", 2));
    for (int i = 1; i < LZR_ONCE_NAMES; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        assert_true(lzr_once_due(&o, name, 3));
    }
    assert_true(lzr_once_due(&o, "more", 5));
    assert_false(lzr_once_due(&o, "more still", 6));
    assert_false(lzr_once_due(&o, "a", 5 + LZR_ONCE_US));
    assert_true(lzr_once_due(&o, "more still", 5 + LZR_ONCE_US));
    lzr_once_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_syntax), cmocka_unit_test(test_loopback_authorities),
        cmocka_unit_test(test_hosts),       cmocka_unit_test(test_token),
        cmocka_unit_test(test_same_origin), cmocka_unit_test(test_options),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_text_mask),
        cmocka_unit_test(test_beyond_loopback),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
