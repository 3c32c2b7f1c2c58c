/* attributes.h: the user's own attributes beside lazarr's. */
#ifndef LZR_STORE_ATTRIBUTES_H
#define LZR_STORE_ATTRIBUTES_H

#include <stdbool.h>

#include "store/json_writer.h"

/* Appends the members of a JSON object's text to the object that is open in j, their texts
 * untouched. Members whose names lazarr writes itself (multiscales, ome, _ARRAY_DIMENSIONS) are
 * left out where `reserve` says that this node is one of ours (an array or an image): a reader must
 * never find two that differ. A plain group's attributes are all the user's. */
void lzr_attributes_merge(struct lzr_json *j, const char *attributes, bool reserve);

#endif
