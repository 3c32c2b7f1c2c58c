/* What a starting worker says of its stores: manifests, opened sources, that it is ready. */
#include "engine/load.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"

/* The loader has said all: its manifests are those that every other worker's are compared with. If
 * it opened what nobody needs to keep, a fresh worker takes its place; and so does another folder's
 * loader, if there are folders that nobody loads yet. */
static bool apply_loaded(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_packet *p)
{
    const struct lzr_folder *f = lzr_folder_of(d, w);
    if (f->handover.facts_fd < 0) {
        return false;
    }
    for (uint32_t k = 0; k < f->nstores; k++) {
        uint32_t i = f->stores[k];
        d->manifests[i] = lzr_buf_detach(&w->manifests[i], &d->manifest_lens[i]);
        if (d->manifests[i] == NULL) {
            (void)snprintf(w->killed_why, sizeof w->killed_why, "no memory for the manifests");
            return false;
        }
    }
    if (lzr_folders_loaded(d, w) || (p->msg.flags & LZR_READY_END) != 0) {
        struct lzr_msg m = {.type = LZR_MSG_QUIT};
        (void)lzr_channel_send(w->channel, &m, NULL, 0, -1, NULL);
        w->state = LZR_WORKER_ENDING;
        w->retire = "it has loaded its folder for all";
        w->quit_us = lzr_now_us() + LZR_QUIT_US;
    }
    lzr_wake_supervisor(d); /* the last folder: workers for all of them can be started */
    return true;
}

/* Why a message is refused, for who kills its worker; false. */
static bool refuse(struct lzr_worker *w, const char *why)
{
    (void)snprintf(w->killed_why, sizeof w->killed_why, "%.200s", why);
    return false;
}

/* False and w->killed_why: it is too large, or there is no memory for it. */
static bool add_manifest(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_packet *p)
{
    const struct lzr_folder *f = lzr_folder_of(d, w);
    if (p->msg.store >= f->nstores) {
        return false;
    }
    struct lzr_buf *b = &w->manifests[f->stores[p->msg.store]];
    const char *path = d->stores[f->stores[p->msg.store]].path;
    lzr_buf_add(b, p->text, p->msg.len);
    if (p->msg.total > LZR_MAX_MANIFEST || b->len + p->msg.len > LZR_MAX_MANIFEST) {
        (void)snprintf(w->killed_why, sizeof w->killed_why,
                       "%.180s: the manifest is larger than the limit of %llu MiB", path,
                       (unsigned long long)(LZR_MAX_MANIFEST >> 20));
        return false;
    }
    if (lzr_buf_failed(b)) {
        (void)snprintf(w->killed_why, sizeof w->killed_why, "%.180s: no memory for the manifest",
                       path);
        return false;
    }
    return true;
}

/* Whether a worker that has loaded says of its stores what the loader said. Else it is refused. */
static bool is_same(struct lzr_driver *d, struct lzr_worker *w)
{
    const struct lzr_folder *f = lzr_folder_of(d, w);
    for (uint32_t k = 0; k < f->nstores; k++) {
        uint32_t i = f->stores[k];
        if (w->manifests[i].len != d->manifest_lens[i] ||
            memcmp(w->manifests[i].data, d->manifests[i], d->manifest_lens[i]) != 0) {
            char why[512];
            (void)snprintf(why, sizeof why,
                           "%.300s makes other arrays than when it was loaded; " LZR_RELOAD_WITH,
                           d->stores[i].path);
            if (strcmp(why, f->code.why) != 0) {
                lzr_log(d->log, LZR_LOG_ERROR, "%s", why);
            }
            lzr_worker_refuse(d, w, why);
            return false;
        }
    }
    for (uint32_t k = 0; k < f->nstores; k++) {
        lzr_buf_release(&w->manifests[f->stores[k]]);
    }
    return true;
}

bool lzr_load_take(struct lzr_driver *d, struct lzr_worker *w, struct lzr_packet *p)
{
    if (w->state == LZR_WORKER_ENDING) {
        return true; /* it was told to end, or killed, while it said this */
    }
    if (w->state != LZR_WORKER_STARTING) {
        return false;
    }
    if (p->msg.type == LZR_MSG_DATA || p->msg.type == LZR_MSG_FACTS) {
        struct lzr_err err = {.code = LZR_OK};
        if (!w->loader || lzr_handover_take(&lzr_folder_of(d, w)->handover, p, &err) != LZR_OK) {
            return w->loader ? refuse(w, err.msg) : false;
        }
        lzr_send_facts(d);
        return true;
    }
    if (p->msg.type == LZR_MSG_MORE) {
        return lzr_send_more(d, w, p->msg.bytes);
    }
    if (p->msg.type == LZR_MSG_MANIFEST_PART) {
        return add_manifest(d, w, p);
    }
    if (p->msg.type == LZR_MSG_LOAD_FAILED) {
        size_t line = strnlen(p->text, p->msg.len);
        if ((p->msg.flags & LZR_LOAD_VERSIONS) != 0) {
            lzr_worker_outdated(d, w, p->text);
            return true;
        }
        lzr_worker_forget_why(w);
        w->said_why = true;
        w->load_error = lzr_strndup(p->text, line);
        w->load_traceback =
            line + 1 < p->msg.len ? lzr_strndup(p->text + line + 1, p->msg.len - line - 1) : NULL;
        pthread_cond_broadcast(&d->started);
        return true;
    }
    if (p->msg.type == LZR_MSG_READY && !lzr_code_accept(d, w)) {
        return true;
    }
    /* READY. While the driver opens, loading.c compares the manifests; later it is done here. */
    if (d->opened && !is_same(d, w)) {
        return true;
    }
    w->state = LZR_WORKER_READY;
    w->used_us = lzr_now_us();
    w->held_us = w->held_us > 0 ? w->held_us : w->used_us;
    w->start_cost_us = w->used_us - w->began_us;
    struct lzr_folder *f = lzr_folder_of(d, w);
    f->cost_us = w->start_cost_us;
    f->failed_starts = 0;
    f->refused = false;
    f->restart_us = 0;
    w->loaded = true;
    w->failed_starts = 0;
    lzr_worker_forget_why(w);
    if (w->loader && !apply_loaded(d, w, p)) {
        return false;
    }
    pthread_cond_broadcast(&d->started);
    return true;
}
