/* cost.h: blocks for one chunk of a coarsest level, each counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/cost.h"
#include "store/manifest.h"

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""

/* An image of 256 x 256 in chunks of 16 with `levels` halved ones. */
static void image(struct lzr_buf *b, const char *path, const char *pyramid, int levels,
                  const char *inputs)
{
    lzr_buf_printf(b,
                   "%s{\"path\":\"%s\",\"kind\":\"image\",\"dtype\":\"|u1\",\"dims\":[\"y\",\"x\"],"
                   "\"pyramid\":\"%s\"," D ",\"inputs\":[%s],\"levels\":[",
                   b->len > 30 ? "," : "", path, pyramid, inputs);
    for (int k = 0; k < levels; k++) {
        lzr_buf_printf(b, "%s{\"shape\":[%d,%d],\"chunks\":[16,16],\"factor\":[%d,%d]}",
                       k > 0 ? "," : "", 256 >> k, 256 >> k, 1 << k, 1 << k);
    }
    lzr_buf_puts(b, "]}");
}

/* An input of all its levels or of the first only. */
static const char *input(char out[512], const char *path, int levels, const char *more)
{
    char list[64] = "";
    for (int k = 0; k < levels; k++) {
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%d", k > 0 ? "," : "", k);
    }
    snprintf(out, 512, "{\"array\":\"%s\",\"levels\":[%s],\"axes\":[0,1],\"fixed\":[null,null]%s}",
             path, list, more);
    return out;
}

struct seen {
    int n;
    struct lzr_cost last;
    char text[2000];
};

static void said(void *ctx, const struct lzr_cost *c)
{
    struct seen *s = ctx;
    s->n++;
    s->last = *c;
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%s:%d:%s ",
             c->array->path, (int)c->blocks, c->most->path);
}

static struct seen check(struct lzr_buf *b, uint64_t limit)
{
    struct lzr_arena arena;
    struct lzr_store s;
    struct lzr_err err;
    struct seen seen = {0};
    lzr_buf_puts(b, "]}");
    lzr_arena_init(&arena);
    if (lzr_manifest_read(&arena, "s", "s.py", b->data, b->len, &s, &err) != LZR_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(lzr_cost_check(&s, limit, said, &seen, &err), LZR_OK);
    lzr_arena_release(&arena);
    lzr_buf_release(b);
    return seen;
}

static void begin(struct lzr_buf *b)
{
    lzr_buf_init(b, 64 << 20);
    lzr_buf_puts(b, "{\"lazarr\":1,\"arrays\":[");
}

static void test_counts(void **state)
{
    char one[512], two[512], both[1100];
    struct lzr_buf b;
    (void)state;
    begin(&b);
    image(&b, "mean", "mean", 4, ""); /* a chunk of level 3 is 8 x 8 of level 0 */
    image(&b, "each", "each", 4, ""); /* 1 */
    image(&b, "flat", "mean", 1, ""); /* nothing to say */
    image(&b, "on", "each", 4, input(one, "mean", 4, "")); /* 1 + 64 */
    image(&b, "all", "mean", 5, input(one, "mean", 1, ""));
    assert_string_equal(check(&b, 0).text, "mean:64:mean each:1:each on:65:mean all:512:all ");

    /* A halo of one voxel reaches one more chunk on each side of the box, as far as there is one;
     * wrapping around takes all of the axes. */
    begin(&b);
    image(&b, "raw", "mean", 1, "");
    image(&b, "halo", "mean", 3, input(one, "raw", 1, ",\"halo\":[[1,1],[1,1]]"));
    image(&b, "wrap", "mean", 3,
          input(one, "raw", 1, ",\"halo\":[[17,0],[0,0]],\"boundary\":\"wrap\""));
    image(&b, "far", "mean", 3,
          input(one, "raw", 1, ",\"halo\":[[200,0],[0,0]],\"boundary\":\"wrap\""));
    /* Level 2 has 4 x 4 chunks: the one looked at is (1, 1), of blocks 4 .. 7. */
    assert_string_equal(check(&b, 0).text, "halo:52:raw wrap:40:raw far:80:raw ");

    /* What two ways lead to is counted once. */
    begin(&b);
    image(&b, "raw", "mean", 1, "");
    image(&b, "left", "mean", 1, input(one, "raw", 1, ""));
    image(&b, "right", "mean", 1, input(one, "raw", 1, ""));
    snprintf(both, sizeof both, "%s,%s", input(one, "left", 1, ""), input(two, "right", 1, ""));
    image(&b, "join", "mean", 5, both);
    assert_string_equal(check(&b, 1023).text, "join:1024:join ");
}

/* Twenty diamonds on top of each other have 2^20 ways; and a long chain ends in time. */
static void test_large_graphs(void **state)
{
    char one[512], two[512], both[1100], path[32];
    struct lzr_buf b;
    (void)state;
    begin(&b);
    image(&b, "a0", "mean", 1, "");
    for (int i = 1; i <= 20; i++) {
        snprintf(path, sizeof path, "a%d", i - 1);
        snprintf(both, sizeof both, "%s,%s", input(one, path, 1, ""), input(two, path, 1, ""));
        snprintf(path, sizeof path, "a%d", i);
        image(&b, path, "mean", i == 20 ? 2 : 1, both);
    }
    assert_string_equal(check(&b, 0).text, "a20:84:a20 ");
    begin(&b);
    image(&b, "a0", "mean", 2, "");
    for (int i = 1; i < 5000; i++) {
        snprintf(path, sizeof path, "a%d", i - 1);
        input(one, path, 1, "");
        snprintf(path, sizeof path, "a%d", i);
        image(&b, path, "mean", 2, one);
    }
    struct seen seen = check(&b, 4000);
    assert_true(seen.n > 10 && seen.last.blocks > 4000); /* as far as the visits reach */
}

static void test_memory(void **state)
{
    struct lzr_buf b;
    struct lzr_arena arena;
    struct lzr_store s;
    struct seen seen = {0};
    (void)state;
    begin(&b);
    image(&b, "mean", "mean", 4, "");
    lzr_buf_puts(&b, "]}");
    lzr_arena_init(&arena);
    assert_int_equal(lzr_manifest_read(&arena, "s", "s.py", b.data, b.len, &s, NULL), LZR_OK);
    for (long n = 0; n < 3; n++) {
        lzr_mem_fail_after(n);
        assert_int_equal(lzr_cost_check(&s, 0, said, &seen, NULL), LZR_E_NOMEM);
        lzr_mem_fail_after(-1);
    }
    assert_int_equal(seen.n, 0);
    lzr_arena_release(&arena);
    lzr_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_large_graphs),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
