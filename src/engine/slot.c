#include "engine/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/memory_file.h"
#include "lazarr/protocol.h"

static uint64_t whole_pages(uint64_t n)
{
    return (n + 4095) & ~UINT64_C(4095);
}

static uint64_t length(const struct lzr_slot *s)
{
    return s->capacity + LZR_SLOT_CONTROL + s->inputs_capacity;
}

static void size(struct lzr_slot *s, uint64_t capacity, uint64_t inputs_capacity)
{
    s->capacity = capacity == 0 ? 4096 : whole_pages(capacity);
    s->inputs_capacity = whole_pages(inputs_capacity);
}

enum lzr_code lzr_slot_check(uint64_t capacity, uint64_t inputs_capacity, struct lzr_err *err)
{
    struct lzr_slot s = {0};
    struct rlimit most;
    size(&s, capacity, inputs_capacity);
    if (getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur == RLIM_INFINITY ||
        length(&s) <= most.rlim_cur) {
        return LZR_OK;
    }
    return lzr_err_set(err, LZR_E_LIMIT,
                       "the largest block needs %llu KiB of shared memory, and files may have "
                       "%llu KiB here: raise that (ulimit -f unlimited, or LimitFSIZE=)",
                       (unsigned long long)((length(&s) + 1023) / 1024),
                       (unsigned long long)(most.rlim_cur / 1024));
}

enum lzr_code lzr_slot_new(uint32_t id, uint64_t capacity, uint64_t inputs_capacity,
                           struct lzr_budget *budget, struct lzr_slot **out, struct lzr_err *err)
{
    struct lzr_slot *s = lzr_calloc(1, sizeof *s);
    if (s == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for a slot");
    }
    size(s, capacity, inputs_capacity);
    s->fd = lzr_memory_file("lazarr-slot", err);
    if (s->fd < 0) {
        goto fail;
    }
    s->file = lzr_memory_unsealable(s->fd);
    /* A file that its file system has no room for would be a signal when it is written. */
    int rc = s->file ? posix_fallocate(s->fd, 0, (off_t)length(s)) : 0;
    errno = rc != 0 ? rc : errno;
    if (rc != 0 || ftruncate(s->fd, (off_t)length(s)) != 0 ||
        !lzr_memory_seal(s->fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        lzr_err_sys(err, "cannot size shared memory of %llu bytes", (unsigned long long)length(s));
        goto fail;
    }
    /* Writable here too: for the inputs, and for the holes that lzr_slot_trim punches. */
    void *map = mmap(NULL, length(s), PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (map == MAP_FAILED) {
        lzr_err_sys(err, "cannot map shared memory of %llu bytes", (unsigned long long)length(s));
        goto fail;
    }
    atomic_init(&s->refs, 1);
    s->id = id;
    s->map = map;
    s->inputs = s->map + s->capacity + LZR_SLOT_CONTROL;
    s->budget = budget;
    *out = s;
    return LZR_OK;
fail:
    if (s->fd >= 0) {
        close(s->fd);
    }
    lzr_free(s);
    return LZR_E_SYS;
}

struct lzr_slot *lzr_slot_ref(struct lzr_slot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void lzr_slot_unref(struct lzr_slot **sp)
{
    struct lzr_slot *s = *sp;
    *sp = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    munmap(s->map, length(s));
    close(s->fd);
    lzr_budget_sub(s->budget, s->touched + s->inputs_touched);
    lzr_free(s);
}

uint64_t lzr_slot_more(const struct lzr_slot *s, uint64_t bytes, uint64_t inputs)
{
    return (bytes > s->touched ? bytes - s->touched : 0) +
           (inputs > s->inputs_touched ? inputs - s->inputs_touched : 0);
}

void lzr_slot_touch(struct lzr_slot *s, uint64_t bytes, uint64_t inputs)
{
    LZR_CHECK(bytes <= s->capacity && inputs <= s->inputs_capacity);
    lzr_budget_add(s->budget, lzr_slot_more(s, bytes, inputs));
    s->touched = bytes > s->touched ? bytes : s->touched;
    s->inputs_touched = inputs > s->inputs_touched ? inputs : s->inputs_touched;
}

static _Atomic uint64_t *claim_word(struct lzr_slot *s)
{
    return (_Atomic uint64_t *)(void *)(s->map + s->capacity);
}

static _Atomic uint64_t *cancel_word(struct lzr_slot *s)
{
    return claim_word(s) + 1;
}

void lzr_slot_cancel(struct lzr_slot *s, uint64_t seq)
{
    uint64_t none = 0;
    (void)atomic_compare_exchange_strong(cancel_word(s), &none, seq);
}

bool lzr_slot_uncancel(struct lzr_slot *s, uint64_t seq)
{
    return atomic_compare_exchange_strong(cancel_word(s), &seq, 0);
}

void lzr_slot_claim(struct lzr_slot *s, uint64_t seq)
{
    atomic_store(cancel_word(s), 0);
    atomic_store(claim_word(s), seq);
}

bool lzr_slot_withdraw(struct lzr_slot *s, uint64_t seq)
{
    return atomic_compare_exchange_strong(claim_word(s), &seq, 0);
}

/* Gives the memory of a part back if it is large. */
static void trim(struct lzr_slot *s, uint64_t offset, uint64_t n, uint64_t *touched)
{
    if (*touched > LZR_SLOT_KEEP && !s->file &&
        fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n) ==
            0) {
        lzr_budget_sub(s->budget, *touched);
        *touched = 0;
    }
}

void lzr_slot_trim(struct lzr_slot *s)
{
    trim(s, 0, s->capacity, &s->touched);
    trim(s, s->capacity + LZR_SLOT_CONTROL, s->inputs_capacity, &s->inputs_touched);
}
