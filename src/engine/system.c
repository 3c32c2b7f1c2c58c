#include "engine/system.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory_file.h"
#include "base/nothing.h"
#include "lazarr/protocol.h"

enum lzr_code lzr_system_occupy(struct lzr_err *err)
{
    int fd = lzr_nothing_open(true);
    while (fd >= 0 && fd <= LZR_WORKER_FD) {
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* those below stay */
    }
    if (fd < 0) {
        return lzr_err_sys(err, "cannot open /dev/null, nor make a pipe in its place");
    }
    close(fd);
    return LZR_OK;
}

bool lzr_system_folder(char *out, size_t n)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len > 0) {
        path[len] = '\0';
    } else {
        /* The kernel's own word: a path, whatever argv[0] says, of the folder it was started in. */
        const char *by = (const char *)getauxval(AT_EXECFN); // NOLINT(performance-no-int-to-ptr)
        if (by == NULL || realpath(by, path) == NULL) {
            path[0] = '\0';
        }
    }
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return slash != NULL && snprintf(out, n, "%s", path) < (int)n;
}

void lzr_system_say(const struct lzr_log *log, bool limits)
{
    struct lzr_err err;
    int fd = lzr_memory_file("lazarr-probe", &err);
    if (fd >= 0 && lzr_memory_unsealable(fd)) {
        lzr_log(log, LZR_LOG_WARN,
                "memfd_create isn't there or isn't allowed: blocks lie in files without names, in "
                "/dev/shm or a folder for temporary files, and a store's code that cuts one ends "
                "the server");
    }
    if (fd >= 0) {
        close(fd);
    }
    if (access("/proc/self/stat", R_OK) != 0) {
        lzr_log(log, LZR_LOG_WARN, "/proc isn't there: what a function forks costs its block's "
                                   "memory, daemons that stores start aren't ended, files that "
                                   "they open by themselves aren't all found");
        if (limits) {
            lzr_log(log, LZR_LOG_WARN,
                    "--worker-memory needs /proc, which isn't there: no worker is measured");
        }
    }
}
