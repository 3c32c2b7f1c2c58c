#include "store/pyramid_rows.h"

#include <string.h>

#include "store/real.h"
#include "store/strided.h"

/* The loops are compiled a second time for AVX2 and the right one is taken at start. Not under
 * sanitizers, whose own start-up comes too late for that. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORISED
#endif

/* ---- means ---- */

/* Sums in the row's order, which for floats is part of the result. */
#define DEFINE_ADD(name, T, A, lanes)                                                              \
    VECTORISED static void name(void *restrict acc_, const void *restrict row_, size_t n,          \
                                size_t step, bool first)                                           \
    {                                                                                              \
        A *restrict acc = acc_;                                                                    \
        const T *restrict row = row_;                                                              \
        size_t m = n / step;                                                                       \
        if (first) {                                                                               \
            memset(acc, 0, (m + (n % step != 0)) * (lanes) * sizeof *acc);                         \
        }                                                                                          \
        if ((lanes) == 1 && step == 1) {                                                           \
            for (size_t j = 0; j < m; j++) {                                                       \
                acc[j] = (A)(acc[j] + row[j]);                                                     \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        if ((lanes) == 1 && step == 2) {                                                           \
            for (size_t j = 0; j < m; j++) {                                                       \
                acc[j] = (A)((A)(acc[j] + row[2 * j]) + row[2 * j + 1]);                           \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t j = 0; j < m; j++) {                                                       \
                for (size_t t = 0; t < step * (lanes); t++) {                                      \
                    A *to = &acc[j * (lanes) + t % (lanes)];                                       \
                    *to = (A)(*to + row[j * step * (lanes) + t]);                                  \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (size_t t = m * step * (lanes); t < n * (lanes); t++) {                                \
            A *to = &acc[m * (lanes) + t % (lanes)];                                               \
            *to = (A)(*to + row[t]);                                                               \
        }                                                                                          \
    }

DEFINE_ADD(add_u16, uint16_t, uint32_t, 1)
DEFINE_ADD(add_u32, uint32_t, uint64_t, 1)
DEFINE_ADD(add_f32, float, double, 1)
DEFINE_ADD(add_f64, double, double, 1)
DEFINE_ADD(add_c64, float, double, 2)
DEFINE_ADD(add_c128, double, double, 2)
DEFINE_ADD(add_u8_wide, uint8_t, uint32_t, 1)
DEFINE_ADD(add_u8_any, uint8_t, uint16_t, 1)

/* Pairs of bytes as the two halves of a 16-bit lane: no shuffling. */
VECTORISED static void add_u8_pairs(uint16_t *restrict acc, const unsigned char *restrict row,
                                    size_t m, bool first)
{
    if (first) {
        for (size_t j = 0; j < m; j++) {
            uint16_t v;
            memcpy(&v, row + 2 * j, 2);
            acc[j] = (uint16_t)((v & 0xffu) + (v >> 8));
        }
        return;
    }
    for (size_t j = 0; j < m; j++) {
        uint16_t v;
        memcpy(&v, row + 2 * j, 2);
        acc[j] = (uint16_t)(acc[j] + (v & 0xffu) + (v >> 8));
    }
}

static void add_u8(void *acc, const void *row, size_t n, size_t step, bool first)
{
    if (step == 2 && n % 2 == 0) {
        add_u8_pairs(acc, row, n / 2, first);
    } else {
        add_u8_any(acc, row, n, step, first);
    }
}

/* A sum of 64-bit values, of which there are at most 2^16, in two parts. */
struct sum64 {
    uint64_t low, high; /* of the values' low and high 32 bits */
};

VECTORISED static void add_u64(void *restrict acc_, const void *restrict row_, size_t n,
                               size_t step, bool first)
{
    struct sum64 *restrict acc = acc_;
    const uint64_t *restrict row = row_;
    size_t m = n / step + (n % step != 0);
    if (first) {
        memset(acc, 0, m * sizeof *acc);
    }
    for (size_t j = 0; j < m; j++) {
        size_t end = (j + 1) * step < n ? (j + 1) * step : n;
        for (size_t t = j * step; t < end; t++) {
            acc[j].low += row[t] & UINT32_MAX;
            acc[j].high += row[t] >> 32;
        }
    }
}

/* floor((sum + n / 2) / n): for an even n that is floor(sum / n + 1 / 2), and for an odd one no sum
 * is half-way between two. */
#define DEFINE_FINISH(name, A, T)                                                                  \
    VECTORISED static void name(const void *restrict acc_, void *restrict out_, size_t m,          \
                                uint64_t n)                                                        \
    {                                                                                              \
        const A *restrict acc = acc_;                                                              \
        T *restrict out = out_;                                                                    \
        const A half = (A)(n / 2), by = (A)n;                                                      \
        const unsigned shift = (unsigned)__builtin_ctzll(n);                                       \
        if ((n & (n - 1)) == 0) {                                                                  \
            for (size_t j = 0; j < m; j++) {                                                       \
                out[j] = (T)((A)(acc[j] + half) >> shift);                                         \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t j = 0; j < m; j++) {                                                           \
            out[j] = (T)((A)(acc[j] + half) / by);                                                 \
        }                                                                                          \
    }

DEFINE_FINISH(finish_u8, uint16_t, uint8_t)
DEFINE_FINISH(finish_u8_wide, uint32_t, uint8_t)
DEFINE_FINISH(finish_u16, uint32_t, uint16_t)
DEFINE_FINISH(finish_u32, uint64_t, uint32_t)

static void finish_u64(const void *acc_, void *out_, size_t m, uint64_t n)
{
    const struct sum64 *acc = acc_;
    uint64_t *out = out_;
    for (size_t j = 0; j < m; j++) {
        /* Long division in digits of 32 bits: sums are below 2^80, n below 2^17. */
        uint64_t low = acc[j].low + n / 2;
        uint64_t high = acc[j].high + (low >> 32);
        uint64_t rest = (high % n) << 32 | (low & UINT32_MAX);
        out[j] = (high / n << 32) + rest / n;
    }
}

#define DEFINE_FINISH_REAL(name, T)                                                                \
    VECTORISED static void name(const void *restrict acc_, void *restrict out_, size_t m,          \
                                uint64_t n)                                                        \
    {                                                                                              \
        const double *restrict acc = acc_;                                                         \
        T *restrict out = out_;                                                                    \
        const double by = (double)n;                                                               \
        for (size_t j = 0; j < m; j++) {                                                           \
            out[j] = (T)(acc[j] / by);                                                             \
        }                                                                                          \
    }

DEFINE_FINISH_REAL(finish_f32, float)
DEFINE_FINISH_REAL(finish_f64, double)

static void finish_c64(const void *acc, void *out, size_t m, uint64_t n)
{
    finish_f32(acc, out, 2 * m, n);
}

static void finish_c128(const void *acc, void *out, size_t m, uint64_t n)
{
    finish_f64(acc, out, 2 * m, n);
}

struct lzr_mean lzr_mean_of(enum lzr_work work, bool complex, uint64_t window)
{
    switch (work) {
    case LZR_WORK_U8:
        /* 255 * 256 + 128 is still a uint16_t. */
        return window <= 256 ? (struct lzr_mean){add_u8, finish_u8, 2}
                             : (struct lzr_mean){add_u8_wide, finish_u8_wide, 4};
    case LZR_WORK_U16:
        return (struct lzr_mean){add_u16, finish_u16, 4};
    case LZR_WORK_U32:
        return (struct lzr_mean){add_u32, finish_u32, 8};
    case LZR_WORK_U64:
        return (struct lzr_mean){add_u64, finish_u64, sizeof(struct sum64)};
    case LZR_WORK_F32:
        return complex ? (struct lzr_mean){add_c64, finish_c64, 16}
                       : (struct lzr_mean){add_f32, finish_f32, 8};
    case LZR_WORK_F64:
    default:
        return complex ? (struct lzr_mean){add_c128, finish_c128, 16}
                       : (struct lzr_mean){add_f64, finish_f64, 8};
    }
}

/* ---- largest and smallest ---- */

/* BEST(a, b): written so that a NaN of either is kept. */
#define LARGER(a, b) ((a) >= (b) || (a) != (a) ? (a) : (b))
#define SMALLER(a, b) ((a) <= (b) || (a) != (a) ? (a) : (b))

#define DEFINE_BEST(name, T, BEST)                                                                 \
    VECTORISED static void name(void *restrict acc_, const void *restrict row_, size_t n,          \
                                size_t step, bool first)                                           \
    {                                                                                              \
        T *restrict acc = acc_;                                                                    \
        const T *restrict row = row_;                                                              \
        size_t m = n / step, done = 0;                                                             \
        if (step == 1 && !first) {                                                                 \
            for (size_t j = 0; j < m; j++) {                                                       \
                T a = acc[j], b = row[j];                                                          \
                acc[j] = BEST(a, b);                                                               \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        if (step == 2 && first) {                                                                  \
            for (size_t j = 0; j < m; j++) {                                                       \
                T a = row[2 * j], b = row[2 * j + 1];                                              \
                acc[j] = BEST(a, b);                                                               \
            }                                                                                      \
            done = m;                                                                              \
        } else if (step == 2) {                                                                    \
            for (size_t j = 0; j < m; j++) {                                                       \
                T a = row[2 * j], b = row[2 * j + 1], c = acc[j];                                  \
                T d = BEST(a, b);                                                                  \
                acc[j] = BEST(c, d);                                                               \
            }                                                                                      \
            done = m;                                                                              \
        }                                                                                          \
        for (size_t j = done; j * step < n; j++) {                                                 \
            size_t end = (j + 1) * step < n ? (j + 1) * step : n;                                  \
            T a = first ? row[j * step] : acc[j];                                                  \
            for (size_t t = j * step; t < end; t++) {                                              \
                T b = row[t];                                                                      \
                a = BEST(a, b);                                                                    \
            }                                                                                      \
            acc[j] = a;                                                                            \
        }                                                                                          \
    }

DEFINE_BEST(max_u8, uint8_t, LARGER)
DEFINE_BEST(max_u16, uint16_t, LARGER)
DEFINE_BEST(max_u32, uint32_t, LARGER)
DEFINE_BEST(max_u64, uint64_t, LARGER)
DEFINE_BEST(max_f32, float, LARGER)
DEFINE_BEST(max_f64, double, LARGER)
DEFINE_BEST(min_u8, uint8_t, SMALLER)
DEFINE_BEST(min_u16, uint16_t, SMALLER)
DEFINE_BEST(min_u32, uint32_t, SMALLER)
DEFINE_BEST(min_u64, uint64_t, SMALLER)
DEFINE_BEST(min_f32, float, SMALLER)
DEFINE_BEST(min_f64, double, SMALLER)

lzr_row_fn *lzr_max_of(enum lzr_work work)
{
    static lzr_row_fn *const FNS[] = {
        [LZR_WORK_U8] = max_u8,   [LZR_WORK_U16] = max_u16, [LZR_WORK_U32] = max_u32,
        [LZR_WORK_U64] = max_u64, [LZR_WORK_F32] = max_f32, [LZR_WORK_F64] = max_f64};
    return FNS[work];
}

lzr_row_fn *lzr_min_of(enum lzr_work work)
{
    static lzr_row_fn *const FNS[] = {
        [LZR_WORK_U8] = min_u8,   [LZR_WORK_U16] = min_u16, [LZR_WORK_U32] = min_u32,
        [LZR_WORK_U64] = min_u64, [LZR_WORK_F32] = min_f32, [LZR_WORK_F64] = min_f64};
    return FNS[work];
}

/* ---- the most frequent ---- */

/* Shell's sort: no recursion, no extra memory, good enough for windows. */
static void sort(uint64_t *v, size_t n)
{
    static const size_t GAPS[] = {29524, 9841, 3280, 1093, 364, 121, 40, 13, 4, 1};
    size_t g = n > 16 ? 0 : 9; /* a short one is sorted by insertion alone */
    for (; g < sizeof GAPS / sizeof GAPS[0]; g++) {
        for (size_t gap = GAPS[g], i = gap; i < n; i++) {
            uint64_t x = v[i];
            size_t k = i;
            for (; k >= gap && v[k - gap] > x; k -= gap) {
                v[k] = v[k - gap];
            }
            v[k] = x;
        }
    }
}

uint64_t lzr_mode_of(uint64_t *values, size_t n)
{
    sort(values, n);
    uint64_t best = values[0];
    size_t most = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && values[end] == values[i]) {
            end++;
        }
        if (end - i > most) {
            most = end - i;
            best = values[i];
        }
        i = end;
    }
    return best;
}

/* ---- to and from the working type ---- */

struct lzr_form lzr_form_of(struct lzr_dtype d, bool ordered)
{
    struct lzr_form f = {.words = d.kind == 'c' ? 2 : 1, .size = lzr_dtype_word(d)};
    bool real = d.kind == 'f' || d.kind == 'c';
    f.swap = f.size > 1 && d.big != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    f.flip = d.kind == 'i';
    f.ordered = real && ordered;
    f.half = real && f.size == 2 && !ordered;
    f.work_size = f.half ? 8 : f.size;
    if (real && !ordered) {
        f.work = f.size == 4 ? LZR_WORK_F32 : LZR_WORK_F64;
    } else {
        f.work = f.size == 1   ? LZR_WORK_U8
                 : f.size == 2 ? LZR_WORK_U16
                 : f.size == 4 ? LZR_WORK_U32
                               : LZR_WORK_U64;
    }
    return f;
}

bool lzr_form_same(const struct lzr_form *f)
{
    return !f->swap && !f->flip && !f->half && !f->ordered;
}

/* Signed and unsigned words of one size: order of bytes, sign. U: the unsigned type. */
#define DEFINE_WORDS(name, U, SWAP)                                                                \
    VECTORISED static void name(const void *restrict from_, void *restrict to_, size_t n,          \
                                bool swap, bool flip, bool back)                                   \
    {                                                                                              \
        const U *restrict from = from_;                                                            \
        U *restrict to = to_;                                                                      \
        const U sign = (U)(flip ? (U)1 << (8 * sizeof(U) - 1) : 0);                                \
        if (!swap) {                                                                               \
            for (size_t i = 0; i < n; i++) {                                                       \
                to[i] = (U)(from[i] ^ sign);                                                       \
            }                                                                                      \
        } else {                                                                                   \
            const U before = (U)(back ? sign : 0), after = (U)(back ? 0 : sign);                   \
            for (size_t i = 0; i < n; i++) {                                                       \
                to[i] = (U)(SWAP((U)(from[i] ^ before)) ^ after);                                  \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_WORDS(words_u8, uint8_t, )
DEFINE_WORDS(words_u16, uint16_t, __builtin_bswap16)
DEFINE_WORDS(words_u32, uint32_t, __builtin_bswap32)
DEFINE_WORDS(words_u64, uint64_t, __builtin_bswap64)

static void words(const struct lzr_form *f, const void *from, void *to, size_t n, bool back)
{
    switch (f->size) {
    case 1:
        words_u8(from, to, n, f->swap, f->flip, back);
        break;
    case 2:
        words_u16(from, to, n, f->swap, f->flip, back);
        break;
    case 4:
        words_u32(from, to, n, f->swap, f->flip, back);
        break;
    default:
        words_u64(from, to, n, f->swap, f->flip, back);
        break;
    }
}

/* IEEE bits to unsigned integers of the same order and back: negative ones downwards below the
 * sign bit, positive ones above it, every NaN at the top, -0 as 0. inf: the bits of infinity. */
#define DEFINE_ORDER(name, U)                                                                      \
    static void name(U *v, size_t n, U inf, bool back)                                             \
    {                                                                                              \
        const U sign = (U)((U)1 << (8 * sizeof(U) - 1)), top = (U) ~(U)0;                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            U b = v[i], size = (U)(b & (U)~sign);                                                  \
            if (back) {                                                                            \
                v[i] = b == top ? (U)(inf | (U)(inf >> 1)) : (b & sign) != 0 ? size : (U)~b;       \
            } else {                                                                               \
                v[i] = size > inf        ? top                                                     \
                       : size == 0       ? sign                                                    \
                       : (b & sign) != 0 ? (U)~b                                                   \
                                         : (U)(b | sign);                                          \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_ORDER(order_u16, uint16_t)
DEFINE_ORDER(order_u32, uint32_t)
DEFINE_ORDER(order_u64, uint64_t)

static void order(const struct lzr_form *f, void *v, size_t n, bool back)
{
    if (f->size == 2) {
        order_u16(v, n, 0x7c00u, back);
    } else if (f->size == 4) {
        order_u32(v, n, UINT32_C(0x7f800000), back);
    } else {
        order_u64(v, n, UINT64_C(0x7ff0000000000000), back);
    }
}

/* Exact: the exponent is moved by a multiplication, which makes subnormal numbers normal. */
VECTORISED static void halves_to_doubles(const uint16_t *restrict from, double *restrict to,
                                         size_t n, bool swap)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t h = swap ? (uint16_t)(from[i] << 8 | from[i] >> 8) : from[i];
        uint32_t size = (h & 0x7fffu) << 13, special = size >= 0x0f800000u ? 0x70000000u : 0;
        uint32_t bits = size | special | (h & 0x8000u) << 16;
        float v;
        memcpy(&v, &bits, sizeof v);
        to[i] = (double)(v * (special != 0 ? 1.0f : 0x1p112f));
    }
}

void lzr_form_load(const struct lzr_form *f, const void *row, size_t n, void *out)
{
    if (f->half) {
        halves_to_doubles(row, out, n, f->swap);
        return;
    }
    words(f, row, out, n, false);
    if (f->ordered) {
        order(f, out, n, false);
    }
}

void lzr_form_store(const struct lzr_form *f, const void *row, size_t n, void *out)
{
    if (f->half) {
        const double *from = row;
        uint16_t *to = out;
        for (size_t i = 0; i < n; i++) {
            uint16_t h = lzr_half_from_double(from[i]);
            to[i] = f->swap ? (uint16_t)(h << 8 | h >> 8) : h;
        }
        return;
    }
    if (f->ordered) {
        unsigned char *bytes = out;
        memcpy(bytes, row, n * f->size);
        order(f, bytes, n, true);
        if (f->swap) {
            lzr_swap_words(bytes, n * f->size, f->size);
        }
        return;
    }
    words(f, row, out, n, true);
}
