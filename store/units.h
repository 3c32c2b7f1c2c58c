/* units.h: what the names of units mean. In lazarr they are the names of UDUNITS that OME-NGFF
 * allows ("micrometer", "second"); N5 readers and Neuroglancer know SI symbols only, precomputed
 * only nanometres. Pure functions, any thread. */
#ifndef LZR_STORE_UNITS_H
#define LZR_STORE_UNITS_H

#include <stdbool.h>

struct lzr_unit {
    const char *symbol; /* "um", "nm", "s"; "" for no unit: powers of 1000 of m or s */
    double factor;      /* symbols in one of the unit: 0.1 for angstrom ("nm"), 10 for centimeter */
    double nano;        /* nanometres or nanoseconds in one of the symbol; 1 for no unit */
    bool length;        /* a length */
};

/* Of a name, or of NULL: no unit. A name that isn't known counts as no unit. */
struct lzr_unit lzr_unit_of(const char *name);

#endif
