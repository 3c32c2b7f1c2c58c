#include "worker/inputs.h"

#include <string.h>

bool lzr_extent_bytes(unsigned rank, const uint64_t extent[], uint64_t itemsize, uint64_t *bytes)
{
    uint64_t n = itemsize;
    bool empty = false;
    for (unsigned i = 0; i < rank; i++) {
        empty = empty || extent[i] == 0;
        if (extent[i] > (uint64_t)NPY_MAX_INTP ||
            (!empty && __builtin_mul_overflow(n, extent[i], &n))) {
            return false;
        }
    }
    *bytes = empty ? 0 : n;
    return true;
}

/* One input as an array over the slot; NULL, perhaps with a Python error: it makes no sense. */
static PyObject *input_array(struct lzr_wslot *s, PyObject *dtype, const struct lzr_msg_input *in)
{
    npy_intp shape[LZR_MAX_RANK];
    uint64_t bytes;
    if (!PyArray_DescrCheck(dtype) || in->rank > LZR_MAX_RANK ||
        in->offset % LZR_INPUT_ALIGN != 0 || in->offset > s->inputs_capacity ||
        !lzr_extent_bytes(in->rank, in->extent, (uint64_t)PyDataType_ELSIZE((PyArray_Descr *)dtype),
                          &bytes) ||
        bytes > s->inputs_capacity - in->offset) {
        return NULL;
    }
    for (unsigned i = 0; i < in->rank; i++) {
        shape[i] = (npy_intp)in->extent[i];
    }
    /* An input of no bytes may lie where the inputs end, or have no memory at all. */
    unsigned char *at = bytes > 0 ? s->inputs + in->offset : s->map;
    return lzr_wslot_array(s, at, (PyArray_Descr *)dtype, (int)in->rank, shape);
}

PyObject *lzr_inputs_of(const struct lzr_interp *py, const struct lzr_wire_packet *p,
                        struct lzr_wslot *s)
{
    size_t n = p->msg.len / sizeof(struct lzr_msg_input);
    PyObject *dtypes = NULL, *list = NULL;
    if (p->msg.len % sizeof(struct lzr_msg_input) != 0 || n > LZR_MAX_INPUTS ||
        !lzr_wslot_forget(s)) {
        return NULL;
    }
    dtypes = PyObject_CallFunction(py->input_dtypes, "II", p->msg.store, p->msg.array);
    if (dtypes != NULL && PyList_Check(dtypes) && (size_t)PyList_GET_SIZE(dtypes) == n) {
        list = PyList_New((Py_ssize_t)n);
    }
    for (size_t i = 0; list != NULL && i < n; i++) {
        struct lzr_msg_input in;
        memcpy(&in, p->text + i * sizeof in, sizeof in);
        PyObject *a = input_array(s, PyList_GET_ITEM(dtypes, (Py_ssize_t)i), &in);
        if (a == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, a);
    }
    s->inputs_used = n > 0;
    Py_XDECREF(dtypes);
    PyErr_Clear();
    return list;
}
