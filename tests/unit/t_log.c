/* The log: nobody waits for its reader, nothing is lost without being counted. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_json.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "base/repeats.h"
#include "base/ring.h"

#define MINUTE (UINT64_C(60) * 1000000)

static void shows(const char *text, bool client, const char *wanted)
{
    static char out[LZR_LOG_LINE + 2];
    size_t n = lzr_log_show(out, text, strlen(text), client);
    out[n] = '\0';
    assert_string_equal(out, wanted);
}

static void test_lines(void **state)
{
    static char out[LZR_LOG_LINE + 1], many[3 * LZR_LOG_LINE];
    (void)state;
    shows("a\x1b[31m\r\tb\nc\n", false, "lazarr: a\\x1b[31m\\x0d\tb\n    c\n");
    shows("gr\xc3\xb6\xc3\x9f" "er \xe2\x82\xac \xf0\x9f\x90\x9f", false,
          "lazarr: gr\xc3\xb6\xc3\x9f" "er \xe2\x82\xac \xf0\x9f\x90\x9f\n");
    shows("gr\xc3\xb6", true, "lazarr: gr\\xc3\\xb6\n");
    /* C1 controls, stray and cut characters, overlong ones, surrogates, beyond Unicode. */
    shows("\xc2\x9b" "31m", false, "lazarr: \\xc2\\x9b31m\n");
    shows("\xff \x80 \xc3", false, "lazarr: \\xff \\x80 \\xc3\n");
    shows("\xc0\xaf \xe0\x80\xaf", false, "lazarr: \\xc0\\xaf \\xe0\\x80\\xaf\n");
    shows("\xed\xa0\x80 \xf4\x90\x80\x80", false,
          "lazarr: \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80\n");
    for (int byte = 1; byte < 256; byte += 7) {
        memset(many, byte, sizeof many);
        size_t n = lzr_log_show(out, many, sizeof many, byte % 2 != 0);
        assert_in_range(n, LZR_LOG_LINE - 8, LZR_LOG_LINE + 1);
        assert_int_equal(out[n - 1], '\n');
    }
}

/* A pipe with a log at one end. */
struct piped {
    int fds[2];
    struct lzr_log log;
};

static void open_piped(struct piped *p, int flags)
{
    struct lzr_err err;
    assert_int_equal(pipe2(p->fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(p->fds[1], F_SETFL, flags), 0);
    p->log = (struct lzr_log){.fd = p->fds[1], .level = LZR_LOG_INFO};
    assert_int_equal(lzr_log_start(&p->log, &err), LZR_OK);
}

static void close_piped(struct piped *p)
{
    lzr_log_free(&p->log);
    for (int i = 0; i < 2; i++) {
        if (p->fds[i] >= 0) {
            close(p->fds[i]);
        }
    }
}

/* Reads until the writer has closed its end, which is closed here once the log has ended. */
static char *read_all(struct piped *p, size_t *n)
{
    size_t cap = 1 << 16;
    char *text = malloc(cap);
    *n = 0;
    for (;;) {
        struct pollfd look = {.fd = p->fds[0], .events = POLLIN};
        /* All is written, and then read: what is said at the end has room. */
        if (p->fds[1] >= 0 && lzr_log_left(&p->log) == 0 && poll(&look, 1, 0) == 0) {
            lzr_log_end(&p->log, MINUTE, MINUTE);
            close(p->fds[1]);
            p->fds[1] = -1;
        }
        if (poll(&look, 1, 10) == 0) {
            continue;
        }
        if (cap - *n < 65537) {
            text = realloc(text, cap *= 2);
        }
        ssize_t got = read(p->fds[0], text + *n, 65536);
        assert_true(got >= 0);
        if (got == 0) {
            text[*n] = '\0';
            return text;
        }
        *n += (size_t)got;
    }
}

static void test_order(void **state)
{
    struct piped p;
    size_t n;
    (void)state;
    open_piped(&p, 0);
    lzr_log(&p.log, LZR_LOG_DEBUG, "not shown");
    lzr_log(&p.log, LZR_LOG_INFO, "first");
    lzr_log_lines(&p.log, LZR_LOG_INFO, "worker 1", "x\ny", 3);
    lzr_log_text(&p.log, "as it \x01is\n", 10);
    lzr_log_as(&p.log, LZR_LOG_WARN, (struct lzr_log_how){.client = true}, "%s", "\xc3\xb6");
    char *text = read_all(&p, &n);
    assert_string_equal(text, "lazarr: first\nlazarr: worker 1: x\nlazarr: worker 1: y\n"
                              "as it \x01is\nlazarr: \\xc3\\xb6\n");
    free(text);
    close_piped(&p);
}

/* Lines until one is lost: none of them waits, though nobody reads. Returns how many. */
static unsigned fill(struct piped *p)
{
    char tail[901];
    unsigned n = 0;
    memset(tail, 'x', sizeof tail - 1);
    tail[sizeof tail - 1] = '\0';
    while (lzr_log_lost(&p->log) == 0) {
        lzr_log(&p->log, LZR_LOG_INFO, "line %u %s", n++, tail);
    }
    return n;
}

/* All lines from 0 on in their order; then how many were lost. */
static void check_lines(const char *text, unsigned said, unsigned lost)
{
    unsigned next = 0;
    char wanted[64];
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        unsigned number;
        if (sscanf(line, "lazarr: line %u ", &number) == 1) {
            assert_int_equal(number, next);
            next++;
        }
    }
    assert_int_equal(next + lost, said);
    (void)snprintf(wanted, sizeof wanted, "\nlazarr: %u lines lost: the log wasn't read\n", lost);
    assert_non_null(strstr(text, wanted));
}

