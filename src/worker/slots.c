#include "worker/slots.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lazarr/protocol.h"
#include "worker/forks.h"
#include "worker/wire.h"

static const char pin_name[] = "lazarr.slot";

struct lzr_wslot *lzr_wslot_new(uint32_t id, int fd, uint64_t capacity, uint64_t inputs_capacity,
                                int socket_fd)
{
    struct lzr_wslot *s = calloc(1, sizeof *s);
    struct stat st;
    uint64_t before = capacity + LZR_SLOT_CONTROL;
    /* The claim word behind the capacity must be aligned, and all of it there: touching what the
     * memory doesn't have would be a SIGBUS. */
    bool sensible = s != NULL && capacity > 0 && capacity % sizeof(uint64_t) == 0 &&
                    capacity <= INT64_MAX / 4 && inputs_capacity <= INT64_MAX / 4 &&
                    (inputs_capacity == 0 || before % (uint64_t)sysconf(_SC_PAGESIZE) == 0) &&
                    fstat(fd, &st) == 0 && (uint64_t)st.st_size >= before + inputs_capacity;
    void *map = MAP_FAILED, *inputs = NULL;
    if (sensible) {
        map = mmap(NULL, before, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (map != MAP_FAILED && inputs_capacity > 0) {
        inputs = mmap(NULL, inputs_capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                      fd, (off_t)before);
    }
    int kept = errno;
    close(fd);
    errno = kept;
    if (map == MAP_FAILED || inputs == MAP_FAILED) {
        int why = sensible ? errno : s == NULL ? ENOMEM : EINVAL;
        if (map != MAP_FAILED) {
            munmap(map, before);
        }
        free(s);
        errno = why;
        return NULL;
    }
    s->id = id;
    s->map = map;
    s->capacity = capacity;
    s->inputs = inputs;
    s->inputs_capacity = inputs_capacity;
    s->socket_fd = socket_fd;
    s->inode = (uint64_t)st.st_ino;
    s->owner = getpid();
    return s;
}

void lzr_wslot_free(struct lzr_wslot **sp)
{
    struct lzr_wslot *s = *sp;
    *sp = NULL;
    munmap(s->map, s->capacity + LZR_SLOT_CONTROL);
    if (s->inputs != NULL) {
        munmap(s->inputs, s->inputs_capacity);
    }
    free(s);
}

bool lzr_wslot_forget(struct lzr_wslot *s)
{
    if (s->inputs_used && madvise(s->inputs, s->inputs_capacity, MADV_DONTNEED) != 0) {
        return false;
    }
    s->inputs_used = false;
    return true;
}

bool lzr_wslot_forked(struct lzr_wslot *s)
{
    return lzr_forks() != s->forks || lzr_forks_hold(s->inode, &s->seen);
}

bool lzr_wslot_claim(struct lzr_wslot *s, uint64_t seq)
{
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(s->map + s->capacity);
    return atomic_compare_exchange_strong(word, &seq, 0);
}

int lzr_wslot_cancelled(struct lzr_wslot *s, uint64_t seq, bool take)
{
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(s->map + s->capacity) + 1;
    uint64_t now = take ? seq : atomic_load(word);
    if (take && atomic_compare_exchange_strong(word, &now, seq | LZR_CANCEL_TOLD)) {
        return 2;
    }
    return now == seq ? 1 : now == (seq | LZR_CANCEL_TOLD) ? 2 : 0;
}

/* The last holder of an array over the slot has let go of it; the GIL is held. */
static void unpin(PyObject *capsule)
{
    struct lzr_wslot *s = PyCapsule_GetPointer(capsule, pin_name);
    s->pins--;
    if (s->pins == 0 && s->announced && getpid() == s->owner) {
        struct lzr_msg m = {.type = LZR_MSG_UNPINNED,
                            .slot = s->id,
                            .flags = lzr_wslot_forked(s) ? LZR_DONE_FORKED : 0};
        s->announced = false;
        (void)lzr_wire_send(s->socket_fd, &m, NULL, 0); /* a server that is gone needs no telling */
    }
}

PyObject *lzr_wslot_array(struct lzr_wslot *s, unsigned char *at, PyArray_Descr *descr, int rank,
                          const npy_intp *shape)
{
    PyObject *pin = PyCapsule_New(s, pin_name, unpin);
    if (pin == NULL) {
        return NULL;
    }
    s->pins++;
    Py_INCREF(descr); /* PyArray_NewFromDescr steals it */
    PyObject *a = PyArray_NewFromDescr(&PyArray_Type, descr, rank, (npy_intp *)(uintptr_t)shape,
                                       NULL, at, NPY_ARRAY_CARRAY, NULL);
    if (a == NULL) {
        Py_DECREF(pin);
        return NULL;
    }
    if (PyArray_SetBaseObject((PyArrayObject *)a, pin) != 0) { /* steals pin, also on failure */
        Py_DECREF(a);
        return NULL;
    }
    return a;
}
