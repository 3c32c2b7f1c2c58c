/* system.h: what the engine takes of the system that it runs on, and what becomes of what isn't
 * there: in a container without /proc or /dev, on an old kernel, under a seccomp profile. Most has
 * a second way (process.h, base/memory_file.h, base/random.h, base/nothing.h); here is the rest. */
#ifndef LZR_ENGINE_SYSTEM_H
#define LZR_ENGINE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct lzr_log;

/* 0, 1 and 2 are a worker's standard descriptors and 3 its socket: what the server opens for it
 * lies above from now on, even when the server itself was started with them closed. */
enum lzr_code lzr_system_occupy(struct lzr_err *err);
/* The folder that this program is in: of /proc/self/exe, else of the path that it was started by.
 * False: neither is known. */
bool lzr_system_folder(char *out, size_t n);
/* Says what is missing and what is different for it. limits: workers' memory is to be measured. */
void lzr_system_say(const struct lzr_log *log, bool limits);

#endif
