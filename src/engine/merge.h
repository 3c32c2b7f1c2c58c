/* merge.h: how what a listing found becomes a started plan: its nodes are wanted from then on;
 * inside of the engine.
 *
 * A slice at a time, as the driver's mutex is held. No other plan may start meanwhile (the planner
 * sees to that), but others may end. All with the driver's mutex. */
#ifndef LZR_ENGINE_MERGE_H
#define LZR_ENGINE_MERGE_H

#include <stdint.h>

struct lzr_driver;
struct lzr_flight;
struct lzr_listing;
struct lzr_merge;
struct lzr_started;

enum lzr_merged {
    LZR_MERGE_MORE,
    LZR_MERGE_DONE,
    LZR_MERGE_STALE /* others have started, or ended, what this listed: to be listed anew */
};

/* Of a listing that is complete. NULL: no memory. */
struct lzr_merge *lzr_merge_new(struct lzr_driver *d, const struct lzr_listing *l);
/* Goes on with up to `most` nodes. */
enum lzr_merged lzr_merge_some(struct lzr_driver *d, struct lzr_listing *l, struct lzr_merge *m,
                               uint32_t most);
/* When that is DONE: the plan, its nodes in order; the caller's, to be filled and started. */
struct lzr_started *lzr_merge_take(const struct lzr_listing *l, struct lzr_merge *m);
/* What was merged so far, and not taken, is wanted no more. work: as in lzr_wanted_forget. */
void lzr_merge_free(struct lzr_driver *d, struct lzr_merge **m, struct lzr_flight **work);
/* Nodes that nobody else has listed, or that have ended since. */
uint32_t lzr_merge_count(const struct lzr_listing *l);
/* Frees a plan that is in no list: takes back its wishes. */
void lzr_started_free(struct lzr_driver *d, struct lzr_started *p, struct lzr_flight **work);

#endif