static void stuck(int flags)
{
    struct piped p;
    size_t n;
    open_piped(&p, flags);
    unsigned said = fill(&p);
    for (int i = 0; i < 99; i++) {
        lzr_log(&p.log, LZR_LOG_INFO, "line %u", said++);
    }
    assert_int_equal(lzr_log_lost(&p.log), 100);
    assert_true(said > 4000); /* 4 MiB of them waited */
    char *text = read_all(&p, &n);
    check_lines(text, said, 100);
    free(text);
    close_piped(&p);
}

static void test_stuck(void **state)
{
    (void)state;
    stuck(0);
}

static void test_stuck_nonblocking(void **state)
{
    (void)state;
    stuck(O_NONBLOCK);
}

/* After the reader was away, lines come again, behind the count. */
static void test_back(void **state)
{
    struct piped p;
    size_t n;
    (void)state;
    open_piped(&p, 0);
    (void)fill(&p);
    char *got = malloc(8 << 20);
    size_t have = 0;
    while (have == 0 || memmem(got, have, "lines lost", 10) == NULL) {
        ssize_t more = read(p.fds[0], got + have, 65536);
        assert_true(more > 0);
        have += (size_t)more;
    }
    free(got);
    lzr_log(&p.log, LZR_LOG_INFO, "again");
    char *text = read_all(&p, &n);
    assert_non_null(strstr(text, "lazarr: again\n"));
    assert_null(strstr(text, "lines lost"));
    free(text);
    close_piped(&p);
}

/* A reader that takes nothing delays an end by the bound, one that takes all by nothing. */
static void test_end(void **state)
{
    struct piped p;
    (void)state;
    open_piped(&p, 0);
    (void)fill(&p);
    uint64_t began = lzr_now_us();
    lzr_log_end(&p.log, 100000, MINUTE);
    assert_true(lzr_now_us() - began < MINUTE / 2);
    lzr_log(&p.log, LZR_LOG_INFO, "too late");
    close_piped(&p);
    open_piped(&p, 0);
    lzr_log(&p.log, LZR_LOG_INFO, "read");
    lzr_log_end(&p.log, MINUTE, MINUTE);
    close_piped(&p);
}

/* Nobody has the other end: that is no reason to stop, to spin or to end by a signal. */
static void test_closed(void **state)
{
    struct piped p;
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    open_piped(&p, 0);
    close(p.fds[0]);
    p.fds[0] = -1;
    (void)fill(&p);
    lzr_log_end(&p.log, MINUTE, MINUTE); /* gives up by itself */
    close_piped(&p);
}

