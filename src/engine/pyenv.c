#include "engine/pyenv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spawn.h"

#define ASK_TIMEOUT_MS 10000

extern char **environ;

/* What a prefix's interpreter is asked, a line each: its version; the folder of its shared
 * libpython (empty if there is none): beside its base, as in prefixes that were moved (conda, uv),
 * where it was built for, or in Debian's multiarch folder under that, whatever Py_ENABLE_SHARED
 * says (conda's interpreters don't use the library that they bring); the major version of its
 * NumPy, 0 for none, read from a file as importing takes long; its prefix; and where it says that
 * it is itself (a shim is somewhere else). */
static const char question[] =
    "import sys, os, sysconfig\n"
    "v = sysconfig.get_config_var\n"
    "print('%d.%d.%d' % sys.version_info[:3])\n"
    "d, m = v('LIBDIR') or '', v('MULTIARCH') or ''\n"
    "so = 'libpython' + (v('LDVERSION') or '%d.%d' % sys.version_info[:2]) + '.so.1.0'\n"
    "at = [os.path.join(sys.base_prefix, 'lib'), os.path.join(sys.base_exec_prefix, 'lib'),\n"
    "      d, os.path.join(d, m)]\n"
    "at = [d for d in at if os.path.isabs(d) and os.path.isfile(os.path.join(d, so))]\n"
    "print(at[0] if at else '')\n"
    "n = [os.path.join(d, 'numpy', 'version.py') for d in sys.path]\n"
    "n = [f for f in n if os.path.isfile(f)]\n"
    "t = open(n[0], encoding='utf-8').read() if n else 'version = \"0.'\n"
    "t = t.partition('version = \"')[2].partition('.')[0]\n"
    "print(t if t.isdigit() else '1')\n"
    "print(sys.prefix)\n"
    "print(sys.executable)\n";

struct answer {
    char version[32], libdir[LZR_PYENV_PATH], numpy[16], prefix[LZR_PYENV_PATH],
        executable[LZR_PYENV_PATH];
};

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A path made of parts; false if it is too long. */
static bool join(char *out, size_t n, const char *a, const char *b)
{
    int len = snprintf(out, n, "%s/%s", a, b);
    return len > 0 && (size_t)len < n;
}

/* How long an interpreter may take to answer and to end. */
struct allowance {
    uint64_t until; /* by lzr_now_us */
    const atomic_bool *cancel;
};

static bool is_cancelled(const struct allowance *a)
{
    return a->cancel != NULL && atomic_load(a->cancel);
}

/* The milliseconds to wait before looking again, at most `most`; 0 when there are none left. */
static int slice(const struct allowance *a, uint64_t most)
{
    uint64_t now = lzr_now_us();
    if (now >= a->until || is_cancelled(a)) {
        return 0;
    }
    uint64_t left = (a->until - now) / 1000 + 1;
    return (int)(left < most ? left : most);
}

/* Reads all a process prints while it is allowed to; returns the bytes or -1. */
static ssize_t read_all(int fd, char *buf, size_t n, const struct allowance *allowed)
{
    size_t len = 0;
    while (len < n - 1) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ms = slice(allowed, 100);
        if (ms == 0) {
            return -1;
        }
        if (poll(&p, 1, ms) <= 0) {
            continue; /* not yet, or a signal; nothing else can fail here */
        }
        ssize_t got = read(fd, buf + len, n - 1 - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    buf[len] = '\0';
    return (ssize_t)len;
}

/* Waits for a process to end, and ends it once it isn't allowed to go on; its status as of waitpid.
 */
static int reap(pid_t pid, const struct allowance *allowed)
{
    int status = 0, ms;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        ms = slice(allowed, 5);
        if (ms > 0) {
            (void)poll(NULL, 0, ms);
        } else {
            kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
            }
            break;
        }
    }
    return status;
}

static bool take_line(char **text, char *out, size_t n)
{
    char *end = strchr(*text, '\n');
    if (end == NULL || (size_t)(end - *text) >= n) {
        return false;
    }
    memcpy(out, *text, (size_t)(end - *text));
    out[end - *text] = '\0';
    *text = end + 1;
    return true;
}

/* Why nothing came of asking an interpreter: it couldn't be started (rc, an error number), said
 * nothing in time, or ended like that. */
