/* Which files are stores, and their names. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engine.h"

void lzr_stores_free(struct lzr_named_store *stores, size_t n)
{
    for (size_t i = 0; stores != NULL && i < n; i++) {
        lzr_free(stores[i].name);
        lzr_free(stores[i].path);
        lzr_free(stores[i].told);
    }
    lzr_free(stores);
}

/* Bytes of a name before one of these ends; 0: it has none, or nothing before it. */
static size_t before_end(const char *file, const char *const ends[], size_t n)
{
    size_t len = strlen(file);
    for (size_t i = 0; i < n; i++) {
        size_t e = strlen(ends[i]);
        if (len > e && strcasecmp(file + len - e, ends[i]) == 0) {
            return len - e;
        }
    }
    return 0;
}

/* The kind of file a store can be: ".py" or ".json" at the end, something before it. */
static size_t stem_length(const char *file)
{
    static const char *const ends[] = {".py", ".json"};
    size_t n = before_end(file, ends, sizeof ends / sizeof ends[0]);
    /* As ever: in lower case. */
    return n > 0 && strcmp(file + n, strlen(file + n) == 3 ? ".py" : ".json") == 0 ? n : 0;
}

/* Data files that are served as they are (lazarr/_readers); the longer ends first. */
static size_t data_stem_length(const char *file)
{
    static const char *const ends[] = {
        ".ome.zarr.zip", ".zarr.zip", ".zip",  ".ozx",  ".ome.zarr", ".zarr",    ".n5",
        ".npy",          ".nii.gz",   ".nii",  ".h5",   ".hdf",      ".hdf5",    ".he5",
        ".nc",           ".ome.tif",  ".ome.tiff", ".tif", ".tiff"};
    return before_end(file, ends, sizeof ends / sizeof ends[0]);
}

/* A folder that is a Zarr, N5 or precomputed container, whatever its name. */
static bool is_container(const char *folder)
{
    static const char *const files[] = {".zgroup", ".zarray", "zarr.json", "attributes.json",
                                        "info"};
    char path[4096];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* What is read through zarr-python's file systems (lazarr/_readers/remote.py). */
static bool is_url(const char *given)
{
    static const char *const schemes[] = {"http://", "https://", "s3://", "gs://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncasecmp(given, schemes[i], strlen(schemes[i])) == 0) {
            return true;
        }
    }
    return false;
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

/* The last segment of a path, without slashes behind it, into out. False: there is none. */
static bool last_name(const char *path, char *out, size_t n)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    size_t from = len;
    while (from > 0 && path[from - 1] != '/') {
        from--;
    }
    int got = snprintf(out, n, "%.*s", (int)(len - from), path + from);
    return got > 0 && (size_t)got < n && strcmp(out, "/") != 0;
}

/* "BEFORE:real", or "BEFORE:real::inner": what workers are told in place of a path. */
static char *make_told(const char *before, const char *real, const char *inner)
{
    size_t n = strlen(before) + strlen(real) + (inner != NULL ? strlen(inner) : 0) + 4;
    char *told = lzr_malloc(n);
    if (told != NULL) {
        (void)snprintf(told, n, "%s:%s%s%s", before, real, inner != NULL ? "::" : "",
                       inner != NULL ? inner : "");
    }
    return told;
}

/* How a store came to be one. */
struct origin {
    const char *before; /* NULL: it was named itself, and is no data file */
    const char *inner;  /* of a data file: what of it */
};

/* The stores keep path and inner; name is the store's. */
static enum lzr_code append(struct found *all, const char *path, struct origin from,
                            const char *name, size_t stem, struct lzr_err *err)
{
    for (size_t i = 0; i < all->n; i++) {
        if (strlen(all->items[i].name) == stem && strncmp(all->items[i].name, name, stem) == 0) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "%s: the store's name '%.*s' is already that of %s", path, (int)stem,
                               name, all->items[i].path);
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
    *s = (struct lzr_named_store){0};
    /* Absolute, so that a worker may change its folder; a URL stays as it is. */
    char *real = is_url(path) ? NULL : realpath(path, NULL);
    const char *place = is_url(path) ? path : real;
    s->data = from.inner != NULL;
    s->name = lzr_strndup(name, stem);
    s->path = place != NULL ? lzr_strdup(place) : NULL;
    if (from.before != NULL && place != NULL) {
        s->told = make_told(from.before, place, from.inner);
    }
    free(real); /* realpath's own allocation */
    if (s->name == NULL || s->path == NULL || (from.before != NULL && s->told == NULL)) {
        lzr_free(s->name);
        lzr_free(s->path);
        lzr_free(s->told);
        return lzr_err_set(err, LZR_E_NOMEM, "%s: cannot be resolved", path);
    }
    all->n++;
    return LZR_OK;
}

