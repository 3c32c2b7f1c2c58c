/* Chunks of a C pyramid: a codec thread reduces those of the level below (store/pyramid.h). */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "store/codec.h"
#include "store/pyramid.h"
#include "store/region.h"
#include "store/view.h"

/* What a chunk is made of: a box of the level below, and the chunks there that it touches. */
struct sources {
    const struct lzr_grid *own, *below;
    uint64_t extent[LZR_MAX_RANK]; /* of the chunk, cut to the array */
    uint64_t start[LZR_MAX_RANK];  /* of the chunk */
    uint64_t below_start[LZR_MAX_RANK], below_extent[LZR_MAX_RANK];
    uint64_t first[LZR_MAX_RANK], count[LZR_MAX_RANK], n; /* chunks */
    struct lzr_reduction how;
};

static void find_sources(const struct lzr_array *a, unsigned level, uint64_t index,
                         struct sources *s)
{
    uint64_t pos[LZR_MAX_RANK];
    s->own = &a->levels[level].grid;
    s->below = &a->levels[level - 1].grid;
    lzr_reduction_of(a, level, &s->how);
    lzr_grid_position(s->own, index, pos);
    lzr_grid_block(s->own, pos, s->start, s->extent);
    for (unsigned i = 0; i < s->own->rank; i++) {
        uint64_t step = s->how.step[i], left;
        s->below_start[i] = s->start[i] * step;
        left = s->below->shape[i] - s->below_start[i];
        s->below_extent[i] = s->extent[i] * step < left ? s->extent[i] * step : left;
    }
    s->n = lzr_view_sources(s->below, s->below_start, s->below_extent, s->first, s->count);
}

/* Position of the i-th of them, in C order. */
static void source_position(const struct sources *s, uint64_t i, uint64_t pos[])
{
    for (unsigned k = s->own->rank; k-- > 0;) {
        pos[k] = s->first[k] + i % s->count[k];
        i /= s->count[k];
    }
}

