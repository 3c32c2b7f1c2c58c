#define LZR_IMPORTS_NUMPY
#include "worker/interp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

size_t lzr_text_copy(char *out, size_t n, const char *text)
{
    size_t len = strlen(text);
    if (len >= n) {
        len = n - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) {
            len--;
        }
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return len;
}

static void copy_object(char *out, size_t n, PyObject *o)
{
    const char *text = o != NULL ? PyUnicode_AsUTF8(o) : NULL;
    if (text == NULL) { /* lone surrogates: escaped rather than lost */
        PyErr_Clear();
        PyObject *b = o != NULL ? PyUnicode_AsEncodedString(o, "utf-8", "backslashreplace") : NULL;
        (void)lzr_text_copy(out, n,
                            b != NULL ? PyBytes_AS_STRING(b) : "an error that can't be shown");
        PyErr_Clear();
        Py_XDECREF(b);
        return;
    }
    (void)lzr_text_copy(out, n, text);
}

/* The current error as "Type: text", for when lazarr._host isn't there to do better. */
static void plain_error(char *line, size_t n)
{
    PyObject *type = NULL, *value = NULL, *tb = NULL;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
    char what[400];
    copy_object(what, sizeof what, text);
    (void)snprintf(line, n, "%s: %s",
                   type != NULL && PyType_Check(type) ? ((PyTypeObject *)type)->tp_name : "error",
                   what);
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(tb);
}

void lzr_interp_error(struct lzr_interp *in, char *line, size_t nline, char *trace, size_t ntrace)
{
    PyObject *type = NULL, *value = NULL, *tb = NULL;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb != NULL && value != NULL) {
        PyException_SetTraceback(value, tb);
    }
    trace[0] = '\0';
    PyObject *pair =
        value != NULL && in->describe != NULL ? PyObject_CallOneArg(in->describe, value) : NULL;
    if (pair != NULL && PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        copy_object(line, nline, PyTuple_GET_ITEM(pair, 0));
        copy_object(trace, ntrace, PyTuple_GET_ITEM(pair, 1));
        Py_DECREF(type);
        Py_DECREF(value);
        Py_XDECREF(tb);
    } else {
        PyErr_Clear();
        PyErr_Restore(type, value, tb);
        plain_error(line, nline);
    }
    PyErr_Clear();
    Py_XDECREF(pair);
    for (char *c = line; *c != '\0'; c++) {
        *c = (char)(*c == '\n' || *c == '\r' ? ' ' : *c);
    }
}

static bool init_python(const char *program, char *line, size_t nline)
{
    PyPreConfig pre;
    PyConfig config;
    static char name[] = "lazarr-worker";
    char *args[] = {name};
    PyPreConfig_InitIsolatedConfig(&pre);
    pre.utf8_mode = 1;
    PyStatus s = Py_PreInitialize(&pre);
    PyConfig_InitIsolatedConfig(&config);
    config.parse_argv = 0;
    struct rlimit longest;
    /* Where files can't be as long as they like (ulimit -f), Python before 3.14 leaves cut bytecode
     * behind, which no later process can load. */
    config.write_bytecode =
        getrlimit(RLIMIT_FSIZE, &longest) != 0 || longest.rlim_cur == RLIM_INFINITY;
    const char *home = getenv("PYTHONHOME");
    if (!PyStatus_Exception(s)) {
        s = PyConfig_SetBytesArgv(&config, 1, args);
    }
    if (!PyStatus_Exception(s)) {
        /* Finds the environment (pyvenv.cfg, prefix) as this interpreter would find it. */
        s = PyConfig_SetBytesString(&config, &config.program_name, program);
    }
    if (!PyStatus_Exception(s)) {
        s = PyConfig_SetBytesString(&config, &config.executable, program);
    }
    if (!PyStatus_Exception(s) && home != NULL && *home != '\0') {
        s = PyConfig_SetBytesString(&config, &config.home, home);
    }
    if (!PyStatus_Exception(s)) {
        s = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(s)) {
        (void)snprintf(line, nline, "Python can't start as '%s': %s", program,
                       s.err_msg != NULL ? s.err_msg : "unknown reason");
        return false;
    }
    return true;
}

/* The version that the virtual environment around `program` says it was made with ("3.12.1"), from
 * the pyvenv.cfg beside or above it; false: it is none, or doesn't say. */
