#include "http/glance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "store/channels.h"
#include "store/codec.h"
#include "store/placement.h"
#include "store/real.h"

enum { SAMPLES = 16384 };

bool lzr_glances_init(struct lzr_glances *g, size_t narrays)
{
    g->n = narrays;
    g->ranges = lzr_calloc(narrays > 0 ? narrays : 1, LZR_LOOK_CHANNELS * sizeof *g->ranges);
    if (g->ranges == NULL) {
        return false;
    }
    LZR_ZERO(pthread_mutex_init(&g->mu, NULL));
    return true;
}

void lzr_glances_release(struct lzr_glances *g)
{
    if (g->ranges != NULL) {
        LZR_ZERO(pthread_mutex_destroy(&g->mu));
        lzr_free(g->ranges);
        g->ranges = NULL;
    }
}

static struct lzr_look_range *place_of(struct lzr_glances *g, const struct lzr_look_layer *l)
{
    size_t channel = l->channel < 0 ? 0 : (size_t)l->channel;
    return &g->ranges[l->array->id * LZR_LOOK_CHANNELS + channel];
}

/* The window of a channel, unless it is just what stands there where a user says nothing: all that
 * the type holds, of floats 0 to 1. */
static bool window(const struct lzr_look_layer *l, struct lzr_look_range *out)
{
    struct lzr_dtype d = l->array->dtype;
    struct lzr_channel c = lzr_channel_at(l->array, l->channel < 0 ? 0 : (unsigned)l->channel);
    if (!c.windowed) {
        return false;
    }
    out->low = c.start;
    out->high = c.end;
    double most = d.kind == 'f' || d.kind == 'b'
                      ? 1
                      : ldexp(1, d.size * 8 - (d.kind == 'i')) - (d.size < 8 ? 1 : 0);
    double least = d.kind == 'i' ? -ldexp(1, d.size * 8 - 1) : 0;
    out->known = out->low < out->high && (out->low > least || out->high < most);
    return out->known;
}

bool lzr_glances_recall(struct lzr_glances *g, struct lzr_look_layer *layer)
{
    if (window(layer, &layer->range)) {
        return true;
    }
    pthread_mutex_lock(&g->mu);
    layer->range = *place_of(g, layer);
    pthread_mutex_unlock(&g->mu);
    return layer->range.known;
}

void lzr_glances_keep(struct lzr_glances *g, const struct lzr_look_layer *layer)
{
    pthread_mutex_lock(&g->mu);
    *place_of(g, layer) = layer->range;
    pthread_mutex_unlock(&g->mu);
}

bool lzr_glance_chunk(const struct lzr_look_layer *layer, struct lzr_chunk *out)
{
    const struct lzr_array *a = layer->array;
    const struct lzr_grid *g = &a->levels[0].grid;
    uint64_t pos[LZR_MAX_RANK];
    int c = lzr_axis_of(a, 'c'), t = lzr_axis_of(a, 't');
    if (g->total == 0 || g->chunk_elements > LZR_GLANCE_BYTES / a->dtype.size) {
        return false;
    }
    for (unsigned i = 0; i < g->rank; i++) {
        uint64_t at = (int)i == t   ? 0
                      : (int)i == c ? (layer->channel < 0 ? 0 : (uint64_t)layer->channel)
                                    : g->shape[i] / 2;
        pos[i] = at / g->chunks[i];
    }
    *out =
        (struct lzr_chunk){.array = a, .encoding = LZR_ENC_ZARR, .index = lzr_grid_index(g, pos)};
    return true;
}

/* One element's value; bytes in the machine's order. */
static double value_of(const unsigned char *p, struct lzr_dtype d)
{
    uint64_t u = 0;
    memcpy(&u, p, d.size); /* little-endian machines only, as all of lazarr */
    if (d.kind == 'f') {
        float f;
        double v;
        switch (d.size) {
        case 2:
            return lzr_half_to_double((uint16_t)u);
        case 4:
            memcpy(&f, p, sizeof f);
            return (double)f;
        default:
            memcpy(&v, p, sizeof v);
            return v;
        }
    }
    if (d.kind == 'i') {
        unsigned unused = 64u - 8u * d.size;
        return (double)((int64_t)(u << unused) >> unused);
    }
    return (double)u;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Up to SAMPLES finite values spread over the chunk's part that lies in the array and the channel.
 */
static size_t sample(const struct lzr_look_layer *l, const struct lzr_chunk *chunk,
                     const unsigned char *raw, double *out)
{
    const struct lzr_array *a = l->array;
    const struct lzr_grid *g = &a->levels[0].grid;
    struct lzr_dtype d = a->dtype;
    uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK], total = 1;
    int c = l->channel < 0 ? -1 : lzr_axis_of(a, 'c');
    size_t n = 0;
    lzr_grid_position(g, chunk->index, pos);
    lzr_grid_block(g, pos, start, extent);
    for (unsigned i = 0; i < g->rank; i++) {
        total *= (int)i == c ? 1 : extent[i];
    }
    uint64_t step = total / SAMPLES + 1;
    step += step > 1 && step % 2 == 0; /* odd: no lattice along a power of two */
    for (uint64_t k = 0; k < total && n < SAMPLES; k += step) {
        uint64_t rest = k, at = 0, stride = 1;
        unsigned char word[16];
        for (unsigned i = g->rank; i-- > 0;) {
            if ((int)i == c) {
                at += ((uint64_t)l->channel - start[i]) * stride;
            } else {
                at += rest % extent[i] * stride;
                rest /= extent[i];
            }
            stride *= g->chunks[i];
        }
        memcpy(word, raw + at * d.size, d.size);
        for (unsigned i = 0; d.big && i < d.size / 2u; i++) {
            unsigned char swap = word[i];
            word[i] = word[d.size - 1 - i];
            word[d.size - 1 - i] = swap;
        }
        double v = value_of(word, d);
        if (isfinite(v)) {
            out[n++] = v;
        }
    }
    return n;
}

bool lzr_glance_range(struct lzr_look_layer *layer, const struct lzr_chunk *chunk,
                      const void *bytes, size_t n)
{
    const struct lzr_array *a = layer->array;
    size_t size = (size_t)a->levels[0].grid.chunk_elements * a->dtype.size, count = 0;
    unsigned char *raw = lzr_malloc(size);
    double *values = lzr_malloc(SAMPLES * sizeof *values);
    if (raw != NULL && values != NULL && a->dtype.kind != 'c' &&
        lzr_codec_decode(&a->codec, bytes, n, raw, size, NULL) == LZR_OK) {
        count = sample(layer, chunk, raw, values);
    }
    if (count > 0) {
        qsort(values, count, sizeof *values, compare);
        layer->range.low = values[count / 200];
        layer->range.high = values[count - 1 - count / 200];
        if (!(layer->range.low < layer->range.high)) { /* nearly all the same */
            layer->range.low = values[0];
            layer->range.high = values[count - 1];
        }
        if (!(layer->range.low < layer->range.high)) {
            layer->range.low = fmin(0, layer->range.low);
            layer->range.high = fmax(layer->range.high, layer->range.low + 1);
        }
        layer->range.known = layer->range.low < layer->range.high;
    }
    lzr_free(raw);
    lzr_free(values);
    return count > 0 && layer->range.known;
}
