#include "engine/inputs.h"

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "engine/source.h"
#include "store/codec.h"
#include "store/reach.h"
#include "store/strided.h"
#include "store/touched.h"

static void block_of(const struct lzr_array *a, unsigned level, uint64_t index, uint64_t start[],
                     uint64_t extent[])
{
    const struct lzr_grid *g = &a->levels[level].grid;
    uint64_t pos[LZR_MAX_RANK];
    lzr_grid_position(g, index, pos);
    lzr_grid_block(g, pos, start, extent);
}

static uint64_t aligned(uint64_t n)
{
    return (n + LZR_INPUT_ALIGN - 1) / LZR_INPUT_ALIGN * LZR_INPUT_ALIGN;
}

uint64_t lzr_inputs_layout(const struct lzr_flight *f, struct lzr_msg_input out[])
{
    const struct lzr_array *a = f->array;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK], whole[LZR_MAX_RANK], offset = 0;
    block_of(a, f->level, f->index, start, extent);
    for (unsigned i = 0; i < a->ninputs; i++) {
        const struct lzr_input *in = &a->inputs[i];
        uint64_t bytes = lzr_reach_extent(a, f->level, in, extent, whole);
        if (out != NULL) {
            out[i] = (struct lzr_msg_input){.offset = offset};
            for (unsigned k = 0; k < in->array->levels[0].grid.rank; k++) {
                if (!in->drop[k]) {
                    out[i].extent[out[i].rank++] = whole[k];
                }
            }
        }
        offset += aligned(bytes);
    }
    return offset;
}

/* The server reads this input itself: its regions come from there, not from its chunks. */
static bool is_source(const struct lzr_array *a, uint32_t level)
{
    return a->levels[level].data != NULL;
}

void lzr_inputs_most(const struct lzr_array *a, uint64_t *regions, uint64_t *encoded,
                     uint64_t *chunk)
{
    *regions = *encoded = *chunk = 0;
    if (a->copied) {
        *chunk = lzr_copy_chunk(a);
        return; /* no worker is given any of it */
    }
    for (unsigned k = 0; a->ninputs > 0 && k < lzr_array_run_levels(a); k++) {
        const struct lzr_grid *own = &a->levels[k].grid;
        uint64_t extent[LZR_MAX_RANK], whole[LZR_MAX_RANK], bytes = 0, chunks = 0;
        for (unsigned i = 0; i < own->rank; i++) {
            extent[i] = own->chunks[i] < own->shape[i] ? own->chunks[i] : own->shape[i];
        }
        for (unsigned i = 0; i < a->ninputs; i++) {
            const struct lzr_input *in = &a->inputs[i];
            const struct lzr_array *from = in->array;
            const struct lzr_grid *g = &from->levels[in->levels[k]].grid;
            uint64_t n = 1;
            bytes += aligned(lzr_reach_extent(a, k, in, extent, whole));
            for (unsigned x = 0; x < g->rank; x++) {
                n *= lzr_touched_input(a, k, in, x);
            }
            if (is_source(from, in->levels[k])) {
                continue;
            }
            uint64_t raw = g->chunk_elements * from->dtype.size;
            *chunk = raw > *chunk ? raw : *chunk;
            chunks += n * (lzr_blob_charge(lzr_codec_bound(&from->codec, (size_t)raw)) +
                           LZR_CACHE_ENTRY_BYTES + sizeof(struct lzr_need));
        }
        *regions = bytes > *regions ? bytes : *regions;
        *encoded = chunks > *encoded ? chunks : *encoded;
    }
}

/* Sets what the chain up to an array takes; whether that was news. */
static bool lengthen(const struct lzr_array *a, const uint64_t own[], uint64_t chain[])
{
    uint64_t longest = 0;
    for (unsigned i = 0; i < a->ninputs; i++) {
        uint64_t before = chain[a->inputs[i].array->id];
        longest = before > longest ? before : longest;
    }
    uint64_t now = own[a->id] + longest;
    bool news = now > chain[a->id];
    chain[a->id] = news ? now : chain[a->id];
    return news;
}

uint64_t lzr_inputs_chain(const struct lzr_catalog *c)
{
    size_t n = lzr_catalog_narrays(c);
    uint64_t *own = lzr_calloc(n + 1, sizeof *own), *chain = lzr_calloc(n + 1, sizeof *chain);
    uint64_t most = 0, ignored;
    bool news = own != NULL && chain != NULL;
    for (size_t i = 0; news && i < n; i++) {
        lzr_inputs_most(lzr_catalog_array(c, i), &ignored, &own[i], &ignored);
    }
    /* Arrays stand before those that are made of them, or behind: either order is done in two
     * rounds. A mixture that takes more than these is cut short; it is only a measure of memory. */
    for (int round = 0; news && round < 64; round++) {
        news = false;
        for (size_t i = 0; i < n; i++) {
            news |= lengthen(lzr_catalog_array(c, round % 2 == 0 ? i : n - 1 - i), own, chain);
        }
    }
    for (size_t i = 0; chain != NULL && i < n; i++) {
        most = chain[i] > most ? chain[i] : most;
    }
    lzr_free(own);
    lzr_free(chain);
    return most;
}

