/* manifest.h: levels and pyramids, inputs and their graph, slots, what the server reads itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/manifest.h"

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""
#define STORE(arrays) "{\"lazarr\":1,\"arrays\":[" arrays "]}"
#define IMAGE(dtype, pyramid, levels)                                                              \
    "{\"path\":\"e\",\"kind\":\"image\",\"dtype\":\"" dtype "\",\"dims\":[\"y\",\"x\"],"           \
    "\"pyramid\":" pyramid ",\"levels\":[{\"shape\":[9,7],\"chunks\":[4,4]}," levels "]," D "}"
#define LEVEL(y, x, factor) "{\"shape\":[" #y "," #x "],\"chunks\":[4,4],\"factor\":[" factor "]}"
/* A plain array of uint16 and what a test adds. */
#define PLAIN(path, shape, C)                                                                      \
    "{\"path\":\"" path "\",\"kind\":\"plain\",\"dtype\":\"<u2\","                                 \
    "\"levels\":[{\"shape\":[" shape "],\"chunks\":[4,5]}]," C D "}"
/* The same, which the server reads itself. */
#define STORED(path, data)                                                                         \
    "{\"path\":\"" path "\",\"kind\":\"plain\",\"dtype\":\"<u2\","                                 \
    "\"levels\":[{\"shape\":[10,20],\"chunks\":[4,5],\"data\":" data "}]," D "}"
#define INPUT(path, more)                                                                          \
    "{\"array\":\"" path "\",\"levels\":[0],\"axes\":[0,1],\"fixed\":[null,null]" more "}"
#define ON(path, to) PLAIN(path, "10,20", "\"inputs\":[" INPUT(to, "") "],")

static enum lzr_code read_text(struct lzr_arena *arena, const char *json, struct lzr_store *out,
                               struct lzr_err *err)
{
    return lzr_manifest_read(arena, "brain", "brain.py", json, strlen(json), out, err);
}

