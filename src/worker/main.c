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
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "worker/cast.h"
#include "worker/complain.h"
#include "worker/forks.h"
#include "worker/settle.h"
#include "worker/handover.h"
#include "worker/inputs.h"
#include "worker/leave.h"
#include "worker/printed.h"
#include "worker/slots.h"
#include "worker/wire.h"

enum { MAX_LINE = 2048, MAX_TEXT = LZR_MAX_MESSAGE - (int)sizeof(struct lzr_msg) };

/* What becomes of the worker after a message. */
enum next { GO_ON, END, BROKEN /* the message makes no sense */ };

struct worker {
    int fd;
    struct lzr_interp in;
    struct lzr_wslot *slots;
    struct lzr_printed printed;
    bool loaded; /* CONFIG came */
    /* The job that runs, for make_data; slot is NULL when none does. */
    uint64_t seq;
    struct lzr_wslot *slot;
    PyArray_Descr *descr;
    int rank;
    npy_intp shape[LZR_MAX_RANK];
    PyObject *inputs;    /* its inputs' arrays, until the function has been called */
    bool pins_collected; /* gc ran since the last job */
    char line[MAX_LINE], trace[MAX_TEXT];
    struct lzr_wire_packet packet;
};

/* A message of two texts, line and traceback, cut to fit. */
static bool send_texts(struct worker *w, struct lzr_msg *m)
{
    char both[MAX_TEXT];
    size_t n = lzr_text_copy(both, MAX_LINE, w->line) + 1;
    n += lzr_text_copy(both + n, sizeof both - n, w->trace);
    return lzr_wire_send(w->fd, m, both, n);
}

static void python_error(struct worker *w)
{
    lzr_interp_error(&w->in, w->line, sizeof w->line, w->trace, sizeof w->trace);
}

static const char job_name[] = "lazarr.job";

/* A block's data: the slot as an ndarray, not initialised. Called by Block when a function first
 * uses block.data. Self says whose job it is: a block that user code kept must not reach into the
 * slot of a later one. */
static PyObject *make_data(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct worker *w = PyCapsule_GetPointer(self, job_name);
    if (w == NULL) {
        return NULL;
    }
    if (w->slot == NULL || (uint64_t)(uintptr_t)PyCapsule_GetContext(self) != w->seq) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this block is over: block.data is only there while the "
                        "function runs");
        return NULL;
    }
    return lzr_wslot_array(w->slot, w->slot->map, w->descr, w->rank, w->shape);
}

static PyMethodDef make_data_def = {"make_data", make_data, METH_NOARGS, NULL};

/* The callable that gives the running job's block its array. */
static PyObject *make_data_for_job(struct worker *w)
{
    PyObject *self = PyCapsule_New(w, job_name, NULL), *f = NULL;
    if (self != NULL && PyCapsule_SetContext(self, (void *)(uintptr_t)w->seq) == 0) {
        f = PyCFunction_New(&make_data_def, self);
    }
    Py_XDECREF(self);
    return f;
}

static const char worker_name[] = "lazarr.worker";

/* ask(take) of lazarr._cancel: what is known of the running job. */
static PyObject *ask_cancelled(PyObject *self, PyObject *take)
{
    struct worker *w = PyCapsule_GetPointer(self, worker_name);
    if (w == NULL) {
        return NULL;
    }
    return PyLong_FromLong(w->slot != NULL ? lzr_wslot_cancelled(w->slot, w->seq, take == Py_True)
                                           : 0);
}

static PyMethodDef ask_cancelled_def = {"ask", ask_cancelled, METH_O, NULL};

