#include "http/sheets.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

void lzr_sheets_init(struct lzr_sheets *s, struct lzr_budget *parent)
{
    uint64_t limit = parent->limit / 4;
    *s = (struct lzr_sheets){0};
    s->budget.parent = parent;
    s->budget.limit = limit < LZR_SHEETS_LEAST  ? LZR_SHEETS_LEAST
                      : limit > LZR_SHEETS_MOST ? LZR_SHEETS_MOST
                                                : limit;
    LZR_ZERO(pthread_mutex_init(&s->mu, NULL));
}

/* Nothing is kept any more. */
static void forget(struct lzr_sheets *s)
{
    struct lzr_sheet all[LZR_SHEETS_KEPT];
    pthread_mutex_lock(&s->mu);
    memcpy(all, s->kept, sizeof all);
    memset(s->kept, 0, sizeof s->kept);
    pthread_mutex_unlock(&s->mu);
    for (size_t i = 0; i < LZR_SHEETS_KEPT; i++) {
        lzr_free(all[i].name);
        lzr_blob_unref(&all[i].blob);
    }
}

void lzr_sheets_release(struct lzr_sheets *s)
{
    forget(s);
    LZR_CHECK(atomic_load(&s->budget.used) == 0);
    LZR_ZERO(pthread_mutex_destroy(&s->mu));
}

static bool has_room(const struct lzr_sheets *s, size_t len)
{
    return len <= LZR_SHEET_SHORT ||
           atomic_load_explicit(&s->budget.used, memory_order_relaxed) + lzr_blob_charge(len) <=
               s->budget.limit;
}

struct lzr_blob *lzr_sheets_make(struct lzr_sheets *s, const void *bytes, size_t len)
{
    if (!has_room(s, len)) {
        forget(s);
    }
    if (!has_room(s, len)) {
        atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
        return NULL;
    }
    return lzr_blob_dup(bytes, len, &s->budget);
}

/* With mu: the one of this name, or NULL. */
static struct lzr_sheet *look_up(struct lzr_sheets *s, const char *name)
{
    for (size_t i = 0; i < LZR_SHEETS_KEPT; i++) {
        if (s->kept[i].name != NULL && strcmp(s->kept[i].name, name) == 0) {
            s->kept[i].used = ++s->uses;
            return &s->kept[i];
        }
    }
    return NULL;
}

struct lzr_blob *lzr_sheets_find(struct lzr_sheets *s, const char *name, struct lzr_digest *digest)
{
    struct lzr_blob *blob = NULL;
    pthread_mutex_lock(&s->mu);
    const struct lzr_sheet *found = look_up(s, name);
    if (found != NULL) {
        blob = lzr_blob_ref(found->blob);
        *digest = found->digest;
    }
    pthread_mutex_unlock(&s->mu);
    return blob;
}

/* With mu: puts it in the place of the one that was used longest ago. What gives way is the
 * caller's. */
static struct lzr_sheet put(struct lzr_sheets *s, struct lzr_sheet sheet)
{
    struct lzr_sheet *place = &s->kept[0];
    for (size_t i = 1; i < LZR_SHEETS_KEPT && place->name != NULL; i++) {
        if (s->kept[i].name == NULL || s->kept[i].used < place->used) {
            place = &s->kept[i];
        }
    }
    struct lzr_sheet gone = *place;
    sheet.used = ++s->uses;
    *place = sheet;
    return gone;
}

/* With mu: whether one of this length may be kept beside the others. */
static bool may_keep(const struct lzr_sheets *s, size_t len)
{
    uint64_t sum = len;
    for (size_t i = 0; i < LZR_SHEETS_KEPT; i++) {
        sum += s->kept[i].name != NULL ? s->kept[i].blob->len : 0;
    }
    return sum <= s->budget.limit / 2;
}

struct lzr_blob *lzr_sheets_keep(struct lzr_sheets *s, const char *name, const void *bytes,
                                 size_t len, struct lzr_digest *digest)
{
    struct lzr_blob *blob = lzr_sheets_make(s, bytes, len);
    struct lzr_sheet gone = {.name = blob != NULL ? lzr_strdup(name) : NULL};
    if (gone.name == NULL) {
        *digest = lzr_digest(bytes, len, 0);
        return blob;
    }
    struct lzr_sheet mine = {.name = gone.name, .digest = lzr_digest(bytes, len, 0)};
    pthread_mutex_lock(&s->mu);
    const struct lzr_sheet *other = look_up(s, name);
    if (other != NULL) {
        gone.blob = blob;
        blob = lzr_blob_ref(other->blob);
    } else if (may_keep(s, len)) {
        mine.blob = lzr_blob_ref(blob);
        gone = put(s, mine);
    }
    pthread_mutex_unlock(&s->mu);
    *digest = mine.digest;
    lzr_free(gone.name);
    lzr_blob_unref(&gone.blob);
    return blob;
}
