#include "engine/root.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "engine/store_path.h"

/* Takes the last name off a path "/a/b"; "/" stays. */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
}

/* A folder that import can't name is none: lazarr/_modules.py, root_of, has the same rule. */
static bool is_package(const char *folder)
{
    size_t n = strlen(folder) + sizeof "/__init__.py";
    char *file = strchr(strrchr(folder, '/'), '.') == NULL ? lzr_malloc(n) : NULL;
    struct stat st;
    bool is = false;
    if (file != NULL) {
        (void)snprintf(file, n, "%s/__init__.py", folder);
        is = stat(file, &st) == 0 && S_ISREG(st.st_mode);
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
