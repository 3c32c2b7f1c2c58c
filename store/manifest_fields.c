#include "store/manifest_fields.h"

#include <math.h>
#include <string.h>

const cJSON *lzr_field(const cJSON *object, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, name);
    return v == NULL || cJSON_IsNull(v) ? NULL : v;
}

const char *lzr_field_kind(const cJSON *v)
{
    return v == NULL || cJSON_IsNull(v) ? "nothing"
           : cJSON_IsBool(v)            ? "a boolean"
           : cJSON_IsNumber(v)          ? "a number"
           : cJSON_IsString(v)          ? "a string"
           : cJSON_IsArray(v)           ? "a list"
                                        : "an object";
}

static bool digits_to_u64(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    if (*s == '\0') {
        return false;
    }
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

enum lzr_code lzr_field_u64(const cJSON *v, const char *name, const char *least, unsigned axis,
                            uint64_t *out, struct lzr_err *err)
{
    if (cJSON_IsString(v)) {
        if (digits_to_u64(v->valuestring, out)) {
            return LZR_OK;
        }
        return lzr_err_set(err, LZR_E_INVAL, "%s must be %s, got \"%.40s\" on axis %u", name, least,
                           v->valuestring, axis);
    }
    if (!cJSON_IsNumber(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be %s, got %s on axis %u", name, least,
                           lzr_field_kind(v), axis);
    }
    double d = v->valuedouble;
    if (!(d >= 0 && d <= 0x1p53) || d != floor(d)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be %s, got %.17g on axis %u", name, least, d,
                           axis);
    }
    *out = (uint64_t)d;
    return LZR_OK;
}

enum lzr_code lzr_field_i64(const cJSON *object, const char *name, int64_t *out,
                            struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, name);
    if (cJSON_IsString(v)) {
        const char *s = v->valuestring;
        bool minus = *s == '-';
        uint64_t n;
        if (digits_to_u64(s + minus, &n) && n <= (uint64_t)INT64_MAX) {
            *out = minus ? -(int64_t)n : (int64_t)n;
            return LZR_OK;
        }
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a whole number, got \"%.40s\"", name, s);
    }
    if (!cJSON_IsNumber(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a whole number, got %s", name,
                           lzr_field_kind(v));
    }
    double d = v->valuedouble;
    if (!(fabs(d) <= 0x1p53) || d != floor(d)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a whole number, got %.17g", name, d);
    }
    *out = (int64_t)d;
    return LZR_OK;
}

enum lzr_code lzr_field_real(const cJSON *v, const char *name, double *out, struct lzr_err *err)
{
    if (!cJSON_IsNumber(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a number, got %s", name,
                           lzr_field_kind(v));
    }
    if (!isfinite(v->valuedouble)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be finite", name);
    }
    *out = v->valuedouble;
    return LZR_OK;
}

enum lzr_code lzr_field_int(const cJSON *v, const char *name, int *out, struct lzr_err *err)
{
    if (!cJSON_IsNumber(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be an integer, got %s", name,
                           lzr_field_kind(v));
    }
    double d = v->valuedouble;
    if (!(fabs(d) <= 0x1p30) || d != floor(d)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be an integer, got %.17g", name, d);
    }
    *out = (int)d;
    return LZR_OK;
}

enum lzr_code lzr_field_bool(const cJSON *object, const char *name, bool *out, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, name);
    if (v != NULL && !cJSON_IsBool(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be true or false, got %s", name,
                           lzr_field_kind(v));
    }
    if (v != NULL) {
        *out = cJSON_IsTrue(v) != 0;
    }
    return LZR_OK;
}

enum lzr_code lzr_field_string(const cJSON *object, const char *name, const char **out,
                               struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, name);
    if (!cJSON_IsString(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be a string, got %s", name,
                           lzr_field_kind(v));
    }
    *out = v->valuestring;
    return LZR_OK;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum lzr_code lzr_field_digest(const cJSON *object, const char *name, struct lzr_digest *out,
                               struct lzr_err *err)
{
    const char *text;
    enum lzr_code code = lzr_field_string(object, name, &text, err);
    if (code != LZR_OK) {
        return code;
    }
    uint64_t words[2] = {0, 0};
    bool good = strlen(text) == 32;
    for (size_t i = 0; good && i < 32; i++) {
        int v = nibble(text[i]);
        good = v >= 0;
        words[i / 16] = words[i / 16] << 4 | (uint64_t)(v & 15);
    }
    if (!good) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be 32 lower-case hex digits, got \"%.40s\"",
                           name, text);
    }
    *out = (struct lzr_digest){words[0], words[1]};
    return LZR_OK;
}

/* Takes out what JSON means as nothing: the text is repeated in many documents. */
static void strip_space(char *text)
{
    char *out = text;
    bool quoted = false;
    for (const char *p = text; *p != '\0'; p++) {
        if (quoted && *p == '\\') {
            *out++ = *p++; /* an escaped quote does not end the string */
        } else if (*p == '"') {
            quoted = !quoted;
        } else if (!quoted && strchr(" \t\r\n", *p) != NULL) {
            continue;
        }
        *out++ = *p;
    }
    *out = '\0';
}

enum lzr_code lzr_field_raw(struct lzr_arena *arena, struct lzr_span object, const char *name,
                            char bracket, const char *fallback, const char **out,
                            struct lzr_err *err)
{
    struct lzr_span v;
    if (!lzr_json_member(object, name, &v) || v.p[0] == 'n') {
        *out = fallback;
        return LZR_OK;
    }
    if (v.p[0] != bracket) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be %s, got %.*s", name,
                           bracket == '{' ? "an object" : "a list", v.n < 40 ? (int)v.n : 40, v.p);
    }
    char *copy = lzr_arena_strndup(arena, v.p, v.n);
    if (copy == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    strip_space(copy);
    *out = copy;
    return LZR_OK;
}
