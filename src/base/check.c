#include "base/check.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not through stdio, and not where nobody reads: the process is to end. */
_Noreturn void lzr_panic(const char *file, int line, const char *what)
{
    char text[512];
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)snprintf(text, sizeof text, "lazarr: panic at %s:%d: %.256s\n", file, line, what);
    if (poll(&p, 1, 1000) > 0) {
        ssize_t n = write(STDERR_FILENO, text, strlen(text));
        (void)n;
    }
    abort();
}
