/* dtype.h and real.h: names, exact fill values, their JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "store/dtype.h"
#include "store/real.h"

static void test_parse(void **state)
{
    static const struct {
        const char *text, *v2, *name;
        unsigned word;
    } ROWS[] = {
        {"|b1", "|b1", "bool", 1},       {"bool", "|b1", "bool", 1},
        {"|u1", "|u1", "uint8", 1},      {"<u1", "|u1", "uint8", 1},
        {">i1", "|i1", "int8", 1},       {"int16", "<i2", "int16", 2},
        {">i2", ">i2", "int16", 2},      {"<u4", "<u4", "uint32", 4},
        {">u8", ">u8", "uint64", 8},     {"int64", "<i8", "int64", 8},
        {"<f2", "<f2", "float16", 2},    {">f4", ">f4", "float32", 4},
        {"float64", "<f8", "float64", 8}, {"<c8", "<c8", "complex64", 4},
        {">c16", ">c16", "complex128", 8}, {"complex64", "<c8", "complex64", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_dtype d;
        char v2[8];
        assert_int_equal(lzr_dtype_parse(ROWS[i].text, &d, NULL), LZR_OK);
        lzr_dtype_v2(d, v2);
        assert_string_equal(v2, ROWS[i].v2);
        assert_string_equal(lzr_dtype_name(d), ROWS[i].name);
        assert_int_equal(lzr_dtype_word(d), ROWS[i].word);
    }
    static const char *const BAD[] = {"",    "object", "|O8",  "<f16", "|u2", "u2",  "=f4", "<U4",
                                      "<i3", "<b2",    "<f42", "<",    "<f",  "|b1 ", "Float32"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct lzr_dtype d;
        struct lzr_err err = {0};
        assert_int_equal(lzr_dtype_parse(BAD[i], &d, &err), LZR_E_INVAL);
        assert_non_null(strstr(err.msg, "dtype must be"));
    }
}

struct fill_row {
    const char *dtype, *re, *im;
    const char *json;  /* NULL: refused */
    const char *bytes; /* hex, or NULL: not compared */
};

static void check_fill(const struct fill_row *row)
{
    struct lzr_dtype d;
    unsigned char fill[16];
    struct lzr_err err = {0};
    assert_int_equal(lzr_dtype_parse(row->dtype, &d, NULL), LZR_OK);
    enum lzr_code code = lzr_fill_parse(d, row->re, row->im, fill, &err);
    if (row->json == NULL) {
        assert_int_equal(code, LZR_E_INVAL);
        assert_non_null(strstr(err.msg, "fill_value must be a value of"));
        return;
    }
    assert_int_equal(code, LZR_OK);
    struct lzr_buf b;
    lzr_buf_init(&b, 1000);
    lzr_fill_json(&b, d, fill);
    assert_string_equal(b.data, row->json);
    lzr_buf_release(&b);
    for (size_t i = 0; row->bytes != NULL && i < strlen(row->bytes) / 2; i++) {
        unsigned v;
        assert_int_equal(sscanf(row->bytes + 2 * i, "%2x", &v), 1);
        assert_int_equal(fill[i], v);
    }
}

