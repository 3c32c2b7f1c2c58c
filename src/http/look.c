/* Which layers a link shows. The state itself: look_state.c. */
#include "http/look.h"

#include <string.h>

#include "base/buf.h"
#include "http/viewer.h"
#include "store/json_span.h"
#include "store/placement.h"
#include "store/units.h"

bool lzr_look_shows(const struct lzr_array *a, enum lzr_face face, bool *cast)
{
    struct lzr_view v;
    bool through_cast = face == LZR_FACE_PRECOMPUTED && lzr_view_cast(a) != NULL;
    const struct lzr_grid *g = &a->levels[0].grid;
    if (cast != NULL) {
        *cast = through_cast;
    }
    if (g->rank == 0 || g->total == 0) {
        return false;
    }
    if (face == LZR_FACE_PRECOMPUTED) {
        for (unsigned k = 0; k < a->nlevels; k++) {
            if (!lzr_view_of(a, k, through_cast ? LZR_ENC_CAST : LZR_ENC_PRECOMPUTED, &v, NULL)) {
                return false;
            }
        }
        return true;
    }
    return lzr_viewer_neuroglancer_has(a);
}

/* The names of a plain array's axes are in its document only. */
static struct lzr_span axis_names(const struct lzr_catalog *c, const struct lzr_array *a)
{
    struct lzr_span names = {"", 0};
    struct lzr_buf key;
    lzr_buf_init(&key, LZR_MAX_KEY);
    lzr_array_key(&key, a, LZR_FACE_ZARR3, true);
    lzr_buf_puts(&key, "/zarr.json");
    struct lzr_hit hit = lzr_catalog_lookup(c, key.data, key.len);
    if (hit.node == LZR_NODE_DOC) {
        struct lzr_span doc = {hit.doc->data, hit.doc->len};
        (void)lzr_json_member(doc, "dimension_names", &names);
    }
    lzr_buf_release(&key);
    return names;
}

/* Whether two arrays can lie in one space: Neuroglancer refuses an axis that has a length in one
 * layer and none in another. names: axis_names of a, where it is a plain one. */
static bool one_space(const struct lzr_catalog *c, enum lzr_face face, const struct lzr_array *a,
                      struct lzr_span names, const struct lzr_array *b)
{
    if (a == b || face == LZR_FACE_PRECOMPUTED) {
        return true; /* nanometres all */
    }
    if (a->kind == LZR_PLAIN) {
        struct lzr_span theirs = axis_names(c, b);
        return names.n == theirs.n && memcmp(names.p, theirs.p, names.n) == 0;
    }
    static const char letters[] = "xyzt";
    for (const char *l = letters; *l != '\0'; l++) {
        int i = lzr_axis_of(a, *l), k = lzr_axis_of(b, *l);
        if (i >= 0 && k >= 0 &&
            (*lzr_unit_of(a->units[i]).symbol == '\0') !=
                (*lzr_unit_of(b->units[k]).symbol == '\0')) {
            return false;
        }
    }
    return true;
}

struct scope {
    const struct lzr_catalog *catalog;
    const struct lzr_store *store;
    const struct lzr_array *array;
};

static bool in_scope(const struct scope *s, const struct lzr_array *a)
{
    return (s->store == NULL || a->store == s->store) && (s->array == NULL || a == s->array);
}

static void add_layers(struct lzr_look *look, const struct lzr_array *a, bool cast)
{
    int c = a->kind == LZR_IMAGE ? lzr_axis_of(a, 'c') : -1;
    uint64_t n = c < 0 ? 1 : a->levels[0].grid.shape[c];
    c = n == 1 ? -1 : c; /* precomputed has no axis for a single one */
    for (uint64_t i = 0; i < n && i < LZR_LOOK_CHANNELS; i++) {
        if (look->n == LZR_LOOK_LAYERS) {
            look->left_out += i == 0;
            return;
        }
        look->layers[look->n++] =
            (struct lzr_look_layer){.array = a, .channel = c < 0 ? -1 : (int)i, .cast = cast};
    }
}

/* What one face shows of a scope; labels come last, so that they are drawn over the images. */
static size_t show_through(const struct scope *s, enum lzr_face face, bool plain,
                           struct lzr_look *look)
{
    static const enum lzr_array_kind order[] = {LZR_PLAIN, LZR_IMAGE, LZR_LABELS};
    const struct lzr_array *first = NULL;
    struct lzr_span names = {"", 0};
    size_t arrays = 0;
    *look = (struct lzr_look){.catalog = s->catalog, .face = face, .store = s->store};
    if (s->store == NULL && lzr_catalog_nstores(s->catalog) == 1) {
        look->store = lzr_catalog_store(s->catalog, 0);
    }
    for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
        for (size_t i = 0; i < lzr_catalog_narrays(s->catalog); i++) {
            const struct lzr_array *a = lzr_catalog_array(s->catalog, i);
            bool cast;
            if (a->kind != order[k] || !in_scope(s, a)) {
                continue;
            }
            if ((a->kind == LZR_PLAIN) != plain || !lzr_look_shows(a, face, &cast) ||
                (first != NULL && !one_space(s->catalog, face, first, names, a))) {
                look->left_out++;
                continue;
            }
            if (first == NULL) {
                first = a;
                names = plain ? axis_names(s->catalog, a) : names;
            }
            arrays++;
            add_layers(look, a, cast);
        }
    }
    return arrays;
}

bool lzr_look_choose(const struct lzr_catalog *c, const struct lzr_store *store,
                     const struct lzr_array *array, struct lzr_look *out)
{
    const struct scope s = {.catalog = c, .store = store, .array = array};
    for (int plain = 0; plain < 2; plain++) {
        struct lzr_look other;
        size_t n = show_through(&s, LZR_FACE_ZARR3, plain != 0, out);
        size_t m = show_through(&s, LZR_FACE_PRECOMPUTED, plain != 0, &other);
        if (m > n) {
            *out = other;
        }
        if (m > 0 || n > 0) {
            return true;
        }
    }
    return false;
}
