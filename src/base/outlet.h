/* outlet.h: where a ring's lines go, and what they look like there. One thread, the ring's; open
 * may wait for a file system as long as that likes. */
#ifndef LZR_BASE_OUTLET_H
#define LZR_BASE_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_line.h"

#define LZR_OUTLET_FILE 65536 /* bytes that are written at once, to a file */
/* ... and to all else, of which a pipe that can be written takes so many. */
#define LZR_OUTLET_PIECE 4096

struct lzr_outlet {
    const char *path; /* of a file of its own; NULL: fd is another's */
    int fd;
    bool json;
    size_t piece;
    uint64_t day_second; /* whose text is in day */
    char day[40];
    char line[LZR_LOG_LINE + 1]; /* the one that was made last */
};

void lzr_outlet_init(struct lzr_outlet *o, const char *path, int fd, bool json);
/* Opens the file, for the first time or again; the old one is closed then. False: errno says why,
 * and it is as it was. */
bool lzr_outlet_open(struct lzr_outlet *o);
void lzr_outlet_close(struct lzr_outlet *o);
/* Makes a line of a record in o->line; returns how many bytes. flags: LZR_RING_*. */
size_t lzr_outlet_line(struct lzr_outlet *o, unsigned flags, uint64_t put_us, const char *text,
                       size_t n);

#endif
