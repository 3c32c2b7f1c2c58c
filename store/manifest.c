#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lazarr/limits.h"
#include "store/manifest_fields.h"
#include "store/path.h"

/* What one reading has in hand. */
struct reading {
    struct lzr_arena *arena;
    struct lzr_span raw; /* the text as it came: attributes are cut out of it */
    cJSON *root;         /* of a copy in which they are blanked */
    struct lzr_store store;
    struct ref *refs; /* every path, sorted */
    size_t nrefs;
    struct lzr_err *err; /* never NULL */
};

/* A path that the manifest names: of an array, or of a group with attributes. */
struct ref {
    const char *path;
    const char *attributes; /* of a group; NULL for an array */
};

static enum lzr_code no_memory(struct reading *r)
{
    return lzr_err_set(r->err, LZR_E_NOMEM, "out of memory");
}

/* Overwrites a value of the copy by one of the same length that says nothing. */
static void blank(const struct reading *r, char *copy, struct lzr_span value)
{
    char *p = copy + (value.p - r->raw.p);
    memset(p, ' ', value.n);
    p[0] = '0';
}

/* cJSON shall only see lazarr's own members: it reads numbers as doubles, cuts strings at U+0000
 * and numbers at 63 characters, all of which a user's attributes may hold. */
static void blank_users_own(const struct reading *r, char *copy, const char *list)
{
    struct lzr_span elements, element, key, value;
    struct lzr_json_iter outer, inner;
    if (!lzr_json_member(r->raw, list, &elements)) {
        return;
    }
    lzr_json_iter_init(&outer, elements);
    while (lzr_json_next(&outer, &key, &element)) {
        lzr_json_iter_init(&inner, element);
        while (lzr_json_next(&inner, &key, &value)) {
            if (lzr_json_key_is(key, "attributes") || lzr_json_key_is(key, "channels")) {
                blank(r, copy, value);
            }
        }
    }
}

static enum lzr_code parse(struct reading *r, const char *json, size_t n)
{
    if (n > LZR_MAX_MANIFEST) {
        return lzr_err_set(r->err, LZR_E_LIMIT, "manifest has %zu bytes, the limit is %llu", n,
                           (unsigned long long)LZR_MAX_MANIFEST);
    }
    enum lzr_code code = lzr_json_check(json, n, LZR_JSON_ANY, r->err);
    if (code != LZR_OK) {
        return code;
    }
    while (n > 0 && strchr(" \t\r\n", json[0]) != NULL) {
        json++;
        n--;
    }
    while (n > 0 && strchr(" \t\r\n", json[n - 1]) != NULL) {
        n--;
    }
    r->raw = (struct lzr_span){json, n};
    char *copy = lzr_strndup(json, n);
    if (copy == NULL) {
        return no_memory(r);
    }
    if (json[0] != '{') {
        code = lzr_err_set(r->err, LZR_E_INVAL, "must be an object");
    } else {
        blank_users_own(r, copy, "groups");
        blank_users_own(r, copy, "arrays");
        code = lzr_json_check(copy, n, LZR_JSON_FOR_CJSON, r->err);
    }
    if (code == LZR_OK) {
        r->root = cJSON_ParseWithLengthOpts(copy, n + 1, NULL, 1);
        /* The text is valid and has nothing that cJSON can't read: only memory is left. */
        code = r->root != NULL ? LZR_OK : no_memory(r);
    }
    lzr_free(copy);
    return code;
}

/* The list of that name (NULL if absent) and how many it has. */
static enum lzr_code find_list(struct reading *r, const char *name, const cJSON **list, size_t *n)
{
    *list = lzr_field(r->root, name);
    *n = 0;
    if (*list == NULL) {
        return LZR_OK;
    }
    if (!cJSON_IsArray(*list)) {
        return lzr_err_set(r->err, LZR_E_INVAL, "%s must be a list, got %s", name,
                           lzr_field_kind(*list));
    }
    *n = (size_t)cJSON_GetArraySize(*list);
    if (*n > LZR_MAX_ARRAYS) {
        return lzr_err_set(r->err, LZR_E_LIMIT, "%s has %zu entries, the limit is %d", name, *n,
                           LZR_MAX_ARRAYS);
    }
    return LZR_OK;
}