static enum lzr_code list_sources(const struct lzr_chunk *c, struct lzr_needs **out,
                                  struct lzr_err *err)
{
    struct sources s;
    find_sources(c->array, c->level, c->index, &s);
    struct lzr_needs *needs = lzr_needs_new(s.n);
    if (needs == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (uint64_t i = 0; i < s.n; i++) {
        uint64_t pos[LZR_MAX_RANK];
        source_position(&s, i, pos);
        const struct lzr_chunk fine = {c->array, c->level - 1, LZR_ENC_ZARR,
                                       lzr_grid_index(s.below, pos)};
        lzr_needs_set(needs, i, &fine);
    }
    *out = needs;
    return LZR_OK;
}

/* The memory that one chunk takes while it is made. */
struct work {
    size_t fine_bytes, box_bytes, room_bytes, out_bytes;
    void *fine; /* a chunk of the level below, decoded */
    void *box;  /* the whole box; NULL where each of those chunks begins with a window */
    void *room; /* lzr_reduce's */
    void *out;  /* the chunk */
};

static size_t total(const struct work *w)
{
    return w->fine_bytes + w->box_bytes + w->room_bytes + w->out_bytes;
}

/* Chunks of the level below begin with a window each, so that they can be reduced one by one. */
static bool aligned(const struct sources *s)
{
    bool yes = true;
    for (unsigned i = 0; i < s->own->rank; i++) {
        yes = yes && (s->below->chunks[i] % s->how.step[i] == 0 || s->count[i] == 1);
    }
    return yes;
}

static enum lzr_code get_memory(struct lzr_driver *d, const struct sources *s, struct work *w,
                                struct lzr_err *err)
{
    size_t item = s->how.dtype.size;
    unsigned last = s->own->rank > 0 ? s->own->rank - 1 : 0;
    uint64_t row = s->own->rank > 0 ? s->below_extent[last] : 1;
    *w = (struct work){.fine_bytes = (size_t)s->below->chunk_elements * item,
                       .room_bytes = lzr_reduce_room(&s->how, row),
                       .out_bytes = (size_t)s->own->chunk_elements * item};
    if (!aligned(s)) {
        w->box_bytes = item;
        for (unsigned i = 0; i < s->own->rank; i++) {
            w->box_bytes *= (size_t)s->below_extent[i];
        }
    }
    (void)lzr_cache_make_room(d->cache, total(w));
    lzr_budget_add(&d->budget, total(w));
    w->fine = lzr_malloc(w->fine_bytes);
    w->box = w->box_bytes > 0 ? lzr_malloc(w->box_bytes) : NULL;
    w->room = lzr_malloc(w->room_bytes);
    w->out = lzr_malloc(w->out_bytes);
    if (w->fine == NULL || (w->box_bytes > 0 && w->box == NULL) || w->room == NULL ||
        w->out == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    return LZR_OK;
}

static void release_memory(struct lzr_driver *d, struct work *w)
{
    lzr_free(w->fine);
    lzr_free(w->box);
    lzr_free(w->room);
    lzr_free(w->out);
    lzr_budget_sub(&d->budget, total(w));
}

static size_t offset_in(const struct lzr_grid *g, const uint64_t at[], size_t item)
{
    size_t o = 0;
    for (unsigned i = 0; i < g->rank; i++) {
        o = o * (size_t)g->chunks[i] + (size_t)at[i];
    }
    return o * item;
}

/* Reduces what the box has of one chunk of the level below, which begins with a window. */
static void reduce_part(const struct sources *s, const uint64_t pos[], const unsigned char *fine,
                        struct work *w)
{
    uint64_t in[LZR_MAX_RANK], extent[LZR_MAX_RANK], to[LZR_MAX_RANK];
    for (unsigned i = 0; i < s->own->rank; i++) {
        uint64_t chunk = pos[i] * s->below->chunks[i], low = s->below_start[i];
        uint64_t end = chunk + s->below->chunks[i], high = low + s->below_extent[i];
        uint64_t from = chunk > low ? chunk : low;
        in[i] = from - chunk;
        extent[i] = (end < high ? end : high) - from;
        to[i] = (from - low) / s->how.step[i];
    }
    lzr_reduce(&s->how, extent, fine + offset_in(s->below, in, s->how.dtype.size), s->below->chunks,
               (unsigned char *)w->out + offset_in(s->own, to, s->how.dtype.size), s->own->chunks,
               w->room);
}

static enum lzr_code reduce_all(const struct lzr_flight *f, const struct sources *s, struct work *w,
                                struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    static const uint64_t NOTHING[LZR_MAX_RANK];
    for (unsigned i = 0; i < s->own->rank; i++) {
        if (s->extent[i] < s->own->chunks[i]) {
            lzr_chunk_pad(s->own, NOTHING, NULL, a->dtype.size, a->fill, w->out);
            break;
        }
    }
    for (uint64_t i = 0; i < s->n; i++) {
        const struct lzr_blob *blob = f->needs->items[i].req.result.blob;
        const unsigned char *fine = w->fine;
        uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK];
        if (a->codec.id == LZR_CODEC_NONE && blob->len == w->fine_bytes) {
            fine = blob->data;
        } else {
            enum lzr_code code =
                lzr_codec_decode(&a->codec, blob->data, blob->len, w->fine, w->fine_bytes, err);
            if (code != LZR_OK) {
                return code;
            }
        }
        source_position(s, i, pos);
        if (w->box == NULL) {
            reduce_part(s, pos, fine, w);
            continue;
        }
        for (unsigned k = 0; k < s->own->rank; k++) {
            start[k] = pos[k] * s->below->chunks[k];
        }
        lzr_region_copy(s->own->rank, a->dtype.size, (struct lzr_region){start, s->below->chunks},
                        fine, (struct lzr_region){s->below_start, s->below_extent}, w->box);
    }
    if (w->box != NULL) {
        lzr_reduce(&s->how, s->below_extent, w->box, s->below_extent, w->out, s->own->chunks,
                   w->room);
    }
    return LZR_OK;
}

static enum lzr_code make(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_blob **out,
                          struct lzr_err *err)
{
    const struct lzr_codec *codec = &f->array->codec;
    struct sources s;
    struct work w;
    struct lzr_blob *b = NULL;
    size_t len = 0;
    find_sources(f->array, f->level, f->index, &s);
    enum lzr_code code = get_memory(d, &s, &w, err);
    if (code == LZR_OK) {
        code = reduce_all(f, &s, &w, err);
    }
    if (code == LZR_OK) {
        size_t bound = lzr_codec_bound(codec, w.out_bytes);
        (void)lzr_cache_make_room(d->cache, lzr_blob_charge(bound));
        b = lzr_blob_new(bound, &d->budget);
        code = b != NULL ? lzr_codec_encode(codec, f->array->dtype.size, w.out, w.out_bytes,
                                            b->data, b->len, &len, err)
                         : lzr_err_set(err, LZR_E_NOMEM, "no memory for an encoded chunk");
    }
    release_memory(d, &w);
    if (code != LZR_OK) {
        lzr_blob_unref(&b);
        return code;
    }
    *out = lzr_blob_shrink(b, len);
    return LZR_OK;
}

const struct lzr_recipe lzr_recipe_reduce = {.list = list_sources, .make = make};
