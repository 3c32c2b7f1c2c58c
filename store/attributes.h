/* attributes.h: the user's own attributes beside lazarr's. */
#ifndef LZR_STORE_ATTRIBUTES_H
#define LZR_STORE_ATTRIBUTES_H

#include <stdbool.h>

#include "store/json_span.h"
#include "store/json_writer.h"

/* Appends the members of a JSON object's text to the object that is open in j, their texts
 * untouched. Members whose names are among `reserved` (a list that ends in NULL; or none) are left
 * out: those that lazarr writes itself, so that a reader never finds two that differ, and those
 * that a format gives a meaning of its own. In Zarr a plain group's attributes are all the user's.
 */
void lzr_attributes_merge(struct lzr_json *j, const char *attributes, const char *const *reserved);

/* The object that the attributes have under a name (or the first one of a list there), as text;
 * n = 0 where there is none. */
struct lzr_span lzr_attributes_object(const char *attributes, const char *name);

/* As lzr_attributes_merge, of the text of an object that was cut out. */
void lzr_attributes_merge_span(struct lzr_json *j, struct lzr_span object,
                               const char *const *reserved);

extern const char *const lzr_attributes_zarr[];  /* of images in the Zarr faces */
extern const char *const lzr_attributes_plain[]; /* of plain arrays in the Zarr faces */
extern const char
    *const lzr_attributes_n5[]; /* of everything in N5: readers merge them downwards */

#endif
