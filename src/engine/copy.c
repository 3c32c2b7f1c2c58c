#include "engine/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/copy_box.h"
#include "engine/engine.h"
#include "engine/inputs.h"
#include "engine/listing.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "engine/source.h"
#include "store/codec.h"
#include "store/copied.h"
#include "store/region.h"
#include "store/strided.h"

static enum lzr_code list(const struct lzr_chunk *c, struct lzr_needs **out, struct lzr_err *err)
{
    struct lzr_copy_box b = lzr_copy_box_of(c->array, c->level, c->index);
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

/* A chunk that is copied, with others or alone. */
struct member {
    struct lzr_flight *flight; /* NULL: a neighbour, for the cache */
    uint64_t index;
    struct lzr_copy_box box;
    unsigned char *out;
    struct lzr_blob *blob; /* the result */
    bool there;            /* it was in the cache: a neighbour before */
};

/* A need of one of them. */
struct part {
    uint64_t index; /* of the input's chunk */
    const struct lzr_blob *blob;
    struct member *member;
};

struct gang {
    const struct lzr_array *array;
    uint32_t level;
    struct member *members; /* the flights, and the neighbours behind them */
    size_t n, nflights;
    struct part *parts; /* sorted by index */
    size_t nparts;
    size_t each, bytes; /* a chunk, and all that are copied, raw */
    uint64_t decoded; /* chunks of the input, pieces not counted */
};

/* Whether a chunk is copied from some of the same chunks as others are. */
static bool overlap(const struct lzr_copying *c, const struct lzr_copy_box *b)
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
                                const struct lzr_copy_box *b)
{
    struct lzr_copying *c = d->copying;
    while (c != NULL && (c->array != f->array || c->level != f->level || !overlap(c, b))) {
        c = c->next;
    }
    return c;
}

/* With mu. */
static void begin(struct lzr_driver *d, const struct lzr_flight *f, const struct lzr_copy_box *b,
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

static void join(struct gang *g, struct lzr_flight *f, const struct lzr_copy_box *b, uint64_t now)
{
    g->members[g->n++] = (struct member){.flight = f, .index = f->index, .box = *b};
    g->nflights = g->n;
    f->started_us = now;
}

/* Takes those tasks that go with the first one; their wakes of task_fd find nothing. With mu. */
static enum lzr_code gather(struct lzr_driver *d, struct lzr_flight *first,
                            const struct lzr_copy_box *own, const struct lzr_copying *c,
                            struct gang *g)
{
    uint64_t now = lzr_now_us(), most = lzr_copy_share(d);
    *g = (struct gang){.array = first->array,
                       .level = first->level,
                       .each = (size_t)(own->own->chunk_elements * first->array->dtype.size)};
    size_t room = most / g->each > 1 ? (size_t)(most / g->each) : 1;
    room = d->tasks.n + 1 < room ? d->tasks.n + 1 : room;
    room = room < LZR_COPY_TOGETHER ? room : LZR_COPY_TOGETHER;
    g->members = lzr_calloc(room, sizeof *g->members);
    if (g->members == NULL) {
        return LZR_E_NOMEM;
    }
    join(g, first, own, now);
    for (struct lzr_flight *f = d->tasks.head, *next; f != NULL && g->n < room; f = next) {
        next = f->next;
        if (f->array != first->array || f->level != first->level || f->recipe != first->recipe ||
            f->state != LZR_MAKING) {
            continue;
        }
        struct lzr_copy_box b = lzr_copy_box_of(f->array, f->level, f->index);
        if (overlap(c, &b)) {
            lzr_list_remove(&d->tasks, f);
            join(g, f, &b, now);
        }
    }
    return LZR_OK;
}

static struct lzr_cache_key key_of(const struct gang *g, uint64_t index)
{
    struct lzr_chunk c = {g->array, g->level, LZR_ENC_ZARR, index};
    return lzr_cache_key_of(&c);
}

/* Those that were copied along with others before. */
static void find_there(struct lzr_driver *d, struct gang *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct lzr_cache_key k = key_of(g, g->members[i].index);
        g->members[i].blob = lzr_cache_get(d->cache, &k, false);
        g->members[i].there = g->members[i].blob != NULL;
    }
}

static bool is_member(const struct gang *g, uint64_t index)
{
    bool yes = false;
    for (size_t i = 0; !yes && i < g->nflights; i++) {
        yes = g->members[i].index == index;
    }
    return yes;
}