static enum lzr_code copy_text(struct reading *r, const char *text, const char **out)
{
    *out = lzr_arena_strndup(r->arena, text, strlen(text));
    return *out != NULL ? LZR_OK : no_memory(r);
}

static void add_ref(struct reading *r, const char *path, const char *attributes)
{
    r->refs[r->nrefs++] = (struct ref){path, attributes};
}

static enum lzr_code read_array(struct reading *r, const cJSON *object, struct lzr_span raw,
                                size_t i)
{
    struct lzr_array *a = &r->store.arrays[i];
    const char *path = NULL;
    enum lzr_code code = cJSON_IsObject(object)
                             ? lzr_field_string(object, "path", &path, r->err)
                             : lzr_err_set(r->err, LZR_E_INVAL, "must be an object");
    if (code != LZR_OK) {
        lzr_err_prefix(r->err, "arrays[%zu]", i);
        return code;
    }
    code = lzr_path_check(path, r->err);
    if (code == LZR_OK) {
        code = copy_text(r, path, &a->path);
    }
    if (code == LZR_OK) {
        a->local_id = (uint32_t)i;
        code = lzr_manifest_array(r->arena, object, raw, a, r->err);
    }
    if (code != LZR_OK) {
        lzr_err_prefix(r->err, "array \"%.200s\"", path);
        return code;
    }
    add_ref(r, a->path, NULL);
    return LZR_OK;
}

static enum lzr_code read_group(struct reading *r, const cJSON *object, struct lzr_span raw,
                                size_t i)
{
    const char *path = NULL, *attributes = NULL;
    enum lzr_code code = cJSON_IsObject(object)
                             ? lzr_field_string(object, "path", &path, r->err)
                             : lzr_err_set(r->err, LZR_E_INVAL, "must be an object");
    if (code != LZR_OK) {
        lzr_err_prefix(r->err, "groups[%zu]", i);
        return code;
    }
    code = path[0] == '\0' ? LZR_OK : lzr_path_check(path, r->err);
    const char *copy = NULL;
    if (code == LZR_OK) {
        code = copy_text(r, path, &copy);
    }
    if (code == LZR_OK) {
        code = lzr_field_raw(r->arena, raw, "attributes", '{', "{}", &attributes, r->err);
    }
    if (code != LZR_OK) {
        lzr_err_prefix(r->err, "group \"%.200s\"", path);
        return code;
    }
    add_ref(r, copy, attributes);
    return LZR_OK;
}

/* Walks a list in cJSON's tree and in the raw text at once: they have the same elements. */
static enum lzr_code read_list(struct reading *r, const cJSON *list, const char *name,
                               enum lzr_code (*read)(struct reading *, const cJSON *,
                                                     struct lzr_span, size_t))
{
    struct lzr_span text, key, element;
    struct lzr_json_iter it;
    if (list == NULL || !lzr_json_member(r->raw, name, &text)) {
        return LZR_OK;
    }
    lzr_json_iter_init(&it, text);
    size_t i = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        if (!lzr_json_next(&it, &key, &element)) {
            break;
        }
        enum lzr_code code = read(r, v, element, i++);
        if (code != LZR_OK) {
            return code;
        }
    }
    return LZR_OK;
}

static int compare_refs(const void *a, const void *b)
{
    return lzr_path_compare(((const struct ref *)a)->path, ((const struct ref *)b)->path);
}

