/* skew.c: a clock of the day that a test can set, for one process and what it starts.
 *
 * Preloaded (LD_PRELOAD), with SKEW_FILE naming a file of at least 24 bytes that is mapped here:
 *   0   int64   nanoseconds that the clock of the day is ahead; a test writes it at any time
 *   8   uint64  how often that clock was read here, by all processes together
 *   16  uint64  how often something waited for a time on that clock
 *
 * What reads the clock of the day (clock_gettime, gettimeofday, time, timespec_get; the coarse one
 * too) sees it shifted. What waits until a time on it (a timed join, lock or semaphore, a condition
 * that counts on it) behaves as on a machine whose clock is set: it waits in short steps and looks
 * each time. CLOCK_MONOTONIC, and what counts on that or for a while (poll, epoll_wait, nanosleep),
 * is left alone, as it is when somebody sets the clock. Not done: timerfd and clock_nanosleep on
 * CLOCK_REALTIME, and system calls made without the C library. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000
#define STEP_NS 20000000       /* a wait on the clock of the day looks at it so often */
#define COUNTS_ON_MONOTONIC 2u /* glibc's mark in a condition variable, since 2.25 */
#define API __attribute__((visibility("default")))

struct shared {
    _Atomic int64_t ahead_ns;
    _Atomic uint64_t reads, waits;
};

static struct shared nothing; /* without a file: the clock as it is */
static _Atomic(struct shared *) shared = &nothing;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("SKEW_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                       : MAP_FAILED;
    if (fd >= 0) {
        close(fd);
    }
    if (at != MAP_FAILED) {
        atomic_store(&shared, at);
    }
}

/* The function of that name behind this one. */
#define BEHIND(name) ((__typeof__(&name))(uintptr_t)behind(#name))
static void *behind(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (f == NULL) {
        abort();
    }
    return f;
}

static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * SECOND + t->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
    if (t.tv_nsec < 0) {
        t.tv_sec--;
        t.tv_nsec += SECOND;
    }
    return t;
}

API int clock_gettime(clockid_t id, struct timespec *t)
{
    static _Atomic(__typeof__(&clock_gettime)) real;
    if (atomic_load(&real) == NULL) {
        atomic_store(&real, BEHIND(clock_gettime));
    }
    int rc = atomic_load(&real)(id, t);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        struct shared *s = atomic_load(&shared);
        atomic_fetch_add(&s->reads, 1);
        *t = timespec_of(nanoseconds(t) + atomic_load(&s->ahead_ns));
    }
    return rc;
}

API int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    *tv = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return 0;
}

API time_t time(time_t *out)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL) {
        *out = t.tv_sec;
    }
    return t.tv_sec;
}

API int timespec_get(struct timespec *t, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

/* The end of the next step of a wait until `at`, on the real clock, which the kernel knows. False:
 * it is that late already. */
static int next_step(const struct timespec *at, struct timespec *step)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = nanoseconds(at) - nanoseconds(&now);
    int64_t real = nanoseconds(&now) - atomic_load(&atomic_load(&shared)->ahead_ns);
    *step = timespec_of(real + (left < 0 ? 0 : left < STEP_NS ? left : STEP_NS));
    return left > 0;
}

static void count_wait(void)
{
    atomic_fetch_add(&atomic_load(&shared)->waits, 1);
}

API int pthread_timedjoin_np(pthread_t thread, void **out, const struct timespec *at)
{
    struct timespec step;
    int rc, more;
    count_wait();
    do {
        more = next_step(at, &step);
        rc = BEHIND(pthread_timedjoin_np)(thread, out, &step);
    } while (rc == ETIMEDOUT && more);
    return rc;
}

API int pthread_mutex_timedlock(pthread_mutex_t *restrict mu, const struct timespec *restrict at)
{
    struct timespec step;
    int rc, more;
    count_wait();
    do {
        more = next_step(at, &step);
        rc = BEHIND(pthread_mutex_timedlock)(mu, &step);
    } while (rc == ETIMEDOUT && more);
    return rc;
}

API int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict at)
{
    struct timespec step;
    int rc, more;
    count_wait();
    do {
        more = next_step(at, &step);
        rc = BEHIND(sem_timedwait)(sem, &step);
    } while (rc != 0 && errno == ETIMEDOUT && more);
    return rc;
}

/* After a step it says that it was woken, as it may at any time: whoever waits looks again. (To
 * wait on would lose what was said between two steps.) */
static int one_step(int rc, int more)
{
    return rc == ETIMEDOUT && more ? 0 : rc;
}

API int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mu,
                               const struct timespec *restrict at)
{
    struct timespec step;
    if ((cond->__data.__wrefs & COUNTS_ON_MONOTONIC) != 0) {
        return BEHIND(pthread_cond_timedwait)(cond, mu, at);
    }
    count_wait();
    int more = next_step(at, &step);
    return one_step(BEHIND(pthread_cond_timedwait)(cond, mu, &step), more);
}

API int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mu,
                               clockid_t id, const struct timespec *restrict at)
{
    struct timespec step;
    if (id != CLOCK_REALTIME) {
        return BEHIND(pthread_cond_clockwait)(cond, mu, id, at);
    }
    count_wait();
    int more = next_step(at, &step);
    return one_step(BEHIND(pthread_cond_clockwait)(cond, mu, id, &step), more);
}
