/* failures.h: what went wrong with a chunk lately, so that it isn't tried again at once.
 *
 * A viewer asks again within milliseconds, tensorstore 32 times: a remembered failure answers them
 * without running anything. It holds for LZR_FAILURE_FIRST_US, twice as long at each repeat, up to
 * LZR_FAILURE_MOST_US. The first kill at a deadline is only counted (asking again runs again); the
 * second is remembered (design 3).
 *
 * Bounded: LZR_FAILURES_MAX entries, the oldest goes first. Guarded by the driver's mutex. */
#ifndef LZR_ENGINE_FAILURES_H
#define LZR_ENGINE_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LZR_FAILURES_MAX 1024
#define LZR_FAILURE_TEXT_MAX 8192 /* bytes of a text that are kept */
#define LZR_FAILURE_FIRST_US (UINT64_C(5) * 1000000)
#define LZR_FAILURE_MOST_US (UINT64_C(300) * 1000000)

struct lzr_failure {
    uint32_t array, level;
    uint64_t index;
    enum lzr_code code;
    uint32_t count;    /* times it failed */
    uint64_t until_us; /* remembered until then; 0: only counted */
    uint64_t last_us;
    char *text; /* may be NULL */
    /* Of a chunk that needs one which failed (needs.h): */
    unsigned hops;
    const struct lzr_array *cause;
    char *path; /* NULL: it failed itself */
};

struct lzr_array;
struct lzr_why;

struct lzr_failures {
    struct lzr_failure *entries; /* LZR_FAILURES_MAX of them once the first failure came */
    uint32_t n;
};

void lzr_failures_init(struct lzr_failures *t);
void lzr_failures_release(struct lzr_failures *t);

/* Notes a failure. Returns true when it is now remembered (answer "don't ask again soon"), false
 * when only counted. text is copied. Out of memory: not remembered, which only costs another try.
 */
bool lzr_failures_note(struct lzr_failures *t, uint32_t array, uint32_t level, uint64_t index,
                       enum lzr_code code, const char *text, uint64_t now_us);
/* Notes that a chunk can't be made since one that it needs has failed: remembered as long as that
 * one is. */
void lzr_failures_note_why(struct lzr_failures *t, uint32_t array, uint32_t level, uint64_t index,
                           const struct lzr_why *why, uint64_t now_us);
/* The failure that is remembered for this chunk now, or NULL. Borrowed until the next call. */
const struct lzr_failure *lzr_failures_recall(const struct lzr_failures *t, uint32_t array,
                                              uint32_t level, uint64_t index, uint64_t now_us);
/* A chunk that came out well forgets its failures. */
void lzr_failures_forget(struct lzr_failures *t, uint32_t array, uint32_t level, uint64_t index);

#endif