/* {a manifest, what its error says} */
static const char *const WRONG[][2] = {
    {STORE(IMAGE("<u2", "null", LEVEL(5, 4, "2,2"))),
     "array \"e\": pyramid must be \"mean\", \"mode\", \"max\", \"min\", \"stride\" or \"each\", "
     "got nothing"},
    {STORE(IMAGE("<u2", "\"median\"", LEVEL(5, 4, "2,2"))), "\"each\", got \"median\""},
    {STORE(IMAGE("<u2", "7", LEVEL(5, 4, "2,2"))), "\"each\", got a number"},
    {STORE(IMAGE("<c8", "\"max\"", LEVEL(5, 4, "2,2"))),
     "array \"e\": pyramid \"max\" needs values that have an order, complex64 has none"},
    {STORE(IMAGE("<u2", "\"mean\"", "{\"shape\":[5,4],\"chunks\":[4,4]}")),
     "array \"e\": level 1: factor must be a list, got nothing"},
    {STORE(IMAGE("<u2", "\"mean\"", LEVEL(5, 4, "2"))),
     "level 1: factor must have one number per axis (2), got 1"},
    {STORE(IMAGE("<u2", "\"mean\"", LEVEL(5, 4, "2,0"))),
     "level 1: factor must be >= 1, got 0 on axis 1"},
    {STORE(IMAGE("<u2", "\"mean\"", LEVEL(4, 4, "2,2"))),
     "level 1: shape must be the level below's divided by 2 and rounded up, 5, got 4 on axis 0"},
    {STORE(IMAGE("<u2", "\"mean\"", LEVEL(5, 4, "2,2") "," LEVEL(3, 3, "3,3"))),
     "level 2: factor must be a multiple of the level below's 2, got 3 on axis 0"},
    {STORE(
         "{\"path\":\"e\",\"kind\":\"image\",\"dtype\":\"<u2\",\"dims\":[\"y\",\"x\"],"
         "\"pyramid\":\"mean\",\"levels\":[{\"shape\":[9,7],\"chunks\":[4,4],\"factor\":[2,1]}]," D
         "}"),
     "factor must be 1 at level 0, got 2 on axis 0"},
    {STORE("{\"path\":\"e\",\"kind\":\"image\",\"dtype\":\"<u2\",\"dims\":[\"y\",\"x\"],"
           "\"pyramid\":\"mean\",\"levels\":[{\"shape\":[9000,9000],\"chunks\":[1,1]},{\"shape\":"
           "[9,9],\"chunks\":[4,4],\"factor\":[1000,1000]}]," D "}"),
     "level 1: factor: a chunk would be made of more than 65536 voxels a voxel, 65536 chunks or "
     "2048 MiB of the level below"},
    {STORE(PLAIN("a", "10,20", "\"slots\":0,")), "array \"a\": slots must be >= 1, got 0"},
    {STORE(PLAIN("a", "10,20", "\"slots\":\"x\",")), "slots must be an integer, got a string"},

    {STORE(PLAIN("a", "10,20", "\"inputs\":{},")), "array \"a\": inputs must be a list of at most"},
    {STORE(PLAIN("a", "10,20", "\"inputs\":[5],")),
     "array \"a\": input 0: must be an object, got a number"},
    {STORE(PLAIN("a", "10,20", "\"inputs\":[{}],")),
     "input 0: array must be a string, got nothing"},
    {STORE(ON("a", "b")), "input 0: array must be the path of one of this store, got \"b\""},
    {STORE(ON("a", "a")), "inputs go in a circle: a -> a"},
    {STORE(ON("z", "a") "," ON("a", "b") "," ON("b", "d") "," ON("d", "a")),
     "brain.py: inputs go in a circle: a -> b -> d -> a"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[0,0]}],")),
     "input 0: levels must be a list of 1, got another number of them"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[1]}],")),
     "input 0: levels: it has levels 0 to 0, got 1"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[0],"
                                             "\"axes\":[0,null],\"fixed\":[null,null]}],")),
     "input 0: axis 1 must either follow an axis or be fixed"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[0],"
                                             "\"axes\":[0,2],\"fixed\":[null,null]}],")),
     "input 0: axes must be own axes, of which there are 2, got 2"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[0],"
                                             "\"axes\":[0,null],\"fixed\":[null,[[3]]]}],")),
     "input 0: fixed must be a list of two numbers, got a list on axis 1"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[0],"
                                             "\"axes\":[0,null],\"fixed\":[null,[[3,21]]]}],")),
     "array \"a\": input 0: fixed must be within length 20 of level 0 and not empty, got 3 "
     "to 21 on axis 1"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[{\"array\":\"b\",\"levels\":[0],"
                                             "\"axes\":[0,null],\"fixed\":[null,[3,4]]}],")),
     "input 0: fixed must be a list with one slice per level (1) on axis 1"},
    {STORE(PLAIN("b", "10,21", "") "," ON("a", "b")),
     "array \"a\": input 0 (\"b\"): axis 1 has length 21 at level 0, the axis 1 that follows it 20 "
     "at level 0"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN("a", "10,20",
                                             "\"inputs\":[" INPUT("b", ",\"halo\":[[1,2]]") "],")),
     "input 0: halo must be a list of 2, got another number of them"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN(
         "a", "10,20", "\"inputs\":[" INPUT("b", ",\"halo\":[[1,2],[0,-1]]") "],")),
     "input 0: halo must be >= 0, got -1 on axis 1"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN(
         "a", "10,20", "\"inputs\":[" INPUT("b", ",\"halo\":[[1,2],[0,9e9]]") "],")),
     "halo is more than a block may have on axis 1"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN(
         "a", "10,20", "\"inputs\":[" INPUT("b", ",\"halo\":[[30000,0],[0,40000]]") "],")),
     "array \"a\": a block of level 0 with its inputs takes more than the limit of 2048 MiB or "
     "65536 chunks"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN(
         "a", "10,20", "\"inputs\":[" INPUT("b", ",\"boundary\":\"mirror\"") "],")),
     "input 0: boundary must be \"constant\", \"edge\", \"reflect\", \"symmetric\" or \"wrap\", "
     "got \"mirror\""},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN(
         "a", "10,20", "\"inputs\":[" INPUT("b", ",\"drop\":[true,false]") "],")),
     "input 0: only an axis fixed to one voxel, without halo, can be dropped, not axis 0"},
    {STORE(PLAIN("b", "10,20", "") "," PLAIN(
         "a", "10,20", "\"inputs\":[" INPUT("b", ",\"drop\":[0,false]") "],")),
     "input 0: drop must be true or false, got a number on axis 0"},

