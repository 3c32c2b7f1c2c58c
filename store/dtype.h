/* dtype.h: the element types of an array and their names in each format.
 *
 * bool, (u)int8..64, float16/32/64, complex64/128, in either byte order. Pure functions,
 * any thread. */
#ifndef LZR_STORE_DTYPE_H
#define LZR_STORE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct lzr_dtype {
    char kind;    /* 'b' bool, 'i', 'u', 'f', 'c': NumPy's letters */
    uint8_t size; /* bytes of an element: 1, 2, 4, 8, 16 */
    bool big;     /* big-endian; false where size is 1 */
};

/* From NumPy's typestr ("<f4", "|u1", ">c16") or a plain name ("float32": little-endian). */
enum lzr_code lzr_dtype_parse(const char *text, struct lzr_dtype *out, struct lzr_err *err);

void lzr_dtype_v2(struct lzr_dtype d, char out[8]); /* "<u2", "|b1" (Zarr v2, NumPy) */
const char *lzr_dtype_name(struct lzr_dtype d);     /* "uint16", "complex64" (Zarr v3, N5) */
/* Bytes of the unit that byte order applies to: half of size for complex, else size. */
unsigned lzr_dtype_word(struct lzr_dtype d);

/* A fill value is kept as the element's own bytes, in the dtype's byte order. Parsed from the
 * manifest's text form: "0", "-5", "18446744073709551615", "0.1", "NaN", "Infinity", "-Infinity",
 * "true"/"false"; complex: two texts. Exact for every integer; floats as strtod rounds, then to the
 * type. A value that the type can't hold is LZR_E_INVAL. */
enum lzr_code lzr_fill_parse(struct lzr_dtype d, const char *re, const char *im,
                             unsigned char out[16], struct lzr_err *err);
bool lzr_fill_is_zero(struct lzr_dtype d, const unsigned char fill[16]);

struct lzr_buf;
/* Appends the JSON form that Zarr v2 and v3 share: integers exactly, floats with the fewest digits
 * that round-trip or "NaN" / "Infinity" / "-Infinity", true/false, complex as [re, im]. */
void lzr_fill_json(struct lzr_buf *b, struct lzr_dtype d, const unsigned char fill[16]);
/* xarray's attribute _FillValue in Zarr v3: as above, but of floats the eight bytes of a
 * little-endian double in base64. Not for complex numbers, of which it has none. */
void lzr_fill_attribute(struct lzr_buf *b, struct lzr_dtype d, const unsigned char fill[16]);

#endif
