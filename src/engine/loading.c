/* Loading the stores: waiting for the first workers, and comparing what they say. */
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"

/* How often an opening looks whether it is given up, and an end whether it takes too long. */
#define LOOK_US 100000

void lzr_await_a_while(struct lzr_driver *d)
{
    const struct timespec until = lzr_timespec(lzr_now_us() + LOOK_US);
    (void)pthread_cond_clockwait(&d->started, &d->mu, CLOCK_MONOTONIC, &until);
}

/* With mu: until something may have changed. The supervisor enforces the start-up deadline, so this
 * always ends; who may cancel is looked at now and then. */
static void await_news(struct lzr_driver *d, const atomic_bool *cancel)
{
    if (cancel == NULL) {
        pthread_cond_wait(&d->started, &d->mu);
    } else {
        lzr_await_a_while(d);
    }
}

/* Whether what a worker couldn't do ends the opening. Where there are other folders, a loader that
 * fails takes its own folder along only (lzr_folders_lost, once its process has ended). */
static bool is_fatal(const struct lzr_driver *d, const struct lzr_worker *w)
{
    return w->load_error != NULL &&
           (d->folders.n == 1 || w->folder == LZR_NO_FOLDER || w->refused ||
            w->state == LZR_WORKER_DOWN || lzr_folder_of(d, w)->state == LZR_FOLDER_LOADED);
}

enum lzr_code lzr_await_workers(struct lzr_driver *d, const atomic_bool *cancel, char **traceback,
                                struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    pthread_mutex_lock(&d->mu);
    for (;;) {
        unsigned ready = 0;
        bool any = true;
        for (unsigned i = 0; i < d->nworkers && code == LZR_OK; i++) {
            struct lzr_worker *w = &d->workers[i];
            ready += w->state == LZR_WORKER_READY;
            if (is_fatal(d, w)) {
                code = lzr_err_set(err, LZR_E_USER, "%s", w->load_error);
                if (traceback != NULL) {
                    *traceback = w->load_traceback;
                    w->load_traceback = NULL;
                }
            }
        }
        if (code != LZR_OK ||
            (lzr_folders_settled(d, &any) && (ready == d->nworkers || !any))) {
            break;
        }
        if (cancel != NULL && atomic_load(cancel)) {
            code = lzr_err_set(err, LZR_E_CANCELLED, "given up while the stores were loaded");
            break;
        }
        await_news(d, cancel);
    }
    pthread_mutex_unlock(&d->mu);
    return code;
}

/* Whether a worker that has loaded says of a store of its folder what the loader said. With mu. */
static bool agrees(const struct lzr_driver *d, const struct lzr_worker *w, uint32_t k)
{
    return w->loader || (w->manifests[k].len == d->manifest_lens[k] &&
                         memcmp(w->manifests[k].data, d->manifests[k], d->manifest_lens[k]) == 0);
}

/* The loaders' manifests are the reference (load.c); all others must equal them. */
enum lzr_code lzr_compare_manifests(struct lzr_driver *d, struct lzr_err *err)
{
    for (size_t k = 0; k < d->nstores; k++) {
        if (d->manifests[k] == NULL) {
            return lzr_err_set(err, LZR_E_INVAL, "%s: the worker reported no manifest",
                               d->stores[k].path);
        }
    }
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        const struct lzr_folder *f = w->state == LZR_WORKER_READY ? lzr_folder_of(d, w) : NULL;
        for (uint32_t k = 0; f != NULL && k < f->nstores; k++) {
            if (!agrees(d, w, f->stores[k])) {
                return lzr_err_set(err, LZR_E_INVAL,
                                   "%s: two workers see different manifests: the arrays of a store "
                                   "must not depend on time, chance or the process",
                                   d->stores[f->stores[k]].path);
            }
            lzr_buf_release(&w->manifests[f->stores[k]]);
        }
    }
    return LZR_OK;
}
