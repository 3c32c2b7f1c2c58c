#include "base/cores.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { PATH = 4096, FILE_BYTES = 1 << 16, CPUS_MOST = 1 << 17 };

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
 * controller cpu, out of /proc/self/cgroup: "4:cpu,cpuacct:/group" or "0::/group". */
static bool find_group(char *text, int version, char *out, size_t n)
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
        if (version == 2 ? *names == '\0' && strtol(line, NULL, 10) == 0 : has_name(names, "cpu")) {
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
static bool find_mount(char *text, int version, char *root, char *point, size_t n)
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
                         : strcmp(type, "cgroup") == 0 && has_name(options, "cpu")) {
            unescape(from);
            unescape(at);
            return snprintf(root, n, "%s", from) < (int)n &&
                   snprintf(point, n, "%s", at) < (int)n;
        }
    }
    return false;
}

/* What one group allows; 0: all. */
static double quota_of(const char *root, const char *folder, int version)
{
    char path[PATH + 32];
    long long quota = -1, period = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder,
                   version == 2 ? "cpu.max" : "cpu.cfs_quota_us");
    char *text = read_file(root, path);
    if (text != NULL && version == 2) { /* "150000 100000" or "max 100000" */
        if (sscanf(text, "%lld %lld", &quota, &period) != 2) {
            quota = -1;
        }
    } else if (text != NULL && sscanf(text, "%lld", &quota) == 1) {
        lzr_free(text);
        (void)snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        text = read_file(root, path);
        if (text == NULL || sscanf(text, "%lld", &period) != 1) {
            quota = -1;
        }
    }
    lzr_free(text);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

static double least(double a, double b)
{
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

/* The least of the group's and of those above it, as far as they can be seen from here. */
static double quota_up(const char *root, const char *point, const char *group, int version)
{
    char folder[2 * PATH];
    double quota = 0;
    size_t base = strlen(point);
    if (snprintf(folder, sizeof folder, "%s%s", point, group) >= PATH) {
        return 0;
    }
    for (;;) {
        size_t n = strlen(folder);
        while (n > base && folder[n - 1] == '/') {
            folder[--n] = '\0';
        }
        quota = least(quota, quota_of(root, folder, version));
        if (n <= base) {
            return quota;
        }
        *strrchr(folder, '/') = '\0';
    }
}

static double quota_in(const char *root, int version)
{
    char group[PATH], from[PATH], point[PATH];
    double quota = 0;
    char *groups = read_file(root, "/proc/self/cgroup");
    char *mounts = read_file(root, "/proc/self/mountinfo");
    if (groups != NULL && mounts != NULL && find_group(groups, version, group, sizeof group) &&
        find_mount(mounts, version, from, point, PATH)) {
        /* In a container the mount may begin at its own group, which the path names from the
         * machine's root; a path from elsewhere ("/../..") isn't visible here. */
        size_t n = strcmp(from, "/") == 0 ? 0 : strlen(from);
        bool inside = strncmp(group, from, n) == 0 && (group[n] == '/' || group[n] == '\0') &&
                      strstr(group, "/..") == NULL;
        quota = quota_up(root, point, inside ? group + n : "", version);
    }
    lzr_free(mounts);
    lzr_free(groups);
    return quota;
}

double lzr_cores_quota(const char *root)
{
    return least(quota_in(root, 2), quota_in(root, 1));
}

/* The kernel's set may be larger than cpu_set_t. */
static unsigned affinity(void)
{
    for (size_t most = 1024; most <= CPUS_MOST; most *= 4) {
        cpu_set_t *set = CPU_ALLOC(most);
        size_t size = CPU_ALLOC_SIZE(most);
        int n = 0;
        if (set == NULL) {
            break;
        }
        if (sched_getaffinity(0, size, set) == 0) {
            n = CPU_COUNT_S(size, set);
        }
        CPU_FREE(set);
        if (n > 0) {
            return (unsigned)n;
        }
    }
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (unsigned)n;
}

struct lzr_cores lzr_cores_find(const char *root)
{
    struct lzr_cores c = {.affinity = affinity(), .quota = lzr_cores_quota(root)};
    const char *slurm = getenv("SLURM_CPUS_ON_NODE");
    if (slurm != NULL && *slurm >= '0' && *slurm <= '9') {
        unsigned long n = strtoul(slurm, NULL, 10);
        c.slurm = n < CPUS_MOST ? (unsigned)n : 0;
    }
    c.n = c.affinity;
    if (c.quota > 0 && ceil(c.quota) < (double)c.n) {
        c.n = (unsigned)ceil(c.quota);
    }
    if (c.slurm > 0 && c.slurm < c.n) {
        c.n = c.slurm;
    }
    return c;
}

void lzr_cores_text(const struct lzr_cores *c, char *out, size_t n)
{
    char quota[64] = "", slurm[64] = "";
    if (c->quota > 0) {
        (void)snprintf(quota, sizeof quota, ", a quota of %.3g", c->quota);
    }
    if (c->slurm > 0) {
        (void)snprintf(slurm, sizeof slurm, ", SLURM_CPUS_ON_NODE is %u", c->slurm);
    }
    (void)snprintf(out, n, "%u core%s (%u by affinity%s%s)", c->n, c->n == 1 ? "" : "s",
                   c->affinity, quota, slurm);
}
