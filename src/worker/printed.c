#include "worker/printed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lazarr/protocol.h"

struct lzr_printed lzr_printed_begin(void)
{
    bool marks = getenv("LAZARR_WORKER") != NULL; /* a server that knows them (engine/orphans.h) */
    struct lzr_printed out = {.fd = marks ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 200) : -1};
    struct stat st;
    if (out.fd >= 0 && fstat(out.fd, &st) == 0) {
        out.inode = st.st_ino;
    }
    const char *unbuffered = getenv("PYTHONUNBUFFERED");
    (void)setvbuf(stdout, NULL, unbuffered != NULL && *unbuffered != '\0' ? _IONBF : _IOLBF, 0);
    return out;
}

void lzr_printed_close(const struct lzr_printed *out, const struct lzr_interp *in)
{
    struct stat st;
    int unread = 0;
    (void)fflush(stdout);
    if (ioctl(out->fd, FIONREAD, &unread) != 0 || unread <= 0 || fstat(out->fd, &st) != 0 ||
        !S_ISFIFO(st.st_mode) || st.st_ino != out->inode) {
        return;
    }
    PyObject *label = PyObject_CallNoArgs(in->label);
    Py_ssize_t n = 0;
    const char *text = label != NULL ? PyUnicode_AsUTF8AndSize(label, &n) : NULL;
    char mark[LZR_MAX_LABEL + 3];
    if (text != NULL && n <= LZR_MAX_LABEL) {
        mark[0] = LZR_MARK_BEGIN;
        mark[1] = LZR_MARK_WAS;
        memcpy(mark + 2, text, (size_t)n);
        mark[n + 2] = LZR_MARK_END;
        ssize_t put = write(out->fd, mark, (size_t)n + 3); /* at most PIPE_BUF: whole or not */
        (void)put;
    }
    PyErr_Clear();
    Py_XDECREF(label);
}
