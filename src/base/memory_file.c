#include "base/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int nameless(const char *folder)
{
    char path[4096];
    int fd = folder != NULL ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600) : -1;
    if (fd >= 0 || folder == NULL ||
        snprintf(path, sizeof path, "%s/lazarr-XXXXXX", folder) >= (int)sizeof path) {
        return fd;
    }
    fd = mkostemp(path, O_CLOEXEC); /* a file system without O_TMPFILE */
    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

int lzr_memory_file(const char *name, struct lzr_err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES && errno != EINVAL)) {
        return fd >= 0 ? fd : (lzr_err_sys(err, "cannot make shared memory"), -1);
    }
    int why = errno;
    const char *folders[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && fd < 0; i++) {
        fd = nameless(folders[i]);
    }
    if (fd < 0) {
        errno = why;
        lzr_err_sys(err, "cannot make shared memory: no file in /dev/shm or /tmp either, and "
                         "memfd_create");
    }
    return fd;
}

bool lzr_memory_unsealable(int fd)
{
    return fcntl(fd, F_GET_SEALS) < 0 || (fcntl(fd, F_GET_SEALS) & F_SEAL_SEAL) != 0;
}

bool lzr_memory_seal(int fd, int seals)
{
    return fcntl(fd, F_ADD_SEALS, seals) == 0 || lzr_memory_unsealable(fd);
}
