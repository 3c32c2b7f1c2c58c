/* random.h: bytes that nobody can guess.
 *
 * From the kernel: getrandom, or /dev/urandom where that isn't there or isn't allowed (an old
 * seccomp profile). Any thread. */
#ifndef LZR_BASE_RANDOM_H
#define LZR_BASE_RANDOM_H

#include <stddef.h>

#include "base/err.h"

/* Fills n bytes. On failure the text names both ways. */
enum lzr_code lzr_random(void *out, size_t n, struct lzr_err *err);

#endif
