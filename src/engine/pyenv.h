/* pyenv.h: which Python a store runs in, and which worker binary fits it.
 *
 * The environment is --python, else $VIRTUAL_ENV, else $CONDA_PREFIX, else the interpreter that
 * lazarr was built for; a prefix, or the interpreter in it. Its version picks the worker:
 * lazarr-worker-<major.minor> is the one that every build makes of the interpreter that it is for,
 * those with -numpy<major> behind it ./quickstart worker makes. Any prefix but the system's own
 * runs on its own libpython (an extension module of 3.11.7 doesn't load into 3.11.2), or is refused
 * when it has none.
 *
 * The built-in default asks nobody, for start-up's sake; any other prefix's python is asked once.
 * No state, any thread: at the start, and again at each reload while the old stores are served. */
#ifndef LZR_ENGINE_PYENV_H
#define LZR_ENGINE_PYENV_H

#include <stdatomic.h>

#include "base/err.h"

#define LZR_PYENV_PATH 1024

struct lzr_pyenv {
    char worker[LZR_PYENV_PATH];              /* the worker's binary */
    char program[LZR_PYENV_PATH];             /* the interpreter whose environment it takes on */
    char prefix[LZR_PYENV_PATH];              /* ... which is there; an absolute path */
    const char *source;                       /* "--python", "$VIRTUAL_ENV", ..., NULL: nothing */
    char package[LZR_PYENV_PATH];             /* the folder that holds the package lazarr */
    char ld_library_path[2 * LZR_PYENV_PATH]; /* to be set for the worker; "" for none */
    char version[32];                         /* "3.11.2" */
};

/* prefix: NULL to look at the environment. exe_dir: the folder of the running lazarr. An
 * interpreter has 10 s to answer; once *cancel is true (NULL: never) it isn't waited for, and the
 * answer is LZR_E_CANCELLED. Errors are one line that names the prefix, what gave it, and what
 * helps; LZR_E_NOTFOUND where something isn't there, LZR_E_INVAL where it can't be used. *out is
 * undefined then. */
enum lzr_code lzr_pyenv_choose(const char *prefix, const char *exe_dir, const atomic_bool *cancel,
                               struct lzr_pyenv *out, struct lzr_err *err);

#endif