static void why_not(char *out, size_t n, int rc, bool late, int status)
{
    if (rc != 0) {
        (void)snprintf(out, n, "%s", strerrordesc_np(rc) != NULL ? strerrordesc_np(rc) : "?");
    } else if (late) {
        (void)snprintf(out, n, "it took longer than %d s", ASK_TIMEOUT_MS / 1000);
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(out, n, "it was ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        (void)snprintf(out, n, "it ended with status %d", WEXITSTATUS(status));
    } else {
        (void)snprintf(out, n, "its answer makes no sense");
    }
}

static enum lzr_code ask(const char *source, const char *python, const atomic_bool *cancel,
                         struct answer *a, struct lzr_err *err)
{
    const struct allowance allowed = {lzr_now_us() + UINT64_C(1000) * ASK_TIMEOUT_MS, cancel};
    int fds[2], status = 0;
    pid_t pid = -1;
    char buf[4096], *text = buf;
    const char *args[] = {python, "-I", "-c", question, NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return lzr_err_sys(err, "cannot make a pipe");
    }
    int rc = posix_spawn_file_actions_init(&fa);
    rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
    int clean = lzr_spawn_clean(&attr);
    rc = rc != 0 ? rc : clean;
    rc = rc != 0 ? rc
                 : posix_spawn(&pid, python, &fa, &attr, (char *const *)(uintptr_t)args, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    close(fds[1]);
    ssize_t n = rc == 0 ? read_all(fds[0], buf, sizeof buf, &allowed) : -1;
    close(fds[0]);
    if (rc == 0) {
        status = reap(pid, &allowed); /* killed there if it hasn't answered in time */
    }
    if (is_cancelled(&allowed)) {
        return lzr_err_set(err, LZR_E_CANCELLED, "lazarr is stopping");
    }
    if (n < 0 || status != 0 || !take_line(&text, a->version, sizeof a->version) ||
        !take_line(&text, a->libdir, sizeof a->libdir) ||
        !take_line(&text, a->numpy, sizeof a->numpy) ||
        !take_line(&text, a->prefix, sizeof a->prefix) ||
        !take_line(&text, a->executable, sizeof a->executable)) {
        char why[96];
        why_not(why, sizeof why, rc, rc == 0 && n < 0, status);
        return lzr_err_set(err, LZR_E_INVAL, "%s: '%s' can't be run to ask for its version: %s",
                           source, python, why);
    }
    return LZR_OK;
}

/* The interpreter of a prefix: bin/python3, or bin/python. */
static bool find_python(const char *prefix, char *out, size_t n)
{
    static const char *const names[] = {"bin/python3", "bin/python"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (join(out, n, prefix, names[i]) && is_file(out)) {
            return true;
        }
    }
    return false;
}

/* "3.11" of "3.11.2". */
static void minor_of(const char *version, char *out, size_t n)
{
    const char *dot = strchr(version, '.');
    dot = dot != NULL ? strchr(dot + 1, '.') : NULL;
    size_t len = dot != NULL ? (size_t)(dot - version) : strlen(version);
    (void)snprintf(out, n, "%.*s", (int)len, version);
}

static bool is_installed(const char *exe_dir)
{
    char package[LZR_PYENV_PATH];
    return join(package, sizeof package, exe_dir, "../share/lazarr/python") && is_folder(package);
}

/* A worker stands beside lazarr (a build folder) or in ../libexec/lazarr (installed). tail: "" for
 * the one that every build makes, of the Python that lazarr is built for; "-numpy2" for one that
 * ./quickstart worker has built with a NumPy of that version. */
static bool find_worker_of(const char *exe_dir, const char *minor, const char *tail, char *out,
                           size_t n)
{
    static const char *const folders[] = {".", "../libexec/lazarr"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int len =
            snprintf(out, n, "%s/%s/lazarr-worker-%s%s", exe_dir, folders[i], minor, tail);
        if (len > 0 && (size_t)len < n && is_file(out)) {
            return true;
        }
    }
    return false;
}

/* The worker for a Python's minor version and its NumPy. One that was built with NumPy 2 loads
 * NumPy 1, too; the other way round not. *own: it is the one that every build makes. */
static bool find_worker(const char *exe_dir, const struct answer *a, char *out, size_t n, bool *own)
{
    static const char *const old[] = {"", "-numpy1", "-numpy2"};
    char minor[32], mine[32];
    minor_of(a->version, minor, sizeof minor);
    (void)snprintf(mine, sizeof mine, "-numpy%s", a->numpy);
    const char *const fresh[] = {mine, ""};
    bool is_old = strcmp(a->numpy, "0") == 0 || strcmp(a->numpy, "1") == 0;
    const char *const *tails = is_old ? old : fresh;
    for (size_t i = 0, k = is_old ? 3 : 2; i < k; i++) {
        *own = tails[i][0] == '\0';
        if (find_worker_of(exe_dir, minor, tails[i], out, n)) {
            return true;
        }
    }
    return false;
}

static enum lzr_code find_package(const char *exe_dir, struct lzr_pyenv *out, struct lzr_err *err)
{
    char installed[LZR_PYENV_PATH];
    if (join(out->package, sizeof out->package, exe_dir, "../share/lazarr/python") &&
        join(installed, sizeof installed, out->package, "lazarr") && is_folder(installed)) {
        return LZR_OK;
    }
    (void)snprintf(out->package, sizeof out->package, "%s", LZR_BUILD_PYTHON_DIR);
    if (is_folder(out->package)) {
        return LZR_OK;
    }
    return lzr_err_set(err, LZR_E_NOTFOUND, "the Python package lazarr is not at '%s'",
                       out->package);
}

/* Whether LD_LIBRARY_PATH would give a worker another libpython of this version than that in
 * libdir. */
static bool is_shadowed(const char *version, const char *libdir)
{
    const char *path = getenv("LD_LIBRARY_PATH");
    char minor[32];
    minor_of(version, minor, sizeof minor);
    while (path != NULL && *path != '\0') {
        char file[LZR_PYENV_PATH];
        size_t len = strcspn(path, ":");
        int n = snprintf(file, sizeof file, "%.*s/libpython%s.so.1.0", (int)len, path, minor);
        if (n > 0 && (size_t)n < sizeof file && is_file(file) &&
            (strlen(libdir) != len || strncmp(path, libdir, len) != 0)) {
            return true;
        }
        path += len + (path[len] == ':');
    }
    return false;
}

static enum lzr_code set_library_path(const char *libdir, struct lzr_pyenv *out,
                                      struct lzr_err *err)
{
    const char *old = getenv("LD_LIBRARY_PATH");
    int n = snprintf(out->ld_library_path, sizeof out->ld_library_path, "%s%s%s", libdir,
                     old != NULL && *old != '\0' ? ":" : "", old != NULL ? old : "");
    return n < 0 || (size_t)n >= sizeof out->ld_library_path
               ? lzr_err_set(err, LZR_E_LIMIT, "LD_LIBRARY_PATH is too long")
               : LZR_OK;
}

/* Decides on the libpython: the one that the worker finds by itself, where that is the system's and
 * of the very version, else the prefix's through the library path. own: the worker is the one that
 * every build makes. */
static enum lzr_code choose_library(const char *prefix, const struct answer *a, bool own,
                                    struct lzr_pyenv *out, struct lzr_err *err)
{
    out->ld_library_path[0] = '\0';
    bool same = own && strcmp(a->version, LZR_PYTHON_VERSION) == 0;
    if (a->libdir[0] == '\0') {
        return same ? LZR_OK
                    : lzr_err_set(err, LZR_E_INVAL,
                                  "the Python %s of '%s' has no shared libpython (it was built "
                                  "without --enable-shared), so a worker can't run on it",
                                  a->version, prefix);
    }
    if (same && strncmp(a->libdir, "/usr/lib", 8) == 0 && !is_shadowed(a->version, a->libdir)) {
        return LZR_OK;
    }
    return set_library_path(a->libdir, out, err);
}

/* "/usr" of "/usr/bin/python3". */
static void prefix_of(const char *program, char *out, size_t n)
{
    const char *slash = strrchr(program, '/');
    size_t len = slash != NULL ? (size_t)(slash - program) : 0;
    if (len > 4 && memcmp(program + len - 4, "/bin", 4) == 0) {
        len -= 4;
    }
    (void)snprintf(out, n, "%.*s", (int)len, program);
}

/* The interpreter lazarr was built for; nobody is asked. */
static enum lzr_code choose_default(const char *exe_dir, struct lzr_pyenv *out, struct lzr_err *err)
{
    char minor[32];
    (void)snprintf(out->program, sizeof out->program, "%s", LZR_PYTHON_PROGRAM);
    (void)snprintf(out->version, sizeof out->version, "%s", LZR_PYTHON_VERSION);
    prefix_of(out->program, out->prefix, sizeof out->prefix);
    out->ld_library_path[0] = '\0';
    minor_of(out->version, minor, sizeof minor);
    if (!find_worker_of(exe_dir, minor, "", out->worker, sizeof out->worker)) {
        return lzr_err_set(err, LZR_E_NOTFOUND, "'%s' is missing: run ./quickstart build",
                           out->worker);
    }
    bool shadowed = LZR_PYTHON_LIBDIR[0] != '\0' && is_shadowed(out->version, LZR_PYTHON_LIBDIR);
    return shadowed ? set_library_path(LZR_PYTHON_LIBDIR, out, err) : LZR_OK;
}

/* An interpreter as an absolute path whose last part isn't followed: in a virtual environment that
 * is a link to the base's. */
static bool absolute_program(const char *given, char *out, size_t n)
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(given, '/'), *name = slash != NULL ? slash + 1 : given;
    int len = slash == NULL ? snprintf(folder, sizeof folder, ".")
                            : snprintf(folder, sizeof folder, "%.*s/", (int)(slash - given), given);
    return len > 0 && (size_t)len < sizeof folder && realpath(folder, real) != NULL &&
           join(out, n, real, name);
}

/* Finds the interpreter that is given as a prefix or as itself, and what errors call its
 * environment: an absolute path, so that a command that names it holds from any folder. */
static enum lzr_code find_given(const char *source, const char *given, struct lzr_pyenv *out,
                                bool *itself, struct lzr_err *err)
{
    char real[PATH_MAX];
    *itself = is_file(given) && access(given, X_OK) == 0;
    if (*itself) {
        if (!absolute_program(given, out->program, sizeof out->program)) {
            return lzr_err_set(err, LZR_E_LIMIT, "%s: the path '%s' is too long", source, given);
        }
        prefix_of(out->program, out->prefix, sizeof out->prefix);
        return LZR_OK;
    }
    /* Absolute, so that sys.executable still holds when user code changes folders. */
    if (realpath(given, real) == NULL || !is_folder(real)) {
        return lzr_err_set(err, LZR_E_NOTFOUND, "%s: there is no folder '%s'", source, given);
    }
    int len = snprintf(out->prefix, sizeof out->prefix, "%s", real);
    if ((size_t)len >= sizeof out->prefix ||
        !find_python(real, out->program, sizeof out->program)) {
        return lzr_err_set(err, LZR_E_NOTFOUND, "%s: there is no bin/python3 in '%s'", source,
                           given);
    }
    return LZR_OK;
}

/* The environment at a prefix. source: what named it, for errors. */
static enum lzr_code choose_prefix(const char *source, const char *given, const char *exe_dir,
                                   const atomic_bool *cancel, struct lzr_pyenv *out,
                                   struct lzr_err *err)
{
    struct answer a;
    bool itself = false, own = false;
    enum lzr_code code = find_given(source, given, out, &itself, err);
    if (code == LZR_OK) {
        code = ask(source, out->program, cancel, &a, err);
    }
    if (code != LZR_OK) {
        return code;
    }
    if (itself) { /* it may be a shim, or a link from elsewhere */
        (void)snprintf(out->prefix, sizeof out->prefix, "%s", a.prefix);
        if (is_file(a.executable)) {
            (void)snprintf(out->program, sizeof out->program, "%s", a.executable);
        }
    }
    (void)snprintf(out->version, sizeof out->version, "%s", a.version);
    if (!find_worker(exe_dir, &a, out->worker, sizeof out->worker, &own)) {
        return lzr_err_set(err, LZR_E_NOTFOUND,
                           "no worker for Python %s of '%s': build one with ./quickstart worker "
                           "%s%s",
                           a.version, out->prefix, out->prefix,
                           is_installed(exe_dir) ? " where lazarr was built, and install it with "
                                                   "cmake --install build"
                                                 : "");
    }
    return choose_library(out->prefix, &a, own, out, err);
}

enum lzr_code lzr_pyenv_choose(const char *prefix, const char *exe_dir, const atomic_bool *cancel,
                               struct lzr_pyenv *out, struct lzr_err *err)
{
    static const char *const variables[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    static const char *const sources[] = {"$VIRTUAL_ENV", "$CONDA_PREFIX"};
    out->source = "--python";
    for (size_t i = 0; prefix == NULL && i < sizeof variables / sizeof variables[0]; i++) {
        const char *v = getenv(variables[i]);
        prefix = v != NULL && *v != '\0' ? v : NULL;
        out->source = sources[i];
    }
    enum lzr_code code = find_package(exe_dir, out, err);
    if (code != LZR_OK) {
        return code;
    }
    if (prefix == NULL) {
        out->source = NULL;
        return choose_default(exe_dir, out, err);
    }
    return choose_prefix(out->source, prefix, exe_dir, cancel, out, err);
}
