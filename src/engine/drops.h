/* drops.h: which chunks were dropped while they ran, since nobody waited for them any more.
 *
 * Who gives up sooner than a chunk is there (a proxy's read timeout, an impatient reader) and asks
 * again would never get it, if each time its function were interrupted and began anew. So a chunk
 * that is asked for again after such a drop is computed to its end that time, whoever waits
 * (watchdog.c).
 *
 * Bounded: LZR_DROPS_MAX chunks, of those that share a bucket the oldest goes first; forgotten, a
 * chunk is only interrupted once more. What there is to say of drops is summed up here too.
 * Guarded by the driver's mutex. */
#ifndef LZR_ENGINE_DROPS_H
#define LZR_ENGINE_DROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LZR_DROPS_WAYS 8 /* chunks a bucket */
#define LZR_DROPS_MAX (512 * LZR_DROPS_WAYS)
#define LZR_DROPS_SAY_US (UINT64_C(60) * 1000000) /* from one line in the log to the next */

struct lzr_array;

struct lzr_drop {
    uint64_t index;
    uint32_t array, level;
    uint64_t age; /* the larger, the younger; 0: empty */
};

struct lzr_drops {
    struct lzr_drop *entries; /* LZR_DROPS_MAX of them once the first drop came */
    uint64_t last_age;
    uint32_t n;
    /* Since the last line. */
    uint64_t said_us; /* when it was written; 0: none was */
    uint64_t unsaid;  /* drops */
    const struct lzr_array *longest;
    uint64_t longest_index, longest_us;
};

void lzr_drops_init(struct lzr_drops *t);
void lzr_drops_release(struct lzr_drops *t);

/* Remembers a chunk. Out of memory: it isn't, which only costs another try. */
void lzr_drops_note(struct lzr_drops *t, uint32_t array, uint32_t level, uint64_t index);
bool lzr_drops_has(const struct lzr_drops *t, uint32_t array, uint32_t level, uint64_t index);
/* Somebody got the chunk. */
void lzr_drops_forget(struct lzr_drops *t, uint32_t array, uint32_t level, uint64_t index);

/* Counts a drop of a block of array a, which ran for so long, for the line. */
void lzr_drops_count(struct lzr_drops *t, const struct lzr_array *a, uint64_t index, uint64_t ran);
/* Whether there is something to say: true with the line in text, which is then counted as said.
 * At once for the first drop, then once in LZR_DROPS_SAY_US, or when this is the last chance. */
bool lzr_drops_line(struct lzr_drops *t, uint64_t now_us, bool last, char *text, size_t n);

#endif
