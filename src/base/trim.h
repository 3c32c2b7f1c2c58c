/* trim.h: gives back what malloc keeps of memory that was freed between what lives on: thousands of
 * connections that were open at once leave their pools so.
 *
 * One thread looks now and then (lzr_trim_look), one that nobody waits for: giving back takes
 * milliseconds. lzr_trim_due and lzr_trim_done are the rule, without any call out. */
#ifndef LZR_BASE_TRIM_H
#define LZR_BASE_TRIM_H

#include <stdbool.h>
#include <stdint.h>

#define LZR_TRIM_SLACK (UINT64_C(24) << 20) /* resident beyond what is in use: worth looking for */
#define LZR_TRIM_SHORT UINT64_C(1000000)    /* microseconds until it is looked again ... */
#define LZR_TRIM_LONG UINT64_C(16000000)    /* ... at most, after looking has found little */

struct lzr_trim {
    uint64_t next_us;  /* not before then */
    uint64_t pause_us; /* since when the last one found little, doubled each time */
};

/* Whether to trim now. resident: bytes of the process's own; used: those known to be in use. */
bool lzr_trim_due(const struct lzr_trim *t, uint64_t now_us, uint64_t resident, uint64_t used);
/* What a trim has changed. */
void lzr_trim_done(struct lzr_trim *t, uint64_t now_us, uint64_t before, uint64_t after);

/* Looks, and trims where it is due. Starts with a zeroed lzr_trim; does nothing without /proc. */
void lzr_trim_look(struct lzr_trim *t, uint64_t now_us, uint64_t used);

#endif
