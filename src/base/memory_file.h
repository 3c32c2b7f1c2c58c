/* memory_file.h: memory that another process is given by a descriptor.
 *
 * A memfd, whose length can be sealed. Where memfd_create isn't there or isn't allowed (Linux
 * before 3.17, a seccomp profile) a file without a name in /dev/shm, $TMPDIR or /tmp, which can't:
 * whoever has it can cut it, and reading behind its end is SIGBUS. */
#ifndef LZR_BASE_MEMORY_FILE_H
#define LZR_BASE_MEMORY_FILE_H

#include <stdbool.h>

#include "base/err.h"

/* close-on-exec, of 0 bytes. Negative: err names what is missing. */
int lzr_memory_file(const char *name, struct lzr_err *err);
/* F_SEAL_* of <fcntl.h>, before anybody else has it. True also for a file that can't be sealed. */
bool lzr_memory_seal(int fd, int seals);
/* Whether it is one that can't be sealed. */
bool lzr_memory_unsealable(int fd);

#endif
