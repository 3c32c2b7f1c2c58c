/* longhead.h: the lines of a request's head that the library doesn't get.
 *
 * libmicrohttpd keeps some 64 bytes for each header and each cookie, in the connection's memory,
 * so a long head of small parts doesn't fit there, and one that comes in pieces can't be judged
 * before it is whole. Of those the library has the request line only; the lines are taken here as
 * they come, until the empty one, and are what lzr_header looks at (headroom.h).
 *
 * Pure; a head belongs to one thread at a time. Zero one to begin; release it in any case. */
#ifndef LZR_HTTP_LONGHEAD_H
#define LZR_HTTP_LONGHEAD_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a request's head at most, request line and empty line included; more is 431. */
#define LZR_MAX_HEAD 32768

enum lzr_longhead_state {
    LZR_LONGHEAD_MORE,     /* is to come */
    LZR_LONGHEAD_WHOLE,    /* the empty line is there */
    LZR_LONGHEAD_TOO_LONG, /* it won't have come within LZR_MAX_HEAD */
};

struct lzr_field {
    unsigned name, nname, value, nvalue; /* in the text, NUL-terminated */
};

struct lzr_longhead {
    size_t lead; /* set first: bytes of the request line with its end */
    char *text;  /* the lines as they came, without the empty one once it is found */
    size_t n, size;
    size_t line;   /* where the line begins that has no end yet */
    size_t first;  /* bytes that the library had already */
    size_t held;   /* bytes at the end that have been seen and not been taken */
    size_t gone;   /* bytes that were to be taken, in all */
    size_t whole;  /* bytes of the whole head, once it is known */
    bool at_start; /* the library goes on at the beginning of a line, else within one */
    bool broken;   /* a line that is no header */
    bool no_memory, close; /* close: "Connection: close" */
    struct lzr_field *fields;
    size_t nfields;
};

/* Takes what the library has behind the request line, which is then overwritten with blanks: one
 * header without a name, whose line ends where the last one did, so that nothing but an empty line
 * is needed after it. When memory is out (no_memory), nothing is overwritten. */
enum lzr_longhead_state lzr_longhead_seize(struct lzr_longhead *h, char *lines, size_t n);
/* Where what is looked at next is to lie, from the first held byte on, and how much at most; NULL:
 * no memory. */
char *lzr_longhead_room(struct lzr_longhead *h, size_t *room);
/* n bytes lie there, what had been held among them. *take: how many of them are to be taken away
 * where they came from; the others stay: on WHOLE they are the end that the library needs, and
 * what follows. */
enum lzr_longhead_state lzr_longhead_seen(struct lzr_longhead *h, size_t n, size_t *take);
/* Of a whole head: finds the fields. False: no memory. */
bool lzr_longhead_parse(struct lzr_longhead *h);
/* The value of the first header of this name, in any case; NULL: there is none. */
const char *lzr_longhead_find(const struct lzr_longhead *h, const char *name);
void lzr_longhead_release(struct lzr_longhead *h);

#endif
