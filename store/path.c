#include "store/path.h"

#include <string.h>

#include "lazarr/limits.h"

static bool is_allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Names that mean something else in one of the formats, wherever they stand in a path. */
static const char *const TAKEN[] = {".",    "..", "zarr.json", "attributes.json",
                                    "info", "c",  "labels"};

static enum lzr_code check_characters(const char *s, size_t n, struct lzr_err *err)
{
    if (n == 0) {
        return lzr_err_set(err, LZR_E_INVAL, "path has an empty segment");
    }
    if (n > LZR_MAX_NAME) {
        return lzr_err_set(err, LZR_E_LIMIT, "path has a segment of %zu bytes, the limit is %d", n,
                           LZR_MAX_NAME);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_allowed(s[i])) {
            return lzr_err_set(err, LZR_E_INVAL,
                               "path segment \"%.*s\" must be made of A-Z a-z 0-9 . _ -", (int)n,
                               s);
        }
    }
    return LZR_OK;
}

static enum lzr_code check_segment(const char *s, size_t n, struct lzr_err *err)
{
    enum lzr_code code = check_characters(s, n, err);
    if (code != LZR_OK) {
        return code;
    }
    bool taken = (n >= 2 && (memcmp(s, ".z", 2) == 0 || memcmp(s, "__", 2) == 0));
    for (size_t i = 0; i < sizeof TAKEN / sizeof TAKEN[0]; i++) {
        taken = taken || (strlen(TAKEN[i]) == n && memcmp(TAKEN[i], s, n) == 0);
    }
    if (taken) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "path segment \"%.*s\" is reserved (., .., .z*, zarr.json, "
                           "attributes.json, info, c, labels, __*)",
                           (int)n, s);
    }
    return LZR_OK;
}

enum lzr_code lzr_path_check(const char *path, struct lzr_err *err)
{
    size_t n = strlen(path);
    if (n > LZR_MAX_PATH) {
        return lzr_err_set(err, LZR_E_LIMIT, "path has %zu bytes, the limit is %d", n,
                           LZR_MAX_PATH);
    }
    for (;;) {
        size_t segment = strcspn(path, "/");
        enum lzr_code code = check_segment(path, segment, err);
        if (code != LZR_OK || path[segment] == '\0') {
            return code;
        }
        path += segment + 1;
    }
}

enum lzr_code lzr_path_check_store(const char *name, struct lzr_err *err)
{
    enum lzr_code code = check_characters(name, strlen(name), err);
    if (code == LZR_OK && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)) {
        code = lzr_err_set(err, LZR_E_INVAL, "\"%s\" is no name", name);
    }
    if (code != LZR_OK) {
        lzr_err_prefix(err, "store name");
    }
    return code;
}

int lzr_path_compare(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    /* 0 for the end, 1 for '/', others above. */
    int x = *a == '/' ? 1 : (unsigned char)*a, y = *b == '/' ? 1 : (unsigned char)*b;
    return x - y;
}

bool lzr_path_holds(const char *outer, const char *inner)
{
    size_t n = strlen(outer);
    return n == 0 || (strncmp(outer, inner, n) == 0 && (inner[n] == '\0' || inner[n] == '/'));
}