static void test_unwritable(void **state)
{
    struct lzr_err err;
    struct lzr_log log = {.fd = -1, .level = LZR_LOG_INFO};
    (void)state;
    assert_int_equal(lzr_log_start(&log, &err), LZR_OK);
    lzr_log(&log, LZR_LOG_INFO, "nowhere");
    lzr_log_end(&log, MINUTE, MINUTE);
    lzr_log_free(&log);
    lzr_log(NULL, LZR_LOG_INFO, "nowhere");
}

/* A forked child has no thread that writes: it writes itself, and waits for no lock. */
static void test_fork(void **state)
{
    struct piped p;
    size_t n;
    int status = 0;
    (void)state;
    open_piped(&p, 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lzr_log(&p.log, LZR_LOG_INFO, "of a child");
        lzr_log_lines(&p.log, LZR_LOG_INFO, "child", "a\nb\n", 4);
        lzr_log_flush(&p.log, MINUTE, MINUTE);
        lzr_log_end(&p.log, MINUTE, MINUTE);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    lzr_log(&p.log, LZR_LOG_INFO, "of its parent");
    char *text = read_all(&p, &n);
    assert_string_equal(text, "lazarr: of a child\nlazarr: child: a\nlazarr: child: b\n"
                              "lazarr: of its parent\n");
    free(text);
    close_piped(&p);
}

/* All of a text or nothing, whatever its length. */
static void test_text(void **state)
{
    int fds[2];
    struct lzr_err err;
    struct lzr_ring *r = NULL;
    static char text[100000], got[100000];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 23);
    }
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(lzr_ring_new(fds[1], 2 * sizeof text, &r, &err), LZR_OK);
    assert_true(lzr_ring_put_text(r, text, sizeof text));
    for (size_t n = 0; n < sizeof got;) {
        ssize_t more = read(fds[0], got + n, sizeof got - n);
        assert_true(more > 0);
        n += (size_t)more;
    }
    assert_memory_equal(got, text, sizeof text);
    lzr_ring_end(r, MINUTE, MINUTE);
    assert_int_equal(lzr_ring_lost(r), 0);
    lzr_ring_free(&r);
    assert_null(r);
    lzr_ring_free(&r);
    close(fds[0]);
    close(fds[1]);
}

static void test_no_memory(void **state)
{
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_log log = {.fd = STDERR_FILENO};
    (void)state;
    lzr_mem_fail_after(0);
    assert_int_equal(lzr_log_start(&log, &err), LZR_E_NOMEM);
    lzr_mem_fail_after(-1);
    assert_null(log.ring);
}

static bool note(struct lzr_repeats *t, uint64_t same, const char *text, uint64_t now)
{
    return lzr_repeats_note(t, lzr_repeats_key(same, text, strlen(text)), false, text, strlen(text),
                            now);
}

static void test_repeats(void **state)
{
    static struct lzr_repeats t;
    struct lzr_repeat sum;
    (void)state;
    assert_int_equal(lzr_repeats_next(&t), UINT64_MAX);
    assert_true(note(&t, 1, "chunk 1: no", 0));
    assert_false(note(&t, 1, "chunk 22: no", 1));
    assert_true(note(&t, 2, "chunk 1: no", 1)); /* of another array */
    assert_true(note(&t, 1, "chunk 1: other", 1));
    for (int i = 0; i < 9998; i++) {
        assert_false(note(&t, 1, "chunk 3: no", 2));
    }
    assert_int_equal(lzr_repeats_next(&t), LZR_REPEATS_FIRST_US);
    assert_false(lzr_repeats_due(&t, LZR_REPEATS_FIRST_US - 1, false, &sum));
    assert_true(lzr_repeats_due(&t, LZR_REPEATS_FIRST_US, false, &sum));
    assert_int_equal(sum.count, 9999);
    assert_int_equal(sum.begun_us, 0);
    assert_memory_equal(sum.text, "chunk 3: no", sum.n);
    assert_false(lzr_repeats_due(&t, LZR_REPEATS_FIRST_US, false, &sum));
    assert_int_equal(t.n, 3);
    /* Goes on: one sum a minute; then no more comes, and it is forgotten without a word. */
    uint64_t at = LZR_REPEATS_FIRST_US;
    assert_false(note(&t, 1, "chunk 4: no", at + 1));
    assert_false(lzr_repeats_due(&t, at + LZR_REPEATS_US - 1, false, &sum));
    assert_true(lzr_repeats_due(&t, at + LZR_REPEATS_US, false, &sum));
    assert_int_equal(sum.count, 1);
    assert_int_equal(t.n, 1);
    assert_false(lzr_repeats_due(&t, at + 2 * LZR_REPEATS_US, false, &sum));
    assert_int_equal(t.n, 0);
    assert_true(note(&t, 1, "chunk 5: no", 9 * MINUTE));
}

