#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/longhead.h"

static const char *const heads[] = {
    "Host: localhost\r\nX: y\r\n\r\n",
    "Host:localhost\nX:\ty\n\n",
    "Host: localhost\r\nX: y\n\r\n",
    "A: 1\nHost: localhost\r\nX: y\r\n\n",
    "Host: localhost\r\nX: y\r\na:\r\n\r\n",
    "a:\r\nCookie: a=b; c=d\r\nHost: localhost\r\nhOST: second\r\nX: y\r\n\r\n",
    "Host: localhost\r\nX: y\r\nConnection: keep-alive, Close\r\n\r\n",
};
static const char behind[] = "GET / HTTP/1.1\r\n\r\n";

/* What the library makes of its memory and of what is left in the socket: bytes until behind an
 * empty line, of headers with names none. */
static size_t as_library(const char *text, size_t n, size_t *named)
{
    *named = 0;
    for (size_t at = 0; at < n;) {
        const char *lf = memchr(text + at, '\n', n - at);
        assert_non_null(lf);
        size_t end = (size_t)(lf - text), len = end - at;
        len -= len > 0 && text[end - 1] == '\r';
        if (len == 0) {
            return end + 1;
        }
        assert_non_null(memchr(text + at, ':', len));
        *named += text[at] != ':';
        at = end + 1;
    }
    fail();
    return 0;
}

/* The library has the first bytes, the others come step by step. */
static void take(const char *head, size_t first, size_t step)
{
    char *all = malloc(4096), lib[4096];
    size_t whole = strlen(head), n, at, named, take;
    strcpy(all, head);
    strcat(all, behind);
    n = strlen(all);
    struct lzr_longhead h = {.lead = 16};
    memcpy(lib, all, first);
    enum lzr_longhead_state state = lzr_longhead_seize(&h, lib, first);
    size_t gone = first, came = first; /* taken away, in the socket */
    while (state == LZR_LONGHEAD_MORE && came < n) {
        size_t room, seen;
        came = came + step < n ? came + step : n;
        char *to = lzr_longhead_room(&h, &room);
        seen = came - gone < room ? came - gone : room;
        memcpy(to, all + gone, seen);
        state = lzr_longhead_seen(&h, seen, &take);
        gone += take;
    }
    assert_int_equal(state, LZR_LONGHEAD_WHOLE);
    assert_int_equal(h.whole, 16 + whole);
    assert_int_equal(h.gone, gone - first);
    memcpy(lib + first, all + gone, n - gone);
    at = as_library(lib, first + n - gone, &named);
    assert_string_equal(behind, (lib[first + n - gone] = '\0', lib + at));
    assert_int_equal(at + h.gone, whole);
    assert_true(lzr_longhead_parse(&h));
    assert_false(h.broken);
    assert_string_equal(lzr_longhead_find(&h, "host"), "localhost");
    assert_string_equal(lzr_longhead_find(&h, "X"), "y");
    assert_null(lzr_longhead_find(&h, "Hos"));
    assert_int_equal(h.close, strstr(head, "Close") != NULL);
    size_t lines = 0;
    for (const char *p = head; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(h.nfields, lines - 1);
    /* Of what the library had nothing is left to be looked at. */
    assert_true(named == 0);
    lzr_longhead_release(&h);
    free(all);
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        for (size_t first = 0; first <= strlen(heads[i]) + sizeof behind - 1; first++) {
            for (size_t step = 1; step < 90; step++) {
                take(heads[i], first, step);
            }
        }
    }
}

static void too_long(void **state)
{
    (void)state;
    for (size_t n = LZR_MAX_HEAD - 2; n <= LZR_MAX_HEAD + 2; n++) {
        for (size_t step = 1; step < 6000; step = step * 3 + 1) {
            struct lzr_longhead h = {.lead = 16};
            enum lzr_longhead_state s = LZR_LONGHEAD_MORE;
            char *all = malloc(n);
            size_t gone = 0, came = 0, room, take;
            memset(all, 'x', n);
            all[1] = ':';
            memcpy(all + n - 16 - 4, "\r\n\r\n", 4);
            s = lzr_longhead_seize(&h, all, 0);
            while (s == LZR_LONGHEAD_MORE) {
                came = came + step < n - 16 ? came + step : n - 16;
                char *to = lzr_longhead_room(&h, &room);
                size_t seen = came - gone < room ? came - gone : room;
                memcpy(to, all + gone, seen);
                s = lzr_longhead_seen(&h, seen, &take);
                gone += take;
            }
            assert_int_equal(s, n <= LZR_MAX_HEAD ? LZR_LONGHEAD_WHOLE : LZR_LONGHEAD_TOO_LONG);
            assert_true(h.size <= LZR_MAX_HEAD + 16);
            lzr_longhead_release(&h);
            free(all);
        }
    }
}

static void lines_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"Host\r\n\r\n", "A: b\r\n c\r\n\r\n", "A: b\r\n\tc: d\r\n\r\n", "\r: a\r\nb\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct lzr_longhead h = {.lead = 16};
        char text[64];
        strcpy(text, bad[i]);
        assert_int_equal(lzr_longhead_seize(&h, text, strlen(text)), LZR_LONGHEAD_WHOLE);
        assert_true(lzr_longhead_parse(&h));
        assert_true(h.broken);
        lzr_longhead_release(&h);
    }
}

static void without_memory(void **state)
{
    (void)state;
    for (long at = 0; at < 3; at++) {
        struct lzr_longhead h = {.lead = 16};
        char text[] = "Host: localhost\r\n", *to;
        size_t room, take;
        lzr_mem_fail_at(at);
        (void)lzr_longhead_seize(&h, text, strlen(text));
        if (h.no_memory) {
            assert_int_equal(at, 0);
            assert_string_equal(text, "Host: localhost\r\n");
        } else if ((to = lzr_longhead_room(&h, &room)) == NULL) {
            assert_int_equal(at, 1);
            assert_true(h.no_memory);
        } else {
            memcpy(to, "\r\n", 2);
            assert_int_equal(lzr_longhead_seen(&h, 2, &take), LZR_LONGHEAD_WHOLE);
            assert_false(lzr_longhead_parse(&h));
            assert_true(h.no_memory);
            assert_null(lzr_longhead_find(&h, "Host"));
        }
        lzr_mem_fail_at(-1);
        lzr_longhead_release(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(too_long),
        cmocka_unit_test(lines_that_are_none),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
