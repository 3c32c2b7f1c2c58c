/* main.c: a worker process: loads the stores, then computes the blocks it is sent, one by one,
 * until its server goes away. The only C that runs user code. See lazarr/protocol.h. */
#include "worker/interp.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "worker/cast.h"
#include "worker/slots.h"
#include "worker/wire.h"

enum { MAX_LINE = 2048, MAX_TEXT = LZR_MAX_MESSAGE - (int)sizeof(struct lzr_msg) };

struct worker {
    int fd;
    struct lzr_interp in;
    struct lzr_wslot *slots;
    PyObject *make_data; /* the callable that gives a block its array */
    /* The job that runs, for make_data. */
    struct lzr_wslot *slot;
    PyArray_Descr *descr; /* borrowed from the store's array */
    int rank;
    npy_intp shape[LZR_MAX_RANK];
    bool pins_collected; /* gc ran since the last job */
    char line[MAX_LINE], trace[MAX_TEXT];
    struct lzr_wire_packet packet;
};

static void complain(const char *what)
{
    (void)fprintf(stderr, "lazarr-worker: %s\n", what);
}

/* A message of two texts, line and traceback, cut to fit. */
static bool send_texts(struct worker *w, struct lzr_msg *m)
{
    char both[MAX_TEXT];
    size_t n = strlen(w->line);
    n = n < sizeof both - 1 ? n : sizeof both - 1;
    memcpy(both, w->line, n);
    both[n++] = '\0';
    size_t t = strlen(w->trace);
    t = t < sizeof both - n ? t : sizeof both - n;
    memcpy(both + n, w->trace, t);
    return lzr_wire_send(w->fd, m, both, n + t);
}

static void python_error(struct worker *w)
{
    lzr_interp_error(&w->in, w->line, sizeof w->line, w->trace, sizeof w->trace);
}

/* A block's data: the slot as an ndarray, not initialised. Called by Block when a function first
 * uses block.data. */
static PyObject *make_data(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct worker *w = PyCapsule_GetPointer(self, "lazarr.worker");
    if (w == NULL) {
        return NULL;
    }
    if (w->slot == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this block is over: block.data is only there while the "
                        "function runs");
        return NULL;
    }
    return lzr_wslot_array(w->slot, w->descr, w->rank, w->shape);
}

static PyMethodDef make_data_def = {"make_data", make_data, METH_NOARGS, NULL};

static PyObject *tuple_of(const uint64_t *v, unsigned n)
{
    PyObject *t = PyTuple_New((Py_ssize_t)n);
    for (unsigned i = 0; t != NULL && i < n; i++) {
        PyObject *o = PyLong_FromUnsignedLongLong(v[i]);
        if (o == NULL) {
            Py_CLEAR(t);
            break;
        }
        PyTuple_SET_ITEM(t, (Py_ssize_t)i, o);
    }
    return t;
}

