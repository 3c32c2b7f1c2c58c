#include "engine/root.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* Takes the last name off a path "/a/b"; "/" stays. */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
}

/* The absolute path without ".", ".." and double slashes, in room for all of both. */
static void add_names(char *out, const char *path)
{
    size_t len = strlen(out);
    while (*path != '\0') {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            go_up(out);
            len = strlen(out);
        } else if (n > 0 && !(n == 1 && path[0] == '.')) {
            if (len > 1) {
                out[len++] = '/';
            }
            memcpy(out + len, path, n);
            len += n;
            out[len] = '\0';
        }
        path += n + (path[n] == '/');
    }
}

static bool is_package(const char *folder)
{
    size_t n = strlen(folder) + sizeof "/__init__.py";
    char *file = lzr_malloc(n);
    bool is = false;
    if (file != NULL) {
        (void)snprintf(file, n, "%s/__init__.py", folder);
        is = access(file, F_OK) == 0;
    }
    lzr_free(file);
    return is;
}

char *lzr_root_of(const char *path)
{
    char *here = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *out = path[0] == '/' || here != NULL
                    ? lzr_malloc((here != NULL ? strlen(here) : 0) + strlen(path) + 3)
                    : NULL;
    if (out != NULL) {
        memcpy(out, "/", 2);
        if (here != NULL) {
            add_names(out, here);
        }
        add_names(out, path);
        go_up(out);
        while (strcmp(out, "/") != 0 && is_package(out)) {
            go_up(out);
        }
    }
    free(here); /* getcwd's own allocation */
    return out;
}
