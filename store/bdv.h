/* bdv.h: the documents of BigDataViewer: dataset.xml (SpimData 0.2), which a user saves and opens,
 * and the display settings that BigDataViewer looks for beside it. Failure is the buffer's sticky
 * flag; any thread. */
#ifndef LZR_STORE_BDV_H
#define LZR_STORE_BDV_H

#include <stddef.h>

#include "store/array.h"

struct lzr_buf;

/* The name of the settings beside dataset.xml; BigDataViewer takes X.settings.xml beside X.xml. */
#define LZR_BDV_SETTINGS "dataset.settings.xml"

/* dataset.xml of an image that the face holds (lzr_face_holds), its data beside it. */
void lzr_bdv_xml(struct lzr_buf *out, const struct lzr_array *a);

/* That document (n bytes and a NUL) with the URL of its data, so that a copy finds them wherever it
 * is saved: BigDataViewer opens no dataset.xml by its URL. base: what the server's URLs begin with,
 * without a slash at its end. */
void lzr_bdv_xml_at(struct lzr_buf *out, const struct lzr_array *a, const char *xml, size_t n,
                    const char *base);

/* Colours, windows and which channels are on, of an image that has channels. */
void lzr_bdv_settings(struct lzr_buf *out, const struct lzr_array *a);

/* Voxel size of x, y, z (i = 0, 1, 2); a missing z is as large as x. */
double lzr_bdv_size(const struct lzr_array *a, unsigned i);

#endif
