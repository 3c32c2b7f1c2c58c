#include "engine/folders.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/config.h"
#include "engine/engine.h"
#include "store/json_writer.h"

enum { LINE = 2000, TRACEBACK = 20000 }; /* bytes of an error in a manifest */

static struct lzr_folder *find(const struct lzr_folders *f, const char *root)
{
    struct lzr_folder *found = NULL;
    for (uint32_t i = 0; i < f->n && found == NULL; i++) {
        found = strcmp(f->at[i].root, root) == 0 ? &f->at[i] : NULL;
    }
    return found;
}

enum lzr_code lzr_folders_make(struct lzr_driver *d, struct lzr_err *err)
{
    struct lzr_folders *f = &d->folders;
    f->at = lzr_calloc(d->nstores, sizeof *f->at);
    bool ok = f->at != NULL;
    for (size_t i = 0; ok && i < d->nstores; i++) {
        struct lzr_folder *of = find(f, d->stores[i].root);
        if (of == NULL) {
            of = &f->at[f->n++];
            of->root = d->stores[i].root;
            lzr_handover_init(&of->handover);
            of->stores = lzr_calloc(d->nstores, sizeof *of->stores);
            ok = of->stores != NULL;
        }
        if (ok) {
            of->stores[of->nstores++] = (uint32_t)i;
        }
    }
    enum lzr_code code =
        ok ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory for the list of stores");
    for (uint32_t i = 0; i < f->n && code == LZR_OK; i++) {
        code = lzr_config_make(d, &f->at[i], err);
    }
    return code;
}

enum lzr_code lzr_folders_map(struct lzr_driver *d, struct lzr_err *err)
{
    struct lzr_folders *f = &d->folders;
    size_t n = lzr_catalog_narrays(d->catalog);
    f->of = lzr_calloc(n > 0 ? n : 1, sizeof *f->of);
    f->place = lzr_calloc(n > 0 ? n : 1, sizeof *f->place);
    if (f->of == NULL || f->place == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for the list of arrays");
    }
    for (uint32_t i = 0; i < f->n; i++) {
        for (uint32_t k = 0; k < f->at[i].nstores; k++) {
            const struct lzr_store *s = lzr_catalog_store(d->catalog, f->at[i].stores[k]);
            for (size_t j = 0; j < s->narrays; j++) {
                f->of[s->arrays[j].id] = i;
                f->place[s->arrays[j].id] = k;
            }
        }
    }
    return LZR_OK;
}

void lzr_folders_release(struct lzr_folders *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        lzr_free(f->at[i].stores);
        lzr_buf_release(&f->at[i].config);
        lzr_handover_release(&f->at[i].handover);
        lzr_code_release(&f->at[i].code);
    }
    lzr_free(f->at);
    lzr_free(f->of);
    lzr_free(f->place);
    *f = (struct lzr_folders){0};
}

struct lzr_folder *lzr_folder_of(const struct lzr_driver *d, const struct lzr_worker *w)
{
    return &d->folders.at[w->folder];
}

const struct lzr_folder *lzr_folder_of_array(const struct lzr_driver *d, const struct lzr_array *a)
{
    return &d->folders.at[d->folders.of[a->id]];
}

const struct lzr_folder *lzr_folder_find(const struct lzr_driver *d, const char *root)
{
    const struct lzr_folder *f = find(&d->folders, root);
    return f != NULL && f->state == LZR_FOLDER_LOADED ? f : NULL;
}

void lzr_folder_enter(struct lzr_driver *d, struct lzr_worker *w, uint32_t folder)
{
    if (w->folder == folder) {
        return;
    }
    if (w->folder != LZR_NO_FOLDER) {
        struct lzr_folder *old = lzr_folder_of(d, w);
        old->failed_starts = w->failed_starts;
        old->refused = w->refused;
        old->restart_us = w->restart_us;
    }
    w->folder = folder;
    const struct lzr_folder *f = lzr_folder_of(d, w);
    w->failed_starts = f->failed_starts;
    w->refused = f->refused;
    w->restart_us = f->restart_us;
    w->held_us = 0;
    lzr_worker_forget_why(w);
}

bool lzr_folders_settled(const struct lzr_driver *d, bool *any)
{
    bool settled = true;
    *any = false;
    for (uint32_t i = 0; i < d->folders.n; i++) {
        enum lzr_folder_state s = d->folders.at[i].state;
        settled = settled && (s == LZR_FOLDER_LOADED || s == LZR_FOLDER_FAILED);
        *any = *any || s == LZR_FOLDER_LOADED;
    }
    return settled;
}

