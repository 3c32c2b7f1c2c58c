/* Which files are stores, and their names. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/root.h"
#include "engine/store_path.h"

void lzr_stores_free(struct lzr_named_store *stores, size_t n)
{
    for (size_t i = 0; stores != NULL && i < n; i++) {
        lzr_free(stores[i].name);
        lzr_free(stores[i].path);
        lzr_free(stores[i].root);
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
        ".ome.zarr.zip", ".zarr.zip", ".zip",     ".ozx",     ".ome.zarr", ".zarr", ".n5",
        ".npy",          ".nii.gz",   ".nii",     ".h5",      ".hdf",      ".hdf5", ".he5",
        ".nxs",          ".mat",      ".h5ad",    ".ims",     ".nc",       ".nc4",  ".cdf",
        ".svs",          ".btf",      ".tf8",     ".ndpi",    ".lsm",      ".ome.tif",
        ".ome.tiff",     ".ome.btf",  ".tif",     ".tiff",    ".czi",     ".nd2",  ".lif",
        ".lof",          ".mrc",      ".mrcs",    ".ccp4",    ".map",     ".st",   ".rec",
        ".nrrd",         ".nhdr",     ".mgz",     ".mgh.gz",  ".mgh",     ".dcm",  ".dicom",
        ".ima",          ".dv",       ".r3d",     ".vsi",     ".oib",     ".oif",  ".oir",
        ".sldy",         ".emd",      ".qptiff",  ".mrc.gz",  ".mrc.bz2", ".map.gz",
        ".npz"};
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

/* A file that is one plane of a series: a TIFF, or DICOM by its name or its content. */
static bool is_plane(const char *path)
{
    static const char *const ends[] = {".tif", ".tiff", ".dcm", ".dicom", ".ima"};
    char head[132] = "";
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    if (before_end(path, ends, sizeof ends / sizeof ends[0]) > 0) {
        return true;
    }
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(head, 1, sizeof head, f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    return n == sizeof head && memcmp(head + 128, "DICM", 4) == 0;
}

/* A folder of TIFFs or of a DICOM series, and of no stores. At most MAX_LOOKED of its files are
 * looked into. */
static bool is_series(const char *folder)
{
    enum { MAX_LOOKED = 64 };
    DIR *dir = opendir(folder);
    bool found = false, stores = false;
    unsigned looked = 0;
    char path[4096];
    const struct dirent *e;
    while (dir != NULL && !stores && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.') {
            continue;
        }
        stores = stem_length(e->d_name) > 0;
        int len = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        found = found || (len > 0 && (size_t)len < sizeof path && looked++ < MAX_LOOKED &&
                          is_plane(path));
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return found && !stores;
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

/* Absolute, so that a worker may change its folder. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    char *own = real != NULL ? lzr_strdup(real) : NULL;
    free(real); /* realpath's own allocation */
    return own;
}

/* How a store came to be one. */
struct origin {
    const char *before; /* NULL: it was named itself, and is no data file */
    const char *inner;  /* of a data file: what of it */
    const char *module; /* of -m: what is to be imported */
    bool made;          /* its file's name can't be a store's: it has one made of that */
};

/* Who has a name: those that have one made of their file's get it last (make_names). */
static const struct lzr_named_store *of_name(const struct found *all, const char *name, size_t n)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct lzr_named_store *s = &all->items[i];
        if (!s->made && strlen(s->name) == n && strncmp(s->name, name, n) == 0) {
            return s;
        }
    }
    return NULL;
}

/* The stores keep path and inner; name is the store's. */
static enum lzr_code append(struct found *all, const char *path, struct origin from,
                            const char *name, size_t stem, struct lzr_err *err)
{
    const struct lzr_named_store *other = from.made ? NULL : of_name(all, name, stem);
    if (other != NULL) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "%s: the store's name '%.*s' is already that of %s; NAME=%s gives it "
                           "another",
                           path, (int)stem, name, other->path, path);
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
    s->data = from.inner != NULL;
    s->made = from.made;
    s->name = lzr_strndup(name, stem);
    s->path = is_url(path) ? lzr_strdup(path)
              : s->data    ? real_path(path)
                           : lzr_path_absolute(path);
    s->root = s->data ? lzr_strdup("") : lzr_root_of(path);
    if (from.before != NULL && s->path != NULL) {
        s->told = make_told(from.before, from.module != NULL ? from.module : s->path, from.inner);
    }
    if (s->name == NULL || s->path == NULL || s->root == NULL ||
        (from.before != NULL && s->told == NULL)) {
        lzr_free(s->name);
        lzr_free(s->path);
        lzr_free(s->root);
        lzr_free(s->told);
        return lzr_err_set(err, LZR_E_NOMEM, "%s: cannot be resolved", path);
    }
    all->n++;
    return LZR_OK;
}

