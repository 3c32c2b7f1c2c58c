#include "http/longhead.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { STEP = 4096 };

/* Bytes of the line's end before at, which is behind one. */
static size_t end_before(const char *text, size_t at)
{
    return at >= 2 && text[at - 2] == '\r' ? 2 : 1;
}

/* Whether an empty line has come: line is where it begins then, and *after what lies behind. */
static bool find_end(struct lzr_longhead *h, size_t *after)
{
    const char *lf;
    while ((lf = memchr(h->text + h->line, '\n', h->n - h->line)) != NULL) {
        size_t at = (size_t)(lf - h->text), n = at - h->line;
        if (n == 0 || (n == 1 && h->text[h->line] == '\r')) {
            *after = at + 1;
            return true;
        }
        h->line = at + 1;
    }
    return false;
}

/* Bytes at the end of the text, none of which the library has, that may be those that it needs: the
 * empty line's, and the end of the line before it where the library is within one. */
static size_t to_hold(const struct lzr_longhead *h)
{
    size_t begun = h->n - h->line, most = h->n - h->first, hold = 0;
    if (begun == 0 || (begun == 1 && h->text[h->line] == '\r')) {
        hold = begun;
        if (!h->at_start && h->line > 0) {
            hold += end_before(h->text, h->line);
        }
    } else if (!h->at_start && h->text[h->n - 1] == '\r') {
        hold = 1;
    }
    return hold < most ? hold : most;
}

static bool make_room(struct lzr_longhead *h, size_t n)
{
    if (h->n + n <= h->size) {
        return true;
    }
    char *text = lzr_realloc(h->text, h->n + n);
    if (text == NULL) {
        h->no_memory = true;
        return false;
    }
    h->text = text;
    h->size = h->n + n;
    return true;
}

static enum lzr_longhead_state state_of(struct lzr_longhead *h)
{
    size_t after;
    if (find_end(h, &after)) {
        h->whole = h->lead + after;
        return LZR_LONGHEAD_WHOLE;
    }
    return h->lead + h->n >= LZR_MAX_HEAD ? LZR_LONGHEAD_TOO_LONG : LZR_LONGHEAD_MORE;
}

enum lzr_longhead_state lzr_longhead_seize(struct lzr_longhead *h, char *lines, size_t n)
{
    if (!make_room(h, n > 0 ? n : 1)) {
        return LZR_LONGHEAD_MORE;
    }
    if (n > 0) {
        memcpy(h->text, lines, n);
    }
    h->n = n;
    enum lzr_longhead_state state = state_of(h);
    /* What stays: the end of the last whole line, with what has come of the empty one. */
    size_t begun = h->n - h->line, blank = h->n;
    h->at_start = begun == 0 || (begun == 1 && lines[h->line] == '\r');
    if (h->at_start || state == LZR_LONGHEAD_WHOLE) {
        blank = h->line > 0 ? h->line - end_before(h->text, h->line) : 0;
    }
    if (blank > 0) {
        memset(lines, ' ', blank);
        lines[0] = ':';
    }
    if (state == LZR_LONGHEAD_WHOLE) {
        h->n = h->line;
    }
    h->first = h->n;
    return state;
}

char *lzr_longhead_room(struct lzr_longhead *h, size_t *room)
{
    size_t left = h->lead + h->n < LZR_MAX_HEAD ? LZR_MAX_HEAD - h->lead - h->n : 0;
    size_t more = left < STEP ? left : STEP;
    if (!make_room(h, more)) {
        return NULL;
    }
    *room = more + h->held;
    return h->text + h->n - h->held;
}

enum lzr_longhead_state lzr_longhead_seen(struct lzr_longhead *h, size_t n, size_t *take)
{
    size_t taken = h->n - h->held;
    h->n = taken + n;
    enum lzr_longhead_state state = state_of(h);
    if (state != LZR_LONGHEAD_WHOLE) {
        h->held = to_hold(h);
        *take = h->n - h->held - taken;
        h->gone += *take;
        return state;
    }
    size_t upto = h->line;
    if (!h->at_start && h->line > 0) {
        upto -= end_before(h->text, h->line);
    }
    *take = upto > taken ? upto - taken : 0;
    h->gone += *take;
    h->n = h->line;
    h->held = 0;
    return state;
}

/* "close" among the words of a list. */
static bool says_close(const char *value)
{
    for (const char *p = value; *p != '\0';) {
        size_t n = strcspn(p, ", \t");
        if (n == 5 && strncasecmp(p, "close", 5) == 0) {
            return true;
        }
        p += n + strspn(p + n, ", \t");
    }
    return false;
}

/* One line, without its end: n bytes from at on. */
static void add_line(struct lzr_longhead *h, size_t at, size_t n)
{
    char *line = h->text + at;
    const char *colon = memchr(line, ':', n);
    if (colon == NULL || line[0] == ' ' || line[0] == '\t') {
        h->broken = true;
        return;
    }
    size_t nname = (size_t)(colon - line), value = nname + 1;
    while (value < n && (line[value] == ' ' || line[value] == '\t')) {
        value++;
    }
    line[nname] = '\0';
    line[n] = '\0';
    h->fields[h->nfields++] = (struct lzr_field){.name = (unsigned)at,
                                                 .nname = (unsigned)nname,
                                                 .value = (unsigned)(at + value),
                                                 .nvalue = (unsigned)(n - value)};
    if (strcasecmp(line, "Connection") == 0 && says_close(line + value)) {
        h->close = true;
    }
}

bool lzr_longhead_parse(struct lzr_longhead *h)
{
    size_t lines = 0;
    for (size_t i = 0; i < h->n; i++) {
        lines += h->text[i] == '\n';
    }
    h->fields = lzr_calloc(lines > 0 ? lines : 1, sizeof *h->fields);
    if (h->fields == NULL) {
        h->no_memory = true;
        return false;
    }
    for (size_t at = 0; at < h->n;) {
        const char *lf = memchr(h->text + at, '\n', h->n - at);
        size_t end = (size_t)(lf - h->text); /* each line has one */
        size_t n = end - at;
        add_line(h, at, n > 0 && h->text[end - 1] == '\r' ? n - 1 : n);
        at = end + 1;
    }
    return true;
}

const char *lzr_longhead_find(const struct lzr_longhead *h, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < h->nfields; i++) {
        if (h->fields[i].nname == n && strncasecmp(h->text + h->fields[i].name, name, n) == 0) {
            return h->text + h->fields[i].value;
        }
    }
    return NULL;
}

void lzr_longhead_release(struct lzr_longhead *h)
{
    lzr_free(h->text);
    lzr_free(h->fields);
    *h = (struct lzr_longhead){0};
}