static void test_repeats_are_bounded(void **state)
{
    static struct lzr_repeats t;
    struct lzr_repeat sum;
    uint64_t sums = 0;
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t key = lzr_repeats_key(i, "x", 1);
        sums += lzr_repeats_room(&t, key, &sum);
        assert_true(lzr_repeats_note(&t, key, false, "x", 1, i));
        if (i == 7) {
            assert_false(lzr_repeats_room(&t, key, &sum));
            assert_false(lzr_repeats_note(&t, key, false, "x", 1, i));
        }
    }
    assert_int_equal(t.n, LZR_REPEATS_MAX);
    assert_int_equal(sums, 1); /* nothing counted went without a word */
}

/* What fails again and again is two lines, in whatever time. */
static void test_summed_up(void **state)
{
    struct piped p;
    size_t n;
    (void)state;
    open_piped(&p, 0);
    for (int i = 0; i < 10000; i++) {
        lzr_log_as(&p.log, LZR_LOG_ERROR, (struct lzr_log_how){.same = 5},
                   "s/a: chunk %d: ValueError: no\nTraceback of %d", i, i);
    }
    char *text = read_all(&p, &n);
    assert_ptr_equal(strstr(text, "lazarr: s/a: chunk 0: ValueError: no\n    Traceback of 0\n"),
                     text);
    assert_non_null(strstr(text, "lazarr: repeated 9999 times in "));
    assert_non_null(strstr(text, " s, the last: s/a: chunk 9999: ValueError: no\n"));
    assert_true(n < 300);
    free(text);
    close_piped(&p);
}

/* Whatever the text is, an object is whole, one line, and no longer than a line may be. */
static void objects(void **state)
{
    static const struct {
        const char *text, *shown;
        bool client;
    } texts[] = {
        {"plain", "plain", false},
        {"a \"b\" \\ c\td\n", "a \\\"b\\\" \\\\ c\\td", false},
        {"two\nlines\r", "two\\nlines\\r", false},
        {"\x1b[31m\x7f", "\\\\x1b[31m\\\\x7f", false},
        {"h\u00f6\xff\xc2\x9b", "h\u00f6\\\\xff\\\\xc2\\\\x9b", false},
        {"h\u00f6", "h\\\\xc3\\\\xb6", true},
        {"", "", false},
    };
    static char out[LZR_LOG_LINE + 1], wanted[512], many[2 * LZR_LOG_LINE];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t n = lzr_log_json(out, "T", "info", texts[i].text, strlen(texts[i].text),
                                texts[i].client);
        (void)snprintf(wanted, sizeof wanted, "%s%s\"}\n",
                       "{\"time\":\"T\",\"level\":\"info\",\"message\":\"", texts[i].shown);
        assert_int_equal(n, strlen(wanted));
        assert_memory_equal(out, wanted, n);
    }
    for (int byte = 0; byte < 256; byte++) {
        memset(many, byte, sizeof many);
        size_t n = lzr_log_json(out, "T", "info", many, sizeof many, byte % 2 != 0);
        assert_true(n <= LZR_LOG_LINE && n > 30);
        assert_memory_equal(out + n - 3, "\"}\n", 3);
        for (size_t i = 0; i < n - 1; i++) {
            assert_true((unsigned char)out[i] >= 0x20 && (unsigned char)out[i] < 0x7f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_stuck_nonblocking),
        cmocka_unit_test(test_back),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_repeats_are_bounded),
        cmocka_unit_test(test_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
