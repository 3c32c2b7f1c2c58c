#include "engine/unloaded.h"

#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"

static bool had_loaded(const struct lzr_catalog *before, const char *name)
{
    for (size_t i = 0; before != NULL && i < lzr_catalog_nstores(before); i++) {
        const struct lzr_store *s = lzr_catalog_store(before, i);
        if (s->fate == LZR_LOADED && strcmp(s->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Nothing has loaded: the first that failed says why, the others are logged. */
static enum lzr_code none_loaded(const struct lzr_driver *d, char **traceback, struct lzr_err *err)
{
    const struct lzr_store *first = NULL;
    for (size_t i = 0; i < lzr_catalog_nstores(d->catalog); i++) {
        const struct lzr_store *s = lzr_catalog_store(d->catalog, i);
        if (s->fate == LZR_FAILED && first != NULL) {
            lzr_log(d->log, LZR_LOG_ERROR, "%s", s->why);
            lzr_log_lines(d->log, LZR_LOG_ERROR, s->name, s->traceback, strlen(s->traceback));
        }
        first = first == NULL && s->fate == LZR_FAILED ? s : first;
    }
    if (first == NULL) {
        return lzr_err_set(err, LZR_E_USER,
                           "none of the %zu .py and .json files defines an array", d->nstores);
    }
    if (traceback != NULL && first->traceback[0] != '\0') {
        *traceback = lzr_strdup(first->traceback);
    }
    return lzr_err_set(err, LZR_E_USER, "%s", first->why);
}

enum lzr_code lzr_unloaded_check(const struct lzr_driver *d, const struct lzr_catalog *before,
                                 char **traceback, struct lzr_err *err)
{
    if (lzr_catalog_count(d->catalog, LZR_LOADED) == 0) {
        return none_loaded(d, traceback, err);
    }
    for (size_t i = 0; i < lzr_catalog_nstores(d->catalog); i++) {
        const struct lzr_store *s = lzr_catalog_store(d->catalog, i);
        if (s->fate == LZR_LOADED || !had_loaded(before, s->name)) {
            continue;
        }
        if (traceback != NULL && s->traceback[0] != '\0') {
            *traceback = lzr_strdup(s->traceback);
        }
        return lzr_err_set(err, LZR_E_USER, "%s", s->why);
    }
    return LZR_OK;
}

void lzr_unloaded_say(const struct lzr_driver *d)
{
    for (size_t i = 0; i < lzr_catalog_nstores(d->catalog); i++) {
        const struct lzr_store *s = lzr_catalog_store(d->catalog, i);
        if (s->fate == LZR_SKIPPED) {
            lzr_log(d->log, LZR_LOG_INFO, "%s: skipped, it defines no array", s->file);
        } else if (s->fate == LZR_FAILED) {
            lzr_log(d->log, LZR_LOG_ERROR,
                    "the store \"%s\" failed to load, the others are served: %s", s->name, s->why);
            lzr_log_lines(d->log, LZR_LOG_ERROR, s->name, s->traceback, strlen(s->traceback));
        }
    }
}
