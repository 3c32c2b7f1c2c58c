/* numpy_api.h: NumPy's C API for all files of the worker; main imports it once (interp.c). */
#ifndef LZR_WORKER_NUMPY_API_H
#define LZR_WORKER_NUMPY_API_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL lazarr_numpy_api
#ifndef LZR_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wundef"
#include <numpy/arrayobject.h>
#pragma GCC diagnostic pop

#endif
