/* The choice of a Python environment and its worker. Prefixes are made of a shell script that
 * answers like an interpreter would, or of Debian's own. */
#include "engine/pyenv.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/lazarr-pyenv-XXXXXX";
static struct lzr_pyenv env;
static struct lzr_err err;

static const char *at(const char *name)
{
    static char path[8][PATH_MAX]; /* each holds until the eighth call after it */
    static unsigned k;
    char *p = path[k++ % 8];
    assert_true(snprintf(p, PATH_MAX, "%s/%s", root, name) < PATH_MAX);
    return p;
}

static void put(const char *name, const char *text, mode_t mode)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", at(name));
    for (char *c = folder + sizeof root; *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            (void)mkdir(folder, 0755);
            *c = '/';
        }
    }
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(at(name), mode), 0);
}

/* A prefix whose bin/python3 answers with these lines. */
static const char *prefix_with(const char *name, const char *version, const char *libdir,
                               const char *numpy)
{
    char file[200], script[2 * PATH_MAX + 500];
    (void)snprintf(file, sizeof file, "%s/bin/python3", name);
    (void)snprintf(script, sizeof script,
                   "#!/bin/sh\nprintf '%%s\\n' '%s' '%s' '%s' '%s' '%s'\n", version, libdir, numpy,
                   at(name), at(file));
    put(file, script, 0755);
    return at(name);
}

static const char *prefix(const char *name, const char *version, const char *libdir)
{
    return prefix_with(name, version, libdir, "1");
}

static int setup(void **state)
{
    (void)state;
    unsetenv("VIRTUAL_ENV");
    unsetenv("CONDA_PREFIX");
    unsetenv("LD_LIBRARY_PATH");
    assert_non_null(mkdtemp(root));
    assert_int_equal(lzr_pyenv_choose("/nowhere", root, NULL, &env, &err), LZR_E_NOTFOUND);
    put("exe/lazarr-worker-3.11", "", 0755);
    put("exe/lazarr-worker-3.12", "", 0755);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[PATH_MAX];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void the_default_asks_nobody(void **state)
{
    (void)state;
    char worker[100];
    assert_int_equal(lzr_pyenv_choose(NULL, root, NULL, &env, &err), LZR_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "./quickstart build"));
    (void)snprintf(worker, sizeof worker, "exe/lazarr-worker-%.4s", env.version);
    put(worker, "", 0755);
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.ld_library_path, "");
    assert_non_null(strstr(env.program, "/python3"));
    assert_int_equal(access(env.worker, F_OK), 0);
    assert_non_null(strstr(env.package, "src/python")); /* a build folder: the sources' package */
}

static void a_real_prefix(void **state)
{
    (void)state;
    char version[32];
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    memcpy(version, env.version, sizeof version);
    if (strcmp(env.program, "/usr/bin/python3") != 0) {
        if (getenv("CI") != NULL) {
            fail_msg("CI has Debian's Python, not %s", env.program);
        }
        skip(); /* built for another Python than Debian's: test_pythons.py has real prefixes too */
    }
    assert_int_equal(lzr_pyenv_choose("/usr", at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.version, version);
    assert_string_equal(env.program, "/usr/bin/python3");
    assert_string_equal(env.ld_library_path, "");
}

static void another_version_runs_on_its_own_libpython(void **state)
{
    (void)state;
    const char *p = prefix("other", "3.12.77", "/its/lib");
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.ld_library_path, "/its/lib");
    assert_string_equal(env.version, "3.12.77");
    assert_non_null(strstr(env.worker, "/lazarr-worker-3.12"));
    assert_string_equal(env.program, at("other/bin/python3"));
    p = prefix("patch", "3.11.77", "/its/lib"); /* the default's minor, another patch version */
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.ld_library_path, "/its/lib");
    setenv("LD_LIBRARY_PATH", "/mine", 1);
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_OK);
    unsetenv("LD_LIBRARY_PATH");
    assert_string_equal(env.ld_library_path, "/its/lib:/mine");
}

static void without_a_shared_libpython_it_is_refused(void **state)
{
    (void)state;
    const char *p = prefix("static", "3.12.77", "");
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_E_INVAL);
    assert_non_null(strstr(err.msg, "no shared libpython"));
    assert_non_null(strstr(err.msg, "3.12.77"));
    assert_non_null(strstr(err.msg, p));
}

