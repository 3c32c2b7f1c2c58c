#include "engine/troubles.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

void lzr_troubles_init(struct lzr_troubles *t)
{
    *t = (struct lzr_troubles){.all = lzr_calloc(LZR_TROUBLES, sizeof *t->all)};
    LZR_ZERO(pthread_mutex_init(&t->mu, NULL));
}

void lzr_troubles_release(struct lzr_troubles *t)
{
    lzr_free(t->all);
    LZR_ZERO(pthread_mutex_destroy(&t->mu));
}

/* With mu: this chunk's, or the place that it may have. */
static struct lzr_trouble *place_of(struct lzr_troubles *t, uint32_t array, uint32_t level,
                                    uint64_t index)
{
    struct lzr_trouble *oldest = NULL, *own = NULL;
    uint32_t same = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        struct lzr_trouble *at = &t->all[i];
        if (at->index == index && at->array == array && at->level == level) {
            return at;
        }
        if (oldest == NULL || at->last_us < oldest->last_us) {
            oldest = at;
        }
        if (at->array == array) {
            same++;
            own = own == NULL || at->last_us < own->last_us ? at : own;
        }
    }
    struct lzr_trouble *place = same >= LZR_TROUBLES_OF ? own
                                : t->n < LZR_TROUBLES   ? &t->all[t->n++]
                                                        : oldest;
    place->array = array;
    place->level = level;
    place->index = index;
    place->times = 0;
    return place;
}

void lzr_troubles_note(struct lzr_troubles *t, uint32_t array, uint32_t level, uint64_t index,
                       enum lzr_code code, const char *text, uint64_t now_us)
{
    text = text != NULL ? text : lzr_code_text(code);
    size_t n = strnlen(text, LZR_TROUBLE_TEXT - 1);
    while (n > 0 && text[n] != '\0' && ((unsigned char)text[n] & 0xc0) == 0x80) {
        n--; /* not within a character */
    }
    pthread_mutex_lock(&t->mu);
    if (t->all != NULL) {
        struct lzr_trouble *at = place_of(t, array, level, index);
        at->code = code;
        at->times++;
        at->last_us = now_us;
        memcpy(at->text, text, n);
        at->text[n] = '\0';
    }
    pthread_mutex_unlock(&t->mu);
}

uint32_t lzr_troubles_copy(struct lzr_troubles *t, struct lzr_trouble *out)
{
    pthread_mutex_lock(&t->mu);
    uint32_t n = t->n;
    if (n > 0) {
        memcpy(out, t->all, n * sizeof *out);
    }
    pthread_mutex_unlock(&t->mu);
    return n;
}
