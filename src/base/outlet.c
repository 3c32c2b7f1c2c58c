#include "base/outlet.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_json.h"
#include "base/ring.h"

static size_t piece_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? LZR_OUTLET_FILE : LZR_OUTLET_PIECE;
}

void lzr_outlet_init(struct lzr_outlet *o, const char *path, int fd, bool json)
{
    o->path = path;
    o->json = json;
    o->fd = path != NULL ? -1 : fd;
    o->piece = path != NULL ? LZR_OUTLET_PIECE : piece_of(fd);
}

bool lzr_outlet_open(struct lzr_outlet *o)
{
    int fd = open(o->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0) {
        return false;
    }
    lzr_outlet_close(o);
    o->fd = fd;
    o->piece = piece_of(fd);
    return true;
}

void lzr_outlet_close(struct lzr_outlet *o)
{
    if (o->path != NULL && o->fd >= 0) {
        close(o->fd);
        o->fd = -1;
    }
}

/* The day and time of a record. */
static const char *day_of(struct lzr_outlet *o, uint64_t put_us)
{
    uint64_t second = put_us / 1000000;
    if (o->day[0] == '\0' || second != o->day_second) {
        uint64_t now = lzr_now_us();
        lzr_day_text(o->day, sizeof o->day, o->json ? LZR_DAY_ISO : LZR_DAY_LOG,
                     now > put_us ? now - put_us : 0);
        o->day_second = second;
    }
    return o->day;
}

/* A line that is made already: the time is put in, and a newline behind it. */
static size_t fill_in(struct lzr_outlet *o, const char *day, const char *text, size_t n)
{
    const char *at = memchr(text, LZR_RING_TIME, n);
    size_t first = at != NULL ? (size_t)(at - text) : n, more = at != NULL ? strlen(day) : 0;
    size_t rest = at != NULL ? n - first - 1 : 0, room = sizeof o->line - 1;
    first = first < room ? first : room; /* what is cut: records are shorter */
    more = more < room - first ? more : room - first;
    rest = rest < room - first - more ? rest : room - first - more;
    memcpy(o->line, text, first);
    memcpy(o->line + first, day, more);
    if (at != NULL) {
        memcpy(o->line + first + more, at + 1, rest);
    }
    o->line[first + more + rest] = '\n';
    return first + more + rest + 1;
}

size_t lzr_outlet_line(struct lzr_outlet *o, unsigned flags, uint64_t put_us, const char *text,
                       size_t n)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    bool client = (flags & LZR_RING_CLIENT) != 0;
    if ((flags & LZR_RING_BARE) != 0) {
        return fill_in(o, day_of(o, put_us), text, n);
    }
    if (!o->json) {
        return lzr_log_show(o->line, text, n, client);
    }
    return lzr_log_json(o->line, day_of(o, put_us), levels[flags / LZR_RING_LEVEL & 3], text, n,
                        client);
}
