#include "worker/leave.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Of a signal handler, whatever the main thread waits for. */
static void late(int sig)
{
    static const char text[] = "lazarr-worker: it was told to end, and its atexit functions go "
                               "on after 2 s: it is cut off\n";
    (void)sig;
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(1);
}

void lzr_leave(const struct lzr_interp *in, int status)
{
    const struct sigaction bound = {.sa_handler = late};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    /* Whatever user code did to the signal. */
    (void)sigaction(SIGALRM, &bound, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)alarm(LZR_LEAVE_S);
    PyObject *r = in->leave != NULL ? PyObject_CallNoArgs(in->leave) : NULL;
    Py_XDECREF(r);
    PyErr_Clear();
    (void)fflush(NULL);
    _exit(status);
}