/* Adds the first one's neighbours that aren't there. Without memory there are none. */
static void add_neighbours(struct lzr_driver *d, struct gang *g)
{
    const struct lzr_grid *grid = g->members[0].box.own;
    uint64_t size = lzr_neighbours_most(d, g->array, g->level);
    if (!d->keep || size <= g->n || g->members[0].there) {
        return;
    }
    const struct lzr_neighbours s = lzr_neighbours_of(&g->members[0].box);
    uint64_t first = s.own - s.own % size, last = first + size < s.all ? first + size : s.all;
    size_t room = g->n + (size_t)(last - first);
    struct member *more = lzr_realloc(g->members, room * sizeof *more);
    if (more == NULL) {
        return;
    }
    g->members = more;
    for (uint64_t at = first; at < last; at++) {
        uint64_t index = lzr_neighbours_at(grid, &s, at);
        struct lzr_cache_key k = key_of(g, index);
        struct lzr_blob *there = lzr_cache_get(d->cache, &k, false);
        if (there == NULL && !is_member(g, index)) {
            g->members[g->n++] =
                (struct member){.index = index, .box = lzr_copy_box_of(g->array, g->level, index)};
        }
        lzr_blob_unref(&there);
    }
}

static int by_index(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Neighbours have the first one's needs. */
static const struct lzr_needs *needs_of(const struct gang *g, const struct member *m)
{
    return m->flight != NULL ? m->flight->needs : g->members[0].flight->needs;
}

static bool prepare(struct gang *g, struct member *m)
{
    const struct lzr_needs *needs = needs_of(g, m);
    size_t lengths = m->box.own->rank * sizeof(uint64_t);
    m->out = lzr_malloc(g->each);
    for (uint64_t k = 0; m->out != NULL && k < needs->n; k++) {
        const struct lzr_need *need = &needs->items[k];
        g->parts[g->nparts++] = (struct part){need->index, need->req.result.blob, m};
    }
    if (m->out != NULL && memcmp(m->box.extent, m->box.own->chunks, lengths) != 0) {
        /* behind the array's end */
        lzr_fill_bytes(m->out, g->each, g->array->fill, g->array->dtype.size);
    }
    return m->out != NULL;
}

static enum lzr_code get_memory(struct lzr_driver *d, struct gang *g, struct lzr_err *err)
{
    uint64_t nparts = 0;
    for (size_t i = 0; i < g->n; i++) {
        nparts += g->members[i].there ? 0 : needs_of(g, &g->members[i])->n;
        g->bytes += g->members[i].there ? 0 : g->each;
    }
    (void)lzr_make_room(d, g->bytes);
    lzr_budget_add(&d->budget, g->bytes);
    g->parts = lzr_malloc(((size_t)nparts + 1) * sizeof *g->parts);
    bool ok = g->parts != NULL;
    for (size_t i = 0; ok && i < g->n; i++) {
        ok = g->members[i].there || prepare(g, &g->members[i]);
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
    lzr_free(g->members);
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
        const struct lzr_copy_box *b = &parts[p].member->box;
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
        g->decoded += !there && a != g->array;
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

/* What is copied together may take long to encode, longer than a stop may. */
static enum lzr_code may_go_on(struct lzr_driver *d, struct lzr_err *err)
{
    pthread_mutex_lock(&d->mu);
    bool closing = d->closing;
    pthread_mutex_unlock(&d->mu);
    return closing ? lzr_err_set(err, LZR_E_CANCELLED, "lazarr is stopping") : LZR_OK;
}

/* Encodes members first .. last - 1, and puts them into the cache if `keep`. */
static enum lzr_code encode(struct lzr_driver *d, struct gang *g, size_t first, size_t last,
                            bool keep, uint64_t t0, struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    size_t room = lzr_blob_charge(lzr_codec_bound(&g->array->codec, g->each));
    for (size_t i = first; code == LZR_OK && i < last; i++) {
        struct member *m = &g->members[i];
        if (m->there) {
            continue;
        }
        code = may_go_on(d, err);
        if (code == LZR_OK) {
            (void)lzr_make_room(d, room);
            code = lzr_chunk_encode(d, g->array, g->level, m->out, &m->blob, err);
        }
        if (code == LZR_OK && keep) {
            struct lzr_cache_key k = key_of(g, m->index);
            uint64_t before = m->flight != NULL ? m->flight->compute_us : 0;
            (void)lzr_cache_put(d->cache, &k, m->blob, (lzr_now_us() - t0) / g->n + before);
        }
    }
    return code;
}

static enum lzr_code copy_all(struct lzr_driver *d, struct gang *g, struct lzr_err *err)
{
    enum lzr_code code = get_memory(d, g, err);
    for (size_t i = 0, n; code == LZR_OK && i < g->nparts; i += n) {
        for (n = 1; i + n < g->nparts && g->parts[i + n].index == g->parts[i].index; n++) {
        }
        code = place(d, &g->parts[i], n, g, err);
    }
    return code;
}

/* The flights are over. With mu. */
static void land(struct lzr_driver *d, struct gang *g, enum lzr_code code, uint64_t us,
                 const struct lzr_err *err, struct lzr_request **done)
{
    for (size_t i = 0; i < g->nflights; i++) {
        struct member *m = &g->members[i];
        lzr_needs_free(&m->flight->needs);
        m->flight->encode_us = us;
        if (code != LZR_OK) {
            lzr_blob_unref(&m->blob);
        }
        d->stats.copied_total += m->blob != NULL && !m->there;
        lzr_task_made(d, m->flight, m->blob, err, done);
        m->blob = NULL; /* taken over */
        m->flight = NULL;
    }
    d->stats.copy_decoded_total += g->decoded;
}

/* Neighbours: nobody misses one that fails. */
static uint64_t leave_neighbours(struct lzr_driver *d, struct gang *g, uint64_t t0)
{
    struct lzr_err err = {.code = LZR_OK};
    uint64_t made = 0;
    (void)encode(d, g, g->nflights, g->n, true, t0, &err);
    for (size_t i = g->nflights; i < g->n; i++) {
        made += g->members[i].blob != NULL;
        lzr_blob_unref(&g->members[i].blob);
    }
    return made;
}

/* Pieces are made of more than the cache holds. */
static bool is_large(const struct lzr_driver *d, const struct gang *g)
{
    const struct lzr_copied_from *from = &g->members[0].box.from;
    uint64_t each = lzr_chunk_estimate(d, from->array, from->level), all;
    return lzr_copied_pieces(g->array, g->level) &&
           (!lzr_mul_u64(each, from->grid->total, &all) || all > d->budget.limit / 2);
}

/* The chunks that have been gone through: else they would drive out the pieces that were made of
 * the ones before, and all else that is cached, and be gone when they are wanted again. */
static void let_go(struct lzr_driver *d, const struct gang *g)
{
    const struct lzr_copied_from *from = &g->members[0].box.from;
    for (size_t i = 0; i < g->nparts; i++) {
        struct lzr_chunk c = {from->array, from->level, LZR_ENC_ZARR, g->parts[i].index};
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        if (i == 0 || g->parts[i].index != g->parts[i - 1].index) {
            lzr_cache_drop(d->cache, &k);
        }
    }
}

void lzr_copy_run(struct lzr_driver *d, struct lzr_flight *f)
{
    struct lzr_request *done = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct gang g;
    const struct lzr_copy_box own = lzr_copy_box_of(f->array, f->level, f->index);
    struct lzr_copying now, *before = busy(d, f, &own);
    uint64_t t0 = lzr_now_us();
    if (before != NULL) {
        lzr_list_push(&before->late, f);
        pthread_mutex_unlock(&d->mu);
        return;
    }
    begin(d, f, &own, &now);
    enum lzr_code code = gather(d, f, &own, &now, &g);
    if (code != LZR_OK) {
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
    bool large = is_large(d, &g);
    pthread_mutex_unlock(&d->mu);
    /* Nobody frees flights while they are MAKING, and their needs are ours. */
    bool keep = lzr_keeps(d);
    find_there(d, &g);
    add_neighbours(d, &g);
    code = copy_all(d, &g, &err);
    code = code == LZR_OK ? encode(d, &g, 0, g.nflights, keep, t0, &err) : code;
    pthread_mutex_lock(&d->mu);
    if (keep) {
        lzr_kept(d);
    }
    land(d, &g, code, (lzr_now_us() - t0) / g.n, &err, &done);
    lzr_dispatch(d, &done);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(done);
    done = NULL;
    uint64_t more = code == LZR_OK ? leave_neighbours(d, &g, t0) : 0;
    if (large) {
        let_go(d, &g);
    }
    release_memory(d, &g);
    pthread_mutex_lock(&d->mu);
    d->stats.copied_total += more;
    end(d, &now);
    lzr_dispatch(d, &done);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(done);
}

/* ---- from what the server reads itself ---- */

static enum lzr_code read_box(struct lzr_driver *d, const struct lzr_flight *f,
                              struct lzr_blob **out, struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct lzr_copy_box b = lzr_copy_box_of(a, f->level, f->index);
    size_t chunk = (size_t)(b.own->chunk_elements * a->dtype.size), bytes = a->dtype.size;
    for (unsigned i = 0; i < b.own->rank; i++) {
        bytes *= (size_t)b.extent[i];
    }
    size_t room = bytes + LZR_STRIDED_SPAN + (bytes < chunk ? chunk : 0);
    (void)lzr_make_room(d, room + lzr_blob_charge(lzr_codec_bound(&a->codec, chunk)));
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
