/* numpy_api.h: NumPy's C API for all files of the worker; main imports it once (interp.c). */
#ifndef LZR_WORKER_NUMPY_API_H
#define LZR_WORKER_NUMPY_API_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
/* With NumPy 2's headers: a worker that runs with every NumPy from 1.22 on. */
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL lazarr_numpy_api
#ifndef LZR_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wundef"
#include <numpy/arrayobject.h>
#ifndef PyDataType_ELSIZE /* NumPy 2 has it as a function, NumPy 1 not at all */
#if NPY_ABI_VERSION < 0x02000000
#define PyDataType_ELSIZE(descr) ((descr)->elsize)
#endif
#endif
#pragma GCC diagnostic pop

#endif
