#include "engine/store_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "lazarr/limits.h"

/* Takes the last name off a path of n bytes, without its slash; the length left. */
static size_t without_last(const char *path, size_t n)
{
    while (n > 0 && path[n - 1] != '/') {
        n--;
    }
    return n > 0 ? n - 1 : 0;
}

static bool is_link(char *path, size_t n)
{
    struct stat st;
    path[n] = '\0';
    return lstat(path, &st) != 0 || S_ISLNK(st.st_mode);
}

/* One name of a path behind what out has so far, n bytes; the new length. */
static size_t add_name(char *out, size_t n, const char *name, size_t len)
{
    bool up = len == 2 && name[0] == '.' && name[1] == '.';
    if (len == 0 || (len == 1 && name[0] == '.') || (up && n == 0)) {
        return n;
    }
    if (up && strcmp(out + without_last(out, n), "/..") != 0 && !is_link(out, n)) {
        return without_last(out, n);
    }
    out[n++] = '/';
    memcpy(out + n, name, len);
    out[n + len] = '\0';
    return n + len;
}

char *lzr_path_absolute(const char *path)
{
    char *here = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    if (path[0] != '/' && here == NULL) {
        return NULL;
    }
    size_t room = (here != NULL ? strlen(here) : 0) + strlen(path) + 3, n = 0;
    char *out = lzr_malloc(room);
    const char *parts[] = {here != NULL ? here : "", path};
    if (out == NULL) {
        errno = ENOMEM;
    } else {
        out[0] = '\0';
    }
    for (size_t i = 0; out != NULL && i < 2; i++) {
        for (const char *p = parts[i]; *p != '\0';) {
            size_t len = strcspn(p, "/");
            n = add_name(out, n, p, len);
            p += len + (p[len] == '/');
        }
        out[n] = '\0';
    }
    if (out != NULL && n == 0) {
        memcpy(out, "/", 2);
    }
    free(here); /* getcwd's own allocation */
    return out;
}

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool lzr_store_name_ok(const char *s, size_t n)
{
    if (n == 0 || n > LZR_MAX_NAME || s[0] == '.' || s[0] == '~') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!plain(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-') {
            return false;
        }
    }
    return true;
}

/* The number of the UTF-8 character at s, and its bytes; a byte that begins none is one. */
static unsigned long character(const unsigned char *s, size_t n, size_t *bytes)
{
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 1;
    unsigned long c = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));
    *bytes = 1;
    if (len > n) {
        return s[0];
    }
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return s[0];
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    *bytes = len;
    return c;
}

void lzr_store_name_make(const char *file, size_t n, char *out)
{
    bool any = false;
    size_t len = 0, bytes;
    for (size_t i = 0; i < n; i++) {
        any = any || plain(file[i]);
    }
    for (size_t i = 0; i < n; i += bytes) {
        char one[16] = {'_'};
        unsigned long c = character((const unsigned char *)file + i, n - i, &bytes);
        if (lzr_store_name_ok(file + i, 1) || (len > 0 && file[i] == '.')) {
            one[0] = file[i];
        } else if (!any && c >= 0x80) {
            (void)snprintf(one, sizeof one, "u%04lx", c & 0x1fffff);
        }
        if (len + strlen(one) > LZR_MAX_NAME) {
            break;
        }
        memcpy(out + len, one, strlen(one));
        len += strlen(one);
    }
    out[len] = '\0';
}
