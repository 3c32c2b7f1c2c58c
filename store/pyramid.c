#include "store/pyramid.h"

#include <string.h>

#include "store/pyramid_rows.h"

/* One call of lzr_reduce. The last axis is walked by the loops of pyramid_rows.h, the others here.
 * Sizes in bytes unless said otherwise. */
struct job {
    const struct lzr_reduction *r;
    struct lzr_form form;
    unsigned outer; /* axes but the last */
    size_t item, step;
    size_t row, out_row; /* voxels of the last axis that are worked on, finer and coarser */
    size_t src_pitch[LZR_MAX_RANK], dst_pitch[LZR_MAX_RANK];
    /* The rows of the window that is worked on. */
    const unsigned char *window;       /* its first voxel */
    size_t window_rows[LZR_MAX_RANK];  /* how many on each outer axis */
    size_t nrows;                      /* their product */
    unsigned char *loaded, *out, *acc; /* working memory: a row each */
    unsigned char *other;              /* a second row of accumulators, of the mode */
    uint64_t *values;                  /* one window's, of the mode */
};

void lzr_reduction_of(const struct lzr_array *a, unsigned level, struct lzr_reduction *r)
{
    *r = (struct lzr_reduction){.how = a->pyramid,
                                .dtype = a->dtype,
                                .rank = a->levels[level].grid.rank};
    lzr_level_step(a, level, r->step);
}

static size_t window_of(const struct lzr_reduction *r)
{
    size_t n = 1;
    for (unsigned i = 0; i < r->rank; i++) {
        n *= (size_t)r->step[i];
    }
    return n;
}

/* Voxels of a row that are worked on at once, whole windows: enough to be fast, and the working
 * memory stays in the processor's cache however long rows are. */
static size_t segment_of(const struct lzr_reduction *r)
{
    const size_t most = 16384;
    size_t step = r->rank > 0 ? (size_t)r->step[r->rank - 1] : 1;
    return step < most ? most / step * step : step;
}

