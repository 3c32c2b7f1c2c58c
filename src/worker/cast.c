#include "worker/cast.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static bool same_shape(PyArrayObject *a, PyArrayObject *b)
{
    return PyArray_NDIM(a) == PyArray_NDIM(b) &&
           PyArray_CompareLists(PyArray_DIMS(a), PyArray_DIMS(b), PyArray_NDIM(a));
}

/* One loop for each pair of integer types: converts, and collects whether anything didn't survive
 * the way there and back with its sign. Simple enough for the compiler to vectorise. */
#define NARROW(name, S, D)                                                                         \
    static bool name(const void *from, void *to, size_t n)                                         \
    {                                                                                              \
        const S *s = from;                                                                         \
        D *d = to;                                                                                 \
        unsigned bad = 0;                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            S v = s[i];                                                                            \
            D w = (D)v;                                                                            \
            d[i] = w;                                                                              \
            bad |=                                                                                 \
                (unsigned)((S)w != v) | (unsigned)((v < (S)1 && v != 0) != (w < (D)1 && w != 0));  \
        }                                                                                          \
        return bad == 0;                                                                           \
    }

#define NARROW_FROM(s, S)                                                                          \
    NARROW(s##_i1, S, int8_t)                                                                      \
    NARROW(s##_u1, S, uint8_t)                                                                     \
    NARROW(s##_i2, S, int16_t)                                                                     \
    NARROW(s##_u2, S, uint16_t)                                                                    \
    NARROW(s##_i4, S, int32_t)                                                                     \
    NARROW(s##_u4, S, uint32_t)                                                                    \
    NARROW(s##_i8, S, int64_t)                                                                     \
    NARROW(s##_u8, S, uint64_t)

NARROW_FROM(i1, int8_t)
NARROW_FROM(u1, uint8_t)
NARROW_FROM(i2, int16_t)
NARROW_FROM(u2, uint16_t)
NARROW_FROM(i4, int32_t)
NARROW_FROM(u4, uint32_t)
NARROW_FROM(i8, int64_t)
NARROW_FROM(u8, uint64_t)

typedef bool narrow_fn(const void *, void *, size_t);

/* [source][target], each i1 u1 i2 u2 i4 u4 i8 u8. */
#define ROW(s)                                                                                     \
    {                                                                                              \
        s##_i1, s##_u1, s##_i2, s##_u2, s##_i4, s##_u4, s##_i8, s##_u8                             \
    }
static narrow_fn *const narrow[8][8] = {ROW(i1), ROW(u1), ROW(i2), ROW(u2),
                                        ROW(i4), ROW(u4), ROW(i8), ROW(u8)};

static int integer_row(char kind, npy_intp size)
{
    int log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
    return 2 * log + (kind == 'u');
}

/* float64 to float32: a finite value must not become infinite. */
static bool narrow_f8_f4(const void *from, void *to, size_t n)
{
    const double *s = from;
    float *d = to;
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++) {
        float w = (float)s[i];
        d[i] = w;
        bad |= (unsigned)(isinf(w) && !isinf(s[i]));
    }
    return bad == 0;
}

/* The loop for this pair of kinds and sizes, both in native order; NULL: none. */
static narrow_fn *pick(PyArrayObject *a, PyArrayObject *to)
{
    char s = PyArray_DESCR(a)->kind, d = PyArray_DESCR(to)->kind;
    if ((s == 'i' || s == 'u') && (d == 'i' || d == 'u')) {
        return narrow[integer_row(s, PyArray_ITEMSIZE(a))][integer_row(d, PyArray_ITEMSIZE(to))];
    }
    if (s == 'f' && d == 'f' && PyArray_ITEMSIZE(a) == 8 && PyArray_ITEMSIZE(to) == 4) {
        return narrow_f8_f4;
    }
    return NULL;
}

static bool copy_into(PyArrayObject *to, PyArrayObject *a)
{
    if (PyArray_CopyInto(to, a) != 0) {
        PyErr_Clear();
        return false;
    }
    return true;
}

/* The same values as a plain C array in native order, of its own. NULL: no memory. */
static PyArrayObject *plain_copy(PyArrayObject *a)
{
    PyArray_Descr *native = PyArray_DescrNewByteorder(PyArray_DESCR(a), NPY_NATIVE);
    PyObject *copy =
        native != NULL
            ? PyArray_FromArray(a, native,
                                NPY_ARRAY_CARRAY | NPY_ARRAY_ENSUREARRAY | NPY_ARRAY_ENSURECOPY)
            : NULL;
    PyErr_Clear();
    return (PyArrayObject *)copy;
}

/* The loops know aligned C order in native byte order: what isn't so goes through a copy that is.
 */
static bool narrow_into(narrow_fn *f, PyArrayObject *a, PyArrayObject *to)
{
    const char *lo = PyArray_DATA(to), *src = PyArray_DATA(a);
    bool overlaps = src >= lo && src < lo + PyArray_NBYTES(to);
    bool plain = PyArray_ISCARRAY_RO(a) && !overlaps;
    PyArrayObject *from = plain ? a : plain_copy(a);
    PyArrayObject *into = PyArray_ISNOTSWAPPED(to) ? to : plain_copy(to);
    bool ok = from != NULL && into != NULL &&
              f(PyArray_DATA(from), PyArray_DATA(into), (size_t)PyArray_SIZE(to)) &&
              (into == to || copy_into(to, into));
    if (!plain) {
        Py_XDECREF(from);
    }
    if (into != to) {
        Py_XDECREF(into);
    }
    return ok;
}

bool lzr_cast_fast(PyArrayObject *a, PyArrayObject *to)
{
    if (!same_shape(a, to) || strchr("biufc", PyArray_DESCR(a)->kind) == NULL) {
        return false;
    }
    PyArray_Descr *from = PyArray_DESCR(a), *into = PyArray_DESCR(to);
    if (PyArray_EquivTypes(from, into)) {
        if (!PyArray_IS_C_CONTIGUOUS(a)) {
            return copy_into(to, a); /* NumPy minds overlaps */
        }
        if (PyArray_DATA(a) != PyArray_DATA(to)) { /* not block.data itself */
            memmove(PyArray_DATA(to), PyArray_DATA(a), (size_t)PyArray_NBYTES(to));
        }
        return true;
    }
    if (PyArray_CanCastTypeTo(from, into, NPY_SAFE_CASTING)) {
        return copy_into(to, a);
    }
    if ((from->kind == 'i' || from->kind == 'u') &&
        ((into->kind == 'f' && PyArray_ITEMSIZE(to) > 2) || into->kind == 'c')) {
        return copy_into(to, a); /* every integer is near a float of 32 bits or more */
    }
    narrow_fn *f = pick(a, to);
    return f != NULL && narrow_into(f, a, to);
}
