/* Which files are stores, and their names. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "engine/engine.h"

void lzr_stores_free(struct lzr_named_store *stores, size_t n)
{
    for (size_t i = 0; stores != NULL && i < n; i++) {
        lzr_free(stores[i].name);
        lzr_free(stores[i].path);
    }
    lzr_free(stores);
}

/* The kind of file a store can be: ".py" or ".json" at the end, something before it. */
static size_t stem_length(const char *file)
{
    static const char *const ends[] = {".py", ".json"};
    size_t n = strlen(file);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t e = strlen(ends[i]);
        if (n > e && strcmp(file + n - e, ends[i]) == 0) {
            return n - e;
        }
    }
    return 0;
}

static bool good_name(const char *s, size_t n)
{
    if (n == 0 || n > LZR_MAX_NAME || s[0] == '.' || s[0] == '~') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

struct found {
    struct lzr_named_store *items;
    size_t n;
};

static enum lzr_code add(struct found *all, const char *path, struct lzr_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    size_t stem = stem_length(file);
    if (stem == 0) {
        return lzr_err_set(err, LZR_E_INVAL, "%s: not a store: expected a .py or .json file", path);
    }
    if (!good_name(file, stem)) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "%s: a store's file name may hold only A-Z, a-z, 0-9, '.', '_' and '-' "
                           "and begin with neither '.' nor '~'",
                           path);
    }
    for (size_t i = 0; i < all->n; i++) {
        if (strlen(all->items[i].name) == stem && strncmp(all->items[i].name, file, stem) == 0) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "%s: the store's name '%.*s' is already that of %s", path, (int)stem,
                               file, all->items[i].path);
        }
    }
    if (all->n == LZR_MAX_STORES) {
        return lzr_err_set(err, LZR_E_LIMIT, "more than %d stores", LZR_MAX_STORES);
    }
    struct lzr_named_store *more = lzr_realloc(all->items, (all->n + 1) * sizeof *more);
    if (more == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for the list of stores");
    }
    all->items = more;
    struct lzr_named_store *s = &more[all->n];
    /* Absolute, so that a worker may change its folder. */
    char *real = realpath(path, NULL);
    s->name = lzr_strndup(file, stem);
    s->path = real != NULL ? lzr_strdup(real) : NULL;
    free(real); /* realpath's own allocation */
    if (s->name == NULL || s->path == NULL) {
        lzr_free(s->name);
        lzr_free(s->path);
        return lzr_err_set(err, LZR_E_NOMEM, "%s: cannot be resolved", path);
    }
    all->n++;
    return LZR_OK;
}

static int store_files_only(const struct dirent *e)
{
    return e->d_name[0] != '.' && e->d_name[0] != '_' && stem_length(e->d_name) > 0;
}

static enum lzr_code add_folder(struct found *all, const char *folder, struct lzr_err *err)
{
    struct dirent **names = NULL;
    enum lzr_code code = LZR_OK;
    int n = scandir(folder, &names, store_files_only, alphasort);
    if (n < 0) {
        return lzr_err_sys(err, "%s: cannot read the folder", folder);
    }
    if (n == 0) {
        code = lzr_err_set(err, LZR_E_INVAL, "%s: no .py or .json file in this folder", folder);
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        if (code == LZR_OK) {
            int len = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
            code = len > 0 && (size_t)len < sizeof path
                       ? add(all, path, err)
                       : lzr_err_set(err, LZR_E_LIMIT, "%s: the path is too long", folder);
        }
        free(names[i]); /* scandir's own allocations */
    }
    free(names);
    return code;
}

enum lzr_code lzr_stores_find(const char *const *paths, size_t n, struct lzr_named_store **out,
                              size_t *nout, struct lzr_err *err)
{
    struct found all = {0};
    enum lzr_code code = LZR_OK;
    for (size_t i = 0; i < n && code == LZR_OK; i++) {
        struct stat st;
        if (stat(paths[i], &st) != 0) {
            code = lzr_err_sys(err, "%s: cannot open the store", paths[i]);
        } else {
            code = S_ISDIR(st.st_mode) ? add_folder(&all, paths[i], err) : add(&all, paths[i], err);
        }
    }
    if (code == LZR_OK && all.n == 0) {
        code = lzr_err_set(err, LZR_E_INVAL, "no store given");
    }
    if (code != LZR_OK) {
        lzr_stores_free(all.items, all.n);
        return code;
    }
    *out = all.items;
    *nout = all.n;
    return LZR_OK;
}
