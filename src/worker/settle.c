#include "worker/settle.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/nothing.h"
#include "lazarr/protocol.h"

/* A process that user code forks has no say in what its parent tells the server: its number 3 leads
 * nowhere. (A process that it executes doesn't have one at all.) */
static void leave_server(void)
{
    int fd = lzr_nothing_open(true);
    if (fd < 0 || dup3(fd, LZR_WORKER_FD, O_CLOEXEC) < 0) {
        close(LZR_WORKER_FD);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* When memory is short a worker goes before its server, whatever that was started with: half of the
 * way from there to 1000, which a pod that begins at 950 has room for, too. (Raising needs no
 * rights.) */
static void go_first(void)
{
    int server = 0;
    FILE *f = fopen("/proc/self/oom_score_adj", "r+");
    if (f == NULL) {
        return;
    }
    if (fscanf(f, "%d", &server) != 1) {
        server = 0;
    }
    rewind(f);
    int mine = server < 0 ? 500 : server + (1000 - server + 1) / 2;
    (void)fprintf(f, "%d", mine > 1000 ? 1000 : mine);
    (void)fclose(f);
}

void lzr_settle_descriptors(unsigned long long most)
{
    struct rlimit lim;
    if (most > 0 && getrlimit(RLIMIT_NOFILE, &lim) == 0 && most < lim.rlim_cur) {
        lim.rlim_cur = (rlim_t)most;
        (void)setrlimit(RLIMIT_NOFILE, &lim);
    }
}

/* The server is gone: so is the worker, with every process of its group. (A pool's children don't
 * notice a SIGKILL of their parent.) Needs no GIL. */
static void end_group(int sig)
{
    (void)sig;
    (void)kill(-getpid(), SIGKILL);
    (void)kill(getpid(), SIGKILL);
}

static bool is_alone(void)
{
    struct pollfd server = {.fd = LZR_WORKER_FD};
    return poll(&server, 1, 0) > 0 && (server.revents & (POLLHUP | POLLERR)) != 0;
}

/* A group in which a process is stopped gets a SIGHUP from the kernel, too, when its server goes:
 * that must not end the worker alone. Otherwise it does what it does by default, also in what was
 * forked, whose number 3 leads elsewhere. */
static void hang_up(int sig)
{
    if (is_alone()) {
        end_group(sig);
    }
    (void)signal(sig, SIG_DFL);
    (void)raise(sig); /* once this returns */
}

/* A worker goes with its server, gets the CPU last, can't gain rights, and is the first to go when
 * memory is short. */
void lzr_settle(void)
{
    const struct rlimit none = {0, 0}, one = {1, 1};
    const struct sigaction alone = {.sa_handler = end_group}, hangs_up = {.sa_handler = hang_up};
    (void)setpgid(0, 0); /* a Ctrl-C at the terminal is the server's to handle */
    (void)sigaction(SIGRTMIN + LZR_SIGNAL_ALONE, &alone, NULL);
    (void)sigaction(SIGHUP, &hangs_up, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGRTMIN + LZR_SIGNAL_ALONE);
    /* A server that was gone before that is seen by its closed end. (Not by getppid() == 1: in a
     * container the server itself often is process 1.) */
    if (is_alone()) {
        _exit(1);
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* Ten behind its server, whose own place the user may have chosen. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 10);
    /* A crash of user code needn't fill the disk. Of both limits, 1 is heeded also where
     * core_pattern names a program. */
    if (setrlimit(RLIMIT_CORE, &one) != 0) {
        (void)setrlimit(RLIMIT_CORE, &none);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* as in any Python: an error of write() */
    go_first();
    (void)fcntl(LZR_WORKER_FD, F_SETFD, FD_CLOEXEC);
    (void)pthread_atfork(NULL, NULL, leave_server);
}