/* xarray's: what Python's base64 of struct.pack("<d", value) is. */
static void test_fill_attribute(void **state)
{
    static const char *const ROWS[][3] = {
        {"<f4", "NaN", "\"AAAAAAAA+H8=\""},    {">f4", "-9999", "\"AAAAAICHw8A=\""},
        {"<f8", "0.1", "\"mpmZmZmZuT8=\""},    {">f8", "1e+20", "\"QIy1eB2vFUQ=\""},
        {"<f2", "-Infinity", "\"AAAAAAAA8P8=\""}, {"<f8", "0", "\"AAAAAAAAAAA=\""},
        {">i2", "-32768", "-32768"},           {"|u1", "255", "255"},
        {"|b1", "true", "true"},               {"<u8", "18446744073709551615", "18446744073709551615"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct lzr_dtype d;
        unsigned char fill[16];
        struct lzr_buf b;
        assert_int_equal(lzr_dtype_parse(ROWS[i][0], &d, NULL), LZR_OK);
        assert_int_equal(lzr_fill_parse(d, ROWS[i][1], NULL, fill, NULL), LZR_OK);
        lzr_buf_init(&b, 1000);
        lzr_fill_attribute(&b, d, fill);
        assert_string_equal(b.data, ROWS[i][2]);
        lzr_buf_release(&b);
    }
}

static void test_fill(void **state)
{
    static const struct fill_row ROWS[] = {
        {"|b1", "true", NULL, "true", "01"},
        {"|b1", "0", NULL, "false", "00"},
        {"|b1", "2", NULL, NULL, NULL},
        {"|u1", "255", NULL, "255", "ff"},
        {"|u1", "256", NULL, NULL, NULL},
        {"|u1", "-1", NULL, NULL, NULL},
        {"|u1", "true", NULL, NULL, NULL},
        {"|u1", "1.0", NULL, NULL, NULL},
        {"|u1", "", NULL, NULL, NULL},
        {"|u1", "01", NULL, NULL, NULL},
        {"|u1", " 1", NULL, NULL, NULL},
        {"|i1", "-128", NULL, "-128", "80"},
        {"|i1", "-129", NULL, NULL, NULL},
        {"|i1", "128", NULL, NULL, NULL},
        {">i2", "-5", NULL, "-5", "fffb"},
        {"<i4", "-2147483648", NULL, "-2147483648", "00000080"},
        {"<u8", "18446744073709551615", NULL, "18446744073709551615", "ffffffffffffffff"},
        {"<u8", "9007199254740993", NULL, "9007199254740993", NULL},
        {"<u8", "18446744073709551616", NULL, NULL, NULL},
        {"<i8", "-9223372036854775808", NULL, "-9223372036854775808", "0000000000000080"},
        {"<i8", "-9223372036854775809", NULL, NULL, NULL},
        {"<i8", "9223372036854775808", NULL, NULL, NULL},
        {"<f4", "0.1", NULL, "0.1", "cdcccc3d"},
        {">f4", "0.1", NULL, "0.1", "3dcccccd"},
        {"<f4", "16777217", NULL, "16777216.0", NULL},
        {"<f4", "1e39", NULL, NULL, NULL},
        {"<f4", "NaN", NULL, "\"NaN\"", "0000c07f"},
        {"<f8", "0.30000000000000004", NULL, "0.30000000000000004", NULL},
        {"<f8", "-0.0", NULL, "-0.0", "0000000000000080"},
        {"<f8", "-Infinity", NULL, "\"-Infinity\"", NULL},
        {"<f8", "1e400", NULL, NULL, NULL},
        {"<f8", "nan", NULL, NULL, NULL},
        {"<f8", "0x10", NULL, NULL, NULL},
        {"<f8", "1.", NULL, NULL, NULL},
        {"<f8", "5e-324", NULL, "5e-324", "0100000000000000"},
        {"<f8", "1e16", NULL, "1e+16", NULL},
        {"<f8", "123456789012345680", NULL, "1.2345678901234568e+17", NULL},
        {"<f8", "1000000", NULL, "1000000.0", NULL},
        {"<f8", "0.0001", NULL, "0.0001", NULL},
        {"<f8", "0.00001", NULL, "1e-05", NULL},
        {"<f2", "0.1", NULL, "0.1", "662e"},
        {">f2", "65504", NULL, "65500.0", "7bff"},
        {"<f2", "65519.9", NULL, "65500.0", "ff7b"},
        {"<f2", "65520", NULL, NULL, NULL},
        {"<f2", "Infinity", NULL, "\"Infinity\"", "007c"},
        {"<f2", "6e-8", NULL, "6e-08", "0100"},
        {"<c8", "1.5", "-2", "[1.5,-2.0]", "0000c03f000000c0"},
        {">c16", "NaN", "Infinity", "[\"NaN\",\"Infinity\"]", NULL},
        {"<c8", "1", NULL, "[1.0,0.0]", NULL},
        {"<c8", "1", "x", NULL, NULL},
        {"<f4", "1", "0", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        check_fill(&ROWS[i]);
    }
}

static void test_zero(void **state)
{
    struct lzr_dtype d = {'f', 8, false};
    unsigned char fill[16];
    (void)state;
    assert_int_equal(lzr_fill_parse(d, "0", NULL, fill, NULL), LZR_OK);
    assert_true(lzr_fill_is_zero(d, fill));
    assert_int_equal(lzr_fill_parse(d, "-0.0", NULL, fill, NULL), LZR_OK);
    assert_false(lzr_fill_is_zero(d, fill));
}

/* Every float16 goes to double and back, and its text is read back as itself. */
static void test_every_half(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x10000; h++) {
        double v = lzr_half_to_double((uint16_t)h);
        if (isnan(v)) {
            assert_true((lzr_half_from_double(v) & 0x7fffu) > 0x7c00u);
            continue;
        }
        assert_int_equal(lzr_half_from_double(v), h);
        if (isfinite(v)) {
            char text[LZR_REAL_TEXT];
            lzr_real_text(v, 16, text);
            assert_int_equal(lzr_half_from_double(strtod(text, NULL)), h);
        }
    }
    /* Ties go to the even neighbour, at a normal and at a subnormal step. */
    assert_int_equal(lzr_half_from_double(2049.0), lzr_half_from_double(2048.0));
    assert_int_equal(lzr_half_from_double(2051.0), lzr_half_from_double(2052.0));
    assert_int_equal(lzr_half_from_double(0x1p-25), 0);
    assert_int_equal(lzr_half_from_double(0x1.8p-24), 2);
    assert_int_equal(lzr_half_from_double(0x1.ffep-15), 0x0400); /* up into the normal ones */
}

static void test_texts_come_back(void **state)
{
    uint64_t x = 88172645463325252u; /* xorshift: the same numbers in every run */
    (void)state;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double v;
        char text[LZR_REAL_TEXT];
        memcpy(&v, &x, sizeof v);
        if (isfinite(v)) {
            lzr_real_text(v, 64, text);
            assert_true(strtod(text, NULL) == v);
        }
        uint32_t word = (uint32_t)x;
        float f;
        memcpy(&f, &word, sizeof f);
        if (isfinite(f)) {
            lzr_real_text((double)f, 32, text);
            assert_true((float)strtod(text, NULL) == f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_fill),
        cmocka_unit_test(test_fill_attribute),
        cmocka_unit_test(test_zero),       cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_texts_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