static void a_missing_worker_is_named_with_its_command(void **state)
{
    (void)state;
    char command[PATH_MAX];
    const char *p = prefix("new", "3.99.1", "/its/lib");
    (void)snprintf(command, sizeof command, "./quickstart worker %s", p);
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_E_NOTFOUND);
    assert_non_null(strstr(err.msg, command));
    assert_non_null(strstr(err.msg, "3.99.1"));
}

static void prefixes_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(lzr_pyenv_choose("/nowhere", at("exe"), NULL, &env, &err), LZR_E_NOTFOUND);
    assert_string_equal(err.msg, "--python: there is no folder '/nowhere'");
    put("empty/file", "", 0644);
    assert_int_equal(lzr_pyenv_choose(at("empty"), at("exe"), NULL, &env, &err), LZR_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "--python: there is no bin/python3 in"));
    assert_int_equal(lzr_pyenv_choose(at("empty/file"), at("exe"), NULL, &env, &err),
                     LZR_E_NOTFOUND);
    put("fails/bin/python3", "#!/bin/sh\nexit 3\n", 0755);
    assert_int_equal(lzr_pyenv_choose(at("fails"), at("exe"), NULL, &env, &err), LZR_E_INVAL);
    assert_non_null(strstr(err.msg, "can't be run"));
    put("silent/bin/python3", "#!/bin/sh\n", 0755);
    assert_int_equal(lzr_pyenv_choose(at("silent"), at("exe"), NULL, &env, &err), LZR_E_INVAL);
    put("data/bin/python3", "#!/bin/sh\n", 0644);
    assert_int_equal(lzr_pyenv_choose(at("data"), at("exe"), NULL, &env, &err), LZR_E_INVAL);
    put("chatty/bin/python3", "#!/bin/sh\nyes | head -c 100000\n", 0755);
    assert_int_equal(lzr_pyenv_choose(at("chatty"), at("exe"), NULL, &env, &err), LZR_E_INVAL);
}

static atomic_bool stopping;

/* Once the interpreter says through the fifo that it is there, nobody wants its answer any more. */
static void *stop_when_it_runs(void *fifo)
{
    char c;
    int fd = open(fifo, O_RDONLY);
    if (fd >= 0 && read(fd, &c, 1) == 1) {
        atomic_store(&stopping, true);
    }
    (void)close(fd);
    return NULL;
}

/* One that never answers, and one that has closed its output and never ends. */
static void nobody_waits_for_it_while_stopping(void **state)
{
    static const char *const scripts[] = {"", "echo 3.12.1; echo /lib; echo 1; echo /p; echo /p/python; exec >&-; "};
    (void)state;
    assert_int_equal(mkfifo(at("runs"), 0600), 0);
    for (size_t i = 0; i < 2; i++) {
        char script[PATH_MAX + 200];
        pthread_t other;
        (void)snprintf(script, sizeof script, "#!/bin/sh\n%secho 1 >%s\nexec sleep 1000\n",
                       scripts[i], at("runs"));
        put("stuck/bin/python3", script, 0755);
        atomic_store(&stopping, false);
        assert_int_equal(pthread_create(&other, NULL, stop_when_it_runs, (void *)at("runs")), 0);
        assert_int_equal(lzr_pyenv_choose(at("stuck"), at("exe"), &stopping, &env, &err),
                         LZR_E_CANCELLED);
        assert_int_equal(pthread_join(other, NULL), 0);
        assert_true(atomic_load(&stopping));
        assert_string_equal(err.msg, "lazarr is stopping");
    }
}

static void what_names_it(void **state)
{
    (void)state;
    (void)prefix("venv", "3.12.1", "/venv/lib");
    (void)prefix("conda", "3.12.2", "/conda/lib");
    setenv("VIRTUAL_ENV", "", 1);
    setenv("CONDA_PREFIX", at("conda"), 1);
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.version, "3.12.2");
    setenv("VIRTUAL_ENV", at("venv"), 1);
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.version, "3.12.1");
    assert_int_equal(lzr_pyenv_choose(at("conda"), at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.version, "3.12.2");
    setenv("VIRTUAL_ENV", "/nowhere", 1);
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_E_NOTFOUND);
    assert_string_equal(err.msg, "$VIRTUAL_ENV: there is no folder '/nowhere'");
    unsetenv("VIRTUAL_ENV");
    unsetenv("CONDA_PREFIX");
}

