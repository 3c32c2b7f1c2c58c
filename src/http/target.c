#include "http/target.h"

#include <string.h>
#include <strings.h>

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* No "." or ".." segment; a trailing slash is fine. */
static bool canonical(const char *key, size_t n)
{
    size_t start = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && key[i] != '/') {
            continue;
        }
        size_t len = i - start;
        if ((len == 1 && key[start] == '.') ||
            (len == 2 && key[start] == '.' && key[start + 1] == '.')) {
            return false;
        }
        start = i + 1;
    }
    return true;
}

size_t lzr_target_authority(const char *raw, size_t n)
{
    size_t i = n >= 7 && strncasecmp(raw, "http://", 7) == 0    ? 7
               : n >= 8 && strncasecmp(raw, "https://", 8) == 0 ? 8
                                                                : 0;
    while (i > 0 && i < n && raw[i] != '/' && raw[i] != '?') {
        i++;
    }
    return i;
}

size_t lzr_target_path(const char *raw, size_t n)
{
    size_t i = lzr_target_authority(raw, n);
    while (i + 1 < n && raw[i] == '/' && raw[i + 1] == '/') {
        i++;
    }
    return i;
}

/* Whether a path begins with what only this server's do. */
static bool is_ours(const char *path, size_t n)
{
    static const char *const roots[] = {"zarr2", "zarr3", "n5",     "precomputed", "bdv", "view",
                                        "array", "api",   "healthz", "readyz", "metrics", "t"};
    size_t skip = lzr_target_path(path, n) + 1, len = 0;
    while (skip + len < n && strchr("/?", path[skip + len]) == NULL) {
        len++;
    }
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        if (strlen(roots[i]) == len && memcmp(path + skip, roots[i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* Bytes of a path that are this folder, slashes in a row as one in both; 0: it doesn't begin so. */
static size_t same_path(const char *path, size_t n, const char *folder, size_t nfolder)
{
    size_t i = 0;
    for (size_t k = 0; k < nfolder; k++) {
        if (k > 0 && folder[k] == '/' && folder[k - 1] == '/') {
            continue;
        }
        while (i > 0 && i < n && path[i] == '/' && path[i - 1] == '/') {
            i++;
        }
        if (i == n || path[i] != folder[k]) {
            return 0;
        }
        i++;
    }
    return i;
}

size_t lzr_target_folder(const char *path, size_t n, const char *folder, size_t nfolder)
{
    size_t skipped = nfolder > 0 ? same_path(path, n, folder, nfolder) : 0;
    if (skipped == 0) {
        return 0;
    }
    const char *rest = path + skipped;
    size_t left = n - skipped;
    if (left > 0 && *rest != '/' && *rest != '?') {
        return 0; /* "/database" isn't in "/data" */
    }
    size_t skip = left > 0 && *rest == '/' ? lzr_target_path(rest, left) + 1 : 0;
    bool root = skip == left || rest[skip] == '?';
    return (root ? !is_ours(folder, nfolder) : is_ours(rest, left)) ? skipped : 0;
}

bool lzr_target_is_clean(const char *raw, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)raw[i];
        if (c < 0x21 || c == 0x7f || c == '#') { /* bytes above are merely no key */
            return false;
        }
    }
    return n > 0;
}

void lzr_target_parse(const char *raw, size_t n, struct lzr_target *out)
{
    size_t skip = lzr_target_authority(raw, n);
    raw += skip;
    n -= skip;
    const char *q = memchr(raw, '?', n);
    size_t path = q != NULL ? (size_t)(q - raw) : n;
    out->kind = LZR_TARGET_BAD;
    out->len = 0;
    out->slash = false;
    out->query = q != NULL ? q + 1 : NULL;
    out->key[0] = '\0';
    if (skip > 0 && path == 0) { /* "http://host" is its root */
        out->slash = true;
        out->kind = LZR_TARGET_KEY;
        return;
    }
    if (path == 0 || raw[0] != '/') {
        return;
    }
    bool odd = false;
    for (size_t i = 1; i < path; i++) {
        unsigned char c = (unsigned char)raw[i];
        if (c == '%') {
            int hi = i + 2 < path ? hex(raw[i + 1]) : -1;
            int lo = i + 2 < path ? hex(raw[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                return;
            }
            c = (unsigned char)(hi * 16 + lo);
            i += 2;
            odd = odd || c == '/'; /* a name holds no slash: "a%2Fb" is not "a/b" */
        } else if (c < 0x21 || c == 0x7f) {
            return; /* never in a target that a client may send */
        }
        odd = odd || c < 0x20 || c == 0x7f || c == '\\';
        if (raw[i] == '/' && raw[i - 1] == '/') {
            continue;
        }
        if (out->len == LZR_MAX_KEY) {
            out->kind = LZR_TARGET_NOTHING;
            return;
        }
        out->key[out->len++] = (char)c;
    }
    out->key[out->len] = '\0';
    out->slash = out->len == 0 || out->key[out->len - 1] == '/';
    out->kind = odd || !canonical(out->key, out->len) ? LZR_TARGET_NOTHING : LZR_TARGET_KEY;
}

/* What stands behind the parameter's name: '=', '&' or the end; NULL: it isn't there. */
static const char *find_parameter(const char *query, const char *name)
{
    size_t n = strlen(name);
    while (query != NULL && *query != '\0') {
        if (strncmp(query, name, n) == 0 &&
            (query[n] == '\0' || query[n] == '=' || query[n] == '&')) {
            return query + n;
        }
        query = strchr(query, '&');
        query = query != NULL ? query + 1 : NULL;
    }
    return NULL;
}

bool lzr_query_has(const char *query, const char *name)
{
    return find_parameter(query, name) != NULL;
}

size_t lzr_query_number(const char *query, const char *name, size_t otherwise)
{
    const char *p = find_parameter(query, name);
    size_t v = 0;
    if (p == NULL || *p != '=' || p[1] < '0' || p[1] > '9') {
        return otherwise;
    }
    while (*++p >= '0' && *p <= '9') {
        if (__builtin_mul_overflow(v, (size_t)10, &v) ||
            __builtin_add_overflow(v, (size_t)(*p - '0'), &v)) {
            return otherwise;
        }
    }
    return *p == '\0' || *p == '&' ? v : otherwise;
}

int lzr_query_value(const char *query, const char *name, char *out, size_t n)
{
    size_t len = strlen(name), k = 0;
    while (query != NULL && (strncmp(query, name, len) != 0 || query[len] != '=')) {
        query = strchr(query, '&');
        query = query != NULL ? query + 1 : NULL;
    }
    if (query == NULL) {
        return 0;
    }
    for (const char *p = query + len + 1; *p != '\0' && *p != '&'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '%') {
            int hi = hex(p[1]), lo = hi < 0 ? -1 : hex(p[2]);
            if (lo < 0) {
                return -1;
            }
            c = (unsigned char)(hi * 16 + lo);
            p += 2;
        }
        if (c == '\0' || k + 1 >= n) {
            return -1;
        }
        out[k++] = (char)c;
    }
    out[k] = '\0';
    return 1;
}
