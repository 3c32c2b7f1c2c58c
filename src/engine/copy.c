#include "engine/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "engine/source.h"
#include "store/codec.h"
#include "store/copied.h"
#include "store/region.h"
#include "store/strided.h"
#include "store/view.h"

/* Where a chunk lies, and the chunks that it is copied from. */
struct box {
    const struct lzr_grid *own;
    struct lzr_copied_from from;
    uint64_t start[LZR_MAX_RANK], extent[LZR_MAX_RANK]; /* cut to the array */
    uint64_t first[LZR_MAX_RANK], count[LZR_MAX_RANK], n;
};

static struct box box_of(const struct lzr_array *a, uint32_t level, uint64_t index)
{
    struct box b = {.own = &a->levels[level].grid, .from = lzr_copied_from(a, level)};
    uint64_t pos[LZR_MAX_RANK];
    lzr_grid_position(b.own, index, pos);
    lzr_grid_block(b.own, pos, b.start, b.extent);
    b.n = lzr_view_sources(b.from.grid, b.start, b.extent, b.first, b.count);
    return b;
}

static enum lzr_code list(const struct lzr_chunk *c, struct lzr_needs **out, struct lzr_err *err)
{
    struct box b = box_of(c->array, c->level, c->index);
    struct lzr_needs *needs = lzr_needs_new(b.n); /* bounded at load */
    if (needs == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    uint64_t pos[LZR_MAX_RANK];
    memcpy(pos, b.first, sizeof pos);
    for (uint64_t i = 0; i < b.n; i++) {
        struct lzr_chunk need = {b.from.array, b.from.level, LZR_ENC_ZARR,
                                 lzr_grid_index(b.from.grid, pos)};
        lzr_needs_set(needs, i, &need);
        for (unsigned k = b.own->rank; k-- > 0;) {
            if (++pos[k] < b.first[k] + b.count[k]) {
                break;
            }
            pos[k] = b.first[k];
        }
    }
    *out = needs;
    return LZR_OK;
}

uint64_t lzr_copy_chunk(const struct lzr_array *a)
{
    uint64_t most = 0;
    for (unsigned k = 0; k < a->nlevels; k++) {
        struct lzr_copied_from in = lzr_copied_from(a, a->nlevels + k);
        uint64_t raw = in.grid->chunk_elements * a->dtype.size;
        bool read = in.array->levels[in.level].data != NULL;
        most = !read && raw > most ? raw : most;
    }
    return most;
}

static uint64_t encoded(const struct lzr_array *a, const struct lzr_grid *g)
{
    size_t raw = (size_t)(g->chunk_elements * a->dtype.size);
    return lzr_blob_charge(lzr_codec_bound(&a->codec, raw)) + sizeof(struct lzr_wanted) +
           sizeof(struct lzr_need);
}

uint64_t lzr_copy_most(const struct lzr_array *a)
{
    uint64_t most = 0;
    for (unsigned k = 0; a->copied && k < a->nlevels; k++) {
        struct lzr_copied_from from = lzr_copied_from(a, k);
        if (from.array->levels[from.level].data != NULL) {
            continue;
        }
        uint64_t n = encoded(a, &a->levels[k].grid) +
                     lzr_copied_most(a, k) * encoded(from.array, from.grid);
        if (from.array == a) {
            struct lzr_copied_from stored = lzr_copied_from(a, from.level);
            n += lzr_copied_most(a, from.level) * encoded(stored.array, stored.grid);
        }
        most = n > most ? n : most;
    }
    return most;
}

/* ---- together ---- */

/* A flight that is copied, with others or alone. */
struct member {
    struct lzr_flight *flight;
    struct box box;
    unsigned char *out;
    size_t bytes;
    struct lzr_blob *blob; /* the result */
};

/* A need of one of them. */
struct part {
    uint64_t index; /* of the input's chunk */
    const struct lzr_blob *blob;
    struct member *member;
};

struct gang {
    struct member *members;
    size_t n;
    struct part *parts; /* sorted by index */
    size_t nparts;
    size_t bytes; /* of all members, raw */
    uint64_t decoded; /* chunks of the input, pieces not counted */
};

/* Whether a chunk is copied from some of the same chunks as others are. */
static bool overlap(const struct lzr_copying *c, const struct box *b)
{
    bool yes = true;
    for (unsigned i = 0; i < b->own->rank; i++) {
        yes = yes && c->first[i] < b->first[i] + b->count[i] &&
              b->first[i] < c->first[i] + c->count[i];
    }
    return yes;
}

/* Those with which f has to wait, if there are any: a thread copies them. With mu. */
static struct lzr_copying *busy(const struct lzr_driver *d, const struct lzr_flight *f,
                                const struct box *b)
{
    struct lzr_copying *c = d->copying;
    while (c != NULL && (c->array != f->array || c->level != f->level || !overlap(c, b))) {
        c = c->next;
    }
    return c;
}

/* With mu. */
static void begin(struct lzr_driver *d, const struct lzr_flight *f, const struct box *b,
                  struct lzr_copying *c)
{
    *c = (struct lzr_copying){.next = d->copying, .array = f->array, .level = f->level};
    memcpy(c->first, b->first, sizeof c->first);
    memcpy(c->count, b->count, sizeof c->count);
    d->copying = c;
}

/* Those that waited become tasks again. With mu. */
static void end(struct lzr_driver *d, struct lzr_copying *c)
{
    struct lzr_copying **p = &d->copying;
    while (*p != c) {
        p = &(*p)->next;
    }
    *p = c->next;
    while (c->late.head != NULL) {
        struct lzr_flight *f = c->late.head;
        lzr_list_remove(&c->late, f);
        lzr_task_add(d, f, false);
    }
}

static void join(struct gang *g, struct lzr_flight *f, const struct box *b, uint64_t now)
{
    struct member *m = &g->members[g->n++];
    *m = (struct member){.flight = f,
                         .box = *b,
                         .bytes = (size_t)(b->own->chunk_elements * f->array->dtype.size)};
    g->bytes += m->bytes;
    g->nparts += (size_t)f->needs->n;
    f->started_us = now;
}

/* Takes those tasks that go with the first one; their wakes of task_fd find nothing. With mu. */
static enum lzr_code gather(struct lzr_driver *d, struct lzr_flight *first, const struct box *own,
                            const struct lzr_copying *c, struct gang *g)
{
    uint64_t now = lzr_now_us(), most = d->budget.limit / LZR_COPY_SHARE;
    size_t room = d->tasks.n < LZR_COPY_TOGETHER ? d->tasks.n + 1 : LZR_COPY_TOGETHER;
    *g = (struct gang){.members = lzr_calloc(room, sizeof *g->members)};
    if (g->members == NULL) {
        return LZR_E_NOMEM;
    }
    join(g, first, own, now);
    for (struct lzr_flight *f = d->tasks.head, *next; f != NULL && g->n < room; f = next) {
        next = f->next;
        if (f->array != first->array || f->level != first->level || f->recipe != first->recipe ||
            f->state != LZR_MAKING || g->bytes + g->members[0].bytes > most) {
            continue;
        }
        struct box b = box_of(f->array, f->level, f->index);
        if (overlap(c, &b)) {
            lzr_list_remove(&d->tasks, f);
            join(g, f, &b, now);
        }
    }
    return LZR_OK;
}

static int by_index(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static enum lzr_code get_memory(struct lzr_driver *d, struct gang *g, struct lzr_err *err)
{
    size_t at = 0;
    (void)lzr_cache_make_room(d->cache, g->bytes);
    lzr_budget_add(&d->budget, g->bytes);
    g->parts = lzr_malloc((g->nparts + 1) * sizeof *g->parts);
    bool ok = g->parts != NULL;
    for (size_t i = 0; ok && i < g->n; i++) {
        struct member *m = &g->members[i];
        const struct lzr_needs *needs = m->flight->needs;
        const struct lzr_array *a = m->flight->array;
        m->out = lzr_malloc(m->bytes);
        ok = m->out != NULL;
        for (uint64_t k = 0; ok && k < needs->n; k++) {
            const struct lzr_need *need = &needs->items[k];
            g->parts[at++] = (struct part){need->index, need->req.result.blob, m};
        }
        size_t lengths = m->box.own->rank * sizeof(uint64_t);
        if (ok && memcmp(m->box.extent, m->box.own->chunks, lengths) != 0) {
            lzr_fill_bytes(m->out, m->bytes, a->fill, a->dtype.size); /* behind the array's end */
        }
    }
    if (!ok) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    qsort(g->parts, g->nparts, sizeof *g->parts, by_index);
    return LZR_OK;
}

static void release_memory(struct lzr_driver *d, struct gang *g)
{
    for (size_t i = 0; i < g->n; i++) {
        lzr_free(g->members[i].out);
    }
    lzr_free(g->parts);
    lzr_budget_sub(&d->budget, g->bytes);
}

/* Whether the parts, which are all of one chunk, leave some of it: for those that come later. */
static bool is_shared(const struct part parts[], size_t n, const uint64_t start[],
                      const uint64_t extent[])
{
    uint64_t all = 1, used = 0;
    unsigned rank = parts[0].member->box.own->rank;
    for (unsigned i = 0; i < rank; i++) {
        all *= extent[i];
    }
    for (size_t p = 0; p < n; p++) {
        const struct box *b = &parts[p].member->box;
        uint64_t some = 1;
        for (unsigned i = 0; i < rank; i++) {
            uint64_t end = b->start[i] + b->extent[i], stop = start[i] + extent[i];
            uint64_t low = b->start[i] > start[i] ? b->start[i] : start[i];
            some *= (end < stop ? end : stop) - low;
        }
        used += some;
    }
    return used < all;
}

/* Decodes one chunk, and puts what it has of n members in place. */
static enum lzr_code place(struct lzr_driver *d, const struct part parts[], size_t n,
                           struct gang *g, struct lzr_err *err)
{
    const struct lzr_copied_from *from = &parts[0].member->box.from;
    const struct lzr_array *a = from->array;
    const struct lzr_grid *grid = from->grid;
    struct lzr_chunk c = {a, from->level, LZR_ENC_ZARR, parts[0].index};
    size_t bytes = (size_t)(grid->chunk_elements * a->dtype.size);
    const unsigned char *raw = parts[0].blob->data;
    uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    struct lzr_blob *blob = NULL;
    lzr_grid_position(grid, c.index, pos);
    lzr_grid_block(grid, pos, start, extent);
    if (a->codec.id != LZR_CODEC_NONE || parts[0].blob->len != bytes) {
        bool keep = d->decoded != NULL && is_shared(parts, n, start, extent);
        bool there = false;
        blob = lzr_inputs_decoded(d, &c, parts[0].blob, bytes, keep, &there, err);
        if (blob == NULL) {
            return err->code;
        }
        g->decoded += !there && a != parts[0].member->flight->array;
        raw = blob->data;
    }
    for (size_t p = 0; p < n; p++) {
        const struct member *m = parts[p].member;
        lzr_region_copy(grid->rank, a->dtype.size, (struct lzr_region){start, grid->chunks}, raw,
                        (struct lzr_region){m->box.start, m->box.own->chunks}, m->out);
    }
    lzr_blob_unref(&blob);
    return LZR_OK;
}

static enum lzr_code make_all(struct lzr_driver *d, struct gang *g, struct lzr_err *err)
{
    enum lzr_code code = get_memory(d, g, err);
    for (size_t i = 0, n; code == LZR_OK && i < g->nparts; i += n) {
        for (n = 1; i + n < g->nparts && g->parts[i + n].index == g->parts[i].index; n++) {
        }
        code = place(d, &g->parts[i], n, g, err);
    }
    for (size_t i = 0; code == LZR_OK && i < g->n; i++) {
        struct member *m = &g->members[i];
        const struct lzr_array *a = m->flight->array;
        (void)lzr_cache_make_room(d->cache, lzr_blob_charge(lzr_codec_bound(&a->codec, m->bytes)));
        code = lzr_chunk_encode(d, a, m->flight->level, m->out, &m->blob, err);
    }
    release_memory(d, g);
    return code;
}

static void keep_all(struct lzr_driver *d, const struct gang *g, uint64_t us)
{
    for (size_t i = 0; i < g->n; i++) {
        const struct lzr_flight *f = g->members[i].flight;
        struct lzr_chunk c = {f->array, f->level, f->encoding, f->index};
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        (void)lzr_cache_put(d->cache, &k, g->members[i].blob, us + f->compute_us);
    }
}

void lzr_copy_run(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_request *done = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct gang g;
    const struct box own = box_of(f->array, f->level, f->index);
    struct lzr_copying now, *before = busy(d, f, &own);
    uint64_t t0 = lzr_now_us();
    if (before != NULL) {
        lzr_list_push(&before->late, f);
        pthread_mutex_unlock(&d->mu);
        return;
    }
    begin(d, f, &own, &now);
    if (gather(d, f, &own, &now, &g) != LZR_OK) {
        end(d, &now);
        (void)lzr_err_set(&err, LZR_E_NOMEM, "out of memory");
        lzr_task_made(d, f, NULL, &err, &done);
        lzr_dispatch(d, &done);
        pthread_mutex_unlock(&d->mu);
        lzr_complete(done);
        return;
    }
    for (size_t i = 0; i < g.n; i++) {
        lzr_flight_release(d, g.members[i].flight); /* what is made is charged as it comes */
    }
    pthread_mutex_unlock(&d->mu);
    /* Nobody frees flights while they are MAKING, and their needs are ours. */
    enum lzr_code code = make_all(d, &g, &err);
    uint64_t us = (lzr_now_us() - t0) / g.n;
    bool keep = code == LZR_OK && lzr_keeps(d);
    if (keep) {
        keep_all(d, &g, us);
    }
    pthread_mutex_lock(&d->mu);
    if (keep) {
        lzr_kept(d);
    }
    end(d, &now);
    d->stats.copied_total += code == LZR_OK ? g.n : 0;
    d->stats.copy_decoded_total += g.decoded;
    for (size_t i = 0; i < g.n; i++) {
        struct member *m = &g.members[i];
        lzr_needs_free(&m->flight->needs);
        m->flight->encode_us = us;
        if (code != LZR_OK) {
            lzr_blob_unref(&m->blob);
        }
        lzr_task_made(d, m->flight, m->blob, &err, &done);
    }
    lzr_dispatch(d, &done);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(done);
    lzr_free(g.members);
}

/* ---- from what the server reads itself ---- */

static enum lzr_code read_box(struct lzr_driver *d, const struct lzr_flight *f,
                              struct lzr_blob **out, struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct box b = box_of(a, f->level, f->index);
    size_t chunk = (size_t)(b.own->chunk_elements * a->dtype.size), bytes = a->dtype.size;
    for (unsigned i = 0; i < b.own->rank; i++) {
        bytes *= (size_t)b.extent[i];
    }
    size_t room = bytes + LZR_STRIDED_SPAN + (bytes < chunk ? chunk : 0);
    (void)lzr_cache_make_room(d->cache, room + lzr_blob_charge(lzr_codec_bound(&a->codec, chunk)));
    lzr_budget_add(&d->budget, room);
    unsigned char *raw = lzr_malloc(bytes), *padded = bytes < chunk ? lzr_malloc(chunk) : NULL;
    enum lzr_code code = LZR_OK;
    if (raw == NULL || (bytes < chunk && padded == NULL)) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    if (code == LZR_OK) {
        code = lzr_source_read_box(d, f->reading, b.from.array, b.from.level, b.start, b.extent,
                                   raw, err);
    }
    if (code == LZR_OK && padded != NULL) {
        lzr_chunk_pad(b.own, b.extent, raw, a->dtype.size, a->fill, padded);
    }
    if (code == LZR_OK) {
        code = lzr_chunk_encode(d, a, f->level, padded != NULL ? padded : raw, out, err);
    }
    lzr_free(raw);
    lzr_free(padded);
    lzr_budget_sub(&d->budget, room);
    return code;
}

const struct lzr_recipe lzr_recipe_copy = {.list = list};
const struct lzr_recipe lzr_recipe_copy_read = {.make = read_box, .remembers = true};
