/* cgroup.h: what the control groups of this process allow, of versions 1 and 2.
 *
 * The least of its own group's and of those of all above it, as far as they can be seen from here.
 * What can't be read limits nothing. Any thread.
 *
 * root: "", or a folder that stands for "/": root/proc/self/cgroup, root/proc/self/mountinfo and
 * the folders that these name. */
#ifndef LZR_BASE_CGROUP_H
#define LZR_BASE_CGROUP_H

/* What one group, whose folder (below root) it is, allows; 0: all. */
typedef double lzr_cgroup_reads(const char *root, const char *folder, int version);

/* controller: "cpu", "memory". 0: no limit. */
double lzr_cgroup_least(const char *root, const char *controller, lzr_cgroup_reads *reads);
/* A whole small file, terminated, to be freed with lzr_free; NULL: it isn't there, or too large. */
char *lzr_cgroup_file(const char *root, const char *folder, const char *name);

#endif
