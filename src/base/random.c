#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/random.h>
#include <unistd.h>

static ssize_t from_device(int fd, void *out, size_t n)
{
    return read(fd, out, n);
}

static ssize_t from_call(int fd, void *out, size_t n)
{
    (void)fd;
    return getrandom(out, n, 0);
}

/* False: errno says why. */
static bool fill(ssize_t (*get)(int, void *, size_t), int fd, unsigned char *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = get(fd, out + at, n - at);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            errno = got == 0 ? EIO : errno;
            return false;
        }
        at += got > 0 ? (size_t)got : 0;
    }
    return true;
}

enum lzr_code lzr_random(void *out, size_t n, struct lzr_err *err)
{
    if (fill(from_call, -1, out, n)) {
        return LZR_OK;
    }
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fill(from_device, fd, out, n);
    enum lzr_code code =
        ok ? LZR_OK : lzr_err_sys(err, "no random bytes: neither by getrandom nor /dev/urandom");
    if (fd >= 0) {
        close(fd);
    }
    return code;
}
