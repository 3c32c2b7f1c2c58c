/* real.h: floating-point numbers as the shortest text that comes back as the same number, and the
 * two directions of float16, which C compilers do not agree about. Pure functions, any thread. */
#ifndef LZR_STORE_REAL_H
#define LZR_STORE_REAL_H

#include <stdbool.h>
#include <stdint.h>

#define LZR_REAL_TEXT 64 /* bytes that lzr_real_text writes at most, NUL included */

/* Rounds to nearest, ties to even; too large becomes an infinity, a NaN the quiet NaN. */
uint16_t lzr_half_from_double(double v);
double lzr_half_to_double(uint16_t h);

/* v, which must be a finite value of the type with `bits` bits (16, 32, 64), in the fewest digits
 * that round back to it when read as a double and then cast to the type. Always looks like a float
 * ("1.0", "-0.0", "1e+20"), laid out as Python's repr does. */
void lzr_real_text(double v, unsigned bits, char out[LZR_REAL_TEXT]);

/* Reads "-1.5e3", "NaN", "Infinity", "-Infinity": a JSON number or one of three words, nothing
 * else (no hex, no blanks, no locale). Out-of-range finite texts come out infinite, as strtod has
 * it. False if the text is something else. */
bool lzr_real_parse(const char *text, double *out);

#endif
