#include "engine/output.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A line with its name before it fits a line of the log. */
enum { MOST_TEXT = LZR_LOG_LINE - LZR_MAX_LABEL - 64 };

void lzr_output_init(struct lzr_output *o, unsigned worker)
{
    *o = (struct lzr_output){.worker = worker};
    lzr_buf_init(&o->text, MOST_TEXT);
}

void lzr_output_release(struct lzr_output *o)
{
    lzr_buf_release(&o->text);
}

/* Says the lines that are there, and with `all` what has no newline yet. */
static void say(struct lzr_output *o, const char *label, bool all)
{
    char who[LZR_MAX_LABEL + 32];
    const char *newline = o->text.len > 0 ? memrchr(o->text.data, '\n', o->text.len) : NULL;
    size_t n = all ? o->text.len : newline != NULL ? (size_t)(newline - o->text.data) + 1 : 0;
    if (n == 0) {
        return;
    }
    (void)snprintf(who, sizeof who, "%s%sworker %u", label, *label != '\0' ? ", " : "", o->worker);
    lzr_log_lines(o->log, LZR_LOG_INFO, who, o->text.data, n);
    memmove(o->text.data, o->text.data + n, o->text.len - n + 1);
    o->text.len -= n;
}

static bool same(const struct lzr_label *a, const struct lzr_label *b)
{
    return a->known == b->known && strcmp(a->text, b->text) == 0;
}

static void add_text(struct lzr_output *o, const char *bytes, size_t n)
{
    if (n > 0 && !same(&o->whose, &o->now)) {
        say(o, o->whose.known ? o->whose.text : o->now.text, true); /* C code's, before Python's */
        o->whose = o->now;
    }
    while (n > 0) {
        size_t room = o->text.limit - 1 - o->text.len, part = n < room ? n : room;
        lzr_buf_add(&o->text, bytes, part);
        if (lzr_buf_failed(&o->text)) { /* no memory: without what there was */
            lzr_buf_clear(&o->text);
        }
        bytes += part;
        n -= part;
        if (o->whose.known || o->text.len + 1 >= o->text.limit) {
            say(o, o->whose.text, o->text.len + 1 >= o->text.limit);
        }
    }
}

/* What began like a mark isn't one. */
static void drop_mark(struct lzr_output *o)
{
    size_t n = o->nmark;
    o->nmark = 0;
    add_text(o, o->mark, n);
}

/* A label is empty or ends with ", chunk N": no other text comes to stand at a line's begin. */
static bool is_label(const char *label, size_t n)
{
    static const char chunk[] = ", chunk ";
    size_t digits = 0;
    while (digits < n && isdigit((unsigned char)label[n - digits - 1])) {
        digits++;
    }
    n -= digits;
    const size_t nchunk = sizeof chunk - 1;
    return n + digits == 0 ||
           (digits > 0 && n >= nchunk && memcmp(label + n - nchunk, chunk, nchunk) == 0);
}

/* A whole mark but its last byte: mark[0] is BEGIN. */
static void apply_mark(struct lzr_output *o)
{
    const char *label = o->mark + 2;
    size_t n = o->nmark - 2;
    if (o->nmark < 2 || n > LZR_MAX_LABEL || !is_label(label, n)) {
        drop_mark(o);
        add_text(o, (const char[]){LZR_MARK_END}, 1);
        return;
    }
    char kind = o->mark[1];
    o->nmark = 0;
    if (kind == LZR_MARK_IS) {
        o->now.known = true;
        memcpy(o->now.text, label, n);
        o->now.text[n] = '\0';
    } else if (kind == LZR_MARK_OVER) {
        o->now = (struct lzr_label){.known = false};
    } else if (!o->whose.known) { /* WAS */
        char text[LZR_MAX_LABEL + 1];
        memcpy(text, label, n);
        text[n] = '\0';
        say(o, text, true);
    }
}

/* One more byte of a mark; false: it isn't one, and the byte is still to be looked at. */
static bool add_to_mark(struct lzr_output *o, char c)
{
    bool kind = o->nmark == 1;
    if (c == LZR_MARK_END && !kind) {
        apply_mark(o);
        return true;
    }
    if ((unsigned char)c < ' ' || c == 0x7f || o->nmark >= sizeof o->mark - 1 ||
        (kind && c != LZR_MARK_IS && c != LZR_MARK_OVER && c != LZR_MARK_WAS)) {
        drop_mark(o);
        return false;
    }
    o->mark[o->nmark++] = c;
    return true;
}

void lzr_output_add(struct lzr_output *o, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (o->nmark > 0) {
            i += add_to_mark(o, bytes[i]);
            continue;
        }
        const char *mark = memchr(bytes + i, LZR_MARK_BEGIN, n - i);
        size_t plain = mark != NULL ? (size_t)(mark - (bytes + i)) : n - i;
        add_text(o, bytes + i, plain);
        i += plain;
        if (mark != NULL) {
            o->mark[o->nmark++] = LZR_MARK_BEGIN;
            i++;
        }
    }
}

void lzr_output_settle(struct lzr_output *o, const char *running, bool last)
{
    if (last && o->nmark > 0) {
        drop_mark(o);
    }
    if (!o->whose.known || last) {
        say(o, o->whose.known ? o->whose.text : running, last);
    }
    if (last) {
        o->now = o->whose = (struct lzr_label){.known = false};
    }
}
