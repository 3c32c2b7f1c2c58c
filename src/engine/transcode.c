#include "engine/transcode.h"

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
    size_t bound = lzr_transcode_bound(&v, extent);
    (void)lzr_cache_make_room(d->cache, room + most + lzr_blob_charge(bound));
    lzr_budget_add(&d->budget, room + most);
    void *values = lzr_malloc(room), *scratch = whole ? NULL : lzr_malloc(most);
    struct lzr_blob *b = lzr_blob_new(bound, &d->budget);
    enum lzr_code code = LZR_OK;
    if (values == NULL || (!whole && scratch == NULL) || b == NULL) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    if (code == LZR_OK) {
        code = gather_box(f, (struct lzr_region){start, extent}, values, scratch, err);
    }
    if (code == LZR_OK) {
        code = lzr_transcode(&v, extent, a->dtype, values, b->data, b->len, &len, err);
    }
    lzr_free(values);
    lzr_free(scratch);
    lzr_budget_sub(&d->budget, room + most);
    if (code != LZR_OK) {
        lzr_blob_unref(&b);
        return code;
    }
    *out = lzr_blob_shrink(b, len);
    return LZR_OK;
}

const struct lzr_recipe lzr_recipe_transcode = {
    .eager = true,
    .list = list_sources,
    .make = make,
};
