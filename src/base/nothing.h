/* nothing.h: descriptors that lead nowhere, also where there is no /dev/null (a bare container). */
#ifndef LZR_BASE_NOTHING_H
#define LZR_BASE_NOTHING_H

#include <stdbool.h>

/* To read from (the end, at once) or to write to (nobody gets it; without /dev/null an error,
 * EPIPE, where SIGPIPE is ignored). close-on-exec; the lowest free number, as of open(). Negative:
 * there is none, errno says why. */
int lzr_nothing_open(bool writes);

#endif
