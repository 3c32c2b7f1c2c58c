#include "http/troubles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "lazarr/driver.h"
#include "store/array.h"
#include "store/catalog.h"

static int compare(const void *a, const void *b)
{
    const struct lzr_trouble *x = a, *y = b;
    return x->array != y->array       ? (x->array > y->array) - (x->array < y->array)
           : x->last_us != y->last_us ? (x->last_us < y->last_us) - (x->last_us > y->last_us)
                                      : 0;
}

void lzr_trouble_list_take(struct lzr_trouble_list *l, struct lzr_driver *d)
{
    *l = (struct lzr_trouble_list){.all = lzr_malloc(LZR_TROUBLES * sizeof *l->all),
                                   .now_us = lzr_now_us()};
    if (l->all != NULL) {
        l->n = lzr_driver_troubles(d, l->all);
        qsort(l->all, l->n, sizeof *l->all, compare);
    }
}

void lzr_trouble_list_free(struct lzr_trouble_list *l)
{
    lzr_free(l->all);
    *l = (struct lzr_trouble_list){0};
}

void lzr_trouble_key(struct lzr_buf *b, const struct lzr_array *a, unsigned level, uint64_t index)
{
    const struct lzr_grid *g = &a->levels[level].grid;
    uint64_t pos[LZR_MAX_RANK];
    lzr_grid_position(g, index, pos);
    lzr_array_key(b, a, LZR_FACE_ZARR3, false);
    if (a->kind != LZR_PLAIN) {
        lzr_buf_printf(b, "/%u", level);
    }
    lzr_buf_puts(b, "/c");
    for (unsigned i = 0; i < g->rank; i++) {
        lzr_buf_printf(b, "/%" PRIu64, pos[i]);
    }
}

static void write_time(struct lzr_json *j, uint64_t ago_us)
{
    char text[32];
    lzr_day_text(text, sizeof text, LZR_DAY_ISO, ago_us);
    lzr_json_key(j, "at");
    lzr_json_string(j, text);
    lzr_json_key(j, "seconds_ago");
    lzr_json_u64(j, ago_us / 1000000);
}

static void write_one(struct lzr_json *j, const struct lzr_trouble *t, const struct lzr_array *a,
                      uint64_t now_us, bool tracebacks)
{
    const struct lzr_grid *g = &a->levels[t->level].grid;
    uint64_t pos[LZR_MAX_RANK];
    char line[LZR_TROUBLE_TEXT];
    size_t n = strcspn(t->text, "\n");
    struct lzr_buf key;
    lzr_grid_position(g, t->index, pos);
    memcpy(line, t->text, n);
    line[n] = '\0';
    lzr_buf_init(&key, LZR_MAX_KEY);
    lzr_trouble_key(&key, a, t->level, t->index);
    lzr_json_open(j, '{');
    lzr_json_key(j, "key");
    lzr_json_string(j, key.data);
    lzr_buf_release(&key);
    lzr_json_key(j, "level");
    lzr_json_u64(j, t->level);
    lzr_json_key(j, "chunk");
    lzr_json_open(j, '[');
    for (unsigned i = 0; i < g->rank; i++) {
        lzr_json_u64(j, pos[i]);
    }
    lzr_json_close(j, ']');
    lzr_json_key(j, "reason");
    lzr_json_string(j, line);
    lzr_json_key(j, "times");
    lzr_json_u64(j, t->times);
    write_time(j, now_us > t->last_us ? now_us - t->last_us : 0);
    if (tracebacks && t->text[n] == '\n' && t->text[n + 1] != '\0') {
        lzr_json_key(j, "traceback");
        lzr_json_string(j, t->text + n + 1);
    }
    lzr_json_close(j, '}');
}

void lzr_trouble_list_write(struct lzr_json *j, const struct lzr_trouble_list *l,
                            const struct lzr_array *a, bool tracebacks)
{
    const struct lzr_trouble *t = l->all, *end = l->all + l->n;
    uint32_t low = 0, high = l->n; /* the first of this array or a later one */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (l->all[mid].array < a->id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    lzr_json_open(j, '[');
    for (t += low; t < end && t->array == a->id; t++) {
        write_one(j, t, a, l->now_us, tracebacks);
    }
    lzr_json_close(j, ']');
}
