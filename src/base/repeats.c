#include "base/repeats.h"

#include <string.h>

#include "base/check.h"

uint64_t lzr_repeats_key(uint64_t same, const char *text, size_t n)
{
    uint64_t h = same ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < '0' || c > '9') {
            h = (h ^ c) * UINT64_C(0x100000001b3);
        }
    }
    return h;
}

static struct lzr_repeat *find(struct lzr_repeats *t, uint64_t key)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->known[i].key == key) {
            return &t->known[i];
        }
    }
    return NULL;
}

static void forget(struct lzr_repeats *t, size_t i)
{
    t->known[i] = t->known[--t->n];
}

bool lzr_repeats_note(struct lzr_repeats *t, uint64_t key, bool client, const char *text, size_t n,
                      uint64_t now_us)
{
    struct lzr_repeat *e = find(t, key);
    bool first = e == NULL;
    if (first) {
        LZR_CHECK(t->n < LZR_REPEATS_MAX);
        e = &t->known[t->n++];
        e->key = key;
        e->begun_us = now_us;
        e->due_us = now_us + LZR_REPEATS_FIRST_US;
        e->count = 0;
    } else {
        e->count++;
        e->client = client;
        e->n = n < LZR_REPEATS_TEXT ? n : LZR_REPEATS_TEXT;
        memcpy(e->text, text, e->n);
    }
    return first;
}

bool lzr_repeats_due(struct lzr_repeats *t, uint64_t now_us, bool all, struct lzr_repeat *out)
{
    for (size_t i = 0; i < t->n;) {
        struct lzr_repeat *e = &t->known[i];
        if (!all && now_us < e->due_us) {
            i++;
            continue;
        }
        bool any = e->count > 0;
        *out = *e;
        e->count = 0;
        e->begun_us = now_us;
        e->due_us = now_us + LZR_REPEATS_US;
        if (!any || all) {
            forget(t, i);
        }
        if (any) {
            return true;
        }
    }
    return false;
}

bool lzr_repeats_room(struct lzr_repeats *t, uint64_t key, struct lzr_repeat *out)
{
    size_t oldest = 0;
    if (t->n < LZR_REPEATS_MAX || find(t, key) != NULL) {
        return false;
    }
    for (size_t i = 1; i < t->n; i++) {
        oldest = t->known[i].begun_us < t->known[oldest].begun_us ? i : oldest;
    }
    *out = t->known[oldest];
    forget(t, oldest);
    return out->count > 0;
}

uint64_t lzr_repeats_next(const struct lzr_repeats *t)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < t->n; i++) {
        next = t->known[i].due_us < next ? t->known[i].due_us : next;
    }
    return next;
}
