#include "worker/handover.h"

#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include "base/memory_file.h"

static const char facts_name[] = "lazarr.facts";

/* Waits for FACTS, RENEW or DATA while the stores load: (type, descriptor or -1, its bytes, flags,
 * text). Called by lazarr._handover when a store's file first comes to a source. */
static PyObject *receive_facts(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct lzr_wire_packet *p = PyCapsule_GetPointer(self, facts_name);
    int got;
    if (p == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    got = lzr_wire_receive(LZR_WORKER_FD, p);
    Py_END_ALLOW_THREADS;
    bool with = got > 0 && (p->msg.type == LZR_MSG_FACTS || p->msg.type == LZR_MSG_DATA);
    if (got <= 0 || (!with && p->msg.type != LZR_MSG_RENEW) || with != (p->fd >= 0)) {
        PyErr_SetString(PyExc_RuntimeError, "the server said nothing of the sources");
        return NULL;
    }
    return Py_BuildValue("IiKIy#", p->msg.type, p->fd, (unsigned long long)p->msg.bytes,
                         p->msg.flags, p->text, (Py_ssize_t)p->msg.len);
}

static PyMethodDef receive_facts_def = {"receive_facts", receive_facts, METH_NOARGS, NULL};

/* A memfd for what the loader hands over. (os.memfd_create isn't there in every Python.) */
static PyObject *make_memfd(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    struct lzr_err err;
    int fd = lzr_memory_file("lazarr-sources", &err);
    if (fd < 0) {
        PyErr_SetString(PyExc_OSError, err.msg);
        return NULL;
    }
    return PyLong_FromLong(fd);
}

static PyMethodDef make_memfd_def = {"make_memfd", make_memfd, METH_NOARGS, NULL};

struct libraries {
    unsigned long long adds;
    PyObject *paths; /* NULL: a Python error */
};

static int add_library(struct dl_phdr_info *info, size_t size, void *to)
{
    struct libraries *l = to;
    l->adds = size > offsetof(struct dl_phdr_info, dlpi_adds) ? info->dlpi_adds : 0;
    PyObject *path = info->dlpi_name != NULL && info->dlpi_name[0] == '/'
                         ? PyUnicode_DecodeFSDefault(info->dlpi_name)
                         : PyUnicode_FromString("");
    if (path == NULL || PyList_Append(l->paths, path) != 0) {
        Py_CLEAR(l->paths);
    }
    Py_XDECREF(path);
    return l->paths == NULL;
}

static int count_libraries(struct dl_phdr_info *info, size_t size, void *to)
{
    struct libraries *l = to;
    l->adds = size > offsetof(struct dl_phdr_info, dlpi_adds) ? info->dlpi_adds : 0;
    return 1; /* the first says it */
}

/* libraries(known): (how many shared libraries were ever loaded, paths of those that are there),
 * or the number alone if it is `known` still. The loader's lock is held meanwhile: nothing that is
 * done under it loads anything. */
static PyObject *libraries(PyObject *self, PyObject *known)
{
    (void)self;
    struct libraries l = {.adds = 0, .paths = NULL};
    (void)dl_iterate_phdr(count_libraries, &l);
    PyObject *adds = PyLong_FromUnsignedLongLong(l.adds);
    if (adds == NULL || PyObject_RichCompareBool(adds, known, Py_EQ) == 1) {
        return adds;
    }
    Py_DECREF(adds);
    l.paths = PyList_New(0);
    if (l.paths != NULL) {
        (void)dl_iterate_phdr(add_library, &l);
    }
    return l.paths != NULL ? Py_BuildValue("KN", l.adds, l.paths) : NULL;
}

static PyMethodDef libraries_def = {"libraries", libraries, METH_O, NULL};

PyObject *lzr_call_load(const struct lzr_interp *in, struct lzr_wire_packet *p, PyObject *stores,
                        uint32_t flags)
{
    PyObject *self = PyCapsule_New(p, facts_name, NULL), *manifests = NULL;
    PyObject *receive = self != NULL ? PyCFunction_New(&receive_facts_def, self) : NULL;
    PyObject *make = PyCFunction_New(&make_memfd_def, NULL);
    PyObject *loaded = PyCFunction_New(&libraries_def, NULL);
    if (receive != NULL && make != NULL && loaded != NULL) {
        manifests = PyObject_CallFunction(in->load, "OIOOO", stores, flags, receive, make, loaded);
    }
    Py_XDECREF(loaded);
    Py_XDECREF(make);
    Py_XDECREF(receive);
    Py_XDECREF(self);
    return manifests;
}

/* Sealed, so that the server may map it and pass it on. 1, 0, -1 as lzr_hand_over. */
static int send_memfd(int socket_fd, uint32_t type, int fd, uint64_t bytes)
{
    struct lzr_msg m = {.type = type, .bytes = bytes};
    if (!lzr_memory_seal(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return lzr_wire_send_fd(socket_fd, &m, fd) ? 1 : 0;
}

int lzr_hand_over(const struct lzr_interp *in, int socket_fd, bool *end)
{
    int fds[2] = {-1, -1}, last = 0, sent = 1;
    unsigned long long bytes[2] = {0, 0};
    /* ((descriptor, bytes) of the arrays, of the facts, whether the worker is done); without arrays
     * the first is (-1, 0). */
    PyObject *r = PyObject_CallNoArgs(in->handover);
    if (r == NULL ||
        !PyArg_ParseTuple(r, "(iK)(iK)p", &fds[0], &bytes[0], &fds[1], &bytes[1], &last)) {
        Py_XDECREF(r);
        return -1;
    }
    Py_DECREF(r);
    *end = last != 0;
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0 && sent > 0) {
            sent = send_memfd(socket_fd, i == 0 ? LZR_MSG_DATA : LZR_MSG_FACTS, fds[i], bytes[i]);
        }
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    return sent;
}

bool lzr_report(const struct lzr_interp *in, int socket_fd)
{
    PyObject *news = PyObject_CallNoArgs(in->flush);
    if (news == NULL) { /* something of the user's came in between */
        PyErr_Clear();
        news = PyObject_CallNoArgs(in->flush);
    }
    bool sent = true;
    for (Py_ssize_t i = 0; news != NULL && PyList_Check(news) && i < PyList_GET_SIZE(news); i++) {
        struct lzr_msg m = {.type = LZR_MSG_CODE};
        char *text;
        Py_ssize_t n;
        if (PyBytes_AsStringAndSize(PyList_GET_ITEM(news, i), &text, &n) == 0) {
            sent = sent && lzr_wire_send(socket_fd, &m, text, (size_t)n);
        }
    }
    Py_XDECREF(news);
    PyErr_Clear();
    return sent;
}
