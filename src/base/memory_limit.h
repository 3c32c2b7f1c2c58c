/* memory_limit.h: how much memory this process and its children may have together. */
#ifndef LZR_BASE_MEMORY_LIMIT_H
#define LZR_BASE_MEMORY_LIMIT_H

#include <stdint.h>

/* Bytes that the control groups allow (memory.max, memory.limit_in_bytes; cgroup.h); 0: no limit.
 * root as there. */
uint64_t lzr_memory_limit(const char *root);

#endif
