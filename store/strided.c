#include "store/strided.h"

#include <string.h>

/* What one more read costs, in bytes of a longer one: of cached pages a system call takes as long
 * as copying 3 to 7 KB does (measured), and a disk fetches neighbouring pages anyway. */
#define READ_COST 8192

/* Voxels along each side of a tile when rows of one side are columns of the other: both sides'
 * cache lines stay while it is copied. */
#define TILE 32

/* A box in normal form: no axis of length 1, strides of src >= 0 and falling, axes that are one in
 * both joined. src and dst are offsets to the first element's place in either. */
struct box {
    unsigned rank;
    uint64_t n[LZR_MAX_RANK];
    int64_t s[LZR_MAX_RANK], d[LZR_MAX_RANK];
    int64_t src, dst;
    bool empty;
};

static void insert(struct box *b, uint64_t n, int64_t s, int64_t d)
{
    unsigned i = b->rank++;
    if (s < 0) {
        b->src += (int64_t)(n - 1) * s;
        b->dst += (int64_t)(n - 1) * d;
        s = -s;
        d = -d;
    }
    for (; i > 0 && b->s[i - 1] < s; i--) {
        b->n[i] = b->n[i - 1];
        b->s[i] = b->s[i - 1];
        b->d[i] = b->d[i - 1];
    }
    b->n[i] = n;
    b->s[i] = s;
    b->d[i] = d;
}

static void normalise(unsigned rank, const uint64_t extent[], const int64_t strides[],
                      const int64_t to[], struct box *b)
{
    *b = (struct box){0};
    for (unsigned i = 0; i < rank; i++) {
        b->empty = b->empty || extent[i] == 0;
        if (extent[i] > 1) {
            insert(b, extent[i], strides[i], to[i]);
        }
    }
    unsigned last = 0;
    for (unsigned i = 1; i < b->rank; i++) {
        if (b->s[last] == b->s[i] * (int64_t)b->n[i] && b->d[last] == b->d[i] * (int64_t)b->n[i]) {
            b->n[last] *= b->n[i];
        } else {
            last++;
            b->n[last] = b->n[i];
        }
        b->s[last] = b->s[i];
        b->d[last] = b->d[i];
    }
    b->rank = b->rank > 0 ? last + 1 : 0;
}

/* The next index of the first n axes; false after the last one. Moves both offsets along. */
static bool step(unsigned n, const uint64_t extent[], const int64_t s[], const int64_t d[],
                 uint64_t at[], int64_t *src, int64_t *dst)
{
    for (unsigned i = n; i-- > 0;) {
        *src += s[i];
        *dst += d[i];
        if (++at[i] < extent[i]) {
            return true;
        }
        *src -= (int64_t)extent[i] * s[i];
        *dst -= (int64_t)extent[i] * d[i];
        at[i] = 0;
    }
    return false;
}

/* n elements; memcpy of a constant size is one load and one store. */
#define COPY_ROW(size)                                                                             \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        memcpy(dst, src, size);                                                                    \
        src += s;                                                                                  \
        dst += d;                                                                                  \
    }                                                                                              \
    break

static void copy_row(unsigned itemsize, uint64_t n, const unsigned char *src, int64_t s,
                     unsigned char *dst, int64_t d)
{
    switch (itemsize) {
    case 1:
        COPY_ROW(1);
    case 2:
        COPY_ROW(2);
    case 4:
        COPY_ROW(4);
    case 8:
        COPY_ROW(8);
    default:
        COPY_ROW(16);
    }
}

/* Axis 0 is dst's rows, axis 1 src's. */
static void copy_tiles(unsigned itemsize, const uint64_t n[2], const unsigned char *src,
                       const int64_t s[2], unsigned char *dst, const int64_t d[2])
{
    for (uint64_t i = 0; i < n[0]; i += TILE) {
        uint64_t rows = n[0] - i < TILE ? n[0] - i : TILE;
        for (uint64_t k = 0; k < n[1]; k += TILE) {
            uint64_t columns = n[1] - k < TILE ? n[1] - k : TILE;
            for (uint64_t c = k; c < k + columns; c++) {
                copy_row(itemsize, rows, src + (int64_t)i * s[0] + (int64_t)c * s[1], s[0],
                         dst + (int64_t)i * d[0] + (int64_t)c * d[1], d[0]);
            }
        }
    }
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? (uint64_t)-v : (uint64_t)v;
}

/* Copies a box in normal form. */
static void copy_box(struct box *b, unsigned itemsize, const unsigned char *src, unsigned char *dst)
{
    uint64_t at[LZR_MAX_RANK] = {0};
    int64_t from = b->src, to = b->dst;
    if (b->empty) {
        return;
    }
    if (b->rank == 0) {
        memcpy(dst + to, src + from, itemsize);
        return;
    }
    unsigned last = b->rank - 1, row = last;
    bool dense = b->s[last] == (int64_t)itemsize && b->d[last] == (int64_t)itemsize;
    for (unsigned i = 0; i < last && !dense; i++) {
        row = magnitude(b->d[i]) < magnitude(b->d[row]) ? i : row;
    }
    if (row == last) {
        do {
            if (dense) {
                memcpy(dst + to, src + from, (size_t)b->n[last] * itemsize);
            } else {
                copy_row(itemsize, b->n[last], src + from, b->s[last], dst + to, b->d[last]);
            }
        } while (step(last, b->n, b->s, b->d, at, &from, &to));
        return;
    }
    /* dst's rows run along another axis than src's: that one goes behind the others. */
    uint64_t n[2] = {b->n[row], b->n[last]};
    int64_t s[2] = {b->s[row], b->s[last]}, d[2] = {b->d[row], b->d[last]};
    for (unsigned i = row; i + 1 < last; i++) {
        b->n[i] = b->n[i + 1];
        b->s[i] = b->s[i + 1];
        b->d[i] = b->d[i + 1];
    }
    do {
        copy_tiles(itemsize, n, src + from, s, dst + to, d);
    } while (step(last - 1, b->n, b->s, b->d, at, &from, &to));
}

