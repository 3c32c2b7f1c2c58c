/* memory.h: how much of the memory that a container or a unit has is the cache's. */
#ifndef LZR_CLI_MEMORY_H
#define LZR_CLI_MEMORY_H

#include "base/log.h"
#include "cli/options.h"

/* Where the control groups have a limit, --cache is at most half of it unless it was given; either
 * is said, and more than half that was given is warned of: workers need the rest. */
void lzr_memory_settle(struct lzr_options *o, const struct lzr_log *log);

#endif
