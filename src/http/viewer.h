/* viewer.h: what a viewer can't show although a Zarr face can hold it. Pure, any thread. */
#ifndef LZR_HTTP_VIEWER_H
#define LZR_HTTP_VIEWER_H

#include <stdbool.h>

#include "store/dtype.h"

/* Neuroglancer's data types; it opens no other. */
static inline bool lzr_viewer_neuroglancer_has(struct lzr_dtype d)
{
    return (d.kind == 'u' && d.size <= 8) || (d.kind == 'i' && d.size <= 4) ||
           (d.kind == 'f' && d.size == 4);
}

#endif
