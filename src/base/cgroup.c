#include "base/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { PATH = 4096, FILE_BYTES = 1 << 16 };

/* A whole small file, terminated; NULL: it isn't there, or too large. */
static char *read_file(const char *root, const char *path)
{
    char full[2 * PATH];
    if (snprintf(full, sizeof full, "%s%s", root, path) >= (int)sizeof full) {
        return NULL;
    }
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? lzr_malloc(FILE_BYTES) : NULL;
    size_t len = 0;
    while (text != NULL && len < FILE_BYTES - 1) {
        ssize_t n = read(fd, text + len, FILE_BYTES - 1 - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    if (text != NULL) {
        text[len] = '\0';
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

/* Whether name is one of those in a list that commas separate. */
static bool has_name(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0')) {
            return true;
        }
    }
    return false;
}

/* This process' group in the hierarchy of version 2, or in that of version 1 which has the
 * controller, out of /proc/self/cgroup: "4:cpu,cpuacct:/group" or "0::/group". */
static bool find_group(char *text, int version, const char *controller, char *out, size_t n)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(line, ':');
        char *group = names != NULL ? strchr(names + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *group++ = '\0';
        names++;
        if (version == 2 ? *names == '\0' && strtol(line, NULL, 10) == 0
                         : has_name(names, controller)) {
            return snprintf(out, n, "%s", group) < (int)n;
        }
    }
    return false;
}

/* Blanks in mountinfo are written as \040, and so on. */
static void unescape(char *s)
{
    char *to = s;
    for (; *s != '\0'; s++) {
        if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* Where that hierarchy is mounted, and which of its groups is the root there. A line of mountinfo:
 * "36 35 98:0 /group /sys/fs/cgroup/cpu rw … - cgroup cgroup rw,cpu,cpuacct". */
static bool find_mount(char *text, int version, const char *controller, char *root, char *point,
                       size_t n)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *rest = strstr(line, " - "), type[32], options[512];
        char from[PATH], at[PATH];
        if (rest == NULL || sscanf(rest, " - %31s %*s %511s", type, options) != 2 ||
            sscanf(line, "%*s %*s %*s %4095s %4095s", from, at) != 2) {
            continue;
        }
        if (version == 2 ? strcmp(type, "cgroup2") == 0
                         : strcmp(type, "cgroup") == 0 && has_name(options, controller)) {
            unescape(from);
            unescape(at);
            return snprintf(root, n, "%s", from) < (int)n &&
                   snprintf(point, n, "%s", at) < (int)n;
        }
    }
    return false;
}

char *lzr_cgroup_file(const char *root, const char *folder, const char *name)
{
    char path[PATH + 64];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path
               ? read_file(root, path)
               : NULL;
}

static double least(double a, double b)
{
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

/* The least of the group's and of those above it, as far as they can be seen from here. */
static double least_up(const char *root, const char *point, const char *group, int version,
                       lzr_cgroup_reads *reads)
{
    char folder[2 * PATH];
    double found = 0;
    size_t base = strlen(point);
    if (snprintf(folder, sizeof folder, "%s%s", point, group) >= PATH) {
        return 0;
    }
    for (;;) {
        size_t n = strlen(folder);
        while (n > base && folder[n - 1] == '/') {
            folder[--n] = '\0';
        }
        found = least(found, reads(root, folder, version));
        if (n <= base) {
            return found;
        }
        *strrchr(folder, '/') = '\0';
    }
}

static double least_in(const char *root, int version, const char *controller,
                       lzr_cgroup_reads *reads)
{
    char group[PATH], from[PATH], point[PATH];
    double found = 0;
    char *groups = read_file(root, "/proc/self/cgroup");
    char *mounts = read_file(root, "/proc/self/mountinfo");
    if (groups != NULL && mounts != NULL &&
        find_group(groups, version, controller, group, sizeof group) &&
        find_mount(mounts, version, controller, from, point, PATH)) {
        /* In a container the mount may begin at its own group, which the path names from the
         * machine's root; a path from elsewhere ("/../..") isn't visible here. */
        size_t n = strcmp(from, "/") == 0 ? 0 : strlen(from);
        bool inside = strncmp(group, from, n) == 0 && (group[n] == '/' || group[n] == '\0') &&
                      strstr(group, "/..") == NULL;
        found = least_up(root, point, inside ? group + n : "", version, reads);
    }
    lzr_free(mounts);
    lzr_free(groups);
    return found;
}

double lzr_cgroup_least(const char *root, const char *controller, lzr_cgroup_reads *reads)
{
    return least(least_in(root, 2, controller, reads), least_in(root, 1, controller, reads));
}
