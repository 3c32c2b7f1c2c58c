#include "base/trim.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool lzr_trim_due(const struct lzr_trim *t, uint64_t now_us, uint64_t resident, uint64_t used)
{
    return now_us >= t->next_us && resident > used && resident - used > LZR_TRIM_SLACK;
}

void lzr_trim_done(struct lzr_trim *t, uint64_t now_us, uint64_t before, uint64_t after)
{
    bool little = before < after + LZR_TRIM_SLACK / 4;
    uint64_t twice = 2 * t->pause_us > LZR_TRIM_SHORT ? 2 * t->pause_us : 2 * LZR_TRIM_SHORT;
    t->pause_us = !little ? LZR_TRIM_SHORT : twice < LZR_TRIM_LONG ? twice : LZR_TRIM_LONG;
    t->next_us = now_us + t->pause_us;
}

/* Bytes that are resident and the process's own; 0: nobody says. */
static uint64_t own_memory(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    char *at = strchr(text, ' '); /* "size resident shared ...", in pages */
    uint64_t pages = at != NULL ? strtoull(at, &at, 10) : 0;
    uint64_t shared = at != NULL ? strtoull(at, NULL, 10) : 0;
    return pages > shared ? (pages - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void lzr_trim_look(struct lzr_trim *t, uint64_t now_us, uint64_t used)
{
    if (now_us < t->next_us) {
        return;
    }
    uint64_t before = own_memory();
    if (lzr_trim_due(t, now_us, before, used)) {
        (void)malloc_trim(0);
        lzr_trim_done(t, now_us, before, own_memory());
    } else {
        t->next_us = now_us + LZR_TRIM_SHORT;
    }
}