static enum lzr_code add(struct found *all, const char *path, struct origin from,
                         struct lzr_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    size_t stem = stem_length(file);
    if (stem == 0) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "%s: not a store: expected a .py or .json file, a folder of them, or a "
                           "zarr, N5, HDF5 (.h5), TIFF, NIfTI (.nii) or .npy file",
                           path);
    }
    if (!good_name(file, stem)) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "%s: a store's file name may hold only A-Z, a-z, 0-9, '.', '_' and '-' "
                           "and begin with neither '.' nor '~'",
                           path);
    }
    return append(all, path, from, file, stem, err);
}

/* A data file, and what of it. Its name may be anything: what a store's can't hold becomes '_'. */
static enum lzr_code add_data(struct found *all, const char *path, const char *inner,
                              struct lzr_err *err)
{
    char name[LZR_MAX_NAME + 1];
    if (!last_name(path, name, sizeof name)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s: no name for the store", path);
    }
    size_t stem = data_stem_length(name);
    stem = stem > 0 ? stem : strlen(name);
    for (size_t i = 0; i < stem; i++) {
        bool inside = i > 0 && name[i] == '.'; /* which a name may not begin with */
        name[i] = (char)(inside || good_name(&name[i], 1) ? name[i] : '_');
    }
    return append(all, path, (struct origin){"data", inner}, name, stem, err);
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
                       ? add(all, path, (struct origin){"found", NULL}, err)
                       : lzr_err_set(err, LZR_E_LIMIT, "%s: the path is too long", folder);
        }
        free(names[i]); /* scandir's own allocations */
    }
    free(names);
    return code;
}

/* "FILE::path" as it was given: the file's part into file, and what is behind it. */
static const char *split(const char *given, char *file, size_t n)
{
    const char *at = NULL;
    for (const char *p = strstr(given, "::"); p != NULL; p = strstr(p + 1, "::")) {
        at = p;
    }
    int len = at != NULL ? snprintf(file, n, "%.*s", (int)(at - given), given) : -1;
    return len > 0 && (size_t)len < n ? at + 2 : NULL;
}

static enum lzr_code add_given(struct found *all, const char *given, struct lzr_err *err)
{
    char file[4096], name[LZR_MAX_NAME + 1];
    const char *inner = "";
    struct stat st;
    const char *path = given;
    if (is_url(given)) {
        inner = split(given, file, sizeof file);
        return add_data(all, inner != NULL ? file : given, inner != NULL ? inner : "", err);
    }
    if (stat(given, &st) != 0) {
        int missing = errno;
        inner = split(given, file, sizeof file);
        path = file;
        if (inner == NULL || stat(file, &st) != 0) {
            errno = missing;
            return lzr_err_sys(err, "%s: cannot open the store", given);
        }
    }
    bool data = last_name(path, name, sizeof name) && data_stem_length(name) > 0;
    if (S_ISDIR(st.st_mode) && !data) {
        data = is_container(path);
    }
    if (data) {
        return add_data(all, path, inner, err);
    }
    if (path != given) {
        return lzr_err_set(err, LZR_E_INVAL, "%s: '::' is for data files, and %s is none", given,
                           path);
    }
    return S_ISDIR(st.st_mode) ? add_folder(all, path, err)
                               : add(all, path, (struct origin){NULL, NULL}, err);
}

enum lzr_code lzr_stores_find(const char *const *paths, size_t n, struct lzr_named_store **out,
                              size_t *nout, struct lzr_err *err)
{
    struct found all = {0};
    enum lzr_code code = LZR_OK;
    for (size_t i = 0; i < n && code == LZR_OK; i++) {
        code = add_given(&all, paths[i], err);
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
