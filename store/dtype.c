#include "store/dtype.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "store/real.h"

static const struct {
    char kind;
    uint8_t size;
    const char *name;
} KNOWN[] = {
    {'b', 1, "bool"},    {'i', 1, "int8"},     {'i', 2, "int16"},   {'i', 4, "int32"},
    {'i', 8, "int64"},   {'u', 1, "uint8"},    {'u', 2, "uint16"},  {'u', 4, "uint32"},
    {'u', 8, "uint64"},  {'f', 2, "float16"},  {'f', 4, "float32"}, {'f', 8, "float64"},
    {'c', 8, "complex64"}, {'c', 16, "complex128"},
};
#define NKNOWN (sizeof KNOWN / sizeof KNOWN[0])

static bool parse_typestr(const char *text, struct lzr_dtype *out)
{
    char order = text[0];
    if ((order != '<' && order != '>' && order != '|') || text[1] == '\0') {
        return false;
    }
    for (size_t i = 0; i < NKNOWN; i++) {
        char digits[4];
        snprintf(digits, sizeof digits, "%u", (unsigned)KNOWN[i].size);
        if (KNOWN[i].kind == text[1] && strcmp(digits, text + 2) == 0) {
            if (order == '|' && KNOWN[i].size > 1) {
                return false;
            }
            *out = (struct lzr_dtype){KNOWN[i].kind, KNOWN[i].size,
                                      order == '>' && KNOWN[i].size > 1};
            return true;
        }
    }
    return false;
}

enum lzr_code lzr_dtype_parse(const char *text, struct lzr_dtype *out, struct lzr_err *err)
{
    if (parse_typestr(text, out)) {
        return LZR_OK;
    }
    for (size_t i = 0; i < NKNOWN; i++) {
        if (strcmp(KNOWN[i].name, text) == 0) {
            *out = (struct lzr_dtype){KNOWN[i].kind, KNOWN[i].size, false};
            return LZR_OK;
        }
    }
    return lzr_err_set(err, LZR_E_INVAL,
                       "dtype must be bool, int8..64, uint8..64, float16/32/64 or complex64/128, "
                       "got \"%.60s\"",
                       text);
}

void lzr_dtype_v2(struct lzr_dtype d, char out[8])
{
    char order = d.size == 1 ? '|' : d.big ? '>' : '<';
    snprintf(out, 8, "%c%c%u", order, d.kind, (unsigned)d.size);
}

const char *lzr_dtype_name(struct lzr_dtype d)
{
    for (size_t i = 0; i < NKNOWN; i++) {
        if (KNOWN[i].kind == d.kind && KNOWN[i].size == d.size) {
            return KNOWN[i].name;
        }
    }
    lzr_panic(__FILE__, __LINE__, "a dtype that lzr_dtype_parse never made");
}

unsigned lzr_dtype_word(struct lzr_dtype d)
{
    return d.kind == 'c' ? d.size / 2u : d.size;
}

/* Writes the low n bytes of bits in the wanted byte order; the shifts make it independent of the
 * machine's own. */
static void put_word(unsigned char *out, uint64_t bits, unsigned n, bool big)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned shift = 8 * (big ? n - 1 - i : i);
        out[i] = (unsigned char)(bits >> shift);
    }
}

static uint64_t get_word(const unsigned char *in, unsigned n, bool big)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned shift = 8 * (big ? n - 1 - i : i);
        bits |= (uint64_t)in[i] << shift;
    }
    return bits;
}

/* A decimal integer as magnitude and sign: "-0" and leading zeros are refused, since no writer of a
 * manifest makes them. */
static bool parse_integer(const char *text, bool *negative, uint64_t *magnitude)
{
    *negative = *text == '-';
    const char *s = *negative ? text + 1 : text;
    if (*s == '\0' || (*s == '0' && (s[1] != '\0' || *negative))) {
        return false;
    }
    uint64_t v = 0;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) {
            return false;
        }
    }
    *magnitude = v;
    return true;
}

static bool integer_bits(struct lzr_dtype d, const char *text, uint64_t *bits)
{
    bool negative;
    uint64_t magnitude;
    if (!parse_integer(text, &negative, &magnitude)) {
        return false;
    }
    unsigned width = 8u * d.size;
    if (d.kind == 'u') {
        *bits = magnitude;
        return !negative && (width == 64 || magnitude >> width == 0);
    }
    uint64_t limit = UINT64_C(1) << (width - 1);
    *bits = negative ? ~magnitude + 1 : magnitude;
    return negative ? magnitude <= limit : magnitude < limit;
}

