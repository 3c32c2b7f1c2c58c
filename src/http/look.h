/* look.h: what a link into Neuroglancer shows, and the state that shows it.
 *
 *   struct lzr_look look;
 *   if (lzr_look_choose(catalog, store, NULL, &look)) {      all of a store
 *       ... give layers a range (glance.h) ...
 *       lzr_look_url(&buf, &look, "http://127.0.0.1:8080", "https://neuroglancer.example/");
 *   }
 *
 * All layers go through one face, since Neuroglancer draws OME-Zarr half a voxel from precomputed
 * (design 3): Zarr v3, or precomputed where that shows more of what was asked for (it has float16,
 * bool, and the cast views of float64 and int64). Where there are images, plain arrays are left
 * out: they have no place in the images' space. Pure functions, any thread; a look borrows from its
 * catalog. */
#ifndef LZR_HTTP_LOOK_H
#define LZR_HTTP_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/catalog.h"

struct lzr_buf;

#define LZR_LOOK_LAYERS 16
#define LZR_LOOK_CHANNELS 8 /* of one image; each is a layer */
#define LZR_LOOK_VISIBLE 6  /* images that are switched on at first */
/* A whole link: it must fit into a connection's pool beside the request (server.h). */
#define LZR_LOOK_URL_BYTES 8192

#define LZR_NEUROGLANCER "https://neuroglancer-demo.appspot.com/"

struct lzr_look_range {
    bool known;
    double low, high; /* low < high: what is drawn black and white */
};

struct lzr_look_layer {
    const struct lzr_array *array;
    int channel; /* of an image with several, else -1 */
    bool cast;   /* through its cast view (view.h) */
    struct lzr_look_range range;
};

struct lzr_look {
    const struct lzr_catalog *catalog;
    enum lzr_face face;
    const struct lzr_store *store; /* NULL: several, and layers are named after theirs too */
    size_t n;
    struct lzr_look_layer layers[LZR_LOOK_LAYERS];
    size_t left_out; /* arrays that were asked for and are not shown */
};

/* store NULL: all stores; array NULL: all of the store's. False: nothing of it can be shown. */
bool lzr_look_choose(const struct lzr_catalog *c, const struct lzr_store *store,
                     const struct lzr_array *array, struct lzr_look *out);
/* Whether a face shows an array in Neuroglancer; cast (nullable): only through its cast view. */
bool lzr_look_shows(const struct lzr_array *a, enum lzr_face face, bool *cast);

/* Neuroglancer's state as JSON. base: what URLs begin with, without a slash at its end. */
void lzr_look_state(struct lzr_buf *out, const struct lzr_look *look, const char *base);
/* The whole link: the viewer's page (anything behind a '#' is cut) and the encoded state. Layers
 * are dropped from its end until it has no more than LZR_LOOK_URL_BYTES; out's own limit is not
 * asked. */
void lzr_look_url(struct lzr_buf *out, const struct lzr_look *look, const char *base,
                  const char *neuroglancer);

#endif
