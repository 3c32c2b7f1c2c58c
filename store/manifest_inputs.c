#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/copied.h"
#include "store/manifest_fields.h"
#include "store/touched.h"

/* What the reading of all inputs of a store has in hand. */
struct reading {
    struct lzr_arena *arena;
    struct lzr_store *store;
    const struct lzr_array **by_path; /* sorted */
    struct lzr_err *err;
};

static enum lzr_code no_memory(struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
}

static int compare_paths(const void *a, const void *b)
{
    const struct lzr_array *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static const struct lzr_array *find(const struct reading *r, const char *path)
{
    const struct lzr_array key = {.path = path}, *wanted = &key;
    const struct lzr_array **hit =
        bsearch(&wanted, r->by_path, r->store->narrays, sizeof *r->by_path, compare_paths);
    return hit != NULL ? *hit : NULL;
}

/* The member, which must be a list of n. */
static enum lzr_code list_of(const cJSON *v, const char *name, unsigned n, const cJSON **out,
                             struct lzr_err *err)
{
    const cJSON *list = lzr_field(v, name);
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) != n) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a list of %u, got %s", name, n,
                           cJSON_IsArray(list) ? "another number of them" : lzr_field_kind(list));
    }
    *out = list;
    return LZR_OK;
}

static enum lzr_code read_levels(struct reading *r, const cJSON *v, const struct lzr_array *a,
                                 struct lzr_input *in)
{
    unsigned n = lzr_array_run_levels(a), k = 0;
    const cJSON *list, *item;
    enum lzr_code code = list_of(v, "levels", n, &list, r->err);
    if (code != LZR_OK) {
        return code;
    }
    uint32_t *levels = lzr_arena_alloc(r->arena, n * sizeof *levels);
    if (levels == NULL) {
        return no_memory(r->err);
    }
    cJSON_ArrayForEach(item, list)
    {
        int level;
        code = lzr_field_int(item, "levels", &level, r->err);
        if (code == LZR_OK && (level < 0 || (unsigned)level >= in->array->nlevels)) {
            code = lzr_err_set(r->err, LZR_E_INVAL, "levels: it has levels 0 to %u, got %d",
                               in->array->nlevels - 1, level);
        }
        if (code != LZR_OK) {
            return code;
        }
        levels[k++] = (uint32_t)level;
    }
    in->levels = levels;
    return LZR_OK;
}

/* Two whole numbers. */
static enum lzr_code read_pair(const cJSON *v, const char *name, unsigned axis, uint64_t *first,
                               uint64_t *second, struct lzr_err *err)
{
    if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) != 2) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a list of two numbers, got %s on axis %u",
                           name, lzr_field_kind(v), axis);
    }
    enum lzr_code code = lzr_field_u64(v->child, name, ">= 0", axis, first, err);
    return code != LZR_OK ? code : lzr_field_u64(v->child->next, name, ">= 0", axis, second, err);
}

/* The slice of a fixed axis: one for each level that the function runs on. */
static enum lzr_code read_slices(const cJSON *list, unsigned n, unsigned axis, struct lzr_input *in,
                                 struct lzr_err *err)
{
    unsigned k = 0;
    const cJSON *slice;
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) != n) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "fixed must be a list with one slice per level (%u) on axis %u", n,
                           axis);
    }
    cJSON_ArrayForEach(slice, list)
    {
        const struct lzr_grid *g = &in->array->levels[in->levels[k]].grid;
        uint64_t *at = in->fixed[k][axis];
        enum lzr_code code = read_pair(slice, "fixed", axis, &at[0], &at[1], err);
        if (code == LZR_OK && (at[0] >= at[1] || at[1] > g->shape[axis])) {
            code = lzr_err_set(err, LZR_E_INVAL,
                               "fixed must be within length %" PRIu64 " of level %u and not empty, "
                               "got %" PRIu64 " to %" PRIu64 " on axis %u",
                               g->shape[axis], in->levels[k], at[0], at[1], axis);
        }
        if (code != LZR_OK) {
            return code;
        }
        k++;
    }
    return LZR_OK;
}

