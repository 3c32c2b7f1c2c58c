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

/* What a prefix's interpreter is asked: its version, and the folder of its shared libpython (empty
 * if there is none): where it was built for, Debian's multiarch folder under that, or, in a prefix
 * that was moved (conda), beside its base. */
static const char question[] =
    "import sys, os, sysconfig\n"
    "v = sysconfig.get_config_var\n"
    "print('%d.%d.%d' % sys.version_info[:3])\n"
    "d = v('LIBDIR') or ''\n"
    "at = [d, os.path.join(d, v('MULTIARCH') or ''), os.path.join(sys.base_prefix, 'lib')]\n"
    "so = v('INSTSONAME') or ''\n"
    "at = [d for d in at if d and v('Py_ENABLE_SHARED') and os.path.isfile(os.path.join(d, so))]\n"
    "print(at[0] if at else '')\n";

struct answer {
    char version[32], libdir[LZR_PYENV_PATH];
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
        !take_line(&text, a->libdir, sizeof a->libdir)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s: '%s' can't be run to ask for its version", source,
                           python);
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

/* The worker stands beside lazarr (a build folder) or in ../libexec/lazarr (installed). */
static bool find_worker(const char *exe_dir, const char *version, char *out, size_t n)
{
    static const char *const folders[] = {".", "../libexec/lazarr"};
    char minor[32];
    minor_of(version, minor, sizeof minor);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int len = snprintf(out, n, "%s/%s/lazarr-worker-%s", exe_dir, folders[i], minor);
        if (len > 0 && (size_t)len < n && is_file(out)) {
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

/* Decides on the libpython: the worker's own, or the prefix's through the library path. */
static enum lzr_code choose_library(const char *prefix, const struct answer *a,
                                    struct lzr_pyenv *out, struct lzr_err *err)
{
    const char *old = getenv("LD_LIBRARY_PATH");
    out->ld_library_path[0] = '\0';
    if (strcmp(a->version, LZR_PYTHON_VERSION) == 0) {
        return LZR_OK; /* the very version that the worker was linked with */
    }
    if (a->libdir[0] == '\0') {
        return lzr_err_set(err, LZR_E_INVAL,
                           "the Python %s of '%s' has no shared libpython (it was built without "
                           "--enable-shared), so a worker can't run on it",
                           a->version, prefix);
    }
    int n = snprintf(out->ld_library_path, sizeof out->ld_library_path, "%s%s%s", a->libdir,
                     old != NULL && *old != '\0' ? ":" : "", old != NULL ? old : "");
    if (n < 0 || (size_t)n >= sizeof out->ld_library_path) {
        return lzr_err_set(err, LZR_E_LIMIT, "LD_LIBRARY_PATH is too long");
    }
    return LZR_OK;
}

/* The interpreter lazarr was built for; nobody is asked. */
static enum lzr_code choose_default(const char *exe_dir, struct lzr_pyenv *out, struct lzr_err *err)
{
    (void)snprintf(out->program, sizeof out->program, "%s", LZR_PYTHON_PROGRAM);
    (void)snprintf(out->version, sizeof out->version, "%s", LZR_PYTHON_VERSION);
    out->ld_library_path[0] = '\0';
    if (!find_worker(exe_dir, out->version, out->worker, sizeof out->worker)) {
        return lzr_err_set(err, LZR_E_NOTFOUND, "'%s' is missing: run ./quickstart build",
                           out->worker);
    }
    return LZR_OK;
}

/* The environment at a prefix. source: what named it, for errors. */
static enum lzr_code choose_prefix(const char *source, const char *given, const char *exe_dir,
                                   const atomic_bool *cancel, struct lzr_pyenv *out,
                                   struct lzr_err *err)
{
    struct answer a;
    char prefix[PATH_MAX];
    /* Absolute, so that sys.executable still holds when user code changes folders. */
    if (realpath(given, prefix) == NULL || !is_folder(prefix)) {
        return lzr_err_set(err, LZR_E_NOTFOUND, "%s: there is no folder '%s'", source, given);
    }
    if (!find_python(prefix, out->program, sizeof out->program)) {
        return lzr_err_set(err, LZR_E_NOTFOUND, "%s: there is no bin/python3 in '%s'", source,
                           given);
    }
    enum lzr_code code = ask(source, out->program, cancel, &a, err);
    if (code == LZR_OK) {
        code = choose_library(given, &a, out, err);
    }
    if (code != LZR_OK) {
        return code;
    }
    (void)snprintf(out->version, sizeof out->version, "%s", a.version);
    if (!find_worker(exe_dir, a.version, out->worker, sizeof out->worker)) {
        return lzr_err_set(err, LZR_E_NOTFOUND,
                           "no worker for Python %s of '%s': build one with ./quickstart worker %s",
                           a.version, given, given);
    }
    return LZR_OK;
}

enum lzr_code lzr_pyenv_choose(const char *prefix, const char *exe_dir, const atomic_bool *cancel,
                               struct lzr_pyenv *out, struct lzr_err *err)
{
    static const char *const variables[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    static const char *const sources[] = {"$VIRTUAL_ENV", "$CONDA_PREFIX"};
    const char *source = "--python";
    for (size_t i = 0; prefix == NULL && i < sizeof variables / sizeof variables[0]; i++) {
        const char *v = getenv(variables[i]);
        prefix = v != NULL && *v != '\0' ? v : NULL;
        source = sources[i];
    }
    enum lzr_code code = find_package(exe_dir, out, err);
    if (code != LZR_OK) {
        return code;
    }
    return prefix == NULL ? choose_default(exe_dir, out, err)
                          : choose_prefix(source, prefix, exe_dir, cancel, out, err);
}
