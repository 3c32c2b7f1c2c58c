#include "base/nothing.h"

#include <fcntl.h>
#include <unistd.h>

/* One end of a pipe whose other end is closed. */
static int half_pipe(bool writes)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -1;
    }
    int low = fds[0] < fds[1] ? fds[0] : fds[1], fd = fds[writes];
    close(fds[!writes]);
    if (fd != low) { /* whoever opens it counts on the lowest number */
        int again = fcntl(fd, F_DUPFD_CLOEXEC, low);
        close(fd);
        fd = again;
    }
    return fd;
}

int lzr_nothing_open(bool writes)
{
    int fd = open("/dev/null", (writes ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    return fd >= 0 ? fd : half_pipe(writes);
}
