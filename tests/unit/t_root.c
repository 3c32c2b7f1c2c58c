/* The folder whose modules a store's file imports. */
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
#include "engine/root.h"

static char top[64]; /* the folder that all is made in, and the current one */

static void make(const char *folder, bool package)
{
    char path[256];
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/__init__.py", folder);
    if (package) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fclose(f);
    }
}

static int begin(void **state)
{
    (void)state;
    char here[64] = "/tmp/lzr-root-XXXXXX";
    assert_non_null(mkdtemp(here));
    assert_int_equal(chdir(here), 0);
    assert_non_null(getcwd(top, sizeof top));
    make("a", false);
    make("a/pkg", true);
    make("a/pkg/sub", true);
    make("a/pkg/data", false);
    make("a/pkg/data/inner", true);
    make("b", true);
    make("a/v1.2", true);
    make("a/v1.2/pkg", true);
    make("a/odd", false);
    assert_int_equal(mkdir("a/odd/__init__.py", 0700), 0);
    assert_int_equal(symlink("a/pkg", "link"), 0);
    assert_int_equal(symlink("../a/pkg/sub/s.py", "b/s.py"), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", top);
    return system(command);
}

static void expect(const char *path, const char *below)
{
    char want[256];
    snprintf(want, sizeof want, "%s%s", top, below);
    char *root = lzr_root_of(path);
    assert_non_null(root);
    assert_string_equal(root, want);
    lzr_free(root);
    if (path[0] != '/') {
        char whole[256];
        snprintf(whole, sizeof whole, "%s/%s", top, path);
        expect(whole, below);
    }
}

static void the_first_folder_that_is_no_package(void **state)
{
    (void)state;
    expect("s.py", "");
    expect("a/s.py", "/a");
    expect("a/pkg/s.py", "/a");
    expect("a/pkg/sub/s.py", "/a");
    expect("a/v1.2/s.py", "/a/v1.2"); /* which import can't name */
    expect("a/v1.2/pkg/s.py", "/a/v1.2");
    expect("a/odd/s.py", "/a/odd");
    expect("a/pkg/data/s.py", "/a/pkg/data");
    expect("a/pkg/data/inner/s.py", "/a/pkg/data");
    expect("b/s.py", "");
}

static void as_it_was_written(void **state)
{
    (void)state;
    expect("./a//s.py", "/a");
    expect("a/./../a/s.py", "/a");
    expect("b/../a/pkg/../s.py", "/a");
    expect("link/s.py", ""); /* the link's folder, not where it leads */
    expect("link/sub/../s.py", "");
    expect("nowhere/s.py", "/nowhere");
    char *root = lzr_root_of("/s.py");
    assert_string_equal(root, "/");
    lzr_free(root);
    root = lzr_root_of("/../../tmp/../s.py");
    assert_string_equal(root, "/");
    lzr_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_folder_that_is_no_package),
        cmocka_unit_test(as_it_was_written),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
