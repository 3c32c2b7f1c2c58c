#include "store/compseg.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

enum {
    SIDE = LZR_COMPSEG_BLOCK,
    VOXELS = SIDE * SIDE * SIDE,
    SLOTS = 2 * VOXELS, /* of the set of a box's labels; a power of two */
    HEADER_WORDS = 2,
    /* A box at its worst: 512 labels, so 16 bits a voxel, and a table of 512 of two words. */
    WORST_WORDS = HEADER_WORDS + VOXELS / 2 + 2 * VOXELS
};

/* One channel while it is written; places count 32-bit words from the channel's start. */
struct channel {
    uint32_t *out;
    uint32_t at; /* the next free word */
    unsigned itemsize;
    /* Tables that are there already, by their hash: neighbours often have the same labels. */
    struct known {
        uint64_t hash;
        uint32_t place, n;
    } * known;
    uint32_t mask;
};

/* The distinct labels of a box, sorted, and each voxel's place among them. */
struct box {
    uint64_t labels[VOXELS];
    uint16_t index[VOXELS];
    uint32_t n;
    uint64_t keys[SLOTS];
    uint16_t values[SLOTS]; /* place + 1; 0 is free */
};

static uint64_t boxes_of(uint64_t n)
{
    return (n + SIDE - 1) / SIDE;
}

bool lzr_compseg_fits(const struct lzr_grid *g)
{
    uint64_t boxes = 1;
    for (unsigned i = g->rank > 3 ? g->rank - 3 : 0; i < g->rank; i++) {
        boxes *= boxes_of(g->chunks[i]);
    }
    return boxes * WORST_WORDS < UINT64_C(1) << 24;
}

size_t lzr_compseg_bound(const uint64_t extent[4], unsigned itemsize)
{
    uint64_t boxes = boxes_of(extent[1]) * boxes_of(extent[2]) * boxes_of(extent[3]);
    uint64_t words = HEADER_WORDS + VOXELS / 2 + (uint64_t)itemsize / 4 * VOXELS;
    return (size_t)(extent[0] * (1 + boxes * words) * 4);
}

static uint64_t label_at(const void *labels, unsigned itemsize, uint64_t i)
{
    return itemsize == 8 ? ((const uint64_t *)labels)[i] : ((const uint32_t *)labels)[i];
}

static uint32_t find_or_add(struct box *b, uint64_t label)
{
    uint32_t at = (uint32_t)((label * UINT64_C(0x9E3779B97F4A7C15)) >> 54); /* below SLOTS */
    while (b->values[at] != 0) {
        if (b->keys[at] == label) {
            return b->values[at] - 1u;
        }
        at = (at + 1) & (SLOTS - 1);
    }
    b->keys[at] = label;
    b->labels[b->n] = label;
    b->values[at] = (uint16_t)++b->n;
    return b->n - 1;
}

