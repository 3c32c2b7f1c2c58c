#include "http/unread.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int order(uintptr_t a, uintptr_t b)
{
    return (a > b) - (a < b);
}

static int by_blob(const void *x, const void *y)
{
    const struct lzr_unread *a = x, *b = y;
    int c = order((uintptr_t)a->pool, (uintptr_t)b->pool);
    return c != 0 ? c : order((uintptr_t)a->blob, (uintptr_t)b->blob);
}

static int by_address(const void *x, const void *y)
{
    const struct lzr_unread *a = x, *b = y;
    int c = order((uintptr_t)a->pool, (uintptr_t)b->pool);
    c = c != 0 ? c : memcmp(a->who, b->who, sizeof a->who);
    return c != 0 ? c : order((uintptr_t)a->blob, (uintptr_t)b->blob);
}

static int by_age(const void *x, const void *y)
{
    const struct lzr_unread *a = x, *b = y;
    int c = order((uintptr_t)a->pool, (uintptr_t)b->pool);
    return c != 0 ? c : (a->since_us > b->since_us) - (a->since_us < b->since_us);
}

/* Of one budget. */
struct sums {
    uint64_t *address; /* what each address holds */
    size_t *mine;      /* answers of one address with one blob */
    size_t *whole;     /* answers of all with one blob */
    uint64_t total;
    size_t addresses;
};

/* One budget's answers, numbered by address and by blob, and what they come to. */
static void sum_up(struct lzr_unread *u, size_t n, struct sums *s)
{
    size_t blobs = 0, mine = 0;
    s->total = 0;
    s->addresses = 0;
    qsort(u, n, sizeof *u, by_blob);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || u[i].blob != u[i - 1].blob) {
            s->whole[blobs++] = 0;
            s->total += u[i].bytes;
        }
        u[i].whole = blobs - 1;
        s->whole[blobs - 1]++;
    }
    qsort(u, n, sizeof *u, by_address);
    for (size_t i = 0; i < n; i++) {
        bool other = i == 0 || memcmp(u[i].who, u[i - 1].who, sizeof u[i].who) != 0;
        if (other) {
            s->address[s->addresses++] = 0;
        }
        if (other || u[i].blob != u[i - 1].blob) {
            s->mine[mine++] = 0;
            s->address[s->addresses - 1] += u[i].bytes;
        }
        u[i].address = s->addresses - 1;
        u[i].mine = mine - 1;
        s->mine[mine - 1]++;
    }
}

/* The longest first, until everything is within its bounds. In the total's name only those go that
 * hold as much as the others on average. */
static size_t choose(struct lzr_unread *u, size_t n, struct sums *s)
{
    size_t ended = 0, before;
    uint64_t limit = u[0].limit;
    uint64_t each = limit / 2 > LZR_UNREAD_LEAST ? limit / 2 : LZR_UNREAD_LEAST;
    uint64_t all = each + each / 2;
    qsort(u, n, sizeof *u, by_age);
    do { /* once, unless addresses have the same blobs: then some go in vain at first */
        before = ended;
        for (size_t i = 0; i < n; i++) {
            uint64_t *his = &s->address[u[i].address];
            if (u[i].end ||
                (*his <= each && (s->total <= all || *his < s->total / s->addresses))) {
                continue;
            }
            u[i].end = true;
            ended++;
            *his -= --s->mine[u[i].mine] == 0 ? u[i].bytes : 0;
            s->total -= --s->whole[u[i].whole] == 0 ? u[i].bytes : 0;
        }
    } while (s->total > all && ended > before);
    return ended;
}

size_t lzr_unread_reckon(struct lzr_unread *u, size_t n)
{
    struct sums s = {.address = lzr_calloc(n, sizeof *s.address),
                     .mine = lzr_calloc(n, sizeof *s.mine),
                     .whole = lzr_calloc(n, sizeof *s.whole)};
    size_t ended = 0;
    if (n > 0 && s.address != NULL && s.mine != NULL && s.whole != NULL) {
        qsort(u, n, sizeof *u, by_blob);
        for (size_t i = 0, k; i < n; i = k) {
            for (k = i + 1; k < n && u[k].pool == u[i].pool; k++) {
            }
            sum_up(u + i, k - i, &s);
            ended += choose(u + i, k - i, &s);
        }
    }
    lzr_free(s.address);
    lzr_free(s.mine);
    lzr_free(s.whole);
    return ended;
}
