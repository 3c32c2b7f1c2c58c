#include "base/memory_limit.h"

#include <stdio.h>

#include "base/cgroup.h"
#include "base/mem.h"

/* Version 1 has no word for no limit, but a number that no machine has. */
#define NONE 1152921504606846976.0 /* 2^60 */

static double memory_of(const char *root, const char *folder, int version)
{
    double bytes = 0;
    char *text =
        lzr_cgroup_file(root, folder, version == 2 ? "memory.max" : "memory.limit_in_bytes");
    if (text == NULL || sscanf(text, "%lf", &bytes) != 1 || !(bytes > 0) || bytes >= NONE) {
        bytes = 0; /* "max", too */
    }
    lzr_free(text);
    return bytes;
}

uint64_t lzr_memory_limit(const char *root)
{
    return (uint64_t)lzr_cgroup_least(root, "memory", memory_of);
}