static int compare_labels(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The table is sorted, as other writers do it, so that equal sets of labels are equal tables. */
static void sort_labels(struct box *b)
{
    uint64_t before[VOXELS];
    uint16_t moved[VOXELS];
    memcpy(before, b->labels, b->n * sizeof before[0]);
    qsort(b->labels, b->n, sizeof b->labels[0], compare_labels);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t low = 0, high = b->n - 1;
        while (low < high) {
            uint32_t mid = (low + high) / 2;
            if (b->labels[mid] < before[i]) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        moved[i] = (uint16_t)low;
    }
    for (uint32_t i = 0; i < VOXELS; i++) {
        b->index[i] = moved[b->index[i]];
    }
}

/* Reads the box whose first voxel is z, y, x; what lies outside of the chunk repeats the last voxel
 * that was read, so that it adds no label. */
static void read_box(struct box *b, const uint64_t extent[4], unsigned itemsize,
                     const void *channel, const uint64_t at[3])
{
    uint32_t i = 0, last = 0;
    uint64_t previous = 0;
    b->n = 0;
    memset(b->values, 0, sizeof b->values);
    for (uint64_t z = at[0]; z < at[0] + SIDE; z++) {
        for (uint64_t y = at[1]; y < at[1] + SIDE; y++) {
            for (uint64_t x = at[2]; x < at[2] + SIDE; x++, i++) {
                if (z < extent[1] && y < extent[2] && x < extent[3]) {
                    uint64_t label =
                        label_at(channel, itemsize, (z * extent[2] + y) * extent[3] + x);
                    if (b->n == 0 || label != previous) {
                        last = find_or_add(b, label);
                        previous = label;
                    }
                }
                b->index[i] = (uint16_t)last;
            }
        }
    }
    sort_labels(b);
}

static uint32_t bits_for(uint32_t n)
{
    uint32_t bits = 0;
    while ((1u << bits) < n) {
        bits = bits == 0 ? 1 : bits * 2;
    }
    return bits;
}

static void write_values(struct channel *c, const struct box *b, uint32_t bits)
{
    if (bits == 0) {
        return;
    }
    uint32_t words = VOXELS * bits / 32, each = 32 / bits;
    for (uint32_t w = 0; w < words; w++) {
        uint32_t word = 0;
        for (uint32_t k = 0; k < each; k++) {
            word |= (uint32_t)b->index[w * each + k] << (k * bits);
        }
        c->out[c->at++] = word;
    }
}

/* The place of the box's table: one that is there already, or a new one. */
static uint32_t write_table(struct channel *c, const struct box *b)
{
    uint64_t hash = lzr_hash64(b->labels, b->n * sizeof b->labels[0], 0);
    uint32_t at = (uint32_t)hash & c->mask;
    /* The table holds no more tables than half its slots. */
    for (; c->known[at].n != 0; at = (at + 1) & c->mask) {
        const struct known *k = &c->known[at];
        if (k->hash == hash && k->n == b->n) {
            bool same = true;
            for (uint32_t i = 0; i < b->n && same; i++) {
                uint64_t label = c->out[k->place + i * (c->itemsize / 4)];
                if (c->itemsize == 8) {
                    label |= (uint64_t)c->out[k->place + 2 * i + 1] << 32;
                }
                same = label == b->labels[i];
            }
            if (same) {
                return k->place;
            }
        }
    }
    c->known[at] = (struct known){hash, c->at, b->n};
    for (uint32_t i = 0; i < b->n; i++) {
        c->out[c->at++] = (uint32_t)b->labels[i];
        if (c->itemsize == 8) {
            c->out[c->at++] = (uint32_t)(b->labels[i] >> 32);
        }
    }
    return c->known[at].place;
}

static void write_channel(struct channel *c, struct box *b, const uint64_t extent[4],
                          const void *labels)
{
    uint64_t at[3];
    uint32_t header = 0;
    for (at[0] = 0; at[0] < extent[1]; at[0] += SIDE) {
        for (at[1] = 0; at[1] < extent[2]; at[1] += SIDE) {
            for (at[2] = 0; at[2] < extent[3]; at[2] += SIDE) {
                read_box(b, extent, c->itemsize, labels, at);
                uint32_t bits = bits_for(b->n), values = c->at;
                write_values(c, b, bits);
                uint32_t table = write_table(c, b);
                LZR_CHECK(table < 1u << 24); /* lzr_compseg_fits */
                c->out[header++] = table | bits << 24;
                c->out[header++] = values;
            }
        }
    }
}

enum lzr_code lzr_compseg_encode(const uint64_t extent[4], unsigned itemsize, const void *labels,
                                 void *dst, size_t *len, struct lzr_err *err)
{
    uint64_t boxes = boxes_of(extent[1]) * boxes_of(extent[2]) * boxes_of(extent[3]);
    uint64_t slots = 64;
    while (slots < 2 * boxes) {
        slots *= 2;
    }
    struct box *b = lzr_malloc(sizeof *b);
    struct known *known = lzr_malloc(slots * sizeof *known);
    if (b == NULL || known == NULL) {
        lzr_free(b);
        lzr_free(known);
        return lzr_err_set(err, LZR_E_NOMEM, "compressed_segmentation: out of memory");
    }
    uint32_t *out = dst;
    uint32_t at = (uint32_t)extent[0];
    uint64_t bytes = extent[1] * extent[2] * extent[3] * itemsize;
    for (uint64_t ch = 0; ch < extent[0]; ch++) {
        memset(known, 0, slots * sizeof *known);
        struct channel c = {.out = out + at,
                            .at = (uint32_t)(boxes * HEADER_WORDS),
                            .itemsize = itemsize,
                            .known = known,
                            .mask = (uint32_t)slots - 1};
        out[ch] = at;
        write_channel(&c, b, extent, (const unsigned char *)labels + ch * bytes);
        at += c.at;
    }
    lzr_free(b);
    lzr_free(known);
    *len = (size_t)at * 4;
    return LZR_OK;
}