/* Signals do from now on what protocol.h says. False: a Python error is set. */
static bool install_signals(struct worker *w)
{
    /* Its own copy of stderr: user code may close that one. */
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 200);
    PyObject *self = PyCapsule_New(w, worker_name, NULL), *r = NULL;
    PyObject *ask = self != NULL ? PyCFunction_New(&ask_cancelled_def, self) : NULL;
    if (ask != NULL) {
        r = PyObject_CallFunction(w->in.install, "Oiii", ask, SIGRTMIN + LZR_SIGNAL_CANCEL,
                                  SIGRTMIN + LZR_SIGNAL_STACK, fd >= 0 ? fd : STDERR_FILENO);
    }
    Py_XDECREF(ask);
    Py_XDECREF(self);
    Py_XDECREF(r);
    return r != NULL;
}

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
    PyObject *args[9] = {NULL}; /* the first is the vectorcall's own */
    PyObject *result = NULL;
    bool ok = (args[1] = PyLong_FromUnsignedLong(m->store)) != NULL &&
              (args[2] = PyLong_FromUnsignedLong(m->array)) != NULL &&
              (args[3] = PyLong_FromUnsignedLong(m->level)) != NULL &&
              (args[4] = PyLong_FromUnsignedLongLong(m->total)) != NULL &&
              (args[5] = tuple_of(m->start, m->rank)) != NULL &&
              (args[6] = tuple_of(m->extent, m->rank)) != NULL &&
              (args[7] = make_data_for_job(w)) != NULL;
    args[8] = w->inputs; /* given away: nobody but the block has them */
    w->inputs = NULL;
    if (ok) {
        result =
            PyObject_Vectorcall(w->in.compute, args + 1, 8 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    for (int i = 1; i < 9; i++) {
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
    PyObject *to = lzr_wslot_array(w->slot, w->slot->map, w->descr, w->rank, w->shape);
    if (to == NULL) {
        return false;
    }
    bool ok =
        PyArray_CheckExact(result) && lzr_cast_fast((PyArrayObject *)result, (PyArrayObject *)to);
    if (!ok) {
        /* Rare or wrong: _cast.py does it, or says what is wrong. It minds subclasses, and results
         * that lie in the slot themselves. */
        PyObject *r = PyObject_CallFunctionObjArgs(w->in.assign, to, result, NULL);
        ok = r != NULL;
        Py_XDECREF(r);
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

static struct lzr_wslot *find_slot(struct worker *w, uint32_t id)
{
    struct lzr_wslot *s = w->slots;
    while (s != NULL && s->id != id) {
        s = s->next;
    }
    return s;
}

/* Takes the job up if it makes sense: its slot and its array are there, its block and its inputs
 * fit. */
static bool accept_job(struct worker *w, const struct lzr_wire_packet *p)
{
    const struct lzr_msg *m = &p->msg;
    struct lzr_wslot *s = find_slot(w, m->slot);
    uint64_t bytes;
    if (!w->loaded || s == NULL || s->pins > 0 || m->seq == 0 || m->rank > LZR_MAX_RANK ||
        m->bytes > s->capacity) {
        return false;
    }
    PyObject *descr = PyObject_CallFunction(w->in.dtype, "II", m->store, m->array);
    if (descr == NULL || !PyArray_DescrCheck(descr) ||
        !lzr_extent_bytes(m->rank, m->extent, (uint64_t)PyDataType_ELSIZE((PyArray_Descr *)descr),
                          &bytes) ||
        bytes != m->bytes || (w->inputs = lzr_inputs_of(&w->in, p, s)) == NULL) {
        if (PyErr_Occurred() != NULL) {
            PyErr_Print(); /* into the log: why the worker ends */
        }
        Py_XDECREF(descr);
        return false;
    }
    w->slot = s;
    w->seq = m->seq;
    w->descr = (PyArray_Descr *)descr;
    w->rank = (int)m->rank;
    for (unsigned i = 0; i < m->rank; i++) {
        w->shape[i] = (npy_intp)m->extent[i];
    }
    return true;
}

static void leave_job(struct worker *w)
{
    w->slot = NULL;
    Py_CLEAR(w->descr);
    Py_CLEAR(w->inputs);
}

/* A child that the function forked has come back out of it: what it does here would be taken for
 * the worker's. */
static void leave_child(PyObject *result)
{
    bool failed = result == NULL && !PyErr_ExceptionMatches(PyExc_SystemExit);
    if (failed) {
        PyErr_Print();
    }
    (void)fflush(NULL);
    _exit(failed);
}

/* Runs the accepted job and answers. */
static enum next run_job(struct worker *w, const struct lzr_msg *m)
{
    struct lzr_msg answer = {.type = LZR_MSG_DONE,
                             .seq = m->seq,
                             .slot = m->slot,
                             .bytes = m->bytes};
    struct lzr_wslot *slot = w->slot;
    uint64_t t0 = now_us();
    slot->forks = lzr_forks();
    PyObject *result = call_function(w, m);
    if (getpid() != slot->owner) {
        leave_child(result);
    }
    bool ok = result != NULL && store_result(w, result);
    bool told = lzr_wslot_cancelled(slot, m->seq, false) == 2;
    if (!ok || told) {
        answer.type = LZR_MSG_FAILED;
        w->slot = NULL; /* nothing is raised any more in what follows */
        if (told) {
            PyErr_Clear();
            answer.flags = LZR_FAILED_CANCELLED;
            w->line[0] = w->trace[0] = '\0';
        } else {
            python_error(w);
        }
    }
    leave_job(w); /* before the result goes: what its destructor runs has no slot any more */
    Py_XDECREF(result);
    answer.run_us = now_us() - t0;
    lzr_printed_close(&w->printed, &w->in);
    if (!lzr_report(&w->in, w->fd)) {
        return END;
    }
    /* From here to the answer the GIL isn't given up, so no other thread can unpin in between. */
    answer.flags |= lzr_wslot_forked(slot) ? LZR_DONE_FORKED : 0;
    if (slot->pins > 0) {
        answer.flags |= LZR_DONE_PINNED;
        slot->announced = true;
    } else {
        (void)lzr_wslot_forget(slot); /* its memory; accept_job sees to it again */
    }
    w->pins_collected = false;
    bool sent = ok && !told ? lzr_wire_send(w->fd, &answer, NULL, 0) : send_texts(w, &answer);
    return sent ? GO_ON : END;
}

static enum next load_failed(struct worker *w)
{
    struct lzr_msg m = {.type = LZR_MSG_LOAD_FAILED};
    python_error(w);
    (void)lzr_report(&w->in, w->fd); /* it may fail because of what has changed */
    (void)send_texts(w, &m);
    return END;
}

/* The stores of a CONFIG's text as a list of (name, path). NULL: *sensible is false, or a Python
 * error. */
static PyObject *read_config(const char *text, size_t n, bool *sensible)
{
    PyObject *list = PyList_New(0);
    *sensible = n > 0 && text[n - 1] == '\0';
    for (size_t i = 0; list != NULL && *sensible && i < n;) {
        const char *name = text + i, *path = name + strlen(name) + 1;
        if (path >= text + n) {
            *sensible = false;
            break;
        }
        PyObject *pair = Py_BuildValue("(sN)", name, PyUnicode_DecodeFSDefault(path));
        if (pair == NULL || PyList_Append(list, pair) != 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
        i = (size_t)(path - text) + strlen(path) + 1;
    }
    if (!*sensible) {
        Py_CLEAR(list);
    }
    return list;
}

/* One store's manifest, in as many messages as it takes. */
static enum next send_manifest(struct worker *w, uint32_t store, PyObject *manifest)
{
    Py_ssize_t n = 0;
    const char *text = PyUnicode_AsUTF8AndSize(manifest, &n);
    if (text == NULL) {
        return load_failed(w); /* not text, or lone surrogates in it */
    }
    for (Py_ssize_t at = 0; at < n;) {
        size_t part = n - at < MAX_TEXT ? (size_t)(n - at) : MAX_TEXT;
        struct lzr_msg m = {.type = LZR_MSG_MANIFEST_PART, .store = store, .total = (uint64_t)n};
        if (!lzr_wire_send(w->fd, &m, text + at, part)) {
            return END;
        }
        at += (Py_ssize_t)part;
    }
    return GO_ON;
}

/* CONFIG: runs the stores' files and reports their manifests. */
static enum next load(struct worker *w)
{
    bool sensible = false, end = false;
    uint32_t flags = w->packet.msg.flags;
    if (w->loaded) {
        return BROKEN;
    }
    size_t n = 0;
    char *text = lzr_wire_config(w->fd, &w->packet, &n);
    PyObject *list = text != NULL ? read_config(text, n, &sensible) : NULL;
    free(text);
    if (!sensible) {
        lzr_complain("the configuration came only in part, or there is no memory for it");
        return BROKEN;
    }
    PyObject *manifests = list != NULL ? lzr_call_load(&w->in, &w->packet, list, flags) : NULL;
    Py_XDECREF(list);
    if (manifests != NULL && !PyList_Check(manifests)) {
        PyErr_SetString(PyExc_TypeError, "lazarr._host.load returned no list");
        Py_CLEAR(manifests);
    }
    if (manifests == NULL) {
        return load_failed(w);
    }
    enum next next = lzr_report(&w->in, w->fd) ? GO_ON : END;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(manifests) && next == GO_ON; i++) {
        next = send_manifest(w, (uint32_t)i, PyList_GET_ITEM(manifests, i));
    }
    Py_DECREF(manifests);
    if (next == GO_ON && (flags & LZR_CONFIG_LOADER) != 0) {
        int sent = lzr_hand_over(&w->in, w->fd, &end);
        next = sent > 0 ? GO_ON : sent < 0 ? load_failed(w) : END;
    }
    w->loaded = true;
    struct lzr_msg ready = {.type = LZR_MSG_READY, .flags = end ? LZR_READY_END : 0};
    return next == GO_ON && !lzr_wire_send(w->fd, &ready, NULL, 0) ? END : next;
}

static enum next add_slot(struct worker *w)
{
    const struct lzr_wire_packet *p = &w->packet;
    if (find_slot(w, p->msg.slot) != NULL) {
        return BROKEN; /* its descriptor goes with the process */
    }
    struct lzr_wslot *s =
        p->fd >= 0 ? lzr_wslot_new(p->msg.slot, p->fd, p->msg.bytes, p->msg.total, w->fd) : NULL;
    if (s == NULL) {
        lzr_complain_sys("the memory of a slot can't be mapped");
        return BROKEN;
    }
    s->next = w->slots;
    w->slots = s;
    return GO_ON;
}

static enum next drop_slot(struct worker *w, uint32_t id)
{
    for (struct lzr_wslot **s = &w->slots; *s != NULL; s = &(*s)->next) {
        if ((*s)->id == id && (*s)->pins == 0) {
            struct lzr_wslot *gone = *s;
            *s = gone->next;
            lzr_wslot_free(&gone);
            return GO_ON;
        }
    }
    return BROKEN;
}

static enum next job(struct worker *w)
{
    const struct lzr_msg *m = &w->packet.msg;
    if (!accept_job(w, &w->packet)) {
        return BROKEN;
    }
    if (!lzr_wslot_claim(w->slot, m->seq)) {
        leave_job(w);
        return GO_ON; /* withdrawn: the server expects no answer */
    }
    return run_job(w, m);
}

static enum next handle(struct worker *w)
{
    switch (w->packet.msg.type) {
    case LZR_MSG_CONFIG:
        return load(w);
    case LZR_MSG_SLOT:
        return add_slot(w);
    case LZR_MSG_DROP_SLOT:
        return drop_slot(w, w->packet.msg.slot);
    case LZR_MSG_FACTS:
        if (w->packet.fd >= 0) {
            close(w->packet.fd); /* no source asked for them */
        }
        return w->loaded && w->packet.fd >= 0 ? GO_ON : BROKEN;
    case LZR_MSG_JOB:
        return job(w);
    case LZR_MSG_QUIT:
        return END;
    default:
        return BROKEN;
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

/* Until the server goes, says so (0), or says something that makes no sense (1, or
 * LZR_EXIT_VERSIONS). */
static int serve(struct worker *w)
{
    for (;;) {
        int got;
        collect_pins(w);
        Py_BEGIN_ALLOW_THREADS; /* user threads run while the worker waits */
        got = lzr_wire_receive(w->fd, &w->packet);
        Py_END_ALLOW_THREADS;
        enum next next = got > 0 ? handle(w) : END;
        if (got == -2) {
            lzr_complain_of_version(w->packet.msg.version);
            return LZR_EXIT_VERSIONS;
        }
        if (got < 0) {
            lzr_complain("a message that isn't one");
            return 1;
        }
        if (next == BROKEN) {
            lzr_complain_of(&w->packet.msg);
            return 1;
        }
        if (next == END) {
            return 0;
        }
    }
}

/* What the server still said is taken off the socket: one that is closed with something unread is
 * reset, and the other side learns of that before it gets this worker's last message. */
static void drop_pending(struct worker *w)
{
    while (lzr_wire_pending(w->fd) && lzr_wire_receive(w->fd, &w->packet) != 0) {
        if (w->packet.fd >= 0) {
            close(w->packet.fd);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"program", required_argument, NULL, 'p'},
                                            {"package", required_argument, NULL, 'k'},
                                            {"restore-ld-library-path", required_argument, NULL,
                                             'l'},
                                            {"version", required_argument, NULL, 'v'},
                                            {"nofile", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    const char *program = "/usr/bin/python3", *package = NULL, *version = LZR_VERSION;
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
        } else if (c == 'v') {
            version = optarg;
        } else if (c == 'n') {
            lzr_settle_descriptors(strtoull(optarg, NULL, 10));
        }
    }
    if (package == NULL || fcntl(LZR_WORKER_FD, F_GETFD) < 0) {
        lzr_complain("is started by lazarr, not by hand");
        return 2;
    }
    lzr_settle();
    struct lzr_printed printed = lzr_printed_begin();
    (void)lzr_forks_install(); /* without memory for it nothing else would go on either */
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        lzr_complain("no memory to start");
        return 1;
    }
    w->fd = LZR_WORKER_FD;
    w->printed = printed;
    struct lzr_msg failed = {.type = LZR_MSG_LOAD_FAILED};
    if (strcmp(version, LZR_VERSION) != 0) {
        failed.flags = LZR_LOAD_VERSIONS;
        (void)snprintf(w->line, sizeof w->line, "the server is lazarr %s, its worker program %s",
                       version, LZR_VERSION);
    } else if (!lzr_interp_start(&w->in, program, package, w->line, sizeof w->line, w->trace,
                                 sizeof w->trace)) {
        failed.flags = w->in.versions ? LZR_LOAD_VERSIONS : 0;
    } else {
        failed.type = 0;
    }
    if (failed.type != 0) {
        (void)send_texts(w, &failed);
        drop_pending(w);
        _exit(1);
    }
    if (!install_signals(w)) {
        (void)load_failed(w);
        _exit(1);
    }
    int status = serve(w);
    drop_pending(w);
    lzr_leave(&w->in, status);
}
