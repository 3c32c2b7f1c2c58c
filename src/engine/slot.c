#include "engine/slot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "lazarr/protocol.h"

enum lzr_code lzr_slot_new(uint32_t id, uint64_t capacity, struct lzr_budget *budget,
                           struct lzr_slot **out, struct lzr_err *err)
{
    struct lzr_slot *s = lzr_calloc(1, sizeof *s);
    if (s == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for a slot");
    }
    capacity = (capacity + 4095) & ~UINT64_C(4095);
    capacity = capacity == 0 ? 4096 : capacity;
    s->fd = memfd_create("lazarr-slot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd < 0) {
        lzr_err_sys(err, "cannot make shared memory");
        goto fail;
    }
    if (ftruncate(s->fd, (off_t)(capacity + LZR_SLOT_CONTROL)) != 0 ||
        fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        lzr_err_sys(err, "cannot size shared memory of %llu bytes", (unsigned long long)capacity);
        goto fail;
    }
    /* Writable here too: only for the hole that lzr_slot_trim punches; codecs read it. */
    void *map =
        mmap(NULL, capacity + LZR_SLOT_CONTROL, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (map == MAP_FAILED) {
        lzr_err_sys(err, "cannot map shared memory of %llu bytes", (unsigned long long)capacity);
        goto fail;
    }
    atomic_init(&s->refs, 1);
    s->id = id;
    s->map = map;
    s->capacity = capacity;
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
    munmap(s->map, s->capacity + LZR_SLOT_CONTROL);
    close(s->fd);
    lzr_budget_sub(s->budget, s->touched);
    lzr_free(s);
}

void lzr_slot_touch(struct lzr_slot *s, uint64_t bytes)
{
    LZR_CHECK(bytes <= s->capacity);
    if (bytes > s->touched) {
        lzr_budget_add(s->budget, bytes - s->touched);
        s->touched = bytes;
    }
}

static _Atomic uint64_t *claim_word(struct lzr_slot *s)
{
    return (_Atomic uint64_t *)(void *)(s->map + s->capacity);
}

void lzr_slot_claim(struct lzr_slot *s, uint64_t seq)
{
    atomic_store(claim_word(s), seq);
}

bool lzr_slot_withdraw(struct lzr_slot *s, uint64_t seq)
{
    return atomic_compare_exchange_strong(claim_word(s), &seq, 0);
}

void lzr_slot_trim(struct lzr_slot *s)
{
    if (s->touched <= LZR_SLOT_KEEP) {
        return;
    }
    if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)s->capacity) == 0) {
        lzr_budget_sub(s->budget, s->touched);
        s->touched = 0;
    }
}
