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

void lzr_inputs_most(const struct lzr_array *a, uint64_t *regions, uint64_t *encoded)
{
    *regions = *encoded = 0;
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
                uint64_t touched = whole[x] / g->chunks[x] + 2;
                n *= touched < g->counts[x] ? touched : g->counts[x];
            }
            chunks +=
                n * lzr_blob_charge(lzr_codec_bound(&from->codec, (size_t)(g->chunk_elements *
                                                                           from->dtype.size)));
        }
        *regions = bytes > *regions ? bytes : *regions;
        *encoded = chunks > *encoded ? chunks : *encoded;
    }
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

/* One input's region; *need goes on to the next input's first. scratch: room for a chunk. */
static enum lzr_code fill_region(const struct lzr_reach *r, const struct lzr_needs *s,
                                 uint64_t *need, void *scratch, void *region, struct lzr_err *err)
{
    const struct lzr_array *a = r->array;
    size_t bytes = (size_t)(a->levels[r->level].grid.chunk_elements * a->dtype.size);
    bool direct = lzr_reach_direct(r);
    lzr_reach_fill(r, region);
    for (uint64_t k = 0; k < r->nchunks; k++) {
        const struct lzr_blob *b = s->items[(*need)++].req.result.blob;
        const void *chunk = direct ? region : scratch;
        if (a->codec.id == LZR_CODEC_NONE && b->len == bytes && !direct) {
            chunk = b->data;
        } else {
            enum lzr_code code =
                lzr_codec_decode(&a->codec, b->data, b->len, direct ? region : scratch, bytes, err);
            if (code != LZR_OK) {
                return code;
            }
        }
        if (!direct) {
            lzr_reach_place(r, k, chunk, region);
        }
    }
    lzr_reach_finish(r, region);
    return LZR_OK;
}

/* The region of a source: box by box from where it lies. */
static enum lzr_code read_region(const struct lzr_driver *d, const struct lzr_reach *r,
                                 unsigned char *region, struct lzr_err *err)
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
        code = lzr_source_read(d, a, r->level, box.from, box.step, box.n, to, dst, err);
    }
    lzr_reach_finish(r, region);
    return code;
}

enum lzr_code lzr_inputs_fill(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_slot *s,
                              struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    struct lzr_reach *r = NULL;
    uint64_t need = 0, offset = 0, most = 0;
    enum lzr_code code = make_reaches(a, f->level, f->index, &r, err);
    for (unsigned i = 0; code == LZR_OK && i < a->ninputs; i++) {
        const struct lzr_grid *g = &r[i].array->levels[r[i].level].grid;
        uint64_t bytes = g->chunk_elements * r[i].array->dtype.size;
        bytes = is_source(r[i].array, r[i].level) || lzr_reach_direct(&r[i]) ? 0 : bytes;
        most = bytes > most ? bytes : most;
    }
    lzr_budget_add(&d->budget, most);
    void *scratch = code == LZR_OK ? lzr_malloc((size_t)most) : NULL;
    if (code == LZR_OK && scratch == NULL) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    for (unsigned i = 0; code == LZR_OK && i < a->ninputs; i++) {
        code = is_source(r[i].array, r[i].level)
                   ? read_region(d, &r[i], s->inputs + offset, err)
                   : fill_region(&r[i], f->needs, &need, scratch, s->inputs + offset, err);
        if (code != LZR_OK) {
            lzr_err_prefix(err, "%.100s <- %.100s", a->path, r[i].array->path);
        }
        offset += aligned(r[i].elements * r[i].array->dtype.size);
    }
    LZR_CHECK(code != LZR_OK || (need == f->needs->n && offset <= s->inputs_capacity));
    lzr_free(scratch);
    lzr_budget_sub(&d->budget, most);
    free_reaches(a, r);
    return code;
}