/* Sorted by segments, whatever is inside a path stands right behind it, so neighbours tell. */
static enum lzr_code check_paths(struct reading *r)
{
    qsort(r->refs, r->nrefs, sizeof *r->refs, compare_refs);
    for (size_t i = 1; i < r->nrefs; i++) {
        const struct ref *outer = &r->refs[i - 1], *inner = &r->refs[i];
        const char *what = inner->attributes == NULL ? "array" : "group";
        if (strcmp(outer->path, inner->path) == 0) {
            return lzr_err_set(r->err, LZR_E_INVAL, "%s \"%.200s\": the path is used twice", what,
                               inner->path);
        }
        if (outer->attributes == NULL && lzr_path_holds(outer->path, inner->path)) {
            return lzr_err_set(r->err, LZR_E_INVAL,
                               "%s \"%.180s\": the path is inside that of array \"%.180s\"", what,
                               inner->path, outer->path);
        }
    }
    return LZR_OK;
}

/* Bytes of the longest common run of whole segments of two paths. */
static size_t common_segments(const char *a, const char *b)
{
    size_t common = 0, i = 0;
    for (;; i++) {
        bool enda = a[i] == '\0' || a[i] == '/', endb = b[i] == '\0' || b[i] == '/';
        if (enda && endb) {
            common = i;
        }
        if (a[i] != b[i] || a[i] == '\0') {
            return common;
        }
    }
}

/* Visits the groups that a ref brings into being and the one before it did not: its ancestors, and
 * itself if it is a group. With out == NULL they are only counted. */
static enum lzr_code groups_of(struct reading *r, size_t i, struct lzr_group *out, size_t *n)
{
    const char *path = r->refs[i].path;
    size_t known = i == 0 ? 0 : common_segments(r->refs[i - 1].path, path);
    size_t len = strlen(path);
    for (size_t k = known + 1; k <= len; k++) {
        bool whole = path[k] == '\0';
        if (path[k] != '/' && !(whole && r->refs[i].attributes != NULL)) {
            continue;
        }
        if (out != NULL) {
            const char *name = lzr_arena_strndup(r->arena, path, k);
            if (name == NULL) {
                return no_memory(r);
            }
            out[*n] = (struct lzr_group){name, whole ? r->refs[i].attributes : "{}"};
        }
        ++*n;
    }
    return LZR_OK;
}

static enum lzr_code derive_groups(struct reading *r)
{
    size_t n = 1;
    enum lzr_code code = LZR_OK;
    for (size_t i = 0; i < r->nrefs && n <= LZR_MAX_ARRAYS; i++) {
        groups_of(r, i, NULL, &n);
    }
    if (n > LZR_MAX_ARRAYS) {
        return lzr_err_set(r->err, LZR_E_LIMIT, "more groups than the limit of %d", LZR_MAX_ARRAYS);
    }
    struct lzr_group *groups = lzr_arena_alloc(r->arena, n * sizeof *groups);
    if (groups == NULL) {
        return no_memory(r);
    }
    groups[0] = (struct lzr_group){"", "{}"};
    if (r->nrefs > 0 && r->refs[0].path[0] == '\0') {
        groups[0].attributes = r->refs[0].attributes;
    }
    r->store.ngroups = 1;
    for (size_t i = 0; code == LZR_OK && i < r->nrefs; i++) {
        code = groups_of(r, i, groups, &r->store.ngroups);
    }
    r->store.groups = groups;
    return code;
}

/* Of a store that isn't loaded: why. */
static enum lzr_code read_fate(struct reading *r)
{
    static const char *const names[] = {[LZR_FAILED] = "failed", [LZR_SKIPPED] = "skipped"};
    struct lzr_store *s = &r->store;
    enum lzr_code code = LZR_OK;
    for (int fate = LZR_FAILED; fate <= LZR_SKIPPED; fate++) {
        if (code == LZR_OK && s->fate == LZR_LOADED && lzr_field(r->root, names[fate]) != NULL) {
            const char *why = NULL;
            s->fate = (enum lzr_fate)fate;
            code = lzr_field_string(r->root, names[fate], &why, r->err);
            code = code == LZR_OK ? copy_text(r, why, &s->why) : code;
        }
    }
    const char *traceback = "";
    if (code == LZR_OK && lzr_field(r->root, "traceback") != NULL) {
        code = lzr_field_string(r->root, "traceback", &traceback, r->err);
    }
    code = code == LZR_OK ? copy_text(r, traceback, &s->traceback) : code;
    if (code == LZR_OK && s->fate != LZR_LOADED && s->narrays > 0) {
        code = lzr_err_set(r->err, LZR_E_INVAL, "a store that isn't loaded has no arrays");
    }
    return code;
}

