/* Lines of what a worker printed: which name stands before each, wherever a read ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/output.h"

#define IS(label) "\x1d=" label "\x1e"
#define OVER "\x1d.\x1e"
#define WAS(label) "\x1d!" label "\x1e"
#define A "s/a, chunk 1"
#define B "s/a, chunk 2"

/* What the log says of `bytes`, given `step` at a time, "" when none runs; the caller frees. */
static char *logged(const char *bytes, size_t n, size_t step, const char *running)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct lzr_log log = {.fd = fds[1], .level = LZR_LOG_INFO};
    struct lzr_output o;
    lzr_output_init(&o, 3);
    o.log = &log;
    for (size_t at = 0; at < n; at += step) {
        lzr_output_add(&o, bytes + at, step < n - at ? step : n - at);
    }
    lzr_output_settle(&o, running, false);
    lzr_output_settle(&o, running, true);
    lzr_output_release(&o);
    close(fds[1]);
    char *text = calloc(1, 65536);
    size_t have = 0;
    for (ssize_t got; (got = read(fds[0], text + have, 65535 - have)) > 0;) {
        have += (size_t)got;
    }
    close(fds[0]);
    return text;
}

static void expect(const char *bytes, const char *running, const char *want)
{
    for (size_t step = 1; step <= strlen(bytes) + 1; step++) {
        char *got = logged(bytes, strlen(bytes), step, running);
        assert_string_equal(got, want);
        free(got);
    }
}

static void each_line_has_its_own_name(void **state)
{
    (void)state;
    expect("", "", "");
    expect("one\ntwo\n", "", "lazarr: worker 3: one\nlazarr: worker 3: two\n");
    expect("one\n", A, "lazarr: " A ", worker 3: one\n");
    expect(IS(A) "one\n" OVER IS(B) "two\nthree\n" OVER, "",
           "lazarr: " A ", worker 3: one\nlazarr: " B ", worker 3: two\n"
           "lazarr: " B ", worker 3: three\n");
    expect(IS("") "loading\n" OVER, A, "lazarr: worker 3: loading\n");
    expect(IS(A) "\n\nx\n" OVER, "",
           "lazarr: " A ", worker 3: \nlazarr: " A ", worker 3: \nlazarr: " A ", worker 3: x\n");
}

static void parts_of_a_line_come_together(void **state)
{
    (void)state;
    expect(IS(A) "o" OVER IS(A) "n" OVER IS(A) "e\n" OVER, B, "lazarr: " A ", worker 3: one\n");
    expect(IS(A) "one" OVER IS(B) "two\n" OVER, "",
           "lazarr: " A ", worker 3: one\nlazarr: " B ", worker 3: two\n");
    expect(IS(A) "no newline" OVER, "", "lazarr: " A ", worker 3: no newline\n");
    expect("no newline", A, "lazarr: " A ", worker 3: no newline\n");
}

static void what_has_no_mark_is_of_the_next_that_says_so(void **state)
{
    (void)state;
    expect("of C\n" WAS(A), B, "lazarr: " A ", worker 3: of C\n");
    expect("of C\n" IS(A) "of Python\n" OVER, B,
           "lazarr: " A ", worker 3: of C\nlazarr: " A ", worker 3: of Python\n");
    expect(IS(A) "of Python\n" OVER "of C\n" WAS(A) "of the next\n", B,
           "lazarr: " A ", worker 3: of Python\nlazarr: " A ", worker 3: of C\n"
           "lazarr: " B ", worker 3: of the next\n");
    expect(WAS(A) "x\n", B, "lazarr: " B ", worker 3: x\n");
}

static void what_looks_like_a_mark_is_text(void **state)
{
    (void)state;
    expect("\x1d\n", "", "lazarr: worker 3: \\x1d\n");
    expect("\x1dx\x1e\n", "", "lazarr: worker 3: \\x1dx\\x1e\n");
    expect("\x1d=forged\x1ex\n", "", "lazarr: worker 3: \\x1d=forged\\x1ex\n");
    expect("\x1d=a\x1d=" A "\x1ex\n", "",
           "lazarr: " A ", worker 3: \\x1d=a\nlazarr: " A ", worker 3: x\n");
    expect("\x1d\x1d\x1e\n", "", "lazarr: worker 3: \\x1d\\x1d\\x1e\n");
    expect("\x1d=ends here", "", "lazarr: worker 3: \\x1d=ends here\n");
    expect("\x1d=, chunk \x1ex\n", "", "lazarr: worker 3: \\x1d=, chunk \\x1ex\n");
}

static void a_long_line_is_several(void **state)
{
    (void)state;
    enum { N = 40000 };
    char *bytes = malloc(N);
    memset(bytes, 'x', N);
    for (size_t step = 1; step <= N; step = step * 7 + 1) {
        char *got = logged(bytes, N, step, A);
        size_t x = 0;
        for (const char *c = got; *c != '\0'; c++) {
            x += *c == 'x' && c[1] != '1';
        }
        assert_int_equal(x, N);
        assert_non_null(strstr(got, "lazarr: " A ", worker 3: xxx"));
        free(got);
    }
    memset(bytes, '\x1d', N);
    char *got = logged(bytes, N, 4096, "");
    free(got);
    memcpy(bytes, "\x1d=", 2);
    memset(bytes + 2, 'y', N - 2);
    got = logged(bytes, N, 4096, "");
    assert_non_null(strstr(got, "\\x1d=yyy"));
    free(got);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_has_its_own_name),
        cmocka_unit_test(parts_of_a_line_come_together),
        cmocka_unit_test(what_has_no_mark_is_of_the_next_that_says_so),
        cmocka_unit_test(what_looks_like_a_mark_is_text),
        cmocka_unit_test(a_long_line_is_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