#define DATA(C) STORE(STORED("a", "{" C "}"))
    {STORE(STORED("a", "[]")), "array \"a\": data: must be an object, got a list"},
    {DATA(""), "data: dtype must be a string, got nothing"},
    {DATA("\"dtype\":\"<i2\""), "data: dtype must be the array's uint16, got int16"},
    {DATA("\"dtype\":\">u2\""), "data: strides must be a list with one number per axis (2)"},
    {DATA("\"dtype\":\">u2\",\"strides\":[40,0.5]"), "strides must be whole numbers, got another"},
    {DATA("\"dtype\":\">u2\",\"strides\":[40,2],\"offset\":-1"), "offset must be >= 0, got -1"},
    {DATA("\"dtype\":\">u2\",\"strides\":[40,2],\"offset\":0"),
     "bytes must be a whole number, got nothing"},
    {DATA("\"dtype\":\">u2\",\"strides\":[40,2],\"offset\":1,\"bytes\":400"),
     "data: not all elements lie within its 400 bytes"},
    {DATA("\"dtype\":\">u2\",\"strides\":[-40,2],\"offset\":359,\"bytes\":400"),
     "data: not all elements lie within its 400 bytes"},
    {DATA("\"dtype\":\">u2\",\"strides\":[40,2],\"offset\":\"9223372036854775807\",\"bytes\":"
          "\"9223372036854775807\""),
     "data: not all elements lie within"},
    {DATA("\"dtype\":\">u2\",\"strides\":[40,2],\"offset\":0,\"bytes\":400,\"file\":\"x.npy\""),
     "data: file must be an absolute path, got \"x.npy\""},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct lzr_arena arena;
        struct lzr_store s = {.name = "untouched"};
        struct lzr_err err = {0};
        lzr_arena_init(&arena);
        assert_int_not_equal(read_text(&arena, WRONG[i][0], &s, &err), LZR_OK);
        if (strncmp(err.msg, "brain.py: ", 10) != 0 || strstr(err.msg, WRONG[i][1]) == NULL) {
            fail_msg("row %zu: got '%s', wanted '%s'", i, err.msg, WRONG[i][1]);
        }
        assert_string_equal(s.name, "untouched");
        assert_int_not_equal(read_text(&arena, WRONG[i][0], &s, NULL), LZR_OK);
        lzr_arena_release(&arena);
    }
}