/* Which own axis each of the input's follows, or the slices where it is fixed. */
static enum lzr_code read_axes(struct reading *r, const cJSON *v, const struct lzr_array *a,
                               struct lzr_input *in)
{
    unsigned rank = in->array->levels[0].grid.rank, own = a->levels[0].grid.rank, i = 0;
    const cJSON *axes, *fixed, *item;
    enum lzr_code code = list_of(v, "axes", rank, &axes, r->err);
    if (code == LZR_OK) {
        code = list_of(v, "fixed", rank, &fixed, r->err);
    }
    if (code != LZR_OK) {
        return code;
    }
    const cJSON *slices = fixed->child;
    unsigned n = lzr_array_run_levels(a);
    in->fixed = lzr_arena_alloc(r->arena, n * sizeof *in->fixed);
    if (in->fixed == NULL) {
        return no_memory(r->err);
    }
    cJSON_ArrayForEach(item, axes)
    {
        in->axis[i] = -1;
        if (cJSON_IsNull(item) == cJSON_IsNull(slices)) {
            return lzr_err_set(r->err, LZR_E_INVAL,
                               "axis %u must either follow an axis or be fixed", i);
        }
        if (cJSON_IsNull(item)) {
            code = read_slices(slices, n, i, in, r->err);
        } else {
            code = lzr_field_int(item, "axes", &in->axis[i], r->err);
            if (code == LZR_OK && (in->axis[i] < 0 || (unsigned)in->axis[i] >= own)) {
                code = lzr_err_set(r->err, LZR_E_INVAL,
                                   "axes must be own axes, of which there are %u, got %d", own,
                                   in->axis[i]);
            }
        }
        if (code != LZR_OK) {
            return code;
        }
        slices = slices->next;
        i++;
    }
    return LZR_OK;
}

static enum lzr_code read_halo(struct reading *r, const cJSON *v, struct lzr_input *in)
{
    unsigned i = 0;
    const cJSON *halo, *item;
    if (lzr_field(v, "halo") == NULL) {
        return LZR_OK;
    }
    enum lzr_code code = list_of(v, "halo", in->array->levels[0].grid.rank, &halo, r->err);
    if (code != LZR_OK) {
        return code;
    }
    cJSON_ArrayForEach(item, halo)
    {
        code = read_pair(item, "halo", i, &in->lower[i], &in->upper[i], r->err);
        if (code == LZR_OK &&
            (in->lower[i] > LZR_MAX_BLOCK_BYTES || in->upper[i] > LZR_MAX_BLOCK_BYTES)) {
            code = lzr_err_set(r->err, LZR_E_LIMIT, "halo is more than a block may have on axis %u",
                               i);
        }
        if (code != LZR_OK) {
            return code;
        }
        i++;
    }
    return LZR_OK;
}

static enum lzr_code read_drop(struct reading *r, const cJSON *v, const struct lzr_array *a,
                               struct lzr_input *in)
{
    unsigned i = 0;
    const cJSON *drop, *item;
    if (lzr_field(v, "drop") == NULL) {
        return LZR_OK;
    }
    enum lzr_code code = list_of(v, "drop", in->array->levels[0].grid.rank, &drop, r->err);
    if (code != LZR_OK) {
        return code;
    }
    cJSON_ArrayForEach(item, drop)
    {
        if (!cJSON_IsBool(item)) {
            return lzr_err_set(r->err, LZR_E_INVAL, "drop must be true or false, got %s on axis %u",
                               lzr_field_kind(item), i);
        }
        in->drop[i] = cJSON_IsTrue(item) != 0;
        bool may = in->axis[i] < 0 && in->lower[i] == 0 && in->upper[i] == 0;
        for (unsigned k = 0; may && k < lzr_array_run_levels(a); k++) {
            may = in->fixed[k][i][1] == in->fixed[k][i][0] + 1;
        }
        if (in->drop[i] && !may) {
            return lzr_err_set(r->err, LZR_E_INVAL,
                               "only an axis fixed to one voxel, without halo, can be dropped, not "
                               "axis %u",
                               i);
        }
        i++;
    }
    return LZR_OK;
}

static enum lzr_code read_boundary(struct reading *r, const cJSON *v, struct lzr_input *in)
{
    static const char *const NAMES[] = {[LZR_BOUND_CONSTANT] = "constant",
                                        [LZR_BOUND_EDGE] = "edge",
                                        [LZR_BOUND_REFLECT] = "reflect",
                                        [LZR_BOUND_SYMMETRIC] = "symmetric",
                                        [LZR_BOUND_WRAP] = "wrap"};
    const char *text;
    if (lzr_field(v, "boundary") == NULL) {
        in->boundary = LZR_BOUND_CONSTANT;
        return LZR_OK;
    }
    enum lzr_code code = lzr_field_string(v, "boundary", &text, r->err);
    if (code != LZR_OK) {
        return code;
    }
    for (enum lzr_boundary b = LZR_BOUND_CONSTANT; b <= LZR_BOUND_WRAP; b++) {
        if (strcmp(text, NAMES[b]) == 0) {
            in->boundary = b;
            return LZR_OK;
        }
    }
    return lzr_err_set(r->err, LZR_E_INVAL,
                       "boundary must be \"constant\", \"edge\", \"reflect\", \"symmetric\" or "
                       "\"wrap\", got \"%.40s\"",
                       text);
}

