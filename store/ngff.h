/* ngff.h: OME-NGFF metadata of images and labels: 0.4 for Zarr v2, 0.5 for Zarr v3.
 *
 * Each appends members to the attributes object that is open in j. The paths of the datasets are
 * the levels' numbers, "0" the finest. */
#ifndef LZR_STORE_NGFF_H
#define LZR_STORE_NGFF_H

#include "store/array.h"
#include "store/json_writer.h"
#include "store/tree.h"

void lzr_ngff_v04(struct lzr_json *j, const struct lzr_tree_item *image); /* "multiscales": ... */
void lzr_ngff_v05(struct lzr_json *j, const struct lzr_tree_item *image); /* "ome": {...} */
/* Of item i, an image's labels/: the names in it. */
void lzr_ngff_labels_v04(struct lzr_json *j, const struct lzr_tree *t, size_t i);
void lzr_ngff_labels_v05(struct lzr_json *j, const struct lzr_tree *t, size_t i);

#endif
