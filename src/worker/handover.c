#include "worker/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char facts_name[] = "lazarr.facts";

/* Waits for FACTS while the stores load; the descriptor of its memfd, and its bytes. Called by
 * lazarr._handover when a store's file first comes to a source. */
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
    if (got <= 0 || p->msg.type != LZR_MSG_FACTS || p->fd < 0) {
        PyErr_SetString(PyExc_RuntimeError, "the server said nothing of the sources");
        return NULL;
    }
    return Py_BuildValue("iK", p->fd, (unsigned long long)p->msg.bytes);
}

static PyMethodDef receive_facts_def = {"receive_facts", receive_facts, METH_NOARGS, NULL};

/* A memfd for what the loader hands over. (os.memfd_create isn't there in every Python.) */
static PyObject *make_memfd(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    int fd = memfd_create("lazarr-sources", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd >= 0 ? PyLong_FromLong(fd) : PyErr_SetFromErrno(PyExc_OSError);
}

static PyMethodDef make_memfd_def = {"make_memfd", make_memfd, METH_NOARGS, NULL};

PyObject *lzr_call_load(const struct lzr_interp *in, struct lzr_wire_packet *p, PyObject *stores,
                        uint32_t flags)
{
    PyObject *self = PyCapsule_New(p, facts_name, NULL), *manifests = NULL;
    PyObject *receive = self != NULL ? PyCFunction_New(&receive_facts_def, self) : NULL;
    PyObject *make = PyCFunction_New(&make_memfd_def, NULL);
    if (receive != NULL && make != NULL) {
        manifests = PyObject_CallFunction(in->load, "OIOO", stores, flags, receive, make);
    }
    Py_XDECREF(make);
    Py_XDECREF(receive);
    Py_XDECREF(self);
    return manifests;
}

/* Sealed, so that the server may map it and pass it on. 1, 0, -1 as lzr_hand_over. */
static int send_memfd(int socket_fd, uint32_t type, int fd, uint64_t bytes)
{
    struct lzr_msg m = {.type = type, .bytes = bytes};
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
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
