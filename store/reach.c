#include "store/reach.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/boundary.h"
#include "store/codec.h"
#include "store/strided.h"

uint64_t lzr_reach_extent(const struct lzr_array *a, unsigned level, const struct lzr_input *in,
                          const uint64_t extent[], uint64_t out[])
{
    const struct lzr_grid *g = &in->array->levels[in->levels[level]].grid;
    uint64_t bytes = in->array->dtype.size;
    (void)a;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t n = in->axis[i] >= 0 ? extent[in->axis[i]]
                                      : in->fixed[level][i][1] - in->fixed[level][i][0];
        out[i] = n + in->lower[i] + in->upper[i];
        bytes *= out[i]; /* checked where arrays are loaded */
    }
    return bytes;
}

/* A run and the chunk that it is of, before they are sorted. */
struct found {
    uint64_t chunk;
    struct lzr_run run;
};

struct finds {
    struct found *items;
    uint64_t n, room;
};

static enum lzr_code add(struct finds *all, struct found f, struct lzr_err *err)
{
    if (all->n == all->room) {
        uint64_t room = all->room == 0 ? 8 : 2 * all->room;
        struct found *more =
            room > LZR_MAX_RUNS ? NULL : lzr_realloc(all->items, (size_t)room * sizeof *more);
        if (room > LZR_MAX_RUNS) {
            return lzr_err_set(err, LZR_E_LIMIT,
                               "the halo repeats the input more than %" PRIu64 " times",
                               LZR_MAX_RUNS / 2);
        }
        if (more == NULL) {
            return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
        }
        all->items = more;
        all->room = room;
    }
    all->items[all->n++] = f;
    return LZR_OK;
}

/* Cuts a stretch at the borders of chunks. */
static enum lzr_code add_stretch(struct finds *all, struct lzr_stretch s, uint64_t to,
                                 uint64_t chunk, struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    while (code == LZR_OK && s.n > 0) {
        uint64_t pos = s.from / chunk, at = s.from % chunk, n = s.n;
        uint64_t most = s.step > 0 ? chunk - at : at + 1;
        n = s.step == 0 || n < most ? n : most;
        code = add(all, (struct found){pos, {.to = to, .from = at, .n = n, .step = s.step}}, err);
        to += n;
        s.n -= n;
        s.from = s.step > 0 ? s.from + n : s.step < 0 ? s.from - n : s.from;
    }
    return code;
}

static int compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->chunk != y->chunk) {
        return x->chunk < y->chunk ? -1 : 1;
    }
    return x->run.to < y->run.to ? -1 : x->run.to > y->run.to;
}

/* Groups the runs by chunk. */
static enum lzr_code settle(struct lzr_reach_axis *x, struct finds *all, struct lzr_err *err)
{
    x->chunks = lzr_calloc((size_t)all->n + 1, sizeof *x->chunks);
    x->first = lzr_calloc((size_t)all->n + 2, sizeof *x->first);
    x->runs = lzr_calloc((size_t)all->n + 1, sizeof *x->runs);
    if (x->chunks == NULL || x->first == NULL || x->runs == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    if (all->n > 1) {
        qsort(all->items, (size_t)all->n, sizeof *all->items, compare);
    }
    for (uint64_t i = 0; i < all->n; i++) {
        if (i == 0 || all->items[i].chunk != all->items[i - 1].chunk) {
            x->chunks[x->nchunks] = all->items[i].chunk;
            x->first[x->nchunks++] = i;
        }
        x->runs[i] = all->items[i].run;
    }
    x->first[x->nchunks] = all->n;
    return LZR_OK;
}

static enum lzr_code init_axis(struct lzr_reach_axis *x, enum lzr_boundary mode, uint64_t length,
                               uint64_t chunk, int64_t at, uint64_t n, struct lzr_err *err)
{
    struct finds all = {0};
    enum lzr_code code = LZR_OK;
    for (uint64_t to = 0; to < n && code == LZR_OK;) {
        struct lzr_stretch s = lzr_boundary_stretch(mode, length, at + (int64_t)to, n - to);
        x->outside = x->outside || s.outside;
        if (!s.outside) {
            code = add_stretch(&all, s, to, chunk, err);
        }
        to += s.n;
    }
    if (code == LZR_OK) {
        code = settle(x, &all, err);
    }
    lzr_free(all.items);
    return code;
}

enum lzr_code lzr_reach_init(struct lzr_reach *r, const struct lzr_array *a, unsigned level,
                             const struct lzr_input *in, const uint64_t start[],
                             const uint64_t extent[], bool whole, struct lzr_err *err)
{
    const struct lzr_grid *g = &in->array->levels[in->levels[level]].grid;
    *r = (struct lzr_reach){.array = in->array, .level = in->levels[level]};
    r->elements = lzr_reach_extent(a, level, in, extent, r->extent) / in->array->dtype.size;
    r->nchunks = 1;
    const struct lzr_data *data = in->array->levels[r->level].data;
    r->big = whole && data != NULL ? data->dtype.big : in->array->dtype.big;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t at = in->axis[i] >= 0 ? start[in->axis[i]] : in->fixed[level][i][0];
        r->chunk[i] = whole && g->shape[i] > 0 ? g->shape[i] : g->chunks[i];
        enum lzr_code code = init_axis(&r->axis[i], in->boundary, g->shape[i], r->chunk[i],
                                       (int64_t)at - (int64_t)in->lower[i], r->extent[i], err);
        if (code != LZR_OK) {
            return code;
        }
        r->nchunks *= r->axis[i].nchunks;
    }
    return LZR_OK;
}

