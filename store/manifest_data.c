#include <inttypes.h>
#include <string.h>

#include "store/manifest_fields.h"
#include "store/strided.h"

static enum lzr_code read_strides(const cJSON *object, unsigned rank, int64_t out[],
                                  struct lzr_err *err)
{
    const cJSON *list = lzr_field(object, "strides");
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) != rank) {
        return lzr_err_set(err, LZR_E_INVAL, "strides must be a list with one number per axis (%u)",
                           rank);
    }
    unsigned i = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        double d = cJSON_IsNumber(v) ? v->valuedouble : 0.5;
        if (!(d >= -0x1p53 && d <= 0x1p53) || d != (double)(int64_t)d) {
            return lzr_err_set(err, LZR_E_INVAL, "strides must be whole numbers, got %s on axis %u",
                               cJSON_IsNumber(v) ? "another one" : lzr_field_kind(v), i);
        }
        out[i++] = (int64_t)d;
    }
    return LZR_OK;
}

/* Every element lies within the bytes that are there. */
static bool within(const struct lzr_data *d, const struct lzr_grid *g)
{
    int64_t low, high, first = (int64_t)d->offset;
    return lzr_strided_bounds(g->rank, d->dtype.size, g->shape, d->strides, &low, &high) &&
           low + first >= 0 && !__builtin_add_overflow(high, first, &high) &&
           (uint64_t)high <= d->bytes;
}

static enum lzr_code read_file(struct lzr_arena *arena, const cJSON *v, struct lzr_data *d,
                               struct lzr_err *err)
{
    const char *file = NULL;
    if (lzr_field(v, "file") == NULL) {
        return LZR_OK;
    }
    enum lzr_code code = lzr_field_string(v, "file", &file, err);
    if (code == LZR_OK && file[0] != '/') {
        code = lzr_err_set(err, LZR_E_INVAL, "file must be an absolute path, got \"%.200s\"", file);
    }
    if (code == LZR_OK) {
        d->file = lzr_arena_strndup(arena, file, strlen(file));
        if (d->file == NULL) {
            code = lzr_err_set(err, LZR_E_NOMEM, "out of memory");
        }
    }
    return code;
}

static enum lzr_code read_numbers(const cJSON *v, struct lzr_data *d, struct lzr_err *err)
{
    static const char *const NAMES[] = {"offset", "bytes", "inode", "mtime_ns"};
    int64_t numbers[4] = {0, 0, 0, 0};
    for (unsigned i = 0; i < 4; i++) {
        if (i >= 2 && lzr_field(v, NAMES[i]) == NULL) {
            continue; /* of a memfd there are none */
        }
        enum lzr_code code = lzr_field_i64(v, NAMES[i], &numbers[i], err);
        if (code == LZR_OK && numbers[i] < 0 && i < 2) {
            code = lzr_err_set(err, LZR_E_INVAL, "%s must be >= 0, got %" PRId64, NAMES[i],
                               numbers[i]);
        }
        if (code != LZR_OK) {
            return code;
        }
    }
    d->offset = (uint64_t)numbers[0];
    d->bytes = (uint64_t)numbers[1];
    d->inode = (uint64_t)numbers[2];
    d->mtime_ns = numbers[3];
    return LZR_OK;
}

static enum lzr_code read_data(struct lzr_arena *arena, const cJSON *v, const struct lzr_array *a,
                               unsigned level, struct lzr_data *d, struct lzr_err *err)
{
    const char *dtype;
    const struct lzr_grid *g = &a->levels[level].grid;
    if (!cJSON_IsObject(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "must be an object, got %s", lzr_field_kind(v));
    }
    enum lzr_code code = lzr_field_string(v, "dtype", &dtype, err);
    if (code == LZR_OK) {
        code = lzr_dtype_parse(dtype, &d->dtype, err);
    }
    if (code == LZR_OK && (d->dtype.kind != a->dtype.kind || d->dtype.size != a->dtype.size)) {
        code = lzr_err_set(err, LZR_E_INVAL, "dtype must be the array's %s, got %s",
                           lzr_dtype_name(a->dtype), lzr_dtype_name(d->dtype));
    }
    if (code == LZR_OK) {
        code = read_strides(v, g->rank, d->strides, err);
    }
    if (code == LZR_OK) {
        code = read_numbers(v, d, err);
    }
    if (code == LZR_OK) {
        code = read_file(arena, v, d, err);
    }
    if (code == LZR_OK && !within(d, g)) {
        code = lzr_err_set(err, LZR_E_INVAL, "not all elements lie within its %" PRIu64 " bytes",
                           d->bytes);
    }
    return code;
}

enum lzr_code lzr_manifest_data(struct lzr_arena *arena, const cJSON *object, struct lzr_array *a,
                                unsigned level, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, "data");
    if (v == NULL) {
        return LZR_OK;
    }
    struct lzr_data *d = lzr_arena_alloc(arena, sizeof *d);
    if (d == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    enum lzr_code code = read_data(arena, v, a, level, d, err);
    if (code != LZR_OK) {
        lzr_err_prefix(err, "data");
        return code;
    }
    a->levels[level].data = d;
    return LZR_OK;
}