static size_t rounded(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

/* Bytes of the working rows: loaded, out, acc, other. 16 is the largest accumulator of one voxel
 * (a sum of complex numbers or of 64-bit integers). */
static size_t part(uint64_t row)
{
    return rounded((size_t)row * 16);
}

size_t lzr_reduce_room(const struct lzr_reduction *r, uint64_t row)
{
    size_t most = segment_of(r);
    row = row < most ? row : most;
    return r->how == LZR_PYRAMID_STRIDE ? 0
                                        : 4 * part(row) + rounded(window_of(r) * sizeof(uint64_t));
}

/* Calls fn for each row of the window, in C order, with its first voxel. */
static void each_row(struct job *j,
                     void (*fn)(struct job *, const unsigned char *row, bool first, void *ctx),
                     void *ctx)
{
    const unsigned char *row = j->window;
    size_t at[LZR_MAX_RANK] = {0};
    for (size_t n = 0; n < j->nrows; n++) {
        fn(j, row, n == 0, ctx);
        for (unsigned i = j->outer; i-- > 0;) {
            row += j->src_pitch[i];
            if (++at[i] < j->window_rows[i]) {
                break;
            }
            row -= j->src_pitch[i] * j->window_rows[i];
            at[i] = 0;
        }
    }
}

/* The row in the working type. */
static const void *load(struct job *j, const unsigned char *row)
{
    if (lzr_form_same(&j->form)) {
        return row;
    }
    lzr_form_load(&j->form, row, j->row * j->form.words, j->loaded);
    return j->loaded;
}

static void *result_of(struct job *j, unsigned char *dst)
{
    return lzr_form_same(&j->form) ? dst : j->out;
}

static void store(struct job *j, const void *result, unsigned char *dst)
{
    if (result != dst) {
        lzr_form_store(&j->form, result, j->out_row * j->form.words, dst);
    }
}

static void add_row(struct job *j, const unsigned char *row, bool first, void *ctx)
{
    const struct lzr_mean *mean = ctx;
    mean->add(j->acc, load(j, row), j->row, j->step, first);
}

static void mean_row(struct job *j, unsigned char *dst)
{
    struct lzr_mean mean = lzr_mean_of(j->form.work, j->form.words == 2, window_of(j->r));
    size_t whole = j->row / j->step, rest = j->row % j->step;
    unsigned char *out = result_of(j, dst);
    each_row(j, add_row, &mean);
    mean.finish(j->acc, out, whole, j->nrows * j->step);
    if (rest > 0) {
        mean.finish(j->acc + whole * mean.acc_bytes,
                    out + whole * j->form.work_size * j->form.words, 1, j->nrows * rest);
    }
    store(j, out, dst);
}

static void best_of_row(struct job *j, const unsigned char *row, bool first, void *ctx)
{
    lzr_row_fn *const *best = ctx;
    (*best)(j->acc, load(j, row), j->row, j->step, first);
}

static void best_row(struct job *j, unsigned char *dst)
{
    lzr_row_fn *best =
        j->r->how == LZR_PYRAMID_MAX ? lzr_max_of(j->form.work) : lzr_min_of(j->form.work);
    unsigned char *acc = j->acc;
    j->acc = result_of(j, dst); /* the accumulators are the result */
    each_row(j, best_of_row, &best);
    store(j, j->acc, dst);
    j->acc = acc;
}

static uint64_t word_at(const void *row, size_t i, unsigned size)
{
    switch (size) {
    case 1:
        return ((const uint8_t *)row)[i];
    case 2:
        return ((const uint16_t *)row)[i];
    case 4:
        return ((const uint32_t *)row)[i];
    default:
        return ((const uint64_t *)row)[i];
    }
}

static void put_word(void *row, size_t i, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        ((uint8_t *)row)[i] = (uint8_t)v;
        break;
    case 2:
        ((uint16_t *)row)[i] = (uint16_t)v;
        break;
    case 4:
        ((uint32_t *)row)[i] = (uint32_t)v;
        break;
    default:
        ((uint64_t *)row)[i] = v;
        break;
    }
}

/* One voxel's part of a window. */
struct column {
    size_t first, n; /* voxels of each row */
    size_t found;    /* values so far */
};

static void collect(struct job *j, const unsigned char *row, bool first, void *ctx)
{
    struct column *c = ctx;
    const void *from = row + c->first * j->item;
    (void)first;
    if (!lzr_form_same(&j->form)) {
        lzr_form_load(&j->form, from, c->n, j->loaded);
        from = j->loaded;
    }
    for (size_t i = 0; i < c->n; i++) {
        j->values[c->found++] = word_at(from, i, j->form.size);
    }
}

static void span_of_row(struct job *j, const unsigned char *row, bool first, void *ctx)
{
    const void *from = load(j, row);
    (void)ctx;
    lzr_max_of(j->form.work)(j->acc, from, j->row, j->step, first);
    lzr_min_of(j->form.work)(j->other, from, j->row, j->step, first);
}

/* Most windows of labels hold one value: those are told by their largest and smallest value being
 * the same, which is fast to find. Only the others are looked at one by one. */
static void mode_row(struct job *j, unsigned char *dst)
{
    unsigned size = j->form.size;
    void *out = result_of(j, dst);
    each_row(j, span_of_row, NULL);
    for (size_t k = 0; k < j->out_row; k++) {
        uint64_t v = word_at(j->other, k, size);
        if (v != word_at(j->acc, k, size)) {
            struct column c = {.first = k * j->step};
            c.n = j->row - c.first < j->step ? j->row - c.first : j->step;
            each_row(j, collect, &c);
            v = lzr_mode_of(j->values, c.found);
        }
        put_word(out, k, size, v);
    }
    store(j, out, dst);
}

