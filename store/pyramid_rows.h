/* pyramid_rows.h: the loops of pyramid.c, each over one row of voxels; private to it.
 *
 * A row of the finer level is brought into a working type (native, unsigned or floating), reduced
 * along itself by `step` and joined to a row of accumulators; when all rows of a window are there,
 * the accumulators become voxels. Signed integers are worked on with their sign bit turned over,
 * which keeps their order and distances. Pure functions, any thread. */
#ifndef LZR_STORE_PYRAMID_ROWS_H
#define LZR_STORE_PYRAMID_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/dtype.h"

enum lzr_work { LZR_WORK_U8, LZR_WORK_U16, LZR_WORK_U32, LZR_WORK_U64, LZR_WORK_F32, LZR_WORK_F64 };

/* Joins n voxels of a row, `step` of them to each accumulator and the rest to one more. first: the
 * accumulators are set instead of joined. */
typedef void lzr_row_fn(void *acc, const void *row, size_t n, size_t step, bool first);
/* m accumulators, each made of n voxels, to m voxels of the working type. */
typedef void lzr_finish_fn(const void *acc, void *out, size_t m, uint64_t n);

struct lzr_mean {
    lzr_row_fn *add;
    lzr_finish_fn *finish;
    size_t acc_bytes; /* of one accumulator; those of a row stand next to each other */
};

/* Means of a working type; complex: pairs of it. window: the most voxels that one may have. */
struct lzr_mean lzr_mean_of(enum lzr_work work, bool complex, uint64_t window);
/* Accumulators are voxels of the working type. */
lzr_row_fn *lzr_max_of(enum lzr_work work);
lzr_row_fn *lzr_min_of(enum lzr_work work);

/* The most frequent of n values, the smallest of those. Uses the values up: sorts them. */
uint64_t lzr_mode_of(uint64_t *values, size_t n);

/* How elements of an array come into the working type and back. */
struct lzr_form {
    enum lzr_work work;
    unsigned words; /* of an element: 2 for complex */
    unsigned size;  /* bytes of a word in the array */
    unsigned work_size;
    bool swap;    /* the array's byte order is the other one */
    bool flip;    /* signed */
    bool half;    /* float16, worked on in float64, so that a mean is rounded once */
    bool ordered; /* floats as unsigned integers of the same order */
};

/* ordered: as the mode needs them. */
struct lzr_form lzr_form_of(struct lzr_dtype d, bool ordered);
/* The array's bytes are the working type's: neither call is needed. */
bool lzr_form_same(const struct lzr_form *f);
void lzr_form_load(const struct lzr_form *f, const void *row, size_t words, void *out);
void lzr_form_store(const struct lzr_form *f, const void *row, size_t words, void *out);

#endif