/* One that is loaded and has fewest workers. */
static uint32_t fewest(const struct lzr_driver *d)
{
    uint32_t best = LZR_NO_FOLDER;
    unsigned least = 0;
    for (uint32_t i = 0; i < d->folders.n; i++) {
        unsigned n = 0;
        for (unsigned k = 0; k < d->nworkers; k++) {
            n += d->workers[k].folder == i;
        }
        if (d->folders.at[i].state == LZR_FOLDER_LOADED && (best == LZR_NO_FOLDER || n < least)) {
            best = i;
            least = n;
        }
    }
    return best;
}

static bool is_loaded(const struct lzr_driver *d, const struct lzr_worker *w)
{
    return w->folder != LZR_NO_FOLDER && lzr_folder_of(d, w)->state == LZR_FOLDER_LOADED;
}

bool lzr_folders_assign(struct lzr_driver *d, struct lzr_worker *w)
{
    bool any;
    if (d->folders.n == 1) {
        w->folder = 0;
        d->folders.at[0].state = d->folders.at[0].state == LZR_FOLDER_NEW
                                     ? LZR_FOLDER_LOADING
                                     : d->folders.at[0].state;
        return true;
    }
    for (uint32_t i = 0; i < d->folders.n; i++) {
        struct lzr_folder *f = &d->folders.at[i];
        if (f->state == LZR_FOLDER_NEW) {
            f->state = LZR_FOLDER_LOADING;
            f->loader = w->number;
            lzr_folder_enter(d, w, i);
            return true;
        }
    }
    if (is_loaded(d, w)) {
        return true;
    }
    if (!lzr_folders_settled(d, &any) || !any) {
        return false;
    }
    lzr_folder_enter(d, w, fewest(d));
    return true;
}

bool lzr_folders_loaded(struct lzr_driver *d, struct lzr_worker *w)
{
    bool more = false;
    lzr_folder_of(d, w)->state = LZR_FOLDER_LOADED;
    for (uint32_t i = 0; i < d->folders.n; i++) {
        more = more || d->folders.at[i].state == LZR_FOLDER_NEW;
    }
    return more;
}

/* The manifest of a store that has failed, as lazarr/_unloaded.py makes it. NULL: no memory. */
static char *failed_manifest(const struct lzr_named_store *s, const char *why,
                             const char *traceback, size_t *len)
{
    struct lzr_buf b;
    struct lzr_json j;
    const char *slash = strrchr(s->path, '/');
    size_t n = strlen(traceback), cut = n > TRACEBACK ? n - TRACEBACK : 0;
    lzr_buf_init(&b, 16 * (LINE + TRACEBACK) + 16384);
    lzr_json_init(&j, &b);
    lzr_json_open(&j, '{');
    lzr_json_key(&j, "lazarr");
    lzr_json_u64(&j, 1);
    lzr_json_key(&j, "store");
    lzr_json_string(&j, s->name);
    lzr_json_key(&j, "file");
    lzr_json_string(&j, slash != NULL ? slash + 1 : s->path);
    lzr_json_key(&j, "groups");
    lzr_json_raw(&j, "[]", 2);
    lzr_json_key(&j, "arrays");
    lzr_json_raw(&j, "[]", 2);
    lzr_json_key(&j, "failed");
    lzr_json_string_n(&j, why, strnlen(why, LINE));
    lzr_json_key(&j, "traceback");
    lzr_json_string(&j, traceback + cut);
    lzr_json_close(&j, '}');
    return lzr_buf_detach(&b, len);
}

void lzr_folders_lost(struct lzr_driver *d, struct lzr_worker *w)
{
    struct lzr_folder *f = w->folder != LZR_NO_FOLDER ? lzr_folder_of(d, w) : NULL;
    if (d->folders.n == 1 || f == NULL || f->state != LZR_FOLDER_LOADING ||
        f->loader != w->number || w->refused || w->load_error == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->nstores; i++) {
        uint32_t k = f->stores[i];
        const char *traceback = w->load_traceback != NULL ? w->load_traceback : "";
        d->manifests[k] =
            failed_manifest(&d->stores[k], w->load_error, traceback, &d->manifest_lens[k]);
        if (d->manifests[k] == NULL) {
            return; /* no memory: the opening fails */
        }
    }
    f->state = LZR_FOLDER_FAILED;
    w->failed_starts = 0;
    w->restart_us = 0;
    lzr_worker_forget_why(w);
}
