#include "engine/failures.h"

#include <string.h>

#include "base/mem.h"
#include "engine/flight.h"

void lzr_failures_init(struct lzr_failures *t)
{
    *t = (struct lzr_failures){0};
}

static void release(struct lzr_failure *f)
{
    lzr_free(f->text);
    lzr_free(f->path);
    f->text = f->path = NULL;
    f->cause = NULL;
    f->hops = 0;
}

void lzr_failures_release(struct lzr_failures *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        release(&t->entries[i]);
    }
    lzr_free(t->entries);
    lzr_failures_init(t);
}

static struct lzr_failure *find(const struct lzr_failures *t, uint32_t array, uint32_t level,
                                uint64_t index)
{
    /* A plain scan: there are few failures, and it is only done on a cache miss. */
    for (uint32_t i = 0; i < t->n; i++) {
        struct lzr_failure *f = &t->entries[i];
        if (f->index == index && f->array == array && f->level == level) {
            return f;
        }
    }
    return NULL;
}

static struct lzr_failure *make(struct lzr_failures *t)
{
    if (t->entries == NULL) {
        t->entries = lzr_calloc(LZR_FAILURES_MAX, sizeof *t->entries);
        if (t->entries == NULL) {
            return NULL;
        }
    }
    if (t->n < LZR_FAILURES_MAX) {
        return &t->entries[t->n++];
    }
    struct lzr_failure *oldest = &t->entries[0];
    for (uint32_t i = 1; i < t->n; i++) {
        if (t->entries[i].last_us < oldest->last_us) {
            oldest = &t->entries[i];
        }
    }
    release(oldest);
    *oldest = (struct lzr_failure){0};
    return oldest;
}

static struct lzr_failure *find_or_make(struct lzr_failures *t, uint32_t array, uint32_t level,
                                        uint64_t index)
{
    struct lzr_failure *f = find(t, array, level, index);
    if (f == NULL && (f = make(t)) != NULL) {
        f->array = array;
        f->level = level;
        f->index = index;
    }
    return f;
}

bool lzr_failures_note(struct lzr_failures *t, uint32_t array, uint32_t level, uint64_t index,
                       enum lzr_code code, const char *text, uint64_t now_us)
{
    struct lzr_failure *f = find_or_make(t, array, level, index);
    if (f == NULL) {
        return false;
    }
    f->code = code;
    f->count++;
    f->last_us = now_us;
    release(f);
    f->text = text != NULL ? lzr_strndup(text, LZR_FAILURE_TEXT_MAX) : NULL;
    if (code == LZR_E_TIMEOUT && f->count < 2) {
        f->until_us = 0;
        return false;
    }
    uint32_t doublings = f->count > 1 ? f->count - 1 : 0;
    uint64_t hold = doublings > 16 ? LZR_FAILURE_MOST_US : LZR_FAILURE_FIRST_US << doublings;
    f->until_us = now_us + (hold > LZR_FAILURE_MOST_US ? LZR_FAILURE_MOST_US : hold);
    return true;
}

void lzr_failures_note_why(struct lzr_failures *t, uint32_t array, uint32_t level, uint64_t index,
                           const struct lzr_why *why, uint64_t now_us)
{
    struct lzr_failure *f = find_or_make(t, array, level, index);
    if (f == NULL) {
        return;
    }
    release(f);
    f->code = why->code;
    f->last_us = now_us;
    f->until_us = why->until_us;
    f->hops = why->hops;
    f->cause = why->cause;
    f->path = why->path != NULL ? lzr_strdup(why->path) : NULL;
    f->text = why->text != NULL ? lzr_strndup(why->text, LZR_FAILURE_TEXT_MAX) : NULL;
}

const struct lzr_failure *lzr_failures_recall(const struct lzr_failures *t, uint32_t array,
                                              uint32_t level, uint64_t index, uint64_t now_us)
{
    const struct lzr_failure *f = find(t, array, level, index);
    return f != NULL && now_us < f->until_us ? f : NULL;
}

void lzr_failures_forget(struct lzr_failures *t, uint32_t array, uint32_t level, uint64_t index)
{
    struct lzr_failure *f = find(t, array, level, index);
    if (f != NULL) {
        release(f);
        *f = t->entries[--t->n];
        t->entries[t->n] = (struct lzr_failure){0};
    }
}
