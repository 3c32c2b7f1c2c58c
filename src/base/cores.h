/* cores.h: how many cores this process may use, which is often fewer than the machine has.
 *
 * The least of: those it may run on (taskset, cpusets), the CPU quota of its control group and of
 * all above it (containers; version 1 and 2), and SLURM_CPUS_ON_NODE (a job's share, which Slurm
 * needn't enforce). A quota of one and a half cores counts as two, as Java's and Go's runtimes have
 * it. What can't be read limits nothing. Any thread; the environment is read. */
#ifndef LZR_BASE_CORES_H
#define LZR_BASE_CORES_H

#include <stddef.h>

struct lzr_cores {
    unsigned n;        /* at least 1 */
    unsigned affinity; /* cores it may run on */
    double quota;      /* cores, 0: none */
    unsigned slurm;    /* SLURM_CPUS_ON_NODE, 0: none */
};

/* root: "", or a folder that stands for "/" where control groups are looked up:
 * root/proc/self/cgroup, root/proc/self/mountinfo and the folders that these name. */
struct lzr_cores lzr_cores_find(const char *root);
/* "2 cores (4 by affinity, a quota of 1.5, SLURM_CPUS_ON_NODE is 3)"; what limits nothing is
 * left out. */
void lzr_cores_text(const struct lzr_cores *c, char *out, size_t n);

/* The CPU quota of this process' control groups alone, in cores; 0: none. */
double lzr_cores_quota(const char *root);

#endif
