#include "store/real.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint16_t lzr_half_from_double(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint16_t sign = (uint16_t)((bits >> 48) & 0x8000u);
    if (isnan(v)) {
        return (uint16_t)(sign | 0x7e00u);
    }
    double a = fabs(v);
    if (a >= 65520.0) { /* half-way between the largest float16 and the next step */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (a < 0x1p-14) {
        /* Subnormal: steps of 2^-24. nearbyint rounds ties to even in the default mode; 1024 steps
         * is the smallest normal number, whose bits follow on without a gap. */
        return (uint16_t)(sign | (uint16_t)nearbyint(a * 0x1p24));
    }
    int exponent;
    double fraction = frexp(a, &exponent); /* a = fraction * 2^exponent, 0.5 <= fraction < 1 */
    unsigned mantissa = (unsigned)nearbyint(fraction * 0x1p11); /* 1024 .. 2048 */
    unsigned biased = (unsigned)(exponent + 14);
    /* A mantissa that was rounded up to 2048 carries into the exponent by itself. */
    return (uint16_t)(sign | ((biased << 10) + (mantissa - 1024u)));
}

double lzr_half_to_double(uint16_t h)
{
    unsigned exponent = (h >> 10) & 0x1fu;
    double mantissa = (double)(h & 0x3ffu);
    double v;
    if (exponent == 0x1f) {
        v = mantissa > 0 ? (double)NAN : (double)INFINITY;
    } else if (exponent == 0) {
        v = mantissa * 0x1p-24;
    } else {
        v = ldexp(1024.0 + mantissa, (int)exponent - 25);
    }
    return (h & 0x8000u) != 0 ? -v : v;
}

static bool comes_back(const char *text, double v, unsigned bits)
{
    double r = strtod(text, NULL);
    if (bits == 32) {
        return (float)r == (float)v;
    }
    if (bits == 16) {
        return lzr_half_from_double(r) == lzr_half_from_double(v);
    }
    return r == v;
}

/* Lays out digits[0] . digits[1..] * 10^exponent. */
static void lay_out(char *out, bool negative, const char *digits, int exponent)
{
    int n = (int)strlen(digits);
    char *p = out;
    if (negative) {
        *p++ = '-';
    }
    size_t room = (size_t)(LZR_REAL_TEXT - (p - out));
    if (exponent < -4 || exponent >= 16) {
        snprintf(p, room, "%c%s%se%+03d", digits[0], n > 1 ? "." : "", digits + 1, exponent);
    } else if (exponent < 0) {
        snprintf(p, room, "0.%.*s%s", -exponent - 1, "0000", digits);
    } else if (n <= exponent + 1) {
        snprintf(p, room, "%s%.*s.0", digits, exponent + 1 - n, "0000000000000000");
    } else {
        snprintf(p, room, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
    }
}

void lzr_real_text(double v, unsigned bits, char out[LZR_REAL_TEXT])
{
    int most = bits == 16 ? 5 : bits == 32 ? 9 : 17;
    char text[LZR_REAL_TEXT];
    for (int p = 1; p <= most; p++) {
        snprintf(text, sizeof text, "%.*e", p - 1, v);
        if (comes_back(text, v, bits)) {
            break;
        }
    }
    char digits[20]; /* 17 at most, and the NUL */
    size_t n = 0;
    const char *s = text[0] == '-' ? text + 1 : text;
    for (; *s != 'e' && n < sizeof digits - 1; s++) {
        if (*s != '.') {
            digits[n++] = *s;
        }
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    digits[n] = '\0';
    lay_out(out, signbit(v) != 0, digits, atoi(s + 1));
}

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9') {
        s++;
    }
    return s;
}

static bool is_json_number(const char *s)
{
    if (*s == '-') {
        s++;
    }
    const char *begin = s;
    s = skip_digits(s);
    if (s == begin || (*begin == '0' && s > begin + 1)) {
        return false;
    }
    if (*s == '.') {
        begin = ++s;
        s = skip_digits(s);
        if (s == begin) {
            return false;
        }
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-') {
            s++;
        }
        begin = s;
        s = skip_digits(s);
        if (s == begin) {
            return false;
        }
    }
    return *s == '\0';
}

bool lzr_real_parse(const char *text, double *out)
{
    if (strcmp(text, "NaN") == 0) {
        *out = (double)NAN;
    } else if (strcmp(text, "Infinity") == 0) {
        *out = (double)INFINITY;
    } else if (strcmp(text, "-Infinity") == 0) {
        *out = -(double)INFINITY;
    } else if (is_json_number(text)) {
        *out = strtod(text, NULL);
    } else {
        return false;
    }
    return true;
}
