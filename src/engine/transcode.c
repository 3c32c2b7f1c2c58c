#include "engine/transcode.h"

#include <stddef.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "store/codec.h"
#include "store/region.h"
#include "store/transcode.h"

void lzr_sources_init(struct lzr_sources *it, const struct lzr_chunk *c)
{
    struct lzr_view v;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    *it = (struct lzr_sources){.of = c, .n = 1};
    if (c->encoding == LZR_ENC_ZARR) {
        return;
    }
    LZR_CHECK(lzr_view_of(c->array, c->level, c->encoding, &v, NULL)); /* the catalog asked */
    lzr_view_box(&v, c->index, start, extent);
    it->n = lzr_view_sources(&c->array->levels[c->level].grid, start, extent, it->first, it->count);
}

bool lzr_sources_next(struct lzr_sources *it, struct lzr_chunk *out)
{
    const struct lzr_chunk *c = it->of;
    const struct lzr_grid *g = &c->array->levels[c->level].grid;
    uint64_t pos[LZR_MAX_RANK], at = it->next;
    if (at >= it->n) {
        return false;
    }
    it->next++;
    *out = *c;
    if (c->encoding != LZR_ENC_ZARR) {
        for (unsigned i = g->rank; i-- > 0;) {
            pos[i] = it->first[i] + at % it->count[i];
            at /= it->count[i];
        }
        out->encoding = LZR_ENC_ZARR;
        out->index = lzr_grid_index(g, pos);
    }
    return true;
}

static enum lzr_code list_sources(const struct lzr_chunk *c, struct lzr_needs **out,
                                  struct lzr_err *err)
{
    struct lzr_sources it;
    struct lzr_chunk source;
    lzr_sources_init(&it, c);
    struct lzr_needs *s = lzr_needs_new(it.n);
    if (s == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (uint64_t i = 0; lzr_sources_next(&it, &source); i++) {
        lzr_needs_set(s, i, &source);
    }
    *out = s;
    return LZR_OK;
}

/* Decodes the inputs and puts what the box has of each into values. */
static enum lzr_code gather_box(const struct lzr_flight *f, struct lzr_region box, void *values,
                                void *scratch, struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct lzr_grid *g = &a->levels[f->level].grid;
    size_t bytes = (size_t)(g->chunk_elements * a->dtype.size);
    struct lzr_chunk c = {f->array, f->level, f->encoding, f->index}, source;
    struct lzr_sources it;
    lzr_sources_init(&it, &c);
    for (uint64_t i = 0; lzr_sources_next(&it, &source); i++) {
        const struct lzr_blob *blob = f->needs->items[i].req.result.blob;
        uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK];
        const void *from = scratch != NULL ? scratch : values;
        if (a->codec.id == LZR_CODEC_NONE && blob->len == bytes && scratch != NULL) {
            from = blob->data;
        } else {
            enum lzr_code code = lzr_codec_decode(&a->codec, blob->data, blob->len,
                                                  scratch != NULL ? scratch : values, bytes, err);
            if (code != LZR_OK) {
                return code;
            }
        }
        if (scratch == NULL) {
            return LZR_OK; /* the box is this whole chunk */
        }
        lzr_grid_position(g, source.index, pos);
        for (unsigned k = 0; k < g->rank; k++) {
            start[k] = pos[k] * g->chunks[k];
        }
        lzr_region_copy(g->rank, a->dtype.size, (struct lzr_region){start, g->chunks}, from, box,
                        values);
    }
    return LZR_OK;
}

/* What making a chunk works in. */
struct work {
    struct lzr_scratch *values, *block,
        *packed; /* the box, a source that isn't all of it, the result */
    struct lzr_blob *blob;
    unsigned char *box; /* where the values are put together: in values or in the blob */
};

/* Nothing is compressed and no element changes its size: the values are put where they stay. */
static bool in_place(const struct lzr_view *v, const struct lzr_array *a, size_t header)
{
    return v->layout != LZR_LAYOUT_LABELS && v->codec.id == LZR_CODEC_NONE &&
           v->dtype.size == a->dtype.size &&
           (offsetof(struct lzr_blob, data) + header) % a->dtype.size == 0;
}

static bool get_work(struct lzr_driver *d, struct work *w, bool place, size_t header, size_t room,
                     size_t most, size_t bound)
{
    w->block = most > 0 ? lzr_scratch_take(&d->scratch, most) : NULL;
    if (place) {
        w->blob = lzr_blob_new(bound, &d->budget);
        w->box = w->blob != NULL ? w->blob->data + header : NULL;
        return w->blob != NULL && (most == 0 || w->block != NULL);
    }
    w->values = lzr_scratch_take(&d->scratch, room);
    w->packed = lzr_scratch_take(&d->scratch, bound);
    w->box = w->values != NULL ? w->values->data : NULL;
    return w->values != NULL && w->packed != NULL && (most == 0 || w->block != NULL);
}

/* Makes the chunk. Memory beside the result is charged to the budget while it is used; as many of
 * these run as there are codec threads. Without mu. */
static enum lzr_code make(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_blob **out,
                          struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct lzr_grid *g = &a->levels[f->level].grid;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    bool whole = f->needs->n == 1;
    struct lzr_view v;
    LZR_CHECK(lzr_view_of(a, f->level, f->encoding, &v, NULL));
    lzr_view_box(&v, f->index, start, extent);
    for (unsigned i = 0; i < g->rank; i++) {
        whole = whole && extent[i] == g->chunks[i];
    }
    size_t room = lzr_transcode_room(&v, extent, a->dtype.size), len = 0;
    size_t most = whole ? 0 : (size_t)(g->chunk_elements * a->dtype.size);
    size_t bound = lzr_transcode_bound(&v, extent), header = lzr_transcode_header(&v);
    bool place = in_place(&v, a, header);
    size_t beside = most + (place ? 0 : room + bound);
    struct work w = {0};
    (void)lzr_make_room(d, beside + lzr_blob_charge(bound));
    lzr_budget_add(&d->budget, beside);
    enum lzr_code code = LZR_OK;
    if (!get_work(d, &w, place, header, room, most, bound)) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    if (code == LZR_OK) {
        code = gather_box(f, (struct lzr_region){start, extent}, w.box,
                          w.block != NULL ? w.block->data : NULL, err);
    }
    if (code == LZR_OK) {
        code = lzr_transcode(&v, extent, a->dtype, w.box, place ? w.blob->data : w.packed->data,
                             bound, &len, err);
    }
    if (code == LZR_OK && !place) {
        w.blob = lzr_blob_dup(w.packed->data, len, &d->budget);
        if (w.blob == NULL) {
            code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
        }
    }
    lzr_scratch_give(&d->scratch, &w.values);
    lzr_scratch_give(&d->scratch, &w.block);
    lzr_scratch_give(&d->scratch, &w.packed);
    lzr_budget_sub(&d->budget, beside);
    if (code != LZR_OK) {
        lzr_blob_unref(&w.blob);
        return code;
    }
    *out = lzr_blob_shrink(w.blob, len);
    return LZR_OK;
}

const struct lzr_recipe lzr_recipe_transcode = {
    .eager = true,
    .list = list_sources,
    .make = make,
};
