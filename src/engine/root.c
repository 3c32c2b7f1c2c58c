#include "engine/root.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/store_path.h"

/* Takes the last name off a path "/a/b"; "/" stays. */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
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
    char *out = lzr_path_absolute(path);
    if (out != NULL) {
        go_up(out);
        while (strcmp(out, "/") != 0 && is_package(out)) {
            go_up(out);
        }
    }
    return out;
}
