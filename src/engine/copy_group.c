/* Which copied chunks are neighbours, and which plans make those of one group. */
#include "engine/copy_box.h"
#include "engine/engine.h"
#include "engine/listing.h"
#include "store/view.h"

enum { LOOKED = 1024 }; /* chunks of a plan of which the group is looked up, with mu, at most */

struct lzr_copy_box lzr_copy_box_of(const struct lzr_array *a, uint32_t level, uint64_t index)
{
    struct lzr_copy_box b = {.own = &a->levels[level].grid, .from = lzr_copied_from(a, level)};
    uint64_t pos[LZR_MAX_RANK];
    lzr_grid_position(b.own, index, pos);
    lzr_grid_block(b.own, pos, b.start, b.extent);
    b.n = lzr_view_sources(b.from.grid, b.start, b.extent, b.first, b.count);
    return b;
}

/* Positions along an axis whose chunks are copied from the same chunks as b. There may be millions:
 * they aren't counted one by one. */
static void same_along(const struct lzr_copy_box *b, unsigned axis, uint64_t *low, uint64_t *n)
{
    const struct lzr_grid *own = b->own, *from = b->from.grid;
    uint64_t chunk = own->chunks[axis], start = b->first[axis] * from->chunks[axis];
    uint64_t end = start + from->chunks[axis];
    *low = b->start[axis] / chunk;
    *n = 1;
    if (b->count[axis] == 1) { /* those that lie in it whole; no other touches the same several */
        *low = start / chunk + (start % chunk != 0);
        *n = (end < own->shape[axis] ? end / chunk : own->counts[axis]) - *low;
    }
}

uint64_t lzr_copy_share(const struct lzr_driver *d)
{
    return d->budget.limit / LZR_COPY_SHARE / (d->ncodecs > 0 ? d->ncodecs : 1);
}

uint64_t lzr_neighbours_most(const struct lzr_driver *d, const struct lzr_array *a, uint32_t level)
{
    uint32_t shown = lzr_copied_pieces(a, level) ? level - a->nlevels : level;
    uint64_t whole = a->levels[shown].grid.chunk_elements * a->dtype.size;
    uint64_t n = d->budget.limit / LZR_COPY_ALONG / whole;
    uint64_t each = a->levels[level].grid.chunk_elements * a->dtype.size;
    uint64_t most = lzr_copy_share(d) / each;
    n = n < most ? n : most;
    return n < LZR_COPY_TOGETHER ? n : LZR_COPY_TOGETHER;
}

struct lzr_neighbours lzr_neighbours_of(const struct lzr_copy_box *b)
{
    struct lzr_neighbours s = {.all = 1};
    for (unsigned i = 0; i < b->own->rank; i++) {
        same_along(b, i, &s.low[i], &s.n[i]);
        s.own = s.own * s.n[i] + b->start[i] / b->own->chunks[i] - s.low[i];
        s.all *= s.n[i];
    }
    return s;
}

uint64_t lzr_neighbours_at(const struct lzr_grid *g, const struct lzr_neighbours *s, uint64_t at)
{
    uint64_t pos[LZR_MAX_RANK];
    for (unsigned i = g->rank; i-- > 0;) {
        pos[i] = s->low[i] + at % s->n[i];
        at /= s->n[i];
    }
    return lzr_grid_index(g, pos);
}

static bool same_group(const struct lzr_copy_group *a, const struct lzr_copy_group *b)
{
    return a->array == b->array && a->level == b->level && a->first == b->first;
}

unsigned lzr_copy_groups(const struct lzr_driver *d, const struct lzr_plan *p,
                         struct lzr_copy_group out[LZR_COPY_GROUPS])
{
    unsigned n = 0, looked = 0;
    for (uint32_t i = 0; d->keep && i < p->n && n < LZR_COPY_GROUPS && looked < LOOKED; i++) {
        const struct lzr_chunk c = lzr_listing_chunk(d, p->nodes[i].item);
        if (!c.array->copied || lzr_copied_pieces(c.array, c.level) ||
            p->nodes[i].found == LZR_PLAN_THERE) {
            continue;
        }
        const struct lzr_copy_box whole = lzr_copy_box_of(c.array, c.level, c.index);
        if (whole.from.array != c.array) {
            continue; /* it isn't made of pieces */
        }
        looked++;
        const struct lzr_copy_box b = lzr_copy_box_of(c.array, whole.from.level,
                                    lzr_grid_index(whole.from.grid, whole.first));
        const struct lzr_neighbours s = lzr_neighbours_of(&b);
        uint64_t size = lzr_neighbours_most(d, c.array, whole.from.level);
        struct lzr_copy_group group = {
            .array = c.array->id,
            .level = whole.from.level,
            .first = lzr_neighbours_at(b.own, &s, size > 1 ? s.own - s.own % size : s.own)};
        bool known = false;
        for (unsigned k = 0; k < n; k++) {
            known = known || same_group(&out[k], &group);
        }
        if (!known) {
            out[n++] = group;
        }
    }
    return n;
}

bool lzr_copy_waits(const struct lzr_driver *d, const struct lzr_copy_group groups[], unsigned n,
                    uint64_t bytes)
{
    uint64_t others = 0;
    bool waits = false;
    for (const struct lzr_started *p = d->planner.head; p != NULL && n > 0 && !waits; p = p->next) {
        others += p->ngroups > 0;
        for (unsigned i = 0; i < p->ngroups; i++) {
            for (unsigned k = 0; k < n; k++) {
                waits = waits || same_group(&p->groups[i], &groups[k]);
            }
        }
    }
    bool much = (others + 1) * bytes > d->budget.limit / LZR_COPY_ALONG;
    return waits || (others > 0 && n > 0 && much);
}
