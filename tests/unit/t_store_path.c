/* Paths as they were given, made absolute; names made of files' names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/store_path.h"
#include "lazarr/limits.h"

static char here[4096];

static int begin(void **state)
{
    (void)state;
    char folder[] = "/tmp/lzr-store-path-XXXXXX";
    return mkdtemp(folder) != NULL && chdir(folder) == 0 && getcwd(here, sizeof here) != NULL &&
                   mkdir("a", 0700) == 0 && mkdir("b", 0700) == 0 && symlink("b", "link") == 0
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    return unlink("link") == 0 && rmdir("a") == 0 && rmdir("b") == 0 && chdir("/") == 0 &&
                   rmdir(here) == 0
               ? 0
               : -1;
}

static void is(const char *given, const char *wanted)
{
    char whole[8192];
    char *got = lzr_path_absolute(given);
    (void)snprintf(whole, sizeof whole, "%s%s", wanted[0] == '/' ? "" : here, wanted);
    if (wanted[0] == '.') { /* below this folder */
        (void)snprintf(whole, sizeof whole, "%s%s", here, wanted + 1);
    }
    assert_non_null(got);
    assert_string_equal(got, whole);
    lzr_free(got);
}

static void paths_are_absolute_and_links_stay(void **state)
{
    (void)state;
    is("x.py", "./x.py");
    is("./x.py", "./x.py");
    is("a//x.py", "./a/x.py");
    is("a/../x.py", "./x.py");
    is("a/./../b/x.py", "./b/x.py");
    is("link/x.py", "./link/x.py");
    is("link/../x.py", "./link/../x.py"); /* elsewhere, perhaps */
    is("link/../a/../x.py", "./link/../x.py");
    is("nothing/../x.py", "./nothing/../x.py");
    is("link/../../x.py", "./link/../../x.py");
    is("/", "/");
    is("/..", "/");
    is("/../x.py", "/x.py");
    is("//tmp///x.py", "/tmp/x.py");
    is("a/", "./a");
    is("", ".");
}

static void a_path_needs_memory(void **state)
{
    (void)state;
    lzr_mem_fail_at(0);
    assert_null(lzr_path_absolute("x.py"));
    lzr_mem_fail_after(-1);
}

static void makes(const char *file, const char *wanted)
{
    char name[LZR_MAX_NAME + 1];
    lzr_store_name_make(file, strlen(file), name);
    assert_string_equal(name, wanted);
    assert_int_equal(lzr_store_name_ok(name, strlen(name)), *wanted != '\0');
}

static void names_are_made(void **state)
{
    (void)state;
    makes("my store", "my_store");
    makes("gr\xc3\xb6\xc3\x9f" "e", "gr__e");
    makes("\xe6\x95\xb0\xe6\x8d\xae", "u6570u636e");
    makes("\xf0\x9f\x90\x9f", "u1f41f");
    makes("\xf0\x9f\x90\x9f" "1", "_1");
    makes(".hidden", "_hidden");
    makes("~x", "_x");
    makes("a.b-c_d", "a.b-c_d");
    makes("..", "_.");
    makes(" ", "_");
    makes("\xff\xfe", "u00ffu00fe");
    makes("a\xc3", "a_");
    makes("\xe6\x95", "u00e6u0095");
    makes("a/b", "a_b");
    makes("", "");
}

static void names_are_cut(void **state)
{
    (void)state;
    char file[600], name[LZR_MAX_NAME + 1];
    memset(file, 'n', sizeof file);
    lzr_store_name_make(file, sizeof file, name);
    assert_int_equal(strlen(name), LZR_MAX_NAME);
    for (size_t i = 0; i < sizeof file; i += 3) {
        memcpy(file + i, "\xe6\x95\xb0", 3);
    }
    lzr_store_name_make(file, sizeof file, name);
    assert_int_equal(strlen(name), LZR_MAX_NAME - LZR_MAX_NAME % 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_absolute_and_links_stay),
        cmocka_unit_test(a_path_needs_memory),
        cmocka_unit_test(names_are_made),
        cmocka_unit_test(names_are_cut),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