static const char FULL[] = STORE(
    "{\"path\":\"seg\",\"kind\":\"labels\",\"dtype\":\"<u4\",\"dims\":[\"y\",\"x\"],"
    "\"pyramid\":\"each\",\"slots\":2,"
    "\"levels\":[{\"shape\":[9,7],\"chunks\":[4,4],\"factor\":[1,1]}," LEVEL(
        5, 4,
        "2,2") "],"
               "\"inputs\":[{\"array\":\"t1\",\"levels\":[0,1],\"axes\":[null,0,1],"
               "\"fixed\":[[[2,3],[1,2]],null,null],\"drop\":[true,false,false],\"halo\":[[0,0],[2,"
               "3],[5,0]"
               "],"
               "\"boundary\":\"reflect\"},"
               "{\"array\":\"raw\",\"levels\":[0,0],\"axes\":[null,null],\"fixed\":[[[0,10],[0,9]],"
               "[[0,20],[5,6]]]}"
               "]," D "},"
               "{\"path\":\"t1\",\"kind\":\"image\",\"dtype\":\"|u1\",\"dims\":[\"c\",\"y\",\"x\"],"
               "\"pyramid\":\"mean\",\"inputs\":[],\"slots\":null,"
               "\"levels\":[{\"shape\":[3,9,7],\"chunks\":[1,4,4]},"
               "{\"shape\":[3,5,4],\"chunks\":[1,4,4],\"factor\":[1,2,2],\"data\":null},"
               "{\"shape\":[3,2,2],\"chunks\":[1,4,4],\"factor\":[1,6,4]}]," D
               "}," STORED("raw",
                           "{\"dtype\":\">u2\",\"offset\":360,\"strides\":[-40,2],\"bytes\":400,"
                           "\"file\":\"/d/"
                           "raw.bin\",\"mtime_ns\":\"1789000000123456789\",\"inode\":12345}"));

static void test_full(void **state)
{
    struct lzr_arena arena;
    struct lzr_store s;
    struct lzr_err err = {0};
    uint64_t step[LZR_MAX_RANK];
    (void)state;
    lzr_arena_init(&arena);
    if (read_text(&arena, FULL, &s, &err) != LZR_OK) {
        fail_msg("%s", err.msg);
    }
    const struct lzr_array *seg = &s.arrays[0], *t1 = &s.arrays[1], *raw = &s.arrays[2];
    assert_int_equal(seg->pyramid, LZR_PYRAMID_EACH);
    assert_int_equal(lzr_array_run_levels(seg), 2);
    assert_false(lzr_level_reduced(seg, 1));
    assert_int_equal(seg->slots, 2);
    assert_int_equal(seg->ninputs, 2);
    const struct lzr_input *in = &seg->inputs[0];
    assert_ptr_equal(in->array, t1);
    assert_true(in->levels[0] == 0 && in->levels[1] == 1);
    assert_true(in->axis[0] == -1 && in->axis[1] == 0 && in->axis[2] == 1);
    assert_true(in->fixed[0][0][0] == 2 && in->fixed[1][0][1] == 2 && in->drop[0] && !in->drop[1]);
    assert_true(in->lower[1] == 2 && in->upper[1] == 3 && in->lower[2] == 5 && in->upper[2] == 0);
    assert_int_equal(in->boundary, LZR_BOUND_REFLECT);
    assert_int_equal(seg->inputs[1].boundary, LZR_BOUND_CONSTANT);
    assert_true(seg->inputs[1].fixed[0][1][1] == 20 && seg->inputs[1].fixed[1][1][0] == 5);

    assert_int_equal(t1->pyramid, LZR_PYRAMID_MEAN);
    assert_int_equal(lzr_array_run_levels(t1), 1);
    assert_true(!lzr_level_reduced(t1, 0) && lzr_level_reduced(t1, 1));
    lzr_level_step(t1, 2, step);
    assert_true(step[0] == 1 && step[1] == 3 && step[2] == 2);
    assert_true(t1->ninputs == 0 && t1->slots == 0 && t1->levels[1].data == NULL);

    const struct lzr_data *d = raw->levels[0].data;
    assert_true(d->dtype.big && d->offset == 360 && d->strides[0] == -40 && d->bytes == 400);
    assert_string_equal(d->file, "/d/raw.bin");
    assert_true(d->mtime_ns == INT64_C(1789000000123456789) && d->inode == 12345);
    assert_int_equal(raw->pyramid, LZR_PYRAMID_NONE);
    lzr_arena_release(&arena);
}