static bool environment_version(const char *program, int *major, int *minor)
{
    static const char *const places[] = {"../pyvenv.cfg", "pyvenv.cfg"};
    const char *slash = strrchr(program, '/');
    FILE *f = NULL;
    for (size_t i = 0; slash != NULL && f == NULL && i < sizeof places / sizeof places[0]; i++) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - program), program, places[i]);
        f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    }
    char text[512];
    bool found = false;
    while (f != NULL && !found && fgets(text, sizeof text, f) != NULL) {
        found = sscanf(text, "version = %d.%d", major, minor) == 2 ||
                sscanf(text, "version_info = %d.%d", major, minor) == 2;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* libpython reports its own version whatever environment it is put into: with one of another minor
 * it would run, without that environment's packages, or with those of another ABI. */
static bool check_version(const char *program, char *line, size_t nline)
{
    int major = 0, minor = 0;
    if (!environment_version(program, &major, &minor) ||
        (major == PY_MAJOR_VERSION && minor == PY_MINOR_VERSION)) {
        return true;
    }
    (void)snprintf(line, nline, "this worker is for Python %d.%d, '%s' is of %d.%d",
                   PY_MAJOR_VERSION, PY_MINOR_VERSION, program, major, minor);
    return false;
}

static bool import_numpy(const char *program, char *line, size_t nline)
{
    char what[600];
    PyObject *numpy = PyImport_ImportModule("numpy");
    if (numpy == NULL) {
        plain_error(what, sizeof what);
        (void)snprintf(line, nline,
                       "NumPy can't be imported in the environment of '%s' (%s): install "
                       "it there, e.g. with '%s -m pip install numpy', or take another: --python "
                       "PREFIX",
                       program, what, program);
        return false;
    }
    PyObject *v = PyObject_GetAttrString(numpy, "__version__");
    char version[64];
    copy_object(version, sizeof version, v);
    Py_XDECREF(v);
    Py_DECREF(numpy);
    if (_import_array() < 0) {
        PyErr_Clear();
        char prefix[512];
        (void)lzr_text_copy(prefix, sizeof prefix, program);
        char *bin = strstr(prefix, "/bin/");
        if (bin != NULL) {
            *bin = '\0';
        }
        (void)snprintf(line, nline,
                       "NumPy %s of '%s' needs a worker built for it: run ./quickstart worker %s",
                       version, prefix, prefix);
        return false;
    }
    return true;
}

static PyObject *attribute(const char *module, const char *name)
{
    PyObject *m = PyImport_ImportModule(module);
    PyObject *a = m != NULL ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return a;
}

/* The package may have been upgraded underneath a server that runs. False: line, or a Python error.
 */
static bool is_ours(struct lzr_interp *in, const char *package, char *line, size_t nline)
{
    char text[64];
    PyObject *version = attribute("lazarr", "__version__");
    if (version == NULL) {
        return false;
    }
    copy_object(text, sizeof text, version);
    Py_DECREF(version);
    in->versions = strcmp(text, LZR_VERSION) != 0;
    (void)snprintf(line, nline, "the server is lazarr %s, the package in '%s' %s", LZR_VERSION,
                   package, text);
    return !in->versions;
}

static bool import_lazarr(struct lzr_interp *in, const char *package, char *line, size_t nline)
{
    PyObject *path = PySys_GetObject("path"); /* borrowed */
    PyObject *dir = PyUnicode_DecodeFSDefault(package);
    bool ok = path != NULL && dir != NULL && PyList_Insert(path, 0, dir) == 0;
    Py_XDECREF(dir);
    return ok && is_ours(in, package, line, nline) &&
           (in->describe = attribute("lazarr._host", "describe_exception")) != NULL &&
           (in->compute = attribute("lazarr._host", "compute")) != NULL &&
           (in->flush = attribute("lazarr._host", "flush")) != NULL &&
           (in->dtype = attribute("lazarr._host", "dtype")) != NULL &&
           (in->input_dtypes = attribute("lazarr._host", "input_dtypes")) != NULL &&
           (in->load = attribute("lazarr._host", "load")) != NULL &&
           (in->handover = attribute("lazarr._host", "handover")) != NULL &&
           (in->written = attribute("lazarr._host", "WRITTEN")) != NULL &&
           (in->assign = attribute("lazarr._host", "assign")) != NULL &&
           (in->install = attribute("lazarr._cancel", "install")) != NULL &&
           (in->gc_collect = attribute("gc", "collect")) != NULL &&
           (in->label = attribute("lazarr._output", "label")) != NULL &&
           (in->leave = attribute("lazarr._leave", "leave")) != NULL;
}

/* Before any code of a user's runs. */
static bool print_lines(void)
{
    PyObject *f = attribute("lazarr._output", "install");
    PyObject *r = f != NULL ? PyObject_CallNoArgs(f) : NULL;
    bool ok = r != NULL;
    Py_XDECREF(f);
    Py_XDECREF(r);
    return ok;
}

bool lzr_interp_start(struct lzr_interp *in, const char *program, const char *package, char *line,
                      size_t nline, char *trace, size_t ntrace)
{
    *in = (struct lzr_interp){0};
    trace[0] = '\0';
    if (!check_version(program, line, nline) || !init_python(program, line, nline) ||
        !import_numpy(program, line, nline)) {
        return false;
    }
    if (!import_lazarr(in, package, line, nline) || !print_lines()) {
        if (in->versions) {
            return false;
        }
        lzr_interp_error(in, line, nline, trace, ntrace);
        return false;
    }
    return true;
}
