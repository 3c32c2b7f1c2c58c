/* still.c: calls that never return, as a file system's that doesn't answer; preloaded.
 *
 * While the file $STILL/WHO.WHAT is there, WHO being "server" or "worker" and WHAT one of open, stat,
 * read, spawn and pack, such calls wait: the first three for paths in a folder named "remote", pack
 * (blosc's) for chunks of $STILL_PACK bytes. $STILL/WHO.slow makes each read take a fifth of a
 * second. */
#include <blosc.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int is_set(const char *what)
{
    char path[512];
    const char *folder = getenv("STILL");
    const char *who = strcmp(program_invocation_short_name, "lazarr") == 0 ? "server" : "worker";
    (void)snprintf(path, sizeof path, "%s/%s.%s", folder != NULL ? folder : "/nowhere", who, what);
    return access(path, F_OK) == 0;
}

static void hold(const char *what)
{
    int keep = errno;
    while (is_set(what)) {
        (void)usleep(10000);
    }
    errno = keep;
}

static void hold_path(const char *what, const char *path)
{
    if (path != NULL && strstr(path, "/remote/") != NULL) {
        hold(what);
    }
}

static void hold_fd(const char *what, int fd)
{
    char name[64], path[1024];
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n > 0) {
        path[n] = '\0';
        hold_path(what, path);
        if (strstr(path, "/remote/") != NULL && strcmp(what, "read") == 0 && is_set("slow")) {
            (void)usleep(200000);
        }
    }
}

/* The next one of this name. */
#define NEXT(type, name, ...)                                                                      \
    static type (*next)(__VA_ARGS__);                                                              \
    if (next == NULL) {                                                                            \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
    }

#define OPEN(name)                                                                                 \
    EXPORT int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        NEXT(int, name, const char *, int, ...)                                                    \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;               \
        va_end(ap);                                                                                \
        hold_path("open", path);                                                                   \
        return next(path, flags, mode);                                                            \
    }
OPEN(open)
OPEN(open64)

#define PREAD(name)                                                                                \
    EXPORT ssize_t name(int fd, void *to, size_t n, off_t at)                                      \
    {                                                                                              \
        NEXT(ssize_t, name, int, void *, size_t, off_t)                                            \
        hold_fd("read", fd);                                                                       \
        return next(fd, to, n, at);                                                                \
    }
PREAD(pread)
PREAD(pread64)

#define FSTAT(name, kind)                                                                          \
    EXPORT int name(int fd, struct kind *out)                                                      \
    {                                                                                              \
        NEXT(int, name, int, struct kind *)                                                        \
        hold_fd("stat", fd);                                                                       \
        return next(fd, out);                                                                      \
    }
FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

#define STAT(name, kind)                                                                           \
    EXPORT int name(const char *path, struct kind *out)                                            \
    {                                                                                              \
        NEXT(int, name, const char *, struct kind *)                                               \
        hold_path("stat", path);                                                                   \
        return next(path, out);                                                                    \
    }
STAT(stat, stat)
STAT(stat64, stat64)

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    NEXT(int, posix_spawn, pid_t *, const char *, const posix_spawn_file_actions_t *,
         const posix_spawnattr_t *, char *const[], char *const[])
    hold("spawn");
    return next(pid, path, actions, attr, argv, env);
}

EXPORT int blosc_compress_ctx(int level, int shuffle, size_t size, size_t n, const void *from,
                              void *to, size_t room, const char *name, size_t block, int threads)
{
    NEXT(int, blosc_compress_ctx, int, int, size_t, size_t, const void *, void *, size_t,
         const char *, size_t, int)
    const char *only = getenv("STILL_PACK");
    if (only != NULL && n == strtoul(only, NULL, 10)) {
        hold("pack");
    }
    return next(level, shuffle, size, n, from, to, room, name, block, threads);
}