/* Calls lazarr._host.compute. A new reference, or NULL with a Python error. */
static PyObject *call_function(struct worker *w, const struct lzr_msg *m)
{
    PyObject *args[8] = {NULL}; /* the first is the vectorcall's own */
    PyObject *result = NULL;
    bool ok = (args[1] = PyLong_FromUnsignedLong(m->store)) != NULL &&
              (args[2] = PyLong_FromUnsignedLong(m->array)) != NULL &&
              (args[3] = PyLong_FromUnsignedLong(m->level)) != NULL &&
              (args[4] = PyLong_FromUnsignedLongLong(m->total)) != NULL &&
              (args[5] = tuple_of(m->start, m->rank)) != NULL &&
              (args[6] = tuple_of(m->extent, m->rank)) != NULL;
    if (ok) {
        args[7] = w->make_data;
        result =
            PyObject_Vectorcall(w->in.compute, args + 1, 7 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    for (int i = 1; i < 7; i++) {
        Py_XDECREF(args[i]);
    }
    return result;
}

/* The result into the slot. False: a Python error is set. */
static bool store_result(struct worker *w, PyObject *result)
{
    if (result == w->in.written) {
        return true;
    }
    PyObject *to = lzr_wslot_array(w->slot, w->descr, w->rank, w->shape);
    if (to == NULL) {
        return false;
    }
    bool ok = PyArray_Check(result) && lzr_cast_fast((PyArrayObject *)result, (PyArrayObject *)to);
    if (!ok) {
        /* Rare or wrong: _cast.py does it, or says what is wrong. A result that lies in the slot
         * itself is copied first, since the slot is about to be written. */
        PyObject *copy = PyArray_Check(result)
                             ? PyArray_NewCopy((PyArrayObject *)result, NPY_CORDER)
                             : Py_NewRef(result);
        PyObject *r =
            copy != NULL ? PyObject_CallFunctionObjArgs(w->in.assign, to, copy, NULL) : NULL;
        ok = r != NULL;
        Py_XDECREF(r);
        Py_XDECREF(copy);
    }
    Py_DECREF(to);
    return ok;
}

static uint64_t now_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* Whether the job makes sense: its slot is there, its block fits. */
static bool accept_job(struct worker *w, const struct lzr_msg *m)
{
    struct lzr_wslot *s = w->slots;
    while (s != NULL && s->id != m->slot) {
        s = s->next;
    }
    if (s == NULL || m->rank > LZR_MAX_RANK || m->bytes > s->capacity) {
        return false;
    }
    w->slot = s;
    w->rank = (int)m->rank;
    for (unsigned i = 0; i < m->rank; i++) {
        w->shape[i] = (npy_intp)m->extent[i];
    }
    return true;
}

/* Runs one job and answers. False: the server is gone. */
static bool run_job(struct worker *w, const struct lzr_msg *m)
{
    struct lzr_msg answer = {.type = LZR_MSG_DONE,
                             .seq = m->seq,
                             .slot = m->slot,
                             .bytes = m->bytes};
    struct lzr_wslot *slot = w->slot;
    PyObject *descr = PyObject_CallFunction(w->in.dtype, "II", m->store, m->array);
    uint64_t t0 = now_us();
    bool ok = false;
    if (descr != NULL && PyArray_DescrCheck(descr)) {
        w->descr = (PyArray_Descr *)descr;
        PyObject *result = call_function(w, m);
        ok = result != NULL && store_result(w, result);
        if (!ok) {
            answer.type = LZR_MSG_FAILED;
            python_error(w);
        }
        Py_XDECREF(result);
    } else {
        answer.type = LZR_MSG_FAILED;
        python_error(w);
    }
    w->slot = NULL;
    answer.run_us = now_us() - t0;
    Py_XDECREF(descr);
    PyObject *f = PyObject_CallNoArgs(w->in.flush);
    Py_XDECREF(f);
    PyErr_Clear();
    /* From here to the answer the GIL isn't given up, so no other thread can unpin in between. */
    if (slot->pins > 0) {
        answer.flags |= LZR_DONE_PINNED;
        slot->announced = true;
    }
    w->pins_collected = false;
    return ok ? lzr_wire_send(w->fd, &answer, NULL, 0) : send_texts(w, &answer);
}

/* CONFIG: runs the stores' files and reports their manifests. False: it ends here. */
static bool load(struct worker *w)
{
    const struct lzr_wire_packet *p = &w->packet;
    PyObject *list = PyList_New(0), *manifests = NULL;
    for (size_t i = 0; list != NULL && i < p->msg.len;) {
        const char *name = p->text + i, *path = name + strlen(name) + 1;
        if (path >= p->text + p->msg.len) {
            complain("a configuration that makes no sense");
            return false;
        }
        PyObject *pair = Py_BuildValue("(sN)", name, PyUnicode_DecodeFSDefault(path));
        if (pair == NULL || PyList_Append(list, pair) != 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
        i = (size_t)(path - p->text) + strlen(path) + 1;
    }
    manifests = list != NULL ? PyObject_CallOneArg(w->in.load, list) : NULL;
    Py_XDECREF(list);
    PyObject *f = PyErr_Occurred() ? NULL : PyObject_CallNoArgs(w->in.flush);
    Py_XDECREF(f);
    if (manifests == NULL) {
        struct lzr_msg m = {.type = LZR_MSG_LOAD_FAILED};
        python_error(w);
        (void)send_texts(w, &m);
        return false;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(manifests); i++) {
        Py_ssize_t n = 0;
        const char *text = PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(manifests, i), &n);
        for (Py_ssize_t at = 0; text != NULL && at < n;) {
            size_t part = n - at < MAX_TEXT ? (size_t)(n - at) : MAX_TEXT;
            struct lzr_msg m = {.type = LZR_MSG_MANIFEST_PART,
                                .store = (uint32_t)i,
                                .total = (uint64_t)n};
            if (!lzr_wire_send(w->fd, &m, text + at, part)) {
                return false;
            }
            at += (Py_ssize_t)part;
        }
    }
    Py_DECREF(manifests);
    struct lzr_msg ready = {.type = LZR_MSG_READY};
    return lzr_wire_send(w->fd, &ready, NULL, 0);
}

static bool add_slot(struct worker *w)
{
    const struct lzr_wire_packet *p = &w->packet;
    struct lzr_wslot *s =
        p->fd >= 0 ? lzr_wslot_new(p->msg.slot, p->fd, p->msg.bytes, w->fd) : NULL;
    if (s == NULL) {
        complain("a slot can't be mapped");
        return false;
    }
    s->next = w->slots;
    w->slots = s;
    return true;
}

static bool drop_slot(struct worker *w, uint32_t id)
{
    for (struct lzr_wslot **s = &w->slots; *s != NULL; s = &(*s)->next) {
        if ((*s)->id == id && (*s)->pins == 0) {
            struct lzr_wslot *gone = *s;
            *s = gone->next;
            lzr_wslot_free(&gone);
            return true;
        }
    }
    return false;
}

/* One message. False: the worker ends. */
static bool handle(struct worker *w)
{
    const struct lzr_msg *m = &w->packet.msg;
    switch (m->type) {
    case LZR_MSG_CONFIG:
        return load(w);
    case LZR_MSG_SLOT:
        return add_slot(w);
    case LZR_MSG_DROP_SLOT:
        return drop_slot(w, m->slot);
    case LZR_MSG_JOB:
        if (!accept_job(w, m)) {
            complain("a job that makes no sense");
            return false;
        }
        if (!lzr_wslot_claim(w->slot, m->seq)) {
            w->slot = NULL;
            return true; /* withdrawn: the server expects no answer */
        }
        return run_job(w, m);
    default:
        return false; /* QUIT, or nonsense */
    }
}

/* Before waiting: slots that only a reference cycle keeps are given back. */
static void collect_pins(struct worker *w)
{
    bool pinned = false;
    for (struct lzr_wslot *s = w->slots; s != NULL; s = s->next) {
        pinned = pinned || s->pins > 0;
    }
    if (pinned && !w->pins_collected && !lzr_wire_pending(w->fd)) {
        PyObject *n = PyObject_CallNoArgs(w->in.gc_collect);
        Py_XDECREF(n);
        PyErr_Clear();
        w->pins_collected = true;
    }
}

static void serve(struct worker *w)
{
    for (;;) {
        collect_pins(w);
        int got;
        Py_BEGIN_ALLOW_THREADS /* user threads run while the worker waits */
            got = lzr_wire_receive(w->fd, &w->packet);
        Py_END_ALLOW_THREADS if (got <= 0 || !handle(w))
        {
            return;
        }
    }
}

/* A worker goes with its server, gets the CPU last, can't gain rights, and is the first to go when
 * memory is short. */
static void settle(void)
{
    pid_t parent = getppid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || parent == 1) {
        _exit(1);
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setpriority(PRIO_PROCESS, 0, 10);
    (void)setpgid(0, 0); /* a Ctrl-C at the terminal is the server's to handle */
    (void)signal(SIGPIPE, SIG_IGN);
    FILE *f = fopen("/proc/self/oom_score_adj", "w");
    if (f != NULL) {
        (void)fputs("500", f);
        (void)fclose(f);
    }
    (void)fcntl(LZR_WORKER_FD, F_SETFD, FD_CLOEXEC);
}

/* Exit functions get two seconds; the interpreter is not finalised, which could take for ever. */
static void finish(struct worker *w)
{
    (void)alarm(2);
    PyObject *r = w->in.run_exit != NULL ? PyObject_CallNoArgs(w->in.run_exit) : NULL;
    Py_XDECREF(r);
    PyErr_Clear();
    r = w->in.flush != NULL ? PyObject_CallNoArgs(w->in.flush) : NULL;
    Py_XDECREF(r);
    (void)fflush(NULL);
    _exit(0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"program", required_argument, NULL, 'p'},
                                            {"package", required_argument, NULL, 'k'},
                                            {"restore-ld-library-path", required_argument, NULL,
                                             'l'},
                                            {NULL, 0, NULL, 0}};
    const char *program = "/usr/bin/python3", *package = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p') {
            program = optarg;
        } else if (c == 'k') {
            package = optarg;
        } else if (c == 'l') {
            /* It was for this process's libpython; user code's own processes shouldn't see it. */
            (void)(*optarg != '\0' ? setenv("LD_LIBRARY_PATH", optarg, 1)
                                   : unsetenv("LD_LIBRARY_PATH"));
        }
    }
    if (package == NULL || fcntl(LZR_WORKER_FD, F_GETFD) < 0) {
        complain("is started by lazarr, not by hand");
        return 2;
    }
    settle();
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return 1;
    }
    w->fd = LZR_WORKER_FD;
    if (!lzr_interp_start(&w->in, program, package, w->line, sizeof w->line, w->trace,
                          sizeof w->trace)) {
        struct lzr_msg m = {.type = LZR_MSG_LOAD_FAILED};
        (void)send_texts(w, &m);
        _exit(1);
    }
    PyObject *self = PyCapsule_New(w, "lazarr.worker", NULL);
    w->make_data = self != NULL ? PyCFunction_New(&make_data_def, self) : NULL;
    if (w->make_data == NULL) {
        _exit(1);
    }
    serve(w);
    finish(w);
}
