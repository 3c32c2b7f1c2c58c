#include "engine/drops.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/catalog.h"

void lzr_drops_init(struct lzr_drops *t)
{
    *t = (struct lzr_drops){0};
}

void lzr_drops_release(struct lzr_drops *t)
{
    lzr_free(t->entries);
    lzr_drops_init(t);
}

/* The first entry of the chunk's bucket. */
static struct lzr_drop *bucket(const struct lzr_drops *t, uint32_t array, uint32_t level,
                               uint64_t index)
{
    const uint64_t key[2] = {(uint64_t)array << 32 | level, index};
    uint64_t h = lzr_hash64(key, sizeof key, 0);
    return &t->entries[h % (LZR_DROPS_MAX / LZR_DROPS_WAYS) * LZR_DROPS_WAYS];
}

static struct lzr_drop *find(const struct lzr_drops *t, uint32_t array, uint32_t level,
                             uint64_t index)
{
    if (t->n == 0) {
        return NULL;
    }
    struct lzr_drop *b = bucket(t, array, level, index);
    for (unsigned i = 0; i < LZR_DROPS_WAYS; i++) {
        if (b[i].age != 0 && b[i].index == index && b[i].array == array && b[i].level == level) {
            return &b[i];
        }
    }
    return NULL;
}

void lzr_drops_note(struct lzr_drops *t, uint32_t array, uint32_t level, uint64_t index)
{
    struct lzr_drop *e = find(t, array, level, index);
    if (t->entries == NULL) {
        t->entries = lzr_calloc(LZR_DROPS_MAX, sizeof *t->entries);
        if (t->entries == NULL) {
            return;
        }
    }
    if (e == NULL) {
        struct lzr_drop *b = bucket(t, array, level, index);
        e = b; /* in the place of the oldest, or an empty one */
        for (unsigned i = 1; i < LZR_DROPS_WAYS; i++) {
            e = b[i].age < e->age ? &b[i] : e;
        }
        t->n += e->age == 0;
    }
    *e = (struct lzr_drop){index, array, level, ++t->last_age};
}

bool lzr_drops_has(const struct lzr_drops *t, uint32_t array, uint32_t level, uint64_t index)
{
    return find(t, array, level, index) != NULL;
}

void lzr_drops_forget(struct lzr_drops *t, uint32_t array, uint32_t level, uint64_t index)
{
    struct lzr_drop *e = find(t, array, level, index);
    if (e != NULL) {
        *e = (struct lzr_drop){0};
        t->n--;
    }
}

void lzr_drops_count(struct lzr_drops *t, const struct lzr_array *a, uint64_t index, uint64_t ran)
{
    if (t->unsaid++ == 0 || ran > t->longest_us) {
        t->longest = a;
        t->longest_index = index;
        t->longest_us = ran;
    }
}

bool lzr_drops_line(struct lzr_drops *t, uint64_t now_us, bool last, char *text, size_t n)
{
    if (t->unsaid == 0 || (t->said_us != 0 && !last && now_us < t->said_us + LZR_DROPS_SAY_US)) {
        return false;
    }
    const struct lzr_array *a = t->longest;
    bool one = t->unsaid == 1;
    int len = snprintf(text, n, "%llu block%s dropped while running, as nobody waited any more: ",
                       (unsigned long long)t->unsaid, one ? " was" : "s were");
    if (len > 0 && (size_t)len < n) {
        (void)snprintf(text + len, n - (size_t)len,
                       "%s/%s, chunk %llu, after %.3g s%s; one that is asked for again is finished",
                       a->store->name, a->path, (unsigned long long)t->longest_index,
                       (double)t->longest_us / 1e6, one ? "" : " was the longest");
    }
    t->unsaid = 0;
    t->said_us = now_us;
    return true;
}
