#include <string.h>

#include "base/mem.h"
#include "store/manifest_fields.h"

static enum lzr_code no_memory(struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
}

static enum lzr_code read_kind(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const char *kind;
    enum lzr_code code = lzr_field_string(object, "kind", &kind, err);
    if (code != LZR_OK) {
        return code;
    }
    if (strcmp(kind, "plain") == 0) {
        a->kind = LZR_PLAIN;
    } else if (strcmp(kind, "image") == 0) {
        a->kind = LZR_IMAGE;
    } else if (strcmp(kind, "labels") == 0) {
        a->kind = LZR_LABELS;
    } else {
        return lzr_err_set(err, LZR_E_INVAL,
                           "kind must be \"plain\", \"image\" or \"labels\", got \"%.40s\"", kind);
    }
    return LZR_OK;
}

static enum lzr_code read_fill(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, "fill_value");
    const char *re, *im = NULL;
    if (v == NULL) {
        a->fill_given = false; /* and a->fill is zeroed */
        return LZR_OK;
    }
    if (cJSON_IsBool(v)) {
        re = cJSON_IsTrue(v) ? "true" : "false";
    } else if (cJSON_IsString(v)) {
        re = v->valuestring;
    } else if (cJSON_IsArray(v) && cJSON_GetArraySize(v) == 2 && cJSON_IsString(v->child) &&
               cJSON_IsString(v->child->next)) {
        re = v->child->valuestring;
        im = v->child->next->valuestring;
    } else {
        return lzr_err_set(err, LZR_E_INVAL,
                           "fill_value must be a text, a boolean or two texts, got %s",
                           lzr_field_kind(v));
    }
    enum lzr_code code = lzr_fill_parse(a->dtype, re, im, a->fill, err);
    a->fill_given = code == LZR_OK;
    return code;
}

static enum lzr_code read_dtype(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const char *text;
    enum lzr_code code = lzr_field_string(object, "dtype", &text, err);
    if (code == LZR_OK) {
        code = lzr_dtype_parse(text, &a->dtype, err);
    }
    if (code == LZR_OK && a->kind == LZR_LABELS && strchr("biu", a->dtype.kind) == NULL) {
        code = lzr_err_set(err, LZR_E_INVAL, "dtype of labels must be an integer or bool, got %s",
                           lzr_dtype_name(a->dtype));
    }
    return code;
}

/* A list of rank texts, or nulls where they may be. */
static enum lzr_code read_names(struct lzr_arena *arena, const cJSON *list, const char *name,
                                unsigned rank, bool nulls, const char *out[], struct lzr_err *err)
{
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) != rank) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a list with one text per axis (%u)", name,
                           rank);
    }
    unsigned axis = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        if (cJSON_IsNull(v) && nulls) {
            out[axis++] = NULL;
            continue;
        }
        if (!cJSON_IsString(v) || v->valuestring[0] == '\0') {
            return lzr_err_set(err, LZR_E_INVAL, "%s must be texts, got %s on axis %u", name,
                               cJSON_IsString(v) ? "an empty one" : lzr_field_kind(v), axis);
        }
        out[axis] = lzr_arena_strndup(arena, v->valuestring, strlen(v->valuestring));
        if (out[axis++] == NULL) {
            return no_memory(err);
        }
    }
    return LZR_OK;
}

/* An image's axes are letters of "tczyx" in that order, y and x among them: what OME-NGFF can say
 * and viewers can show. */
static enum lzr_code check_image_axes(const struct lzr_array *a, unsigned rank, struct lzr_err *err)
{
    static const char ORDER[] = "tczyx";
    const char *from = ORDER;
    unsigned plane = 0;
    for (unsigned i = 0; i < rank; i++) {
        const char *at = strlen(a->dims[i]) == 1 ? strchr(from, a->dims[i][0]) : NULL;
        if (at == NULL) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "axes must be names out of t, c, z, y, x in that order, got "
                               "\"%.40s\" on axis %u",
                               a->dims[i], i);
        }
        plane += *at == 'y' || *at == 'x';
        from = at + 1;
    }
    if (plane < 2) {
        return lzr_err_set(err, LZR_E_INVAL, "axes must hold y and x at least");
    }
    return LZR_OK;
}

static enum lzr_code read_dims(struct lzr_arena *arena, const cJSON *object, struct lzr_array *a,
                               struct lzr_err *err)
{
    unsigned rank = a->levels[0].grid.rank;
    const cJSON *list = lzr_field(object, "dims");
    enum lzr_code code = LZR_OK;
    if (list == NULL && a->kind != LZR_PLAIN) {
        return lzr_err_set(err, LZR_E_INVAL, "dims must be there: the axes of an image");
    }
    if (list != NULL) {
        code = read_names(arena, list, "dims", rank, false, a->dims, err);
        a->has_dims = true;
    }
    for (unsigned i = 0; code == LZR_OK && list != NULL && i < rank; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(a->dims[i], a->dims[k]) == 0) {
                return lzr_err_set(err, LZR_E_INVAL, "dims has \"%.40s\" twice", a->dims[i]);
            }
        }
    }
    if (code == LZR_OK && a->kind != LZR_PLAIN) {
        code = check_image_axes(a, rank, err);
    }
    list = lzr_field(object, "units");
    if (code == LZR_OK && list != NULL) {
        code = read_names(arena, list, "units", rank, true, a->units, err);
    }
    return code;
}

