/* Chunks of a C pyramid: a codec thread reduces those of the level below (store/pyramid.h). Where
 * the server reads that level itself and not all of those chunks are cached, their box is read and
 * reduced at once, a slab after the other: so a pyramid over a file costs reading it, and the cache
 * is kept for what is asked for. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/band.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "engine/source.h"
#include "store/codec.h"
#include "store/pyramid.h"
#include "store/region.h"
#include "store/strided.h"
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

static struct lzr_chunk source_chunk(const struct lzr_array *a, uint32_t level,
                                     const struct sources *s, uint64_t i)
{
    uint64_t pos[LZR_MAX_RANK];
    source_position(s, i, pos);
    return (struct lzr_chunk){a, level - 1, LZR_ENC_ZARR, lzr_grid_index(s->below, pos)};
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
        const struct lzr_chunk fine = source_chunk(c->array, c->level, &s, i);
        lzr_needs_set(needs, i, &fine);
    }
    *out = needs;
    return LZR_OK;
}

/* Bytes of a slab that is read at once: it stays in the processor's cache. More only where a row of
 * windows has more. */
#define SLAB_BYTES ((size_t)256 << 10)

/* The memory that one chunk takes while it is made. */
struct work {
    size_t fine_bytes, box_bytes, room_bytes, out_bytes;
    unsigned n;    /* chunks that are made: a band (band.h), or the one */
    uint64_t slab; /* rows of windows on the first axis that are read at once */
    void *fine;    /* a chunk of the level below, decoded; NULL where that is read */
    void *box;  /* the whole box, or a slab of it; NULL where each of the chunks below begins with
                 * a window */
    void *room; /* lzr_reduce's */
    unsigned char *out; /* the chunks, out_bytes each */
};

