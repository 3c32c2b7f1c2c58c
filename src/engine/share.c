#include "engine/share.h"

static uint64_t waited(const struct lzr_share *s, uint64_t now)
{
    return now > s->since_us ? now - s->since_us : 0;
}

bool lzr_share_asks(const struct lzr_share *s, uint64_t now)
{
    return s->waiting > s->coming && s->idle == 0 && now >= s->not_before_us &&
           (s->workers == 0 || waited(s, now) >= s->cost_us);
}

/* Whether a folder may have a place that has nothing to do for its own. */
static bool is_left(const struct lzr_share_place *p, uint64_t now)
{
    uint64_t most = p->cost_us < LZR_SHARE_TURN_US ? p->cost_us : LZR_SHARE_TURN_US;
    return !p->busy && now >= p->idle_us + most;
}

/* Whether a folder may have the place of one that goes on with its own. */
static bool may_take(const struct lzr_share *s, const struct lzr_share *own,
                     const struct lzr_share_place *p, uint64_t now)
{
    uint64_t turn = p->cost_us > LZR_SHARE_TURN_US ? p->cost_us : LZR_SHARE_TURN_US;
    return waited(s, now) >= LZR_SHARE_TURN_US && now >= p->held_us + turn &&
           (s->workers == 0 || own->workers >= s->workers + 2);
}

uint32_t lzr_share_pick(const struct lzr_share *all, uint32_t n, const struct lzr_share_place *p,
                        uint64_t now)
{
    uint32_t best = p->folder;
    for (uint32_t i = 0; i < n; i++) {
        if (i == p->folder || !lzr_share_asks(&all[i], now) ||
            (p->folder < n && !is_left(p, now) && !may_take(&all[i], &all[p->folder], p, now))) {
            continue;
        }
        if (best == p->folder || all[i].since_us < all[best].since_us) {
            best = i;
        }
    }
    return best;
}