/* What a block of level k takes of one input: adds to bytes and chunks; lengths must agree. */
static enum lzr_code check_region(const struct lzr_array *a, unsigned k, const struct lzr_input *in,
                                  uint64_t *bytes, uint64_t *chunks, struct lzr_err *err)
{
    const struct lzr_grid *own = &a->levels[k].grid, *g = &in->array->levels[in->levels[k]].grid;
    uint64_t size = in->array->dtype.size, needs = 1;
    bool fits = true;
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t n = in->fixed[k][i][1] - in->fixed[k][i][0];
        if (in->axis[i] >= 0) {
            uint64_t length = own->shape[in->axis[i]], chunk = own->chunks[in->axis[i]];
            if (g->shape[i] != length) {
                return lzr_err_set(err, LZR_E_INVAL,
                                   "axis %u has length %" PRIu64 " at level %u, the axis %d that "
                                   "follows it %" PRIu64 " at level %u",
                                   i, g->shape[i], in->levels[k], in->axis[i], length, k);
            }
            n = chunk < length ? chunk : length;
        }
        n += in->lower[i] + in->upper[i]; /* each below 2^62 */
        fits = fits && lzr_mul_u64(size, n > 0 ? n : 1, &size) &&
               lzr_mul_u64(needs, lzr_touched_input(a, k, in, i), &needs);
    }
    if (!fits || !lzr_add_u64(*bytes, size, bytes) || !lzr_add_u64(*chunks, needs, chunks)) {
        *bytes = UINT64_MAX;
    }
    return LZR_OK;
}

/* A block and all that it is made of, at each level: within what a worker is given. */
static enum lzr_code check_blocks(const struct lzr_array *a, struct lzr_err *err)
{
    for (unsigned k = 0; k < lzr_array_run_levels(a); k++) {
        uint64_t bytes = a->levels[k].grid.chunk_elements * a->dtype.size, chunks = 0;
        for (unsigned i = 0; i < a->ninputs; i++) {
            enum lzr_code code = check_region(a, k, &a->inputs[i], &bytes, &chunks, err);
            if (code != LZR_OK) {
                lzr_err_prefix(err, "input %u (\"%.100s\")", i, a->inputs[i].array->path);
                return code;
            }
        }
        if (!a->copied && (bytes > LZR_MAX_BLOCK_BYTES || chunks > LZR_MAX_NEEDS)) {
            return lzr_err_set(err, LZR_E_LIMIT,
                               "a block of level %u with its inputs takes more than the limit of "
                               "%d MiB or %d chunks of them: smaller chunks or halo",
                               k, (int)(LZR_MAX_BLOCK_BYTES >> 20), LZR_MAX_NEEDS);
        }
    }
    return LZR_OK;
}

static enum lzr_code read_input(struct reading *r, const cJSON *v, const struct lzr_array *a,
                                struct lzr_input *in)
{
    const char *path;
    if (!cJSON_IsObject(v)) {
        return lzr_err_set(r->err, LZR_E_INVAL, "must be an object, got %s", lzr_field_kind(v));
    }
    enum lzr_code code = lzr_field_string(v, "array", &path, r->err);
    if (code != LZR_OK) {
        return code;
    }
    in->array = find(r, path);
    if (in->array == NULL) {
        return lzr_err_set(r->err, LZR_E_INVAL,
                           "array must be the path of one of this store, got \"%.200s\"", path);
    }
    code = read_levels(r, v, a, in);
    if (code == LZR_OK) {
        code = read_axes(r, v, a, in);
    }
    if (code == LZR_OK) {
        code = read_halo(r, v, in);
    }
    if (code == LZR_OK) {
        code = read_drop(r, v, a, in);
    }
    return code == LZR_OK ? read_boundary(r, v, in) : code;
}

static enum lzr_code read_inputs(struct reading *r, const cJSON *object, struct lzr_array *a)
{
    const cJSON *list = lzr_field(object, "inputs"), *v;
    if (list == NULL) {
        return a->copied ? lzr_copied_init(r->arena, a, r->err) : LZR_OK;
    }
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (n < 0 || n > LZR_MAX_INPUTS) {
        return lzr_err_set(r->err, n < 0 ? LZR_E_INVAL : LZR_E_LIMIT,
                           "inputs must be a list of at most %d", LZR_MAX_INPUTS);
    }
    if (n == 0) {
        return a->copied ? lzr_copied_init(r->arena, a, r->err) : LZR_OK;
    }
    struct lzr_input *inputs = lzr_arena_alloc(r->arena, (size_t)n * sizeof *inputs);
    if (inputs == NULL) {
        return no_memory(r->err);
    }
    cJSON_ArrayForEach(v, list)
    {
        enum lzr_code code = read_input(r, v, a, &inputs[a->ninputs]);
        if (code != LZR_OK) {
            lzr_err_prefix(r->err, "input %u", a->ninputs);
            return code;
        }
        a->ninputs++;
    }
    a->inputs = inputs;
    enum lzr_code code = check_blocks(a, r->err);
    return code == LZR_OK && a->copied ? lzr_copied_init(r->arena, a, r->err) : code;
}