static enum lzr_code read_all(struct reading *r)
{
    const cJSON *arrays, *groups;
    size_t ngroups;
    int format = 0;
    enum lzr_code code = lzr_field_int(lzr_field(r->root, "lazarr"), "lazarr", &format, r->err);
    if (code == LZR_OK && format != 1) {
        code = lzr_err_set(r->err, LZR_E_INVAL, "lazarr must be 1 (the manifest's version), got %d",
                           format);
    }
    if (code == LZR_OK) {
        code = find_list(r, "arrays", &arrays, &r->store.narrays);
    }
    if (code == LZR_OK) {
        code = find_list(r, "groups", &groups, &ngroups);
    }
    code = code == LZR_OK ? read_fate(r) : code;
    struct lzr_digest digest = {0, 0};
    if (code == LZR_OK && lzr_field(r->root, "digest") != NULL) {
        code = lzr_field_digest(r->root, "digest", &digest, r->err);
    }
    if (code != LZR_OK) {
        return code;
    }
    r->store.arrays = lzr_arena_alloc(r->arena, (r->store.narrays + 1) * sizeof *r->store.arrays);
    r->refs = lzr_calloc(r->store.narrays + ngroups + 1, sizeof *r->refs);
    if (r->store.arrays == NULL || r->refs == NULL) {
        return no_memory(r);
    }
    code = read_list(r, arrays, "arrays", read_array);
    if (code == LZR_OK) {
        code = read_list(r, groups, "groups", read_group);
    }
    if (code == LZR_OK) {
        code = check_paths(r);
    }
    if (code == LZR_OK) {
        code = derive_groups(r);
    }
    if (code == LZR_OK) {
        code = lzr_manifest_labels(arrays, &r->store, r->err);
    }
    for (size_t i = 0; code == LZR_OK && i < r->store.narrays; i++) {
        /* The store's source is part of what makes a chunk, but where a version stands for it: then
         * an edit elsewhere in the file changes nothing. */
        struct lzr_array *a = &r->store.arrays[i];
        if (!a->versioned) {
            a->digest = lzr_digest_join(a->digest, &digest, sizeof digest);
        }
    }
    /* Last, since an array's digest takes in those of its inputs. */
    return code == LZR_OK ? lzr_manifest_inputs(r->arena, arrays, &r->store, r->err) : code;
}

enum lzr_code lzr_manifest_read(struct lzr_arena *arena, const char *name, const char *file,
                                const char *json, size_t n, struct lzr_store *out,
                                struct lzr_err *err)
{
    struct lzr_err unwanted;
    struct reading r = {.arena = arena, .err = err != NULL ? err : &unwanted};
    enum lzr_code code = copy_text(&r, name, &r.store.name);
    if (code == LZR_OK) {
        code = copy_text(&r, file, &r.store.file);
    }
    if (code == LZR_OK) {
        code = parse(&r, json, n);
        if (code != LZR_OK) {
            lzr_err_prefix(r.err, "manifest");
        }
    }
    if (code == LZR_OK) {
        code = read_all(&r);
    }
    cJSON_Delete(r.root);
    lzr_free(r.refs);
    if (code != LZR_OK) {
        lzr_err_prefix(r.err, "%.200s", file);
        return code;
    }
    *out = r.store;
    for (size_t i = 0; i < out->narrays; i++) {
        out->arrays[i].store = out;
    }
    return LZR_OK;
}