static size_t total(const struct work *w)
{
    return w->fine_bytes + w->box_bytes + w->room_bytes + w->out_bytes * w->n;
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

/* An image has axes, so there is a first and a last one. */
static void measure(const struct sources *s, bool read, unsigned n, struct work *w)
{
    size_t item = s->how.dtype.size, box = item;
    for (unsigned i = 0; i < s->own->rank; i++) {
        box *= (size_t)s->below_extent[i];
    }
    *w = (struct work){.n = n,
                       .room_bytes = lzr_reduce_room(&s->how, s->below_extent[s->own->rank - 1]),
                       .out_bytes = (size_t)s->own->chunk_elements * item};
    if (read) {
        size_t row = box / (size_t)s->below_extent[0] * (size_t)s->how.step[0];
        w->slab = row < SLAB_BYTES ? SLAB_BYTES / row : 1;
        w->slab = w->slab < s->extent[0] ? w->slab : s->extent[0];
        w->box_bytes = row * (size_t)w->slab < box ? row * (size_t)w->slab : box;
        return;
    }
    w->fine_bytes = (size_t)s->below->chunk_elements * item;
    w->box_bytes = aligned(s) ? 0 : box;
}

static enum lzr_code get_memory(struct lzr_driver *d, struct work *w, struct lzr_err *err)
{
    (void)lzr_make_room(d, total(w));
    lzr_budget_add(&d->budget, total(w));
    w->fine = w->fine_bytes > 0 ? lzr_malloc(w->fine_bytes) : NULL;
    w->box = w->box_bytes > 0 ? lzr_malloc(w->box_bytes) : NULL;
    w->room = lzr_malloc(w->room_bytes);
    w->out = lzr_malloc(w->out_bytes * w->n);
    if ((w->fine_bytes > 0 && w->fine == NULL) || (w->box_bytes > 0 && w->box == NULL) ||
        w->room == NULL || w->out == NULL) {
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
               w->out + offset_in(s->own, to, s->how.dtype.size), s->own->chunks, w->room);
}

/* Whether the k-th chunk has voxels behind the array's end. */
static bool is_cut(const struct sources *s, unsigned k)
{
    unsigned last = s->own->rank - 1;
    bool cut = s->extent[last] < (k + 1) * s->own->chunks[last];
    for (unsigned i = 0; i < last; i++) {
        cut = cut || s->extent[i] < s->own->chunks[i];
    }
    return cut;
}

/* What of the chunks is behind the array's end is fill. */
static void fill_edges(const struct lzr_array *a, const struct sources *s, struct work *w)
{
    static const uint64_t NOTHING[LZR_MAX_RANK];
    for (unsigned k = 0; k < w->n; k++) {
        if (is_cut(s, k)) {
            lzr_chunk_pad(s->own, NOTHING, NULL, a->dtype.size, a->fill, w->out + k * w->out_bytes);
        }
    }
}

/* Of labels it is ids of the edge: a fill value there would be an id that level 0 may not have. */
static void repeat_edges(const struct lzr_array *a, const struct sources *s, struct work *w)
{
    unsigned last = s->own->rank - 1;
    for (unsigned k = 0; k < w->n && a->kind == LZR_LABELS; k++) {
        uint64_t extent[LZR_MAX_RANK], left = s->extent[last] - k * s->own->chunks[last];
        memcpy(extent, s->extent, sizeof extent);
        extent[last] = left < s->own->chunks[last] ? left : s->own->chunks[last];
        if (is_cut(s, k)) {
            lzr_chunk_repeat(s->own, extent, a->dtype.size, w->out + k * w->out_bytes);
        }
    }
}

/* The chunks of the level below: the flight's needs, or those that were found in the cache. */
static const struct lzr_blob *blob_of(const struct lzr_flight *f, struct lzr_blob *const *cached,
                                      uint64_t i)
{
    return cached != NULL ? cached[i] : f->needs->items[i].req.result.blob;
}

static enum lzr_code reduce_chunks(const struct lzr_flight *f, const struct sources *s,
                                   struct lzr_blob *const *cached, struct work *w,
                                   struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    for (uint64_t i = 0; i < s->n; i++) {
        const struct lzr_blob *blob = blob_of(f, cached, i);
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

/* Reduces a slab of the level below, extent[] voxels, to the rows `to` of the chunks. */
static void reduce_slab(const struct sources *s, const uint64_t extent[], const uint64_t to[],
                        struct work *w)
{
    unsigned last = s->own->rank - 1;
    uint64_t part[LZR_MAX_RANK], width = s->own->chunks[last] * s->how.step[last];
    memcpy(part, extent, sizeof part);
    for (unsigned k = 0; k < w->n; k++) {
        uint64_t left = extent[last] - k * width;
        part[last] = left < width ? left : width;
        lzr_reduce(&s->how, part, (const char *)w->box + k * width * s->how.dtype.size, extent,
                   w->out + k * w->out_bytes + offset_in(s->own, to, s->how.dtype.size),
                   s->own->chunks, w->room);
    }
}

static enum lzr_code reduce_source(const struct lzr_driver *d, const struct lzr_flight *f,
                                   const struct sources *s, struct work *w, struct lzr_err *err)
{
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK], to[LZR_MAX_RANK] = {0};
    uint64_t end = s->below_start[0] + s->below_extent[0], step = s->how.step[0];
    memcpy(start, s->below_start, sizeof start);
    memcpy(extent, s->below_extent, sizeof extent);
    for (; to[0] < s->extent[0]; to[0] += w->slab) {
        start[0] = s->below_start[0] + to[0] * step;
        extent[0] = end - start[0] < w->slab * step ? end - start[0] : w->slab * step;
        enum lzr_code code =
            lzr_source_read_box(d, f->reading, f->array, f->level - 1, start, extent, w->box, err);
        if (code != LZR_OK) {
            return code;
        }
        reduce_slab(s, extent, to, w);
    }
    return LZR_OK;
}

static void release_cached(struct lzr_blob **blobs, uint64_t n)
{
    for (uint64_t i = 0; blobs != NULL && i < n; i++) {
        lzr_blob_unref(&blobs[i]);
    }
    lzr_free(blobs);
}

/* All chunks of the level below, if they are cached; NULL if not, or without memory. */
static struct lzr_blob **find_cached(struct lzr_driver *d, const struct lzr_flight *f,
                                     const struct sources *s)
{
    struct lzr_blob **blobs = lzr_calloc((size_t)s->n, sizeof *blobs);
    uint64_t i = 0;
    for (; blobs != NULL && i < s->n; i++) {
        struct lzr_chunk c = source_chunk(f->array, f->level, s, i);
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        blobs[i] = lzr_cache_get(d->cache, &k, false);
        if (blobs[i] == NULL) {
            break;
        }
    }
    if (blobs != NULL && i < s->n) {
        release_cached(blobs, i);
        return NULL;
    }
    return blobs;
}

/* As many chunks as the band has, side by side, as one box. */
static void widen(struct sources *s, unsigned n)
{
    unsigned last = s->own->rank - 1;
    uint64_t left = s->own->shape[last] - s->start[last], want = n * s->own->chunks[last];
    s->extent[last] = want < left ? want : left;
    left = s->below->shape[last] - s->below_start[last];
    want = s->extent[last] * s->how.step[last];
    s->below_extent[last] = want < left ? want : left;
}

/* Encodes the chunks: f's is the result, the others are left in the cache for their flights, which
 * will make those that fail here themselves. */
static enum lzr_code encode_all(struct lzr_driver *d, const struct lzr_flight *f,
                                const struct lzr_band *band, const struct work *w, uint64_t us,
                                struct lzr_blob **out, struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    for (unsigned k = 0; k < w->n; k++) {
        struct lzr_chunk c = {f->array, f->level, LZR_ENC_ZARR, band->first + k};
        struct lzr_cache_key key = lzr_cache_key_of(&c);
        struct lzr_blob *b = NULL;
        bool own = c.index == f->index;
        (void)lzr_make_room(d, lzr_blob_charge(lzr_codec_bound(&f->array->codec, w->out_bytes)));
        enum lzr_code done = lzr_chunk_encode(d, f->array, f->level, w->out + k * w->out_bytes, &b,
                                              own ? err : NULL);
        if (own) {
            code = done;
            *out = b;
        } else if (done == LZR_OK) {
            (void)lzr_cache_put(d->cache, &key, b, us / w->n);
            lzr_blob_unref(&b);
        }
    }
    return code;
}

static enum lzr_code make_from_source(struct lzr_driver *d, const struct lzr_flight *f,
                                      struct lzr_blob **out, struct lzr_err *err)
{
    struct lzr_chunk own = {f->array, f->level, LZR_ENC_ZARR, f->index};
    struct lzr_cache_key key = lzr_cache_key_of(&own);
    struct lzr_blob *made = lzr_cache_get(d->cache, &key, false);
    struct sources s;
    struct work w;
    if (made != NULL) {
        *out = made; /* with a neighbour */
        return LZR_OK;
    }
    uint64_t t0 = lzr_now_us();
    struct lzr_band band = lzr_band_claim(d, f);
    find_sources(f->array, f->level, band.first, &s);
    widen(&s, band.n);
    measure(&s, true, band.n, &w);
    made = NULL;
    enum lzr_code code = get_memory(d, &w, err);
    if (code == LZR_OK) {
        fill_edges(f->array, &s, &w);
        code = reduce_source(d, f, &s, &w, err);
    }
    if (code == LZR_OK) {
        repeat_edges(f->array, &s, &w);
        code = encode_all(d, f, &band, &w, lzr_now_us() - t0, &made, err);
    }
    release_memory(d, &w);
    lzr_band_release(d, &band);
    if (code == LZR_OK) {
        *out = made;
    }
    return code;
}

static enum lzr_code make(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_blob **out,
                          struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    struct sources s;
    struct work w;
    find_sources(a, f->level, f->index, &s);
    struct lzr_blob **cached = f->needs == NULL ? find_cached(d, f, &s) : NULL;
    if (f->needs == NULL && cached == NULL) {
        return make_from_source(d, f, out, err);
    }
    measure(&s, false, 1, &w);
    enum lzr_code code = get_memory(d, &w, err);
    if (code == LZR_OK) {
        fill_edges(a, &s, &w);
        code = reduce_chunks(f, &s, cached, &w, err);
    }
    if (code == LZR_OK) {
        repeat_edges(a, &s, &w);
        (void)lzr_make_room(d, lzr_blob_charge(lzr_codec_bound(&a->codec, w.out_bytes)));
        code = lzr_chunk_encode(d, a, f->level, w.out, out, err);
    }
    release_memory(d, &w);
    release_cached(cached, s.n);
    return code;
}

const struct lzr_recipe lzr_recipe_reduce = {.list = list_sources, .make = make};
const struct lzr_recipe lzr_recipe_reduce_source = {.make = make, .remembers = true};