/* ---- the graph ---- */

enum { UNSEEN, OPEN, DONE };

/* One array on the way from an array to what it is made of. */
struct step {
    struct lzr_array *array;
    unsigned next; /* the input that is looked at next */
};

/* "a -> b -> a", cut in the middle where it is long. */
static enum lzr_code refuse_cycle(const struct step *way, size_t depth,
                                  const struct lzr_array *again, struct lzr_err *err)
{
    char text[160];
    size_t first = 0, len = 0;
    while (way[first].array != again) {
        first++;
    }
    for (size_t i = first; i < depth; i++) {
        size_t n = strlen(way[i].array->path);
        if (len + n > 110) {
            len += (size_t)snprintf(text + len, sizeof text - len, "... -> ");
            break;
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "%s -> ", way[i].array->path);
    }
    return lzr_err_set(err, LZR_E_INVAL, "inputs go in a circle: %s%.90s", text, again->path);
}

/* All inputs are final: so is what depends on them. */
static void finish(struct lzr_array *a, uint32_t order)
{
    a->order = order;
    for (unsigned i = 0; i < a->ninputs; i++) {
        const struct lzr_array *from = a->inputs[i].array;
        a->digest = lzr_digest_join(a->digest, &from->digest, sizeof from->digest);
        a->deterministic = a->deterministic && from->deterministic;
        a->versioned = a->versioned && from->versioned;
    }
}

/* Depth first, without recursion: a chain may be as long as there are arrays. */
static enum lzr_code walk(struct lzr_array *root, unsigned char *seen, struct step *way,
                          uint32_t *finished, struct lzr_err *err)
{
    size_t depth = 0;
    if (seen[root->local_id] == DONE) {
        return LZR_OK;
    }
    way[depth++] = (struct step){root, 0};
    seen[root->local_id] = OPEN;
    while (depth > 0) {
        struct step *top = &way[depth - 1];
        if (top->next == top->array->ninputs) {
            finish(top->array, (*finished)++);
            seen[top->array->local_id] = DONE;
            depth--;
            continue;
        }
        const struct lzr_array *in = top->array->inputs[top->next++].array;
        if (seen[in->local_id] == OPEN) {
            return refuse_cycle(way, depth, in, err);
        }
        if (seen[in->local_id] == UNSEEN) {
            seen[in->local_id] = OPEN;
            way[depth++] = (struct step){root - root->local_id + in->local_id, 0};
        }
    }
    return LZR_OK;
}

static enum lzr_code check_graph(struct lzr_store *s, struct lzr_err *err)
{
    unsigned char *seen = lzr_calloc(s->narrays + 1, 1);
    struct step *way = lzr_calloc(s->narrays + 1, sizeof *way);
    uint32_t finished = 0;
    enum lzr_code code = seen == NULL || way == NULL ? no_memory(err) : LZR_OK;
    for (size_t i = 0; code == LZR_OK && i < s->narrays; i++) {
        code = walk(&s->arrays[i], seen, way, &finished, err);
    }
    lzr_free(seen);
    lzr_free(way);
    return code;
}

enum lzr_code lzr_manifest_inputs(struct lzr_arena *arena, const cJSON *arrays, struct lzr_store *s,
                                  struct lzr_err *err)
{
    struct reading r = {.arena = arena, .store = s, .err = err};
    const cJSON *v;
    size_t i = 0;
    r.by_path = lzr_calloc(s->narrays + 1, sizeof *r.by_path);
    if (r.by_path == NULL) {
        return no_memory(err);
    }
    for (; i < s->narrays; i++) {
        r.by_path[i] = &s->arrays[i];
    }
    qsort(r.by_path, s->narrays, sizeof *r.by_path, compare_paths);
    enum lzr_code code = LZR_OK;
    i = 0;
    cJSON_ArrayForEach(v, arrays)
    {
        struct lzr_array *a = &s->arrays[i++];
        code = read_inputs(&r, v, a);
        if (code != LZR_OK) {
            lzr_err_prefix(err, "array \"%.200s\"", a->path);
            break;
        }
    }
    lzr_free(r.by_path);
    return code == LZR_OK ? check_graph(s, err) : code;
}
