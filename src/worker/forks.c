#include "worker/forks.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 1024 }; /* children that are looked at; with more a slot counts as held */

static _Atomic unsigned forks; /* as pthread_atfork's functions are given nothing */

static void count(void)
{
    atomic_fetch_add(&forks, 1);
}

bool lzr_forks_install(void)
{
    return pthread_atfork(count, NULL, NULL) == 0;
}

unsigned lzr_forks(void)
{
    return atomic_load(&forks);
}

/* Adds the children of one thread. False: that can't be known, or they are too many. */
static bool add_of_thread(const char *pid, const char *thread, int pids[], unsigned *n)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.11s/task/%.11s/children", pid, thread);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return errno == ENOENT && access("/proc/thread-self/children", F_OK) == 0; /* it ended */
    }
    while (*n < MOST && fscanf(f, "%d", &pids[*n]) == 1) {
        (*n)++;
    }
    bool all = *n < MOST;
    (void)fclose(f);
    return all;
}

static bool add_children(const char *pid, int pids[], unsigned *n)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.11s/task", pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return true; /* it has ended, and what it left is nobody's */
    }
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(dir)) != NULL;) {
        ok = e->d_name[0] == '.' || add_of_thread(pid, e->d_name, pids, n);
    }
    (void)closedir(dir);
    return ok;
}

/* All that descend from this process and live. False: not all can be known. */
static bool descendants(int pids[], unsigned *n)
{
    bool ok = add_children("self", pids, n);
    for (unsigned i = 0; ok && i < *n; i++) {
        char pid[12];
        (void)snprintf(pid, sizeof pid, "%d", pids[i]);
        ok = add_children(pid, pids, n);
    }
    return ok;
}

/* Whether a process has the memory mapped. */
static bool maps(int pid, uint64_t inode)
{
    char path[64], *line = NULL;
    size_t room = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return errno != ENOENT && errno != ESRCH; /* one that can't be looked at: it may */
    }
    bool found = false;
    while (!found && getline(&line, &room, f) > 0) {
        unsigned long long at = 0;
        /* A memfd, or the file in its place, has no name any more. */
        found = strstr(line, "(deleted)") != NULL &&
                sscanf(line, "%*s %*s %*s %*s %llu", &at) == 1 && at == inode;
    }
    free(line);
    (void)fclose(f);
    return found;
}

bool lzr_forks_hold(uint64_t inode, uint64_t *seen)
{
    siginfo_t si;
    int pids[MOST];
    unsigned n = 0;
    if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 && errno == ECHILD) {
        return false; /* it has no children at all */
    }
    if (!descendants(pids, &n)) {
        return true;
    }
    uint64_t these = UINT64_C(14695981039346656037);
    for (unsigned i = 0; i < n; i++) {
        these = (these ^ (uint64_t)pids[i]) * UINT64_C(1099511628211);
    }
    if (n == 0 || these == *seen) {
        return false; /* none that was there already can have got it since */
    }
    for (unsigned i = 0; i < n; i++) {
        if (maps(pids[i], inode)) {
            return true;
        }
    }
    *seen = these;
    return false;
}