/* What an input is made of counts for what depends on it, however far away. */
static void test_inherited(void **state)
{
    (void)state;
    struct lzr_digest seen[2];
    for (int edit = 0; edit < 2; edit++) {
        struct lzr_arena arena;
        struct lzr_store s;
        char text[2000];
        snprintf(
            text, sizeof text,
            STORE("{\"path\":\"d\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"version\":\"1\","
                  "\"levels\":[{\"shape\":[10,20],\"chunks\":[4,5]}],"
                  "\"inputs\":[" INPUT(
                      "b",
                      "") "]," D "},"
                          "{\"path\":\"b\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"version\":\"1\","
                          "\"levels\":[{\"shape\":[10,20],\"chunks\":[4,5]}],"
                          "\"inputs\":[" INPUT(
                              "a", "") "]," D "},"
                                       "{\"path\":\"a\",\"kind\":\"plain\",\"dtype\":\"<u2\",%s"
                                       "\"levels\":[{\"shape\":[10,20],\"chunks\":[4,5]}],"
                                       "\"digest\":\"%032d\"}"),
            edit ? "\"deterministic\":false," : "\"version\":\"1\",", edit);
        lzr_arena_init(&arena);
        assert_int_equal(read_text(&arena, text, &s, NULL), LZR_OK);
        seen[edit] = s.arrays[0].digest;
        assert_int_equal(s.arrays[0].versioned, !edit);
        assert_int_equal(s.arrays[0].deterministic, !edit);
        lzr_arena_release(&arena);
    }
    assert_false(seen[0].hi == seen[1].hi && seen[0].lo == seen[1].lo);
}

/* A chain as long as a store may be needs no stack; closed, it is refused in a text that fits. */
static void test_long(void **state)
{
    enum { N = 20000 };
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        struct lzr_arena arena;
        struct lzr_store s;
        struct lzr_err err = {0};
        struct lzr_buf b;
        lzr_buf_init(&b, 32 << 20);
        lzr_arena_init(&arena);
        lzr_buf_puts(&b, "{\"lazarr\":1,\"arrays\":[");
        for (int i = 0; i < N; i++) {
            lzr_buf_printf(&b,
                           "%s{\"path\":\"array%d\",\"kind\":\"plain\",\"dtype\":\"<u2\","
                           "\"levels\":[{\"shape\":[10,20],\"chunks\":[4,5]}]," D,
                           i > 0 ? "," : "", i);
            if (i + 1 < N || closed) {
                lzr_buf_printf(&b,
                               ",\"inputs\":[{\"array\":\"array%d\",\"levels\":[0],\"axes\":[0,1],"
                               "\"fixed\":[null,null]}]",
                               (i + 1) % N);
            }
            lzr_buf_puts(&b, "}");
        }
        lzr_buf_puts(&b, "]}");
        assert_false(b.failed);
        enum lzr_code code = read_text(&arena, b.data, &s, &err);
        assert_int_equal(code, closed ? LZR_E_INVAL : LZR_OK);
        if (closed) {
            assert_non_null(strstr(err.msg, "circle: array0 -> array1 -> "));
            assert_non_null(strstr(err.msg, "... -> array0"));
        }
        lzr_arena_release(&arena);
        lzr_buf_release(&b);
    }
}

static void test_memory(void **state)
{
    enum lzr_code code = LZR_E_NOMEM;
    (void)state;
    for (long n = 0; code != LZR_OK; n++) {
        struct lzr_arena arena;
        struct lzr_store s;
        struct lzr_err err = {0};
        lzr_arena_init(&arena);
        lzr_mem_fail_after(n);
        code = read_text(&arena, FULL, &s, &err);
        lzr_mem_fail_after(-1);
        assert_true(code == LZR_OK || code == LZR_E_NOMEM);
        lzr_arena_release(&arena);
        assert_true(n < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong),     cmocka_unit_test(test_full),
        cmocka_unit_test(test_inherited), cmocka_unit_test(test_long),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
