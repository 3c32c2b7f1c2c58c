/* What opening asks of file systems: where stores are, and a Python. They may not answer, so they
 * are asked by errands (base/errand.h), which have --read-timeout for it. */
#include <string.h>

#include "base/errand.h"
#include "base/mem.h"
#include "engine/engine.h"

#define PYTHON_US UINT64_C(15000000) /* what asking an interpreter may take besides */

/* All that an errand needs and finds. */
struct search {
    struct lzr_errand errand;
    enum lzr_code code;
    struct lzr_err err;
    /* Stores. */
    char **paths; /* stores, then modules */
    size_t n;
    struct lzr_driver_options o; /* whose paths they are */
    struct lzr_named_store *stores;
    size_t nstores;
    /* The Python. */
    char *python, *exe; /* python: NULL for the environment's */
    atomic_bool given_up;
    struct lzr_pyenv pyenv;
};

static void drop(struct lzr_errand *e)
{
    struct search *s = (struct search *)e;
    for (size_t i = 0; s->paths != NULL && i < s->n; i++) {
        lzr_free(s->paths[i]);
    }
    lzr_free(s->paths);
    lzr_stores_free(s->stores, s->nstores);
    lzr_free(s->python);
    lzr_free(s->exe);
    lzr_free(s);
}

static void run_stores(struct lzr_errand *e)
{
    struct search *s = (struct search *)e;
    s->code = lzr_stores_find(&s->o, &s->stores, &s->nstores, &s->err);
}

static void run_python(struct lzr_errand *e)
{
    struct search *s = (struct search *)e;
    s->code = lzr_pyenv_choose(s->python, s->exe, &s->given_up, &s->pyenv, &s->err);
}

static enum lzr_code no_memory(struct search *s, struct lzr_err *err)
{
    if (s != NULL) {
        drop(&s->errand);
    }
    return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
}

/* Runs it; *s is NULL where it didn't end. */
static enum lzr_code run(struct search **s, uint64_t timeout_us, const atomic_bool *cancel,
                         const char *what, struct lzr_err *err)
{
    enum lzr_code code = lzr_errand_run(&(*s)->errand, timeout_us, cancel, err);
    if (code != LZR_OK) {
        *s = NULL;
        return code == LZR_E_CANCELLED ? code : lzr_err_prefix(err, "%s", what);
    }
    if ((*s)->code != LZR_OK && err != NULL) {
        *err = (*s)->err;
    }
    return (*s)->code;
}

enum lzr_code lzr_find_stores(struct lzr_driver *d, const struct lzr_driver_options *o,
                              struct lzr_err *err)
{
    if (o->left != NULL && atomic_load(o->left) >= LZR_READS_LEFT) {
        return lzr_err_set(err, LZR_E_BUSY,
                           "%u threads hang in files that don't answer; restart lazarr once they "
                           "do", atomic_load(o->left));
    }
    if (o->read_timeout_us == 0) {
        return lzr_stores_find(o, &d->stores, &d->nstores, err);
    }
    struct search *s = lzr_calloc(1, sizeof *s);
    size_t n = o->nstores + o->nmodules;
    bool ok = s != NULL && (s->paths = lzr_calloc(n + 1, sizeof *s->paths)) != NULL;
    for (; ok && s->n < n; s->n += ok) {
        const char *path =
            s->n < o->nstores ? o->stores[s->n] : o->modules[s->n - o->nstores];
        ok = (s->paths[s->n] = lzr_strdup(path)) != NULL;
    }
    if (!ok) {
        return no_memory(s, err);
    }
    s->o = (struct lzr_driver_options){.stores = (const char *const *)s->paths,
                                       .nstores = o->nstores,
                                       .modules = (const char *const *)s->paths + o->nstores,
                                       .nmodules = o->nmodules,
                                       .log = o->log};
    s->errand.run = run_stores;
    s->errand.drop = drop;
    s->errand.left = o->left;
    enum lzr_code code =
        run(&s, o->read_timeout_us, o->cancel, "the stores can't be looked for", err);
    if (s != NULL) {
        d->stores = s->stores;
        d->nstores = s->nstores;
        s->stores = NULL;
        s->nstores = 0;
        lzr_errand_drop(&s->errand);
    }
    return code;
}

enum lzr_code lzr_find_python(struct lzr_driver *d, const struct lzr_driver_options *o,
                              const char *exe, struct lzr_err *err)
{
    if (o->read_timeout_us == 0) {
        return lzr_pyenv_choose(o->python, exe, o->cancel, &d->pyenv, err);
    }
    struct search *s = lzr_calloc(1, sizeof *s);
    if (s == NULL || (s->exe = lzr_strdup(exe)) == NULL ||
        (o->python != NULL && (s->python = lzr_strdup(o->python)) == NULL)) {
        return no_memory(s, err);
    }
    s->errand.run = run_python;
    s->errand.drop = drop;
    s->errand.left = o->left;
    enum lzr_code code = run(&s, o->read_timeout_us + PYTHON_US, o->cancel,
                             "the Python that runs the stores can't be looked at", err);
    if (s != NULL) {
        d->pyenv = s->pyenv;
        lzr_errand_drop(&s->errand);
    }
    return code;
}
