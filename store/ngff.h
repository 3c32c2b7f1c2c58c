/* ngff.h: OME-NGFF metadata of images and labels: 0.4 for Zarr v2, 0.5 for Zarr v3.
 *
 * Each appends members to the attributes object that is open in j. The paths of the datasets are
 * the levels' numbers, "0" the finest. What the user's attributes have under "multiscales",
 * "omero" and "image-label" and lazarr doesn't say itself (colours and properties of labels, how
 * levels were made) is written with them. */
#ifndef LZR_STORE_NGFF_H
#define LZR_STORE_NGFF_H

#include "store/array.h"
#include "store/json_writer.h"
#include "store/tree.h"

void lzr_ngff_v04(struct lzr_json *j, const struct lzr_tree_item *image); /* "multiscales": ... */
void lzr_ngff_v05(struct lzr_json *j, const struct lzr_tree_item *image); /* "ome": {...} */
/* What N5 has of it: channels and labels, no scales. image: the path from the labels to the group
 * of the image whose they are; NULL: not said. */
void lzr_ngff_looks(struct lzr_json *j, const struct lzr_array *a, const char *image);
/* A plain group's attributes for Zarr v2: of those that OME-Zarr 0.5 has under "ome" for plates,
 * wells and layouts, what 0.4 has beside the others. */
void lzr_ngff_group_v04(struct lzr_json *j, const char *attributes);
/* Of item i, an image's labels/: the names in it. */
void lzr_ngff_labels_v04(struct lzr_json *j, const struct lzr_tree *t, size_t i);
void lzr_ngff_labels_v05(struct lzr_json *j, const struct lzr_tree *t, size_t i);

#endif
