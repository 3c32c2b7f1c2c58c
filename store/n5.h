/* n5.h: what N5 and BigDataViewer, which keeps its images in N5, have in common. */
#ifndef LZR_STORE_N5_H
#define LZR_STORE_N5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/json_writer.h"
#include "store/view.h"

/* Appends the members that make a dataset to the object that is open in j: dimensions, blockSize
 * (those that the block header names, x first), dataType, compression. */
void lzr_n5_dataset(struct lzr_json *j, const struct lzr_view *v);
/* "n5": the version, of the root. */
void lzr_n5_version(struct lzr_json *j);
/* A level's factors, spatial or all axes, x first. `axes`: as many as that; 1 beyond the array's.
 */
void lzr_n5_factors(struct lzr_json *j, const struct lzr_array *a, unsigned level, unsigned axes);

#endif