static bool float_bits(unsigned size, const char *text, uint64_t *bits)
{
    double v;
    if (!lzr_real_parse(text, &v)) {
        return false;
    }
    bool infinite_meant = strstr(text, "Inf") != NULL;
    if (isnan(v)) {
        /* One NaN for all: the quiet one that NumPy's np.nan is. */
        *bits = size == 2   ? UINT64_C(0x7e00)
                : size == 4 ? UINT64_C(0x7fc00000)
                            : UINT64_C(0x7ff8000000000000);
        return true;
    }
    bool fits;
    if (size == 2) {
        uint16_t h = lzr_half_from_double(v);
        *bits = h;
        fits = (h & 0x7c00u) != 0x7c00u;
    } else if (size == 4) {
        float f = (float)v;
        uint32_t word;
        memcpy(&word, &f, sizeof word);
        *bits = word;
        fits = isfinite(f);
    } else {
        memcpy(bits, &v, sizeof v);
        fits = isfinite(v);
    }
    return fits || infinite_meant;
}

static bool bool_bits(const char *text, uint64_t *bits)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    *bits = yes;
    return yes || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

enum lzr_code lzr_fill_parse(struct lzr_dtype d, const char *re, const char *im,
                             unsigned char out[16], struct lzr_err *err)
{
    unsigned word = lzr_dtype_word(d);
    uint64_t bits[2] = {0, 0};
    bool fits = d.kind == 'c' || im == NULL;
    const char *wrong = re;
    if (fits && d.kind == 'b') {
        fits = bool_bits(re, &bits[0]);
    } else if (fits && (d.kind == 'i' || d.kind == 'u')) {
        fits = integer_bits(d, re, &bits[0]);
    } else if (fits) {
        fits = float_bits(word, re, &bits[0]);
        if (fits && im != NULL) {
            wrong = im;
            fits = float_bits(word, im, &bits[1]);
        }
    }
    if (!fits) {
        return lzr_err_set(err, LZR_E_INVAL, "fill_value must be a value of %s, got \"%.60s\"",
                           lzr_dtype_name(d), wrong);
    }
    memset(out, 0, 16);
    put_word(out, bits[0], word, d.big);
    if (d.kind == 'c') {
        put_word(out + word, bits[1], word, d.big);
    }
    return LZR_OK;
}

bool lzr_fill_is_zero(struct lzr_dtype d, const unsigned char fill[16])
{
    /* By bytes: -0.0 is not the zero that a cleared page is. */
    for (unsigned i = 0; i < d.size; i++) {
        if (fill[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A word's value as a double: of a float of its size. */
static double get_float(const unsigned char *in, unsigned size, bool big)
{
    uint64_t bits = get_word(in, size, big);
    double v;
    if (size == 2) {
        return lzr_half_to_double((uint16_t)bits);
    }
    if (size == 4) {
        uint32_t word = (uint32_t)bits;
        float f;
        memcpy(&f, &word, sizeof f);
        return (double)f;
    }
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void put_float_json(struct lzr_buf *b, const unsigned char *in, unsigned size, bool big)
{
    double v = get_float(in, size, big);
    if (isnan(v)) {
        lzr_buf_puts(b, "\"NaN\"");
    } else if (isinf(v)) {
        lzr_buf_puts(b, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    } else {
        char text[LZR_REAL_TEXT];
        lzr_real_text(v, 8 * size, text);
        lzr_buf_puts(b, text);
    }
}

void lzr_fill_attribute(struct lzr_buf *b, struct lzr_dtype d, const unsigned char fill[16])
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char bytes[9] = {0};
    if (d.kind != 'f') {
        lzr_fill_json(b, d, fill);
        return;
    }
    double v = get_float(fill, d.size, d.big);
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_word(bytes, bits, 8, false);
    lzr_buf_putc(b, '"');
    for (unsigned i = 0; i < 9; i += 3) {
        unsigned three = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (unsigned k = 0; k < 4; k++) {
            lzr_buf_putc(b, i == 6 && k == 3 ? '=' : DIGITS[three >> (18 - 6 * k) & 63]);
        }
    }
    lzr_buf_putc(b, '"');
}

void lzr_fill_json(struct lzr_buf *b, struct lzr_dtype d, const unsigned char fill[16])
{
    unsigned word = lzr_dtype_word(d);
    if (d.kind == 'b') {
        lzr_buf_puts(b, fill[0] != 0 ? "true" : "false");
    } else if (d.kind == 'u') {
        lzr_buf_printf(b, "%llu", (unsigned long long)get_word(fill, word, d.big));
    } else if (d.kind == 'i') {
        uint64_t bits = get_word(fill, word, d.big);
        unsigned unused = 64 - 8 * word;
        /* Shifting up and arithmetically down extends the sign (gcc and clang define both). */
        lzr_buf_printf(b, "%lld", (long long)((int64_t)(bits << unused) >> unused));
    } else if (d.kind == 'f') {
        put_float_json(b, fill, word, d.big);
    } else {
        lzr_buf_putc(b, '[');
        put_float_json(b, fill, word, d.big);
        lzr_buf_putc(b, ',');
        put_float_json(b, fill + word, word, d.big);
        lzr_buf_putc(b, ']');
    }
}