void lzr_reach_release(struct lzr_reach *r)
{
    for (unsigned i = 0; i < LZR_MAX_RANK; i++) {
        lzr_free(r->axis[i].chunks);
        lzr_free(r->axis[i].first);
        lzr_free(r->axis[i].runs);
        r->axis[i] = (struct lzr_reach_axis){0};
    }
}

/* Which chunk position of each axis the k-th chunk has. */
static void places(const struct lzr_reach *r, unsigned rank, uint64_t k, uint64_t which[])
{
    for (unsigned i = rank; i-- > 0;) {
        which[i] = k % r->axis[i].nchunks;
        k /= r->axis[i].nchunks;
    }
}

uint64_t lzr_reach_chunk(const struct lzr_reach *r, uint64_t k)
{
    const struct lzr_grid *g = &r->array->levels[r->level].grid;
    uint64_t which[LZR_MAX_RANK], pos[LZR_MAX_RANK];
    places(r, g->rank, k, which);
    for (unsigned i = 0; i < g->rank; i++) {
        pos[i] = r->axis[i].chunks[which[i]];
    }
    return lzr_grid_index(g, pos);
}

bool lzr_reach_direct(const struct lzr_reach *r)
{
    const struct lzr_grid *g = &r->array->levels[r->level].grid;
    bool direct = r->nchunks == 1;
    for (unsigned i = 0; i < g->rank && direct; i++) {
        const struct lzr_reach_axis *x = &r->axis[i];
        direct = x->first[1] == 1 && x->runs[0].n == r->chunk[i] && x->runs[0].step == 1 &&
                 r->extent[i] == r->chunk[i];
    }
    return direct;
}

/* A box with a stride on either side: bytes, the source's of either sign or 0. */
struct strided {
    uint64_t n[LZR_MAX_RANK];
    int64_t src[LZR_MAX_RANK], dst[LZR_MAX_RANK];
};

#define STEP_ROW(T)                                                                                \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        memcpy(d + i * sizeof(T), s + (int64_t)i * stride, sizeof(T));                             \
    }                                                                                              \
    break

/* Elements that lie apart in the source, or are all the same one. */
static void copy_apart(unsigned char *d, const unsigned char *s, int64_t stride, uint64_t n,
                       unsigned itemsize)
{
    typedef struct {
        unsigned char b[16];
    } sixteen;
    switch (itemsize) {
    case 1:
        STEP_ROW(uint8_t);
    case 2:
        STEP_ROW(uint16_t);
    case 4:
        STEP_ROW(uint32_t);
    case 8:
        STEP_ROW(uint64_t);
    default:
        STEP_ROW(sixteen);
    }
}