void lzr_strided_copy(unsigned rank, unsigned itemsize, const uint64_t extent[],
                      const unsigned char *src, const int64_t strides[], unsigned char *dst,
                      const int64_t to_strides[])
{
    struct box b;
    normalise(rank, extent, strides, to_strides, &b);
    copy_box(&b, itemsize, src, dst);
}

void lzr_strided_dense(unsigned rank, unsigned itemsize, const uint64_t extent[], int64_t strides[])
{
    int64_t n = itemsize;
    for (unsigned i = rank; i-- > 0;) {
        strides[i] = n;
        n *= (int64_t)extent[i];
    }
}

bool lzr_strided_bounds(unsigned rank, unsigned itemsize, const uint64_t shape[],
                        const int64_t strides[], int64_t *low, int64_t *high)
{
    int64_t lo = 0, hi = itemsize;
    for (unsigned i = 0; i < rank; i++) {
        int64_t far;
        if (shape[i] == 0) {
            *low = *high = 0;
            return true;
        }
        if (shape[i] - 1 > (uint64_t)INT64_MAX ||
            __builtin_mul_overflow((int64_t)(shape[i] - 1), strides[i], &far) ||
            __builtin_add_overflow(far < 0 ? lo : hi, far, far < 0 ? &lo : &hi)) {
            return false;
        }
    }
    *low = lo;
    *high = hi;
    return true;
}

void lzr_strided_plan(unsigned rank, unsigned itemsize, const uint64_t extent[], uint64_t offset,
                      const int64_t strides[], const int64_t to_strides[],
                      struct lzr_strided_plan *p)
{
    struct box b;
    uint64_t spans[LZR_MAX_RANK + 1], cost = itemsize + READ_COST;
    normalise(rank, extent, strides, to_strides, &b);
    *p = (struct lzr_strided_plan){.itemsize = itemsize, .rank = b.rank, .outer = b.rank};
    p->at = offset + (uint64_t)b.src;
    p->to_first = b.dst;
    spans[b.rank] = itemsize;
    for (unsigned k = b.rank; k-- > 0;) {
        bool dense = k + 1 == b.rank && b.s[k] == (int64_t)itemsize && b.d[k] == b.s[k];
        spans[k] = spans[k + 1] + (b.n[k] - 1) * (uint64_t)b.s[k];
        p->extent[k] = b.n[k];
        p->from[k] = b.s[k];
        p->to[k] = b.d[k];
        uint64_t split;
        if (__builtin_mul_overflow(cost, b.n[k], &split)) {
            split = UINT64_MAX;
        }
        cost = split;
        if ((dense || spans[k] <= LZR_STRIDED_SPAN) && spans[k] + READ_COST <= split) {
            cost = spans[k] + READ_COST;
            p->outer = k;
        }
    }
    p->span = b.empty ? 0 : spans[p->outer];
    /* One run of elements that follow each other in both, or a single element. */
    p->direct =
        p->outer == b.rank || (p->outer + 1 == b.rank && b.s[p->outer] == (int64_t)itemsize &&
                               b.d[p->outer] == (int64_t)itemsize);
}

bool lzr_strided_start(const struct lzr_strided_plan *p, struct lzr_strided_read *r)
{
    *r = (struct lzr_strided_read){.at = p->at, .to = p->to_first};
    return p->span > 0;
}

bool lzr_strided_next(const struct lzr_strided_plan *p, struct lzr_strided_read *r)
{
    int64_t at = (int64_t)r->at;
    bool more = step(p->outer, p->extent, p->from, p->to, r->index, &at, &r->to);
    r->at = (uint64_t)at;
    return more;
}

void lzr_strided_scatter(const struct lzr_strided_plan *p, const struct lzr_strided_read *r,
                         const unsigned char *span, unsigned char *dst)
{
    struct box b = {.rank = p->rank - p->outer, .dst = r->to};
    memcpy(b.n, p->extent + p->outer, b.rank * sizeof b.n[0]);
    memcpy(b.s, p->from + p->outer, b.rank * sizeof b.s[0]);
    memcpy(b.d, p->to + p->outer, b.rank * sizeof b.d[0]);
    copy_box(&b, p->itemsize, span, dst);
}

#define SWAP(type, swap)                                                                           \
    for (uint64_t i = 0; i < n; i += sizeof(type)) {                                               \
        type v;                                                                                    \
        memcpy(&v, bytes + i, sizeof v);                                                           \
        v = swap(v);                                                                               \
        memcpy(bytes + i, &v, sizeof v);                                                           \
    }                                                                                              \
    break

void lzr_swap_words(unsigned char *bytes, uint64_t n, unsigned word)
{
    switch (word) {
    case 2:
        SWAP(uint16_t, __builtin_bswap16);
    case 4:
        SWAP(uint32_t, __builtin_bswap32);
    case 8:
        SWAP(uint64_t, __builtin_bswap64);
    default:
        break;
    }
}
