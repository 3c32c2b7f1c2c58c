#include "base/errand.h"

#include <errno.h>

#include "base/check.h"

#define LOOK_US 50000 /* how often the one who waits looks whether it goes on */

void lzr_errand_drop(struct lzr_errand *e)
{
    LZR_ZERO(pthread_cond_destroy(&e->over));
    LZR_ZERO(pthread_mutex_destroy(&e->mu));
    e->drop(e);
}

static void *errand_main(void *arg)
{
    struct lzr_errand *e = arg;
    e->run(e);
    if (!lzr_pulse_rest(&e->pulse)) {
        pthread_mutex_lock(&e->mu); /* until it is counted, if it is */
        bool counted = e->counted;
        pthread_mutex_unlock(&e->mu);
        if (counted) {
            atomic_fetch_sub(e->left, 1);
        }
        lzr_errand_drop(e);
        return NULL;
    }
    pthread_mutex_lock(&e->mu);
    e->done = true;
    pthread_cond_signal(&e->over);
    pthread_mutex_unlock(&e->mu);
    return NULL;
}

enum lzr_code lzr_errand_run(struct lzr_errand *e, uint64_t timeout_us, const atomic_bool *cancel,
                             struct lzr_err *err)
{
    pthread_t thread;
    enum lzr_code code = LZR_OK;
    LZR_ZERO(pthread_mutex_init(&e->mu, NULL));
    LZR_ZERO(pthread_cond_init(&e->over, NULL));
    (void)lzr_pulse_beat(&e->pulse);
    int rc = pthread_create(&thread, NULL, errand_main, e);
    if (rc != 0) {
        errno = rc;
        code = lzr_err_sys(err, "cannot start a thread");
        lzr_errand_drop(e);
        return code;
    }
    LZR_ZERO(pthread_detach(thread));
    pthread_mutex_lock(&e->mu);
    while (!e->done && code == LZR_OK) {
        const struct timespec until = lzr_timespec(lzr_now_us() + LOOK_US);
        (void)pthread_cond_clockwait(&e->over, &e->mu, CLOCK_MONOTONIC, &until);
        uint64_t now = lzr_now_us();
        if (e->done) {
            break;
        }
        if (cancel != NULL && atomic_load(cancel) && lzr_pulse_give_up(&e->pulse, now)) {
            code = lzr_err_set(err, LZR_E_CANCELLED, "given up");
        } else if (now > timeout_us && lzr_pulse_give_up(&e->pulse, now - timeout_us)) {
            code = lzr_err_set(err, LZR_E_TIMEOUT, "no answer for %.3g s",
                               (double)timeout_us / 1e6);
        }
    }
    if (code != LZR_OK && e->left != NULL) {
        e->counted = true;
        atomic_fetch_add(e->left, 1);
    }
    pthread_mutex_unlock(&e->mu);
    return code;
}