static void relative_prefixes_become_absolute(void **state)
{
    (void)state;
    (void)prefix("here", "3.12.1", "/lib");
    char back[PATH_MAX];
    assert_non_null(getcwd(back, sizeof back));
    assert_int_equal(chdir(root), 0);
    assert_int_equal(lzr_pyenv_choose("here", at("exe"), NULL, &env, &err), LZR_OK);
    assert_int_equal(chdir(back), 0);
    assert_string_equal(env.program, at("here/bin/python3"));
    /* bin/python where there is no bin/python3; its link to the base isn't followed */
    assert_int_equal(rename(at("here/bin/python3"), at("here/bin/python")), 0);
    assert_int_equal(lzr_pyenv_choose(at("here"), at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.program, at("here/bin/python"));
}

/* --python ENV/bin/python3: what its link leads to is another environment. */
static void an_interpreter_itself(void **state)
{
    (void)state;
    char back[PATH_MAX];
    (void)prefix("its", "3.12.1", "/lib");
    assert_int_equal(lzr_pyenv_choose(at("its/bin/python3"), at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.program, at("its/bin/python3"));
    assert_string_equal(env.prefix, at("its"));
    put("venv2/bin/x", "", 0644);
    assert_int_equal(symlink(at("its/bin/python3"), at("venv2/bin/python3")), 0);
    assert_int_equal(lzr_pyenv_choose(at("venv2"), at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.program, at("venv2/bin/python3"));
    assert_string_equal(env.prefix, at("venv2"));
    /* Relative, from the folder that it is in and from another. */
    assert_non_null(getcwd(back, sizeof back));
    assert_int_equal(chdir(at("its/bin")), 0);
    assert_int_equal(lzr_pyenv_choose("python3", at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.program, at("its/bin/python3"));
    assert_int_equal(lzr_pyenv_choose("../bin/python3", at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.program, at("its/bin/python3"));
    assert_int_equal(chdir(back), 0);
    /* A shim says who it is. */
    char script[PATH_MAX + 40];
    (void)snprintf(script, sizeof script, "#!/bin/sh\nexec '%s' \"$@\"\n", at("its/bin/python3"));
    put("shims/python3", script, 0755);
    assert_int_equal(lzr_pyenv_choose(at("shims/python3"), at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.program, at("its/bin/python3"));
    assert_string_equal(env.prefix, at("its"));
    put("text", "no interpreter", 0644);
    assert_int_equal(lzr_pyenv_choose(at("text"), at("exe"), NULL, &env, &err), LZR_E_NOTFOUND);
    put("text", "no interpreter", 0755);
    assert_int_equal(lzr_pyenv_choose(at("text"), at("exe"), NULL, &env, &err), LZR_E_INVAL);
    assert_non_null(strstr(err.msg, "can't be run"));
}

static const char *chosen(const char *name)
{
    const char *p = name != NULL ? at(name) : NULL;
    assert_int_equal(lzr_pyenv_choose(p, at("numpys"), NULL, &env, &err), LZR_OK);
    return strrchr(env.worker, '/') + 1;
}

/* What ./quickstart worker builds stands beside what every build makes, and is for those whom that
 * can't serve. */
static void workers_of_one_python(void **state)
{
    (void)state;
    char own[100], one[120], two[120], minor[8], version[32], file[200];
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    (void)snprintf(version, sizeof version, "%s", env.version);
    (void)snprintf(minor, sizeof minor, "%.4s", version);
    (void)snprintf(own, sizeof own, "lazarr-worker-%s", minor);
    (void)snprintf(one, sizeof one, "%s-numpy1", own);
    (void)snprintf(two, sizeof two, "%s-numpy2", own);
    (void)snprintf(file, sizeof file, "numpys/%s", own);
    put(file, "", 0755);
    (void)prefix_with("old", version, "/usr/lib", "1");
    (void)prefix_with("fresh", version, "/usr/lib", "2");
    (void)prefix_with("none", version, "/usr/lib", "0");
    assert_string_equal(chosen("fresh"), own); /* it says what it needs */
    (void)snprintf(file, sizeof file, "numpys/%s", one);
    put(file, "", 0755);
    (void)snprintf(file, sizeof file, "numpys/%s", two);
    put(file, "", 0755);
    assert_string_equal(chosen(NULL), own);
    assert_string_equal(chosen("old"), own);
    assert_string_equal(env.ld_library_path, "");
    assert_string_equal(chosen("none"), own);
    assert_string_equal(chosen("fresh"), two);
    assert_string_equal(env.ld_library_path, "/usr/lib"); /* it may have been linked with another */
    /* Of a minor version that is built for nobody else. */
    (void)prefix_with("o1", "3.77.1", "/lib77", "1");
    (void)prefix_with("o2", "3.77.1", "/lib77", "2");
    put("numpys/lazarr-worker-3.77-numpy2", "", 0755);
    assert_string_equal(chosen("o1"), "lazarr-worker-3.77-numpy2");
    put("numpys/lazarr-worker-3.77-numpy1", "", 0755);
    assert_string_equal(chosen("o1"), "lazarr-worker-3.77-numpy1");
    assert_string_equal(chosen("o2"), "lazarr-worker-3.77-numpy2");
    assert_int_equal(lzr_pyenv_choose(prefix_with("o3", "3.77.1", "/lib77", "3"), at("numpys"),
                                      NULL, &env, &err),
                     LZR_E_NOTFOUND);
}

/* A Python of the system's very version that is somewhere else has its own libpython. */
static void of_the_same_version_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    char version[32];
    (void)snprintf(version, sizeof version, "%s", env.version);
    const char *p = prefix("twin", version, at("twin/lib"));
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.ld_library_path, at("twin/lib"));
    p = prefix("twin", version, ""); /* it has none: the system's fits */
    assert_int_equal(lzr_pyenv_choose(p, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.ld_library_path, "");
}

/* LD_LIBRARY_PATH with a libpython in it, as modules of clusters set it, isn't for the workers. */
static void another_libpython_in_the_library_path(void **state)
{
    (void)state;
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    char file[100], path[PATH_MAX];
    (void)snprintf(file, sizeof file, "shadow/libpython%.4s.so.1.0", env.version);
    put(file, "", 0644);
    (void)snprintf(path, sizeof path, "/nowhere:%s", at("shadow"));
    setenv("LD_LIBRARY_PATH", "/nowhere", 1);
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    assert_string_equal(env.ld_library_path, "");
    setenv("LD_LIBRARY_PATH", path, 1);
    assert_int_equal(lzr_pyenv_choose(NULL, at("exe"), NULL, &env, &err), LZR_OK);
    unsetenv("LD_LIBRARY_PATH");
    if (env.ld_library_path[0] != '\0') { /* "": of a Python whose libpython isn't known */
        assert_int_equal(env.ld_library_path[0], '/');
        assert_string_equal(strchr(env.ld_library_path, ':') + 1, path);
        assert_int_not_equal(strncmp(env.ld_library_path, path, 8), 0);
    }
}

static void installed(void **state)
{
    (void)state;
    put("usr/bin/lazarr", "", 0755);
    put("usr/libexec/lazarr/lazarr-worker-3.12", "", 0755);
    put("usr/share/lazarr/python/lazarr/__init__.py", "", 0644);
    const char *p = prefix("any", "3.12.1", "/lib");
    assert_int_equal(lzr_pyenv_choose(p, at("usr/bin"), NULL, &env, &err), LZR_OK);
    assert_non_null(strstr(env.worker, "libexec/lazarr/lazarr-worker-3.12"));
    assert_non_null(strstr(env.package, "../share/lazarr/python"));
    p = prefix("new", "3.99.1", "/lib");
    assert_int_equal(lzr_pyenv_choose(p, at("usr/bin"), NULL, &env, &err), LZR_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "cmake --install"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_asks_nobody),
        cmocka_unit_test(a_real_prefix),
        cmocka_unit_test(another_version_runs_on_its_own_libpython),
        cmocka_unit_test(without_a_shared_libpython_it_is_refused),
        cmocka_unit_test(a_missing_worker_is_named_with_its_command),
        cmocka_unit_test(prefixes_that_are_none),
        cmocka_unit_test(nobody_waits_for_it_while_stopping),
        cmocka_unit_test(what_names_it),
        cmocka_unit_test(relative_prefixes_become_absolute),
        cmocka_unit_test(an_interpreter_itself),
        cmocka_unit_test(workers_of_one_python),
        cmocka_unit_test(of_the_same_version_elsewhere),
        cmocka_unit_test(another_libpython_in_the_library_path),
        cmocka_unit_test(installed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
