/* sent.c: notes when a server sends a signal to a worker.
 *
 * Preloaded (LD_PRELOAD), with SENT_FILE naming a file of zeros that is mapped here: a uint64 that
 * counts, then so many records, in native order and without gaps. Of each pidfd_send_signal(2) that
 * is made through syscall(3), just before it is made: the time on CLOCK_MONOTONIC, the CPU time
 * that the process it is for has used by then, that process, the signal. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

struct record {
    int64_t at_ns, cpu_ns, pid, sig;
};

struct notes {
    _Atomic uint64_t n;
    struct record records[];
};

static _Atomic(struct notes *) notes;
static uint64_t room; /* written before notes is */

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("SENT_FILE");
    struct stat st;
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && (size_t)st.st_size > sizeof(struct notes)) {
        size_t n = (size_t)st.st_size;
        void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        room = (n - sizeof(struct notes)) / sizeof(struct record);
        atomic_store(&notes, at != MAP_FAILED ? at : NULL);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static pid_t pid_of(int pidfd)
{
    char path[64], text[512];
    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *at = strstr(text, "Pid:");
    return at != NULL ? (pid_t)strtol(at + 4, NULL, 10) : -1;
}

static int64_t now_ns(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) == 0 ? (int64_t)t.tv_sec * 1000000000 + t.tv_nsec : -1;
}

static void note(int pidfd, long sig)
{
    struct notes *to = atomic_load(&notes);
    clockid_t cpu;
    int saved = errno;
    pid_t pid = pid_of(pidfd);
    if (pid > 0 && clock_getcpuclockid(pid, &cpu) == 0) {
        struct record r = {.cpu_ns = now_ns(cpu), .pid = pid, .sig = sig};
        r.at_ns = now_ns(CLOCK_MONOTONIC);
        /* One thread sends at a time: under the driver's mutex. */
        uint64_t n = atomic_load(&to->n);
        if (n < room) {
            to->records[n] = r;
            atomic_store(&to->n, n + 1);
        }
    }
    errno = saved;
}

API long syscall(long number, ...)
{
    static _Atomic(long (*)(long, ...)) real;
    long a[6];
    va_list ap;
    va_start(ap, number);
    for (int i = 0; i < 6; i++) { /* as many as there can be, whatever was given */
        a[i] = va_arg(ap, long);
    }
    va_end(ap);
    if (atomic_load(&real) == NULL) {
        void *f = dlsym(RTLD_NEXT, "syscall");
        if (f == NULL) {
            abort();
        }
        atomic_store(&real, (long (*)(long, ...))(uintptr_t)f);
    }
    if (number == SYS_pidfd_send_signal && atomic_load(&notes) != NULL) {
        note((int)a[0], a[1]);
    }
    return atomic_load(&real)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