/* The name that a store's file gives it: its stem, or that of the folder for __init__.py. */
static size_t file_name(const char *path, char *out, size_t n)
{
    char *whole = NULL;
    if (!last_name(path, out, n)) {
        return 0;
    }
    size_t stem = stem_length(out);
    bool own = stem == 8 && strncmp(out, "__init__", stem) == 0;
    if (own && (whole = lzr_path_absolute(path)) != NULL) {
        whole[strlen(whole) - strlen("/__init__.py")] = '\0';
        stem = last_name(whole, out, n) ? strlen(out) : 0;
    }
    lzr_free(whole);
    return stem;
}

/* name: what it was given; NULL: it has its file's. */
static enum lzr_code add(struct found *all, const char *path, struct origin from, const char *name,
                         struct lzr_err *err)
{
    char file[NAME_MAX + 1];
    bool found = from.before != NULL && from.module == NULL;
    const char *slash = strrchr(path, '/');
    if (stem_length(slash != NULL ? slash + 1 : path) == 0) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "%s: not a store: expected a .py or .json file, a folder of them, or a "
                           "zarr, N5, HDF5 (.h5), TIFF, NIfTI (.nii), .npy or other data file "
                           "(docs/sources.md)",
                           path);
    }
    size_t stem = file_name(path, file, sizeof file);
    if (name != NULL) {
        return append(all, path, from, name, strlen(name), err);
    }
    from.made = !lzr_store_name_ok(file, stem) || (found && of_name(all, file, stem) != NULL);
    return append(all, path, from, file, stem, err);
}

/* Names for the files whose own can't be a store's, or is another's: those whose name holds keep
 * it, wherever they stand. */
static enum lzr_code make_names(const struct found *all, const struct lzr_log *log,
                                struct lzr_err *err)
{
    for (size_t i = 0; i < all->n; i++) {
        struct lzr_named_store *s = &all->items[i];
        char made[LZR_MAX_NAME + 1];
        if (!s->made) {
            continue;
        }
        lzr_store_name_make(s->name, strlen(s->name), made);
        size_t n = strlen(made);
        n = n < LZR_MAX_NAME - 8 ? n : LZR_MAX_NAME - 8;
        for (unsigned k = 2; of_name(all, made, strlen(made)) != NULL && k < 100000; k++) {
            (void)snprintf(made + n, sizeof made - n, "-%u", k);
        }
        char *name = lzr_strdup(made);
        if (name == NULL) {
            return lzr_err_set(err, LZR_E_NOMEM, "no memory for the list of stores");
        }
        lzr_free(s->name);
        s->name = name;
        s->made = false;
        lzr_log(log, LZR_LOG_INFO, "%s: the store is called '%s'; NAME=STORE gives another name",
                s->path, s->name);
    }
    return LZR_OK;
}

/* A data file, and what of it. Its name may be anything: what a store's can't hold becomes '_'. */
static enum lzr_code add_data(struct found *all, const char *path, const char *inner,
                              const char *given, struct lzr_err *err)
{
    struct origin from = {.before = "data", .inner = inner};
    char name[LZR_MAX_NAME + 1];
    if (given != NULL) {
        return append(all, path, from, given, strlen(given), err);
    }
    if (!last_name(path, name, sizeof name)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s: no name for the store", path);
    }
    size_t stem = data_stem_length(name);
    stem = stem > 0 ? stem : strlen(name);
    for (size_t i = 0; i < stem; i++) {
        bool inside = i > 0 && name[i] == '.'; /* which a name may not begin with */
        name[i] = (char)(inside || lzr_store_name_ok(&name[i], 1) ? name[i] : '_');
    }
    return append(all, path, from, name, stem, err);
}

static int store_files_only(const struct dirent *e)
{
    return e->d_name[0] != '.' && e->d_name[0] != '_' && stem_length(e->d_name) > 0;
}

/* Whether a package's own file may be a store: it says so much as "lazarr" in its first part. */
static bool speaks_of_lazarr(const char *path)
{
    char text[65536];
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text, f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    return n > 0 && memmem(text, n, "lazarr", 6) != NULL;
}

static enum lzr_code add_folder(struct found *all, const char *folder, struct lzr_err *err)
{
    struct dirent **names = NULL;
    enum lzr_code code = LZR_OK;
    int n = scandir(folder, &names, store_files_only, alphasort);
    if (n < 0) {
        return lzr_err_sys(err, "%s: cannot read the folder", folder);
    }
    char own[4096];
    int len = snprintf(own, sizeof own, "%s/__init__.py", folder);
    bool has_own = len > 0 && (size_t)len < sizeof own && speaks_of_lazarr(own);
    if (n == 0 && !has_own) {
        code = lzr_err_set(err, LZR_E_INVAL, "%s: no .py or .json file in this folder", folder);
    }
    if (has_own) {
        code = add(all, own, (struct origin){.before = "found"}, NULL, err);
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        if (code == LZR_OK) {
            len = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
            code = len > 0 && (size_t)len < sizeof path
                       ? add(all, path, (struct origin){.before = "found"}, NULL, err)
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

/* A given path, or "NAME=STORE" where there is no such file, of which *given becomes the STORE. The
 * name, in room, or NULL: none was given. */
static enum lzr_code take_name(const char **given, char *room, const char **name,
                               struct lzr_err *err)
{
    struct stat st;
    const char *equals = strchr(*given, '=');
    *name = NULL;
    if (equals == NULL || equals == *given || stat(*given, &st) == 0 ||
        memchr(*given, '/', (size_t)(equals - *given)) != NULL) {
        return LZR_OK;
    }
    if (!lzr_store_name_ok(*given, (size_t)(equals - *given))) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "%s: a store's name may hold only A-Z, a-z, 0-9, '.', '_' and '-' "
                           "and begin with neither '.' nor '~'",
                           *given);
    }
    (void)snprintf(room, LZR_MAX_NAME + 1, "%.*s", (int)(equals - *given), *given);
    *name = room;
    *given = equals + 1;
    return LZR_OK;
}

/* "brain", after its URL, is told of brain.py. */
static enum lzr_code cannot_open(const char *given, int why, struct lzr_err *err)
{
    static const char *const endings[] = {".py", ".json"};
    char file[4096];
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && why == ENOENT; i++) {
        int n = snprintf(file, sizeof file, "%s%s", given, endings[i]);
        if (n > 0 && (size_t)n < sizeof file && access(file, F_OK) == 0) {
            errno = why;
            return lzr_err_sys(err, "%s: cannot open the store (did you mean %s?)", given, file);
        }
    }
    errno = why;
    return lzr_err_sys(err, "%s: cannot open the store", given);
}

