#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "store/manifest_fields.h"
#include "store/touched.h"

/* A list of whole numbers, as many as there are axes; the first one of an array says how many. */
enum lzr_code lzr_field_lengths(const cJSON *object, const char *name, const char *least,
                                unsigned *rank, bool sets_rank, uint64_t out[], struct lzr_err *err)
{
    const cJSON *list = lzr_field(object, name);
    if (!cJSON_IsArray(list)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a list, got %s", name,
                           lzr_field_kind(list));
    }
    int n = cJSON_GetArraySize(list);
    if (n > LZR_MAX_RANK) {
        return lzr_err_set(err, LZR_E_LIMIT, "%s has %d axes, the limit is %d", name, n,
                           LZR_MAX_RANK);
    }
    if (!sets_rank && (unsigned)n != *rank) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must have one number per axis (%u), got %d", name,
                           *rank, n);
    }
    *rank = (unsigned)n;
    unsigned axis = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        enum lzr_code code = lzr_field_u64(v, name, least, axis, &out[axis], err);
        if (code != LZR_OK) {
            return code;
        }
        axis++;
    }
    return LZR_OK;
}

static enum lzr_code read_reals(const cJSON *level, const char *name, unsigned rank, bool positive,
                                double out[], struct lzr_err *err)
{
    const cJSON *list = lzr_field(level, name);
    for (unsigned i = 0; i < rank; i++) {
        out[i] = positive ? 1.0 : 0.0;
    }
    if (list == NULL) {
        return LZR_OK;
    }
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) != rank) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a list with one number per axis (%u)",
                           name, rank);
    }
    unsigned axis = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        enum lzr_code code = lzr_field_real(v, name, &out[axis], err);
        if (code != LZR_OK) {
            return code;
        }
        if (positive && !(out[axis] > 0)) {
            return lzr_err_set(err, LZR_E_INVAL, "%s must be > 0, got %.17g on axis %u", name,
                               out[axis], axis);
        }
        axis++;
    }
    return LZR_OK;
}

/* Level-0 voxels per voxel. Where levels are reduced they are what the level below can be cut into,
 * and say how long the level is. */
static enum lzr_code read_factor(const cJSON *v, struct lzr_array *a, unsigned k,
                                 struct lzr_err *err)
{
    struct lzr_level *level = &a->levels[k], *below = k > 0 ? &a->levels[k - 1] : level;
    for (unsigned i = 0; i < level->grid.rank; i++) {
        level->factor[i] = 1;
    }
    if (k == 0 && lzr_field(v, "factor") == NULL) {
        return LZR_OK;
    }
    enum lzr_code code =
        lzr_field_lengths(v, "factor", ">= 1", &level->grid.rank, false, level->factor, err);
    for (unsigned i = 0; code == LZR_OK && i < level->grid.rank; i++) {
        uint64_t f = level->factor[i], under = below->factor[i];
        if (f < 1 || (k == 0 && f != 1)) {
            return lzr_err_set(err, LZR_E_INVAL, "factor must be %s, got %" PRIu64 " on axis %u",
                               k == 0 ? "1 at level 0" : ">= 1", f, i);
        }
        if (k == 0 || !lzr_level_reduced(a, k)) {
            continue;
        }
        if (f % under != 0) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "factor must be a multiple of the level below's %" PRIu64
                               ", got %" PRIu64 " on axis %u",
                               under, f, i);
        }
        uint64_t step = f / under, length = below->grid.shape[i];
        length = length / step + (length % step != 0);
        if (level->grid.shape[i] != length) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "shape must be the level below's divided by %" PRIu64
                               " and rounded up, %" PRIu64 ", got %" PRIu64 " on axis %u",
                               step, length, level->grid.shape[i], i);
        }
    }
    return code;
}

/* What a chunk of a reduced level is made of: within what one block may take. */
static enum lzr_code check_step(const struct lzr_array *a, unsigned k, struct lzr_err *err)
{
    const struct lzr_grid *g = &a->levels[k].grid, *below = &a->levels[k - 1].grid;
    uint64_t step[LZR_MAX_RANK], window = 1, bytes = a->dtype.size, needs = 1;
    bool fits = true;
    lzr_level_step(a, k, step);
    for (unsigned i = 0; fits && i < g->rank; i++) {
        uint64_t n = 0; /* voxels of the level below, within it */
        fits = lzr_mul_u64(window, step[i], &window) && lzr_mul_u64(g->chunks[i], step[i], &n);
        n = n < below->shape[i] || !fits ? n : below->shape[i];
        const struct lzr_touching t = {.length = below->shape[i],
                                       .chunk = below->chunks[i],
                                       .blocks = fits ? g->counts[i] : 0,
                                       .stride = fits ? g->chunks[i] * step[i] : 1,
                                       .size = n};
        fits = fits && lzr_mul_u64(bytes, n > 0 ? n : 1, &bytes) &&
               lzr_mul_u64(needs, lzr_touched_most(&t), &needs);
        fits = fits && window <= LZR_MAX_NEEDS && needs <= LZR_MAX_NEEDS &&
               bytes <= LZR_MAX_BLOCK_BYTES;
    }
    if (!fits) {
        return lzr_err_set(err, LZR_E_LIMIT,
                           "factor: a chunk would be made of more than %d voxels a voxel, %d "
                           "chunks or %d MiB of the level below",
                           LZR_MAX_NEEDS, LZR_MAX_NEEDS, (int)(LZR_MAX_BLOCK_BYTES >> 20));
    }
    return LZR_OK;
}

