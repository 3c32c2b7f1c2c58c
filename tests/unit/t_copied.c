/* copied.h: arrays that are others in other chunks: what is refused, and which pieces they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "store/copied.h"
#include "store/manifest.h"

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""

/* Two arrays of float32: one, and it in other chunks. more: members of the second one. */
static enum lzr_code read_two(struct lzr_arena *arena, const char *shape, const char *own,
                              const char *other, const char *more, struct lzr_store *out,
                              struct lzr_err *err)
{
    char text[2000];
    int n = snprintf(
        text, sizeof text,
        "{\"lazarr\":1,\"arrays\":[{\"path\":\"a\",\"kind\":\"plain\",\"dtype\":\"<f4\",\"levels\":"
        "[{\"shape\":[%s],\"chunks\":[%s]}]," D "},{\"path\":\"b\",\"kind\":\"plain\",\"copied\":"
        "true,\"levels\":[{\"shape\":[%s],\"chunks\":[%s]}]," D ",%s}]}",
        shape, own, shape, other, more);
    assert_in_range(n, 1, sizeof text - 1);
    return lzr_manifest_read(arena, "s", "s.py", text, (size_t)n, out, err);
}

#define FOLLOWS "{\"array\":\"a\",\"levels\":[0],\"axes\":[0,1,2],\"fixed\":[null,null,null],"
#define INPUT FOLLOWS "\"halo\":[[0,0],[0,0],[0,0]]}"
#define COPY "\"dtype\":\"<f4\",\"inputs\":[" INPUT "]"

static const struct {
    const char *shape, *own, *other;
    uint64_t pieces[3]; /* 0: none */
    uint64_t most, most_piece;
} GRIDS[] = {
    /* maps to series: 4 of 4 MiB in each piece */
    {"1000,721,1440", "1,721,1440", "1000,16,16", {4, 16, 16}, 250, 4},
    /* as many as are behind the end count too; the last piece is short */
    {"1001,721,1440", "1,721,1440", "2000,16,16", {4, 16, 16}, 251, 4},
    /* series to maps: 14 of a MiB and a bit, in rows */
    {"1000,160,160", "1000,16,16", "1,160,160", {1, 48, 80}, 8, 15},
    /* few and small, or the same */
    {"20,30,40", "1,30,40", "20,8,8", {0}, 20, 0},
    {"1000,721,1440", "1,721,1440", "1,721,1440", {0}, 1, 0},
    {"0,721,1440", "1,721,1440", "10,721,1440", {0}, 1, 0},
    /* a stored chunk that is more than a piece may take */
    {"10,4096,2048", "1,4096,2048", "10,8,8", {1, 8, 8}, 10, 1},
};

static void test_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GRIDS / sizeof GRIDS[0]; i++) {
        struct lzr_arena arena;
        struct lzr_store s;
        struct lzr_err err = {.code = LZR_OK};
        lzr_arena_init(&arena);
        enum lzr_code code =
            read_two(&arena, GRIDS[i].shape, GRIDS[i].own, GRIDS[i].other, COPY, &s, &err);
        assert_string_equal(err.msg, "");
        assert_int_equal(code, LZR_OK);
        const struct lzr_array *b = &s.arrays[1];
        assert_true(b->copied && b->nlevels == 1);
        struct lzr_copied_from from = lzr_copied_from(b, 0);
        assert_int_equal(lzr_copied_most(b, 0), GRIDS[i].most);
        if (GRIDS[i].pieces[0] == 0) {
            assert_true(from.array == &s.arrays[0] && from.level == 0);
        } else {
            assert_true(from.array == b && from.level == 1 && lzr_copied_pieces(b, from.level));
            assert_memory_equal(from.grid->chunks, GRIDS[i].pieces, sizeof GRIDS[i].pieces);
            assert_int_equal(lzr_copied_most(b, 1), GRIDS[i].most_piece);
            from = lzr_copied_from(b, 1);
            assert_true(from.array == &s.arrays[0] && from.level == 0);
        }
        lzr_arena_release(&arena);
    }
}

static const struct {
    const char *own, *other, *more, *said;
} REFUSED[] = {
    {"1,30,40", "20,8,8", "\"dtype\":\"<f4\"", "copied must have one input"},
    {"1,30,40", "20,8,8", "\"dtype\":\"<f4\",\"inputs\":[]", "copied must have one input"},
    {"1,30,40", "20,8,8", "\"dtype\":\">f4\",\"inputs\":[" INPUT "]", "copied must have one input"},
    {"1,30,40", "20,8,8", "\"dtype\":\"<i4\",\"inputs\":[" INPUT "]", "copied must have one input"},
    {"1,30,40", "20,8,8", COPY ",\"copied\":1", NULL}, /* the first one counts */
    {"1,30,40", "20,8,8", "\"dtype\":\"<f4\",\"inputs\":[" INPUT "," INPUT "]",
     "copied must have one input"},
    {"1,30,40", "20,8,8",
     "\"dtype\":\"<f4\",\"inputs\":[" FOLLOWS "\"halo\":[[0,0],[1,0],[0,0]]}]",
     "copied must have one input"},
    {"1,1,1", "20,30,40", COPY, NULL}, /* 24000 */
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        struct lzr_arena arena;
        struct lzr_store s;
        struct lzr_err err = {.code = LZR_OK};
        lzr_arena_init(&arena);
        enum lzr_code code = read_two(&arena, "20,30,40", REFUSED[i].own, REFUSED[i].other,
                                      REFUSED[i].more, &s, &err);
        if (REFUSED[i].said == NULL) {
            assert_int_equal(code, LZR_OK);
        } else {
            assert_int_equal(code, LZR_E_INVAL);
            if (strstr(err.msg, REFUSED[i].said) == NULL) {
                assert_string_equal(err.msg, REFUSED[i].said);
            }
        }
        lzr_arena_release(&arena);
    }
    struct lzr_arena arena;
    struct lzr_store s;
    struct lzr_err err = {.code = LZR_OK};
    lzr_arena_init(&arena);
    assert_int_equal(read_two(&arena, "4000000,1,4000000", "1,1,4000000", "4000000,1,1", COPY, &s,
                              &err),
                     LZR_E_LIMIT);
    assert_non_null(strstr(err.msg, "would be copied from more than 65536"));
    lzr_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
