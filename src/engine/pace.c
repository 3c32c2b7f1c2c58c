#include "engine/pace.h"

void lzr_pace_note(struct lzr_pace *p, bool first, uint64_t us)
{
    if (first) {
        p->firsts++;
        p->first_us += us;
    } else {
        p->laters++;
        p->later_us += us;
    }
}

/* Mean time of a block in a worker that is warm, at most; UINT64_MAX: not known. */
static uint64_t mean(const struct lzr_pace *p)
{
    return p->laters > 0 ? p->later_us / p->laters
           : p->firsts > 0 ? p->first_us / p->firsts
                           : UINT64_MAX;
}

/* What a worker's first block takes beyond those that follow it. */
static uint64_t warm_up(const struct lzr_pace *p)
{
    uint64_t first = p->firsts > 0 ? p->first_us / p->firsts : 0;
    return p->laters > 0 && first > mean(p) ? first - mean(p) : 0;
}

bool lzr_pace_interrupt(const struct lzr_pace *p, uint64_t running)
{
    uint64_t m = mean(p);
    /* One that takes longer than its array's blocks do will on average take as long again. */
    return m == UINT64_MAX || (running < m ? m - running : running) > LZR_WORTH_US;
}

bool lzr_pace_kill(const struct lzr_pace *p, uint64_t running, uint64_t told, uint64_t start_cost)
{
    uint64_t m = mean(p), twice = 2 * (start_cost + warm_up(p));
    uint64_t limit = twice < LZR_ABANDON_US     ? LZR_ABANDON_US
                     : twice > LZR_ABANDON_MOST ? LZR_ABANDON_MOST
                                                : twice;
    if (told < limit) {
        return false;
    }
    if (m == UINT64_MAX || running / 2 >= m) {
        return true; /* nothing says that it will ever end */
    }
    uint64_t left = running < m ? m - running : m;
    return left > (limit > LZR_AWAIT_US ? limit : LZR_AWAIT_US);
}