static enum lzr_code add_given(struct found *all, const char *given, struct lzr_err *err)
{
    char file[4096], last[LZR_MAX_NAME + 1], room[LZR_MAX_NAME + 1];
    const char *inner = "", *name;
    struct stat st;
    enum lzr_code code = take_name(&given, room, &name, err);
    const char *path = given;
    if (code != LZR_OK) {
        return code;
    }
    if (is_url(given)) {
        inner = split(given, file, sizeof file);
        return inner != NULL ? add_data(all, file, inner, name, err)
                             : add_data(all, given, "", name, err);
    }
    if (stat(given, &st) != 0) {
        int missing = errno;
        inner = split(given, file, sizeof file);
        path = file;
        if (inner == NULL || stat(file, &st) != 0) {
            return cannot_open(given, missing, err);
        }
    }
    bool data = (last_name(path, last, sizeof last) && data_stem_length(last) > 0) ||
                (stem_length(last) == 0 && is_plane(path));
    if (S_ISDIR(st.st_mode) && !data) {
        data = is_container(path) || is_series(path);
    }
    if (data) {
        return add_data(all, path, inner, name, err);
    }
    if (path != given) {
        return lzr_err_set(err, LZR_E_INVAL, "%s: '::' is for data files, and %s is none", given,
                           path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return add(all, path, (struct origin){0}, name, err);
    }
    return name == NULL
               ? add_folder(all, path, err)
               : lzr_err_set(err, LZR_E_INVAL,
                             "%s=%s: a name is for one store, and this is a folder of them", name,
                             path);
}

/* "pkg.store" or "NAME=pkg.store" of -m. The worker finds the file, as Python would; here it is
 * only guessed, for what is said of it. */
static enum lzr_code add_module(struct found *all, const char *given, struct lzr_err *err)
{
    char room[LZR_MAX_NAME + 1], path[4096], tail[1024];
    const char *name;
    enum lzr_code code = take_name(&given, room, &name, err);
    if (code != LZR_OK) {
        return code;
    }
    const char *dot = strrchr(given, '.');
    int n = snprintf(tail, sizeof tail, "%s", given);
    if (n <= 0 || (size_t)n >= sizeof tail || given[strspn(given, ".")] == '\0' ||
        strchr(given, '/') != NULL) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "-m %s: expected a module's name, such as package.store", given);
    }
    for (char *c = tail; *c != '\0'; c++) {
        *c = (char)(*c == '.' ? '/' : *c);
    }
    (void)snprintf(path, sizeof path, "%s/__init__.py", tail);
    if (access(path, F_OK) != 0) {
        (void)snprintf(path, sizeof path, "%s.py", tail);
    }
    if (name == NULL) {
        const char *last = dot != NULL ? dot + 1 : given;
        lzr_store_name_make(last, strlen(last), room);
        name = room;
    }
    return append(all, path, (struct origin){.before = "module", .module = given}, name,
                  strlen(name), err);
}

enum lzr_code lzr_stores_find(const struct lzr_driver_options *o, struct lzr_named_store **out,
                              size_t *nout, struct lzr_err *err)
{
    struct found all = {0};
    enum lzr_code code = LZR_OK;
    for (size_t i = 0; i < o->nstores && code == LZR_OK; i++) {
        code = add_given(&all, o->stores[i], err);
    }
    for (size_t i = 0; i < o->nmodules && code == LZR_OK; i++) {
        code = add_module(&all, o->modules[i], err);
    }
    if (code == LZR_OK && all.n == 0) {
        code = lzr_err_set(err, LZR_E_INVAL, "no store given");
    }
    if (code == LZR_OK) {
        code = make_names(&all, o->log, err);
    }
    if (code != LZR_OK) {
        lzr_stores_free(all.items, all.n);
        return code;
    }
    *out = all.items;
    *nout = all.n;
    return LZR_OK;
}
