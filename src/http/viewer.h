/* viewer.h: what a viewer can't show although a Zarr face can hold it. Pure, any thread. */
#ifndef LZR_HTTP_VIEWER_H
#define LZR_HTTP_VIEWER_H

#include <stdbool.h>

#include "store/array.h"

/* Neuroglancer's data types; it opens no other. */
static inline bool lzr_viewer_neuroglancer_has(const struct lzr_array *a)
{
    struct lzr_dtype d = a->dtype;
    if (a->text) {
        return false;
    }
    return (d.kind == 'u' && d.size <= 8) || (d.kind == 'i' && d.size <= 4) ||
           (d.kind == 'f' && d.size == 4);
}

#endif
