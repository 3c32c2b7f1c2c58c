#include "engine/orphans.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ENVIRON = 1 << 18 };

void lzr_orphans_mark(char out[LZR_ORPHANS_MARK], uint64_t nonce, unsigned worker,
                      uint64_t began_us)
{
    (void)snprintf(out, LZR_ORPHANS_MARK, "LAZARR_WORKER=%u-%llx-%llx", worker,
                   (unsigned long long)nonce, (unsigned long long)began_us);
}

void lzr_orphans_init(struct lzr_orphans *o)
{
    int adopts = 0;
    *o = (struct lzr_orphans){.adopts = prctl(PR_GET_CHILD_SUBREAPER, &adopts) == 0 && adopts != 0};
}

/* Calls each(pid, ctx) for every orphan: they are the main thread's children, which starts none
 * itself once there is a supervisor. The sum of what it returns. */
static unsigned each_orphan(const char *ctx, unsigned (*each)(pid_t pid, const char *ctx))
{
    unsigned sum = 0;
    char path[64];
    int pid;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    while (f != NULL && fscanf(f, "%d", &pid) == 1) {
        sum += each((pid_t)pid, ctx);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return sum;
}

/* Whether it is in the kernel, where no signal ends it: reading of its memory may wait as long. */
static bool is_stuck(pid_t pid)
{
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(text, ')'); /* "123 (name) D ..." */
    return end != NULL && strncmp(end, ") D", 3) == 0;
}

/* Whether one of the variables that a process began with is `mark`. */
static bool has_mark(pid_t pid, const char *mark)
{
    if (is_stuck(pid)) {
        return false; /* its next look may find out */
    }
    char path[64], part[8192];
    size_t kept = 0, need = strlen(mark) + 1, all = 0;
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && !found && all < MOST_ENVIRON &&
                    (n = read(fd, part + kept, sizeof part - kept)) > 0;) {
        size_t have = kept + (size_t)n;
        found = memmem(part, have, mark, need) != NULL; /* with its NUL */
        all += (size_t)n;
        kept = have < need ? have : need - 1;
        memmove(part, part + have - kept, kept);
    }
    if (fd >= 0) {
        close(fd);
    }
    return found;
}

static unsigned kill_marked(pid_t pid, const char *mark)
{
    if (!has_mark(pid, mark)) {
        return 0;
    }
    if (getpgid(pid) == pid) {
        (void)kill(-pid, SIGKILL);
    }
    (void)kill(pid, SIGKILL); /* a child that isn't waited for: the number is still its own */
    return 1;
}

void lzr_orphans_seek(struct lzr_orphans *o, const char *mark, pid_t group, uint64_t now)
{
    if (!o->adopts) {
        return;
    }
    if (o->nsought == LZR_ORPHANS_SOUGHT) { /* the one that was looked for longest */
        memmove(o->sought, o->sought + 1, (LZR_ORPHANS_SOUGHT - 1) * sizeof o->sought[0]);
        o->nsought--;
    }
    struct lzr_sought *s = &o->sought[o->nsought++];
    (void)snprintf(s->mark, sizeof s->mark, "%s", mark);
    s->group = group;
    s->until_us = now + LZR_ORPHANS_US;
}

static unsigned reap(pid_t pid, const char *unused)
{
    siginfo_t si;
    (void)unused;
    (void)waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG);
    return 0;
}

bool lzr_orphans_look(struct lzr_orphans *o, uint64_t now)
{
    unsigned kept = 0;
    siginfo_t si = {0};
    for (unsigned i = 0; i < o->nsought; i++) {
        struct lzr_sought *s = &o->sought[i];
        bool found = each_orphan(s->mark, kill_marked) > 0;
        if ((found || kill(-s->group, 0) == 0) && now < s->until_us) {
            o->sought[kept++] = *s;
        }
    }
    o->nsought = kept;
    if (o->adopts && waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid != 0) {
        (void)each_orphan(NULL, reap);
    }
    return kept > 0;
}
