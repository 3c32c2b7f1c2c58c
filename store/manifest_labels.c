/* labels_of: which image an array's labels are of. All is looked up in sorted lists: a store may
 * have as many labels as it has arrays. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/manifest_fields.h"

static int compare_paths(const void *a, const void *b)
{
    const struct lzr_array *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static const char *last_segment(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* By image, and then by the name under which they stand in its labels/; the declared order last. */
static int compare_places(const void *a, const void *b)
{
    const struct lzr_array *const *x = a, *const *y = b;
    uint32_t i = (*x)->labels_of->local_id, k = (*y)->labels_of->local_id;
    int names = strcmp(last_segment((*x)->path), last_segment((*y)->path));
    if (i != k) {
        return i < k ? -1 : 1;
    }
    return names != 0 ? names : (*x)->local_id < (*y)->local_id ? -1 : 1;
}

static enum lzr_code find_image(struct lzr_array *const *by_path, size_t n, struct lzr_array *a,
                                const cJSON *v, struct lzr_err *err)
{
    if (!cJSON_IsString(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "labels_of must be a text, got %s", lzr_field_kind(v));
    }
    if (a->kind != LZR_LABELS || a->dtype.kind == 'b') {
        return lzr_err_set(err, LZR_E_INVAL, "labels_of is for labels of an integer dtype");
    }
    const struct lzr_array key = {.path = v->valuestring}, *wanted = &key;
    struct lzr_array *const *hit = bsearch(&wanted, by_path, n, sizeof *by_path, compare_paths);
    if (hit == NULL || (*hit)->kind != LZR_IMAGE) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "labels_of must be the path of an image of this store, got \"%.200s\"",
                           v->valuestring);
    }
    a->labels_of = *hit;
    return LZR_OK;
}

/* Each stands in its image's labels/ under its last name, which no other may have there. */
static enum lzr_code check_places(const struct lzr_array **labels, size_t n, struct lzr_err *err)
{
    qsort(labels, n, sizeof *labels, compare_places);
    for (size_t i = 1; i < n; i++) {
        const struct lzr_array *a = labels[i], *other = labels[i - 1];
        if (a->labels_of == other->labels_of &&
            strcmp(last_segment(a->path), last_segment(other->path)) == 0) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "array \"%.200s\": labels_of: array \"%.200s\" has the same last "
                               "name in labels/ of \"%.200s\"",
                               a->path, other->path, a->labels_of->path);
        }
    }
    return LZR_OK;
}

/* The lists of labels that images have, in the declared order. */
static void link_labels(struct lzr_store *s)
{
    for (size_t i = s->narrays; i-- > 0;) {
        struct lzr_array *a = &s->arrays[i];
        if (a->labels_of != NULL) {
            struct lzr_array *image = &s->arrays[a->labels_of->local_id];
            a->next_labels = image->labels;
            image->labels = a;
        }
    }
}

enum lzr_code lzr_manifest_labels(const cJSON *arrays, struct lzr_store *s, struct lzr_err *err)
{
    struct lzr_array **by_path = lzr_calloc(s->narrays + 1, sizeof *by_path);
    const struct lzr_array **labels = lzr_calloc(s->narrays + 1, sizeof *labels);
    enum lzr_code code = LZR_OK;
    size_t i = 0, n = 0;
    const cJSON *v;
    if (by_path == NULL || labels == NULL) {
        code = lzr_err_set(err, LZR_E_NOMEM, "out of memory");
    }
    for (size_t k = 0; code == LZR_OK && k < s->narrays; k++) {
        by_path[k] = &s->arrays[k];
    }
    if (code == LZR_OK) {
        qsort(by_path, s->narrays, sizeof *by_path, compare_paths);
    }
    cJSON_ArrayForEach(v, arrays)
    {
        if (code != LZR_OK) {
            break;
        }
        const cJSON *path = lzr_field(v, "labels_of");
        struct lzr_array *a = &s->arrays[i++];
        if (path == NULL) {
            continue;
        }
        code = find_image(by_path, s->narrays, a, path, err);
        if (code != LZR_OK) {
            lzr_err_prefix(err, "array \"%.200s\"", a->path);
        }
        labels[n++] = a;
    }
    if (code == LZR_OK) {
        code = check_places(labels, n, err);
    }
    if (code == LZR_OK) {
        link_labels(s);
    }
    lzr_free(by_path);
    lzr_free(labels);
    return code;
}