static void stride_row(struct job *j, unsigned char *dst)
{
    const unsigned char *from = j->window;
    size_t by = j->item * j->step;
    switch (j->item) {
#define COPY(bytes)                                                                                \
    case bytes:                                                                                    \
        for (size_t k = 0; k < j->out_row; k++) {                                                  \
            memcpy(dst + k * bytes, from + k * by, bytes);                                         \
        }                                                                                          \
        break
        COPY(1);
        COPY(2);
        COPY(4);
        COPY(8);
        COPY(16);
#undef COPY
    default:
        break;
    }
}

static void reduce_row(struct job *j, unsigned char *dst)
{
    switch (j->r->how) {
    case LZR_PYRAMID_MEAN:
        mean_row(j, dst);
        break;
    case LZR_PYRAMID_MAX:
    case LZR_PYRAMID_MIN:
        best_row(j, dst);
        break;
    case LZR_PYRAMID_MODE:
        mode_row(j, dst);
        break;
    case LZR_PYRAMID_STRIDE:
    case LZR_PYRAMID_NONE:
    case LZR_PYRAMID_EACH:
    default:
        stride_row(j, dst);
        break;
    }
}

/* row: the most voxels that are worked on at once. */
static void lay_out(struct job *j, size_t row, const uint64_t src_shape[],
                    const uint64_t dst_shape[], void *room)
{
    const struct lzr_reduction *r = j->r;
    size_t src = j->item, dst = j->item;
    for (unsigned i = r->rank; i-- > 0;) {
        j->src_pitch[i] = src;
        j->dst_pitch[i] = dst;
        src *= (size_t)src_shape[i];
        dst *= (size_t)dst_shape[i];
    }
    j->outer = r->rank > 0 ? r->rank - 1 : 0;
    j->step = r->rank > 0 ? (size_t)r->step[j->outer] : 1;
    j->loaded = room;
    j->out = j->loaded + part(row);
    j->acc = j->out + part(row);
    j->other = j->acc + part(row);
    j->values = (uint64_t *)(void *)(j->other + part(row));
}

/* A row of windows, a segment after the other. */
static void reduce_windows(struct job *j, size_t row, size_t segment, unsigned char *to)
{
    for (size_t done = 0; done < row; done += segment) {
        j->row = row - done < segment ? row - done : segment;
        j->out_row = (j->row + j->step - 1) / j->step;
        reduce_row(j, to);
        j->window += segment * j->item;
        to += segment / j->step * j->item;
    }
}

void lzr_reduce(const struct lzr_reduction *r, const uint64_t extent[], const void *src,
                const uint64_t src_shape[], void *dst, const uint64_t dst_shape[], void *room)
{
    struct job j = {.r = r,
                    .form = lzr_form_of(r->dtype, r->how == LZR_PYRAMID_MODE),
                    .item = r->dtype.size};
    size_t at[LZR_MAX_RANK] = {0}, counts[LZR_MAX_RANK], rows = 1;
    size_t row = r->rank > 0 ? (size_t)extent[r->rank - 1] : 1, segment = segment_of(r);
    lay_out(&j, row < segment ? row : segment, src_shape, dst_shape, room);
    for (unsigned i = 0; i < j.outer; i++) {
        counts[i] = (size_t)((extent[i] + r->step[i] - 1) / r->step[i]);
        rows *= counts[i];
    }
    for (size_t n = 0; n < rows; n++) {
        unsigned char *to = dst;
        j.window = src;
        j.nrows = 1;
        for (unsigned i = 0; i < j.outer; i++) {
            size_t first = at[i] * (size_t)r->step[i], left = (size_t)extent[i] - first;
            j.window += first * j.src_pitch[i];
            to += at[i] * j.dst_pitch[i];
            j.window_rows[i] = left < r->step[i] ? left : (size_t)r->step[i];
            j.nrows *= j.window_rows[i];
        }
        reduce_windows(&j, row, segment, to);
        for (unsigned i = j.outer; i-- > 0;) {
            if (++at[i] < counts[i]) {
                break;
            }
            at[i] = 0;
        }
    }
}