uint64_t lzr_pyramid_most(const struct lzr_array *a)
{
    uint64_t most = 0;
    for (unsigned k = 1; k < a->nlevels && lzr_level_reduced(a, k); k++) {
        const struct lzr_grid *g = &a->levels[k].grid, *below = &a->levels[k - 1].grid;
        uint64_t step[LZR_MAX_RANK], n = 1;
        lzr_level_step(a, k, step);
        for (unsigned i = 0; i < g->rank; i++) {
            const struct lzr_touching t = {.length = below->shape[i],
                                           .chunk = below->chunks[i],
                                           .blocks = g->counts[i],
                                           .stride = g->chunks[i] * step[i],
                                           .size = g->chunks[i] * step[i]};
            n *= lzr_touched_most(&t);
        }
        uint64_t raw = below->chunk_elements * a->dtype.size;
        most += (n + 1) * (lzr_blob_charge(lzr_codec_bound(&a->codec, (size_t)raw)) +
                           sizeof(struct lzr_wanted) + sizeof(struct lzr_need));
    }
    return most;
}

/* What a block reads of each input; to be freed with free_reaches. */
static enum lzr_code make_reaches(const struct lzr_array *a, unsigned level, uint64_t index,
                                  struct lzr_reach **out, struct lzr_err *err)
{
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    block_of(a, level, index, start, extent);
    *out = lzr_calloc(a->ninputs, sizeof **out);
    if (*out == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (unsigned i = 0; i < a->ninputs; i++) {
        const struct lzr_input *in = &a->inputs[i];
        enum lzr_code code = lzr_reach_init(&(*out)[i], a, level, in, start, extent,
                                            is_source(in->array, in->levels[level]), err);
        if (code != LZR_OK) {
            return code;
        }
    }
    return LZR_OK;
}

static void free_reaches(const struct lzr_array *a, struct lzr_reach *r)
{
    for (unsigned i = 0; r != NULL && i < a->ninputs; i++) {
        lzr_reach_release(&r[i]);
    }
    lzr_free(r);
}

static enum lzr_code list_inputs(const struct lzr_chunk *c, struct lzr_needs **out,
                                 struct lzr_err *err)
{
    struct lzr_reach *r = NULL;
    uint64_t n = 0;
    enum lzr_code code = make_reaches(c->array, c->level, c->index, &r, err);
    for (unsigned i = 0; code == LZR_OK && i < c->array->ninputs; i++) {
        n += is_source(r[i].array, r[i].level) ? 0 : r[i].nchunks; /* bounded at load */
    }
    struct lzr_needs *s = code == LZR_OK ? lzr_needs_new(n) : NULL;
    if (code == LZR_OK && s == NULL) {
        code = lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    n = 0;
    for (unsigned i = 0; code == LZR_OK && i < c->array->ninputs; i++) {
        for (uint64_t k = 0; !is_source(r[i].array, r[i].level) && k < r[i].nchunks; k++) {
            struct lzr_chunk need = {r[i].array, r[i].level, LZR_ENC_ZARR,
                                     lzr_reach_chunk(&r[i], k)};
            lzr_needs_set(s, n++, &need);
        }
    }
    free_reaches(c->array, r);
    if (code == LZR_OK) {
        *out = s;
    }
    return code;
}

const struct lzr_recipe lzr_recipe_inputs = {
    .worker = true,
    .remembers = true,
    .list = list_inputs,
};

/* Whether other regions will want the k-th chunk: there is a halo, or this one leaves some of it.
 */
static bool is_shared(const struct lzr_reach *r, const struct lzr_input *in, uint64_t k)
{
    unsigned rank = r->array->levels[r->level].grid.rank;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    struct lzr_reach_box box;
    block_of(r->array, r->level, lzr_reach_chunk(r, k), start, extent);
    bool shared = lzr_reach_box(r, k, 1, &box); /* more than one box: the boundary repeats it */
    (void)lzr_reach_box(r, k, 0, &box);
    for (unsigned i = 0; i < rank; i++) {
        shared = shared || in->lower[i] + in->upper[i] > 0 || box.n[i] < extent[i];
    }
    return shared;
}

struct lzr_blob *lzr_inputs_decoded(struct lzr_driver *d, const struct lzr_chunk *c,
                                    const struct lzr_blob *b, size_t bytes, bool keep, bool *there,
                                    struct lzr_err *err)
{
    const struct lzr_array *a = c->array;
    struct lzr_cache_key key = lzr_cache_key_of(c);
    struct lzr_blob *out = keep ? lzr_cache_get(d->decoded, &key, true) : NULL;
    *there = out != NULL;
    if (out != NULL) {
        return out;
    }
    (void)lzr_make_room(d, lzr_blob_charge(bytes));
    out = lzr_blob_new(bytes, &d->budget);
    if (out == NULL) {
        lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
        return NULL;
    }
    if (lzr_codec_decode(&a->codec, b->data, b->len, out->data, bytes, err) != LZR_OK) {
        lzr_blob_unref(&out);
        return NULL;
    }
    if (keep) {
        (void)lzr_cache_put(d->decoded, &key, out, 0);
    }
    return out;
}

/* One input's region out of its chunks' needs. */
static enum lzr_code fill_region(struct lzr_driver *d, const struct lzr_reach *r,
                                 const struct lzr_input *in, const struct lzr_need *needs,
                                 void *region, struct lzr_err *err)
{
    const struct lzr_array *a = r->array;
    size_t bytes = (size_t)(a->levels[r->level].grid.chunk_elements * a->dtype.size);
    lzr_reach_fill(r, region);
    for (uint64_t k = 0; k < r->nchunks; k++) {
        const struct lzr_blob *b = needs[k].req.result.blob;
        if (lzr_reach_direct(r)) {
            enum lzr_code code = lzr_codec_decode(&a->codec, b->data, b->len, region, bytes, err);
            if (code != LZR_OK) {
                return code;
            }
        } else if (a->codec.id == LZR_CODEC_NONE && b->len == bytes) {
            lzr_reach_place(r, k, b->data, region);
        } else {
            bool keep = d->decoded != NULL && is_shared(r, in, k);
            struct lzr_chunk c = {a, needs[k].level, LZR_ENC_ZARR, needs[k].index};
            bool there;
            struct lzr_blob *raw = lzr_inputs_decoded(d, &c, b, bytes, keep, &there, err);
            if (raw == NULL) {
                return err->code;
            }
            lzr_reach_place(r, k, raw->data, region);
            lzr_blob_unref(&raw);
        }
    }
    lzr_reach_finish(r, region);
    return LZR_OK;
}

/* The region of a source: box by box from where it lies. */
static enum lzr_code read_region(const struct lzr_driver *d, struct lzr_reading *thread,
                                 const struct lzr_reach *r, unsigned char *region,
                                 struct lzr_err *err)
{
    const struct lzr_array *a = r->array;
    unsigned rank = a->levels[r->level].grid.rank, itemsize = a->dtype.size;
    int64_t to[LZR_MAX_RANK];
    struct lzr_reach_box box;
    enum lzr_code code = LZR_OK;
    lzr_strided_dense(rank, itemsize, r->extent, to);
    lzr_reach_fill(r, region);
    for (uint64_t i = 0; r->nchunks > 0 && code == LZR_OK && lzr_reach_box(r, 0, i, &box); i++) {
        unsigned char *dst = region;
        for (unsigned k = 0; k < rank; k++) {
            dst += (int64_t)box.to[k] * to[k];
        }
        code = lzr_source_read(d, thread, a, r->level, box.from, box.step, box.n, to, dst, err);
    }
    lzr_reach_finish(r, region);
    return code;
}

enum lzr_code lzr_inputs_fill(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_slot *s,
                              struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    struct lzr_reach *r = NULL;
    uint64_t need = 0, offset = 0;
    enum lzr_code code = make_reaches(a, f->level, f->index, &r, err);
    for (unsigned i = 0; code == LZR_OK && i < a->ninputs; i++) {
        unsigned char *region = s->inputs + offset;
        if (is_source(r[i].array, r[i].level)) {
            code = read_region(d, f->reading, &r[i], region, err);
        } else {
            code = fill_region(d, &r[i], &a->inputs[i], &f->needs->items[need], region, err);
            need += r[i].nchunks;
        }
        if (code != LZR_OK) {
            lzr_err_prefix(err, "%.100s <- %.100s", a->path, r[i].array->path);
        }
        offset += aligned(r[i].elements * r[i].array->dtype.size);
    }
    LZR_CHECK(code != LZR_OK || (need == f->needs->n && offset <= s->inputs_capacity));
    free_reaches(a, r);
    return code;
}
