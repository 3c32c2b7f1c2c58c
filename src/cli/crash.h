/* crash.h: where the process ends by a fault of its own, its last lines are written first. */
#ifndef LZR_CLI_CRASH_H
#define LZR_CLI_CRASH_H

#include "base/log.h"

/* From now on abort() and faults wait up to a second until the log's own thread has written what it
 * has; then the process ends as it would have. log: for the life of the process. */
void lzr_crash_waits(const struct lzr_log *log);

#endif
