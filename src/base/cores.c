#include "base/cores.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/mem.h"

enum { CPUS_MOST = 1 << 17 };

/* What one group allows, in cores; 0: all. */
static double quota_of(const char *root, const char *folder, int version)
{
    long long quota = -1, period = 0;
    char *text = lzr_cgroup_file(root, folder, version == 2 ? "cpu.max" : "cpu.cfs_quota_us");
    if (text != NULL && version == 2) { /* "150000 100000" or "max 100000" */
        if (sscanf(text, "%lld %lld", &quota, &period) != 2) {
            quota = -1;
        }
    } else if (text != NULL && sscanf(text, "%lld", &quota) == 1) {
        lzr_free(text);
        text = lzr_cgroup_file(root, folder, "cpu.cfs_period_us");
        if (text == NULL || sscanf(text, "%lld", &period) != 1) {
            quota = -1;
        }
    }
    lzr_free(text);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

double lzr_cores_quota(const char *root)
{
    return lzr_cgroup_least(root, "cpu", quota_of);
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
