/* errand.h: a call that may never return, as it asks a file system: made by a thread of its own,
 * and waited for as long as it is worth.
 *
 * The errand's struct stands first in the caller's, which holds all that the call needs and all
 * that it finds out: once it isn't waited for any more nothing else may be touched. */
#ifndef LZR_BASE_ERRAND_H
#define LZR_BASE_ERRAND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pulse.h"

struct lzr_errand {
    void (*run)(struct lzr_errand *e);  /* on the thread; it may beat e->pulse at each step */
    void (*drop)(struct lzr_errand *e); /* frees the caller's struct */
    struct lzr_pulse pulse;
    _Atomic unsigned *left; /* counts threads that were left behind, while they hang; NULL: nobody
                             * counts. Lives as long as the process */
    /* Its own. */
    pthread_mutex_t mu;
    pthread_cond_t over;
    bool done, counted;
};

/* Runs an errand of zeroed memory with run, drop and left set. LZR_OK: it is done, and its struct
 * the caller's, to be freed with lzr_errand_drop. Else it is not the caller's any more:
 * LZR_E_TIMEOUT: one step took longer than that; LZR_E_CANCELLED: *cancel (nullable) became true;
 * LZR_E_SYS: no thread could be started, and it hasn't run. */
enum lzr_code lzr_errand_run(struct lzr_errand *e, uint64_t timeout_us, const atomic_bool *cancel,
                             struct lzr_err *err);
void lzr_errand_drop(struct lzr_errand *e);

#endif
