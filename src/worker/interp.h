/* interp.h: the embedded CPython and the package that it runs stores with.
 *
 * One interpreter a process, started once, never finalised. All calls on the main thread. */
#ifndef LZR_WORKER_INTERP_H
#define LZR_WORKER_INTERP_H

#include "worker/numpy_api.h"

#include <stdbool.h>

struct lzr_interp {
    PyObject *compute, *flush, *dtype, *load, *describe, *written; /* of lazarr._host */
    PyObject *input_dtypes, *handover;                             /* of lazarr._host */
    PyObject *assign;                                              /* of lazarr._cast */
    PyObject *install;                                             /* of lazarr._cancel */
    PyObject *gc_collect;
    PyObject *label; /* of lazarr._output: who has printed, in words */
    PyObject *leave; /* of lazarr._leave */
    bool versions;   /* it can't start as the package is of another version */
};

/* Starts CPython as `program` would and imports NumPy and lazarr from `package`. False: line holds
 * one line for people, and trace (if not empty) the traceback. */
bool lzr_interp_start(struct lzr_interp *in, const char *program, const char *package, char *line,
                      size_t nline, char *trace, size_t ntrace);
/* Copies as much of a UTF-8 text as fits n bytes with its NUL, whole characters only; the length.
 */
size_t lzr_text_copy(char *out, size_t n, const char *text);
/* The current Python error, cleared, as two texts (always terminated, cut at a character). The
 * first is one line. */
void lzr_interp_error(struct lzr_interp *in, char *line, size_t nline, char *trace, size_t ntrace);

#endif
