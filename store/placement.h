/* placement.h: where voxels are, in the words of formats that are not OME-NGFF. The rule for all
 * faces is design 3's: an image's translation is the centre of voxel 0, in its units. Pure
 * functions, any thread. */
#ifndef LZR_STORE_PLACEMENT_H
#define LZR_STORE_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/array.h"
#include "store/json_writer.h"
#include "store/units.h"

/* The first spatial axis (z, y or x) of an image; 0 of a plain array. */
unsigned lzr_first_spatial(const struct lzr_array *a);
/* The place of the axis of that letter, or -1. */
int lzr_axis_of(const struct lzr_array *a, char letter);

/* N5 and BigDataViewer name one unit for all spatial axes: that of the last one, x. */
const char *lzr_spatial_symbol(const struct lzr_array *a);
/* Voxel size and translation of an axis at a level in that unit; of t and c in their own. */
double lzr_axis_scale(const struct lzr_array *a, unsigned level, unsigned axis);
double lzr_axis_translation(const struct lzr_array *a, unsigned level, unsigned axis);
/* Precomputed: nanometres a voxel (1 a unit where there is none), and how many whole voxels of the
 * level the corner of the array is from the origin (level 0's translation, in the level's voxels,
 * rounded); false if that is more than can be counted. */
double lzr_axis_nanometres(const struct lzr_array *a, unsigned level, unsigned axis);
bool lzr_axis_offset(const struct lzr_array *a, unsigned level, unsigned axis, int64_t *voxels);

/* A number; whole ones without a point, since some readers want integers. */
void lzr_json_number(struct lzr_json *j, double v);

#endif