static enum lzr_code read_pyramid(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, "pyramid");
    a->pyramid = LZR_PYRAMID_NONE;
    if (v == NULL && a->nlevels == 1) {
        return LZR_OK;
    }
    for (enum lzr_pyramid p = LZR_PYRAMID_MEAN; cJSON_IsString(v) && p <= LZR_PYRAMID_EACH; p++) {
        if (strcmp(v->valuestring, lzr_pyramid_name(p)) == 0) {
            a->pyramid = p;
        }
    }
    if (a->pyramid == LZR_PYRAMID_NONE) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "pyramid must be \"mean\", \"mode\", \"max\", \"min\", \"stride\" or "
                           "\"each\", got %s%.40s%s",
                           cJSON_IsString(v) ? "\"" : "",
                           cJSON_IsString(v) ? v->valuestring : lzr_field_kind(v),
                           cJSON_IsString(v) ? "\"" : "");
    }
    if (a->kind == LZR_LABELS && a->pyramid == LZR_PYRAMID_MEAN) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "pyramid \"mean\" of labels would make ids that aren't there");
    }
    if (a->dtype.kind == 'c' && a->pyramid >= LZR_PYRAMID_MODE && a->pyramid <= LZR_PYRAMID_MIN) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "pyramid \"%s\" needs values that have an order, %s has none",
                           lzr_pyramid_name(a->pyramid), lzr_dtype_name(a->dtype));
    }
    if (a->nlevels == 1) {
        a->pyramid = LZR_PYRAMID_NONE;
    }
    return LZR_OK;
}

static enum lzr_code read_level(struct lzr_arena *arena, const cJSON *v, struct lzr_array *a,
                                unsigned k, struct lzr_err *err)
{
    struct lzr_level *level = &a->levels[k];
    if (!cJSON_IsObject(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "levels must be objects, got %s", lzr_field_kind(v));
    }
    struct lzr_grid *g = &level->grid;
    g->rank = a->levels[0].grid.rank;
    enum lzr_code code = lzr_field_lengths(v, "shape", ">= 0", &g->rank, k == 0, g->shape, err);
    if (code == LZR_OK) {
        code = lzr_field_lengths(v, "chunks", ">= 1", &g->rank, false, g->chunks, err);
    }
    if (code == LZR_OK) {
        code = lzr_grid_init(g, err);
    }
    if (code == LZR_OK && g->chunk_elements * a->dtype.size > LZR_MAX_CHUNK_BYTES) {
        code = lzr_err_set(err, LZR_E_LIMIT,
                           "chunks make %" PRIu64 " bytes a chunk, the limit is %" PRIu64,
                           g->chunk_elements * a->dtype.size, LZR_MAX_CHUNK_BYTES);
    }
    if (code == LZR_OK) {
        code = read_reals(v, "scale", g->rank, true, level->scale, err);
    }
    if (code == LZR_OK) {
        code = read_reals(v, "translation", g->rank, false, level->translation, err);
    }
    if (code == LZR_OK) {
        code = read_factor(v, a, k, err);
    }
    if (code == LZR_OK) {
        code = lzr_manifest_data(arena, v, a, k, err);
    }
    return code;
}

enum lzr_code lzr_manifest_levels(struct lzr_arena *arena, const cJSON *object, struct lzr_array *a,
                                  struct lzr_err *err)
{
    const cJSON *list = lzr_field(object, "levels");
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    int most = a->kind == LZR_PLAIN ? 1 : LZR_MAX_LEVELS;
    if (n < 1 || n > most) {
        return lzr_err_set(err, LZR_E_INVAL, "levels must be a list of 1 to %d, got %d", most, n);
    }
    a->nlevels = (unsigned)n;
    a->levels = lzr_arena_alloc(arena, (size_t)n * sizeof *a->levels);
    if (a->levels == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    enum lzr_code code = read_pyramid(object, a, err);
    if (code != LZR_OK) {
        return code;
    }
    unsigned k = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        code = read_level(arena, v, a, k, err);
        if (code == LZR_OK && k > 0 && lzr_level_reduced(a, k)) {
            code = check_step(a, k, err);
        }
        if (code != LZR_OK) {
            if (n > 1) {
                lzr_err_prefix(err, "level %u", k);
            }
            return code;
        }
        k++;
    }
    return LZR_OK;
}