/* Texts: the last axis is whole in every chunk, so that without it each chunk is what it was. */
static enum lzr_code read_text(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    enum lzr_code code = lzr_field_bool(object, "dataset", &a->dataset, err);
    if (code == LZR_OK) {
        code = lzr_field_bool(object, "text", &a->text, err);
    }
    if (code != LZR_OK || !a->text) {
        return code;
    }
    const struct lzr_grid *g = &a->levels[0].grid;
    unsigned last = g->rank - 1;
    if (a->kind != LZR_PLAIN || g->rank == 0 || !a->has_dims || a->fill_given ||
        g->shape[last] != g->chunks[last] || a->dtype.kind != 'u' || a->dtype.big ||
        (a->dtype.size != 1 && a->dtype.size != 4)) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "text must be a plain array of uint32 or uint8 with dims and without a "
                           "fill value, whose last axis is one chunk");
    }
    return LZR_OK;
}

static enum lzr_code read_separator(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, "separator");
    a->separator = '.';
    if (v != NULL) {
        if (!cJSON_IsString(v) ||
            (strcmp(v->valuestring, ".") != 0 && strcmp(v->valuestring, "/") != 0)) {
            return lzr_err_set(err, LZR_E_INVAL, "separator must be \".\" or \"/\"");
        }
        a->separator = v->valuestring[0];
    }
    if (a->kind != LZR_PLAIN) {
        a->separator = '/'; /* OME-NGFF 0.4 knows no other */
    }
    return LZR_OK;
}

static enum lzr_code read_seconds(const cJSON *object, const char *name, double fallback,
                                  double *out, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, name);
    *out = fallback;
    enum lzr_code code = v == NULL ? LZR_OK : lzr_field_real(v, name, out, err);
    /* A year is a bound only so that microseconds fit into 64 bits everywhere. */
    if (code == LZR_OK && !(*out > 0 && *out <= 31536000.0)) {
        code = lzr_err_set(err, LZR_E_INVAL, "%s must be > 0 and at most a year, got %.17g", name,
                           *out);
    }
    return code;
}

static enum lzr_code read_slots(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, "slots");
    int n = 0;
    enum lzr_code code = v == NULL ? LZR_OK : lzr_field_int(v, "slots", &n, err);
    if (code == LZR_OK && v != NULL && n < 1) {
        code = lzr_err_set(err, LZR_E_INVAL, "slots must be >= 1, got %d", n);
    }
    a->slots = (unsigned)n;
    return code;
}

static enum lzr_code read_rest(struct lzr_arena *arena, const cJSON *object, struct lzr_span raw,
                               struct lzr_array *a, struct lzr_err *err)
{
    enum lzr_code code = lzr_field_raw(arena, raw, "attributes", '{', "{}", &a->attributes, err);
    if (code == LZR_OK) {
        code = lzr_field_raw(arena, raw, "channels", '[', NULL, &a->channels, err);
    }
    if (code == LZR_OK) {
        code = read_seconds(object, "timeout", 300.0, &a->timeout_s, err);
    }
    if (code == LZR_OK) {
        code = read_seconds(object, "first_timeout", 900.0, &a->first_timeout_s, err);
    }
    const cJSON *abandon = lzr_field(object, "on_abandon");
    if (code == LZR_OK && abandon != NULL &&
        (!cJSON_IsString(abandon) || (strcmp(abandon->valuestring, "finish") != 0 &&
                                      strcmp(abandon->valuestring, "interrupt") != 0))) {
        code = lzr_err_set(err, LZR_E_INVAL, "on_abandon must be \"interrupt\" or \"finish\"");
    }
    a->finish_abandoned =
        code == LZR_OK && abandon != NULL && strcmp(abandon->valuestring, "finish") == 0;
    a->source = cJSON_IsTrue(lzr_field(object, "source"));
    a->deterministic = true;
    if (code == LZR_OK) {
        code = lzr_field_bool(object, "deterministic", &a->deterministic, err);
    }
    if (code == LZR_OK) {
        code = lzr_field_bool(object, "copied", &a->copied, err);
    }
    const cJSON *version = lzr_field(object, "version");
    if (code == LZR_OK && version != NULL && !cJSON_IsString(version)) {
        code = lzr_err_set(err, LZR_E_INVAL, "version must be a text, got %s",
                           lzr_field_kind(version));
    }
    a->versioned = version != NULL;
    if (code == LZR_OK) {
        code = read_slots(object, a, err);
    }
    if (code == LZR_OK) {
        code = lzr_field_digest(object, "digest", &a->digest, err);
    }
    return code;
}

enum lzr_code lzr_manifest_array(struct lzr_arena *arena, const cJSON *object, struct lzr_span raw,
                                 struct lzr_array *a, struct lzr_err *err)
{
    enum lzr_code code = read_kind(object, a, err);
    if (code == LZR_OK) {
        code = read_dtype(object, a, err);
    }
    if (code == LZR_OK) {
        code = read_fill(object, a, err);
    }
    if (code == LZR_OK) {
        code = lzr_manifest_levels(arena, object, a, err);
    }
    if (code == LZR_OK) {
        code = read_dims(arena, object, a, err);
    }
    if (code == LZR_OK) {
        code = read_text(object, a, err);
    }
    if (code == LZR_OK) {
        code = read_separator(object, a, err);
    }
    if (code == LZR_OK) {
        code = lzr_manifest_codecs(object, a, err);
    }
    if (code == LZR_OK) {
        code = read_rest(arena, object, raw, a, err);
    }
    return code;
}
