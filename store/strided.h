/* strided.h: boxes of elements that lie at regular distances from each other, in memory or in a
 * file, as in a NumPy array: element [i, j, ..] is strides[0] * i + strides[1] * j + .. bytes from
 * the first. Pure functions, any thread; the caller has checked that all of it is inside.
 *
 * Reading such a box from a file takes reads of spans that hold many elements, gaps included where
 * that is cheaper than one more read:
 *
 *   lzr_strided_plan(rank, itemsize, extent, offset, strides, to_strides, &p);
 *   for (more = lzr_strided_start(&p, &r); more; more = lzr_strided_next(&p, &r))
 *       read p.span bytes at r.at: straight to (dst + r.to) with p.direct, else into a buffer and
 *       lzr_strided_scatter(&p, &r, buffer, dst);
 */
#ifndef LZR_STORE_STRIDED_H
#define LZR_STORE_STRIDED_H

#include <stdbool.h>
#include <stdint.h>

#include "lazarr/limits.h"

/* Bytes of the largest span that is not read straight to its place. */
#define LZR_STRIDED_SPAN (UINT64_C(1) << 20)

/* Copies a box from src to dst, both given by their first element; strides in bytes, of src any, of
 * dst positive and such that no two elements overlap. itemsize is 1, 2, 4, 8 or 16. */
void lzr_strided_copy(unsigned rank, unsigned itemsize, const uint64_t extent[],
                      const unsigned char *src, const int64_t strides[], unsigned char *dst,
                      const int64_t to_strides[]);

/* Strides of an array in C order. */
void lzr_strided_dense(unsigned rank, unsigned itemsize, const uint64_t extent[],
                       int64_t strides[]);

/* The bytes that an array takes, counted from that of its first element's first byte: from *low
 * (<= 0) to *high, exclusive. False where that doesn't fit into 64 bits. Without elements: 0, 0. */
bool lzr_strided_bounds(unsigned rank, unsigned itemsize, const uint64_t shape[],
                        const int64_t strides[], int64_t *low, int64_t *high);

struct lzr_strided_plan {
    unsigned rank, itemsize;
    unsigned outer; /* axes below it take a read for each of their indices */
    uint64_t extent[LZR_MAX_RANK];
    int64_t from[LZR_MAX_RANK], to[LZR_MAX_RANK]; /* strides; from >= 0, largest first */
    uint64_t at;                                  /* of the first read */
    int64_t to_first;                             /* byte of dst where its first element goes */
    uint64_t span;                                /* bytes of each read */
    bool direct;                                  /* they are bytes of dst as they stand */
};

struct lzr_strided_read {
    uint64_t at; /* in the file */
    int64_t to;  /* in dst */
    uint64_t index[LZR_MAX_RANK];
};

/* offset: of the box's first element in the file. */
void lzr_strided_plan(unsigned rank, unsigned itemsize, const uint64_t extent[], uint64_t offset,
                      const int64_t strides[], const int64_t to_strides[],
                      struct lzr_strided_plan *p);
/* False: nothing to read, the box is empty. */
bool lzr_strided_start(const struct lzr_strided_plan *p, struct lzr_strided_read *r);
bool lzr_strided_next(const struct lzr_strided_plan *p, struct lzr_strided_read *r);
void lzr_strided_scatter(const struct lzr_strided_plan *p, const struct lzr_strided_read *r,
                         const unsigned char *span, unsigned char *dst);

/* Reverses the bytes of each word (1, 2, 4, 8) of n bytes. */
void lzr_swap_words(unsigned char *bytes, uint64_t n, unsigned word);

#endif