static void copy_strided(unsigned rank, unsigned itemsize, const struct strided *b,
                         const unsigned char *s, unsigned char *d)
{
    uint64_t at[LZR_MAX_RANK] = {0};
    /* Axes from `inner` on are one row of bytes. */
    unsigned inner = rank;
    int64_t row = itemsize;
    while (inner > 0 && b->src[inner - 1] == row && b->dst[inner - 1] == row) {
        row *= (int64_t)b->n[--inner];
    }
    bool apart = row == itemsize && inner == rank && rank > 0;
    unsigned outer = apart ? rank - 1 : inner;
    for (;;) {
        if (apart) {
            copy_apart(d, s, b->src[rank - 1], b->n[rank - 1], itemsize);
        } else {
            memcpy(d, s, (size_t)row);
        }
        unsigned i = outer;
        for (; i > 0; i--) {
            s += b->src[i - 1];
            d += b->dst[i - 1];
            if (++at[i - 1] < b->n[i - 1]) {
                break;
            }
            s -= (int64_t)b->n[i - 1] * b->src[i - 1];
            d -= (int64_t)b->n[i - 1] * b->dst[i - 1];
            at[i - 1] = 0;
        }
        if (i == 0) {
            return;
        }
    }
}

bool lzr_reach_box(const struct lzr_reach *r, uint64_t k, uint64_t at, struct lzr_reach_box *out)
{
    unsigned rank = r->array->levels[r->level].grid.rank;
    uint64_t which[LZR_MAX_RANK];
    places(r, rank, k, which);
    for (unsigned i = rank; i-- > 0;) {
        const struct lzr_reach_axis *x = &r->axis[i];
        uint64_t first = x->first[which[i]], n = x->first[which[i] + 1] - first;
        const struct lzr_run *run = &x->runs[first + at % n];
        at /= n;
        out->from[i] = run->from;
        out->to[i] = run->to;
        out->n[i] = run->n;
        out->step[i] = run->step;
    }
    return at == 0;
}

void lzr_reach_place(const struct lzr_reach *r, uint64_t k, const void *chunk, void *region)
{
    unsigned itemsize = r->array->dtype.size, rank = r->array->levels[r->level].grid.rank;
    int64_t src[LZR_MAX_RANK], dst[LZR_MAX_RANK], src_step = itemsize, dst_step = itemsize;
    struct lzr_reach_box box;
    for (unsigned i = rank; i-- > 0;) {
        src[i] = src_step;
        dst[i] = dst_step;
        src_step *= (int64_t)r->chunk[i];
        dst_step *= (int64_t)r->extent[i];
    }
    for (uint64_t at = 0; lzr_reach_box(r, k, at, &box); at++) {
        struct strided b;
        const unsigned char *s = chunk;
        unsigned char *d = region;
        for (unsigned i = 0; i < rank; i++) {
            b.n[i] = box.n[i];
            b.src[i] = src[i] * box.step[i];
            b.dst[i] = dst[i];
            s += src[i] * (int64_t)box.from[i];
            d += dst[i] * (int64_t)box.to[i];
        }
        copy_strided(rank, itemsize, &b, s, d);
    }
}

void lzr_reach_fill(const struct lzr_reach *r, void *region)
{
    bool outside = false;
    for (unsigned i = 0; i < r->array->levels[r->level].grid.rank; i++) {
        outside = outside || r->axis[i].outside;
    }
    if (outside && r->elements > 0) {
        unsigned char fill[LZR_MAX_ITEMSIZE];
        memcpy(fill, r->array->fill, sizeof fill);
        if (r->big != r->array->dtype.big) {
            lzr_swap_words(fill, r->array->dtype.size, lzr_dtype_word(r->array->dtype));
        }
        lzr_fill_bytes(region, (size_t)r->elements * r->array->dtype.size, fill,
                       r->array->dtype.size);
    }
}

void lzr_reach_finish(const struct lzr_reach *r, void *region)
{
    if (r->big) {
        lzr_swap_words(region, (size_t)(r->elements * r->array->dtype.size),
                       lzr_dtype_word(r->array->dtype));
    }
}
