/* patience.h: how long a connection may take for what the client has to do: to send a request's
 * head, to read an answer.
 *
 * The library's own timeout counts from the last byte, so a client that sends or reads a byte now
 * and then holds a connection, and what is being sent on it, for ever. Here each connection has a
 * time by which the step it is at must be over. A thread of its own looks every
 * LZR_PATIENCE_LOOK_US and shuts the sockets of those that are late down; the library then ends the
 * connection as if the client had left. While the process is stopped nobody's time runs.
 *
 * It also looks for clients that closed their side with their last byte: the library takes a short
 * read for all that there is, and never sees the end of the stream.
 *
 * Whose turn it is is two atomic stores, on any thread, while the line is open; open and close
 * lock. */
#ifndef LZR_HTTP_PATIENCE_H
#define LZR_HTTP_PATIENCE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

#define LZR_PATIENCE_LOOK_US UINT64_C(250000)
/* A connection on which nothing is asked ends after so long. */
#define LZR_IDLE_US (UINT64_C(120) * 1000000)
/* Reading an answer may take --send-timeout, and as long again for each so many bytes. */
#define LZR_SEND_STEP (UINT64_C(4) << 20)

struct lzr_patience;

/* Connections of which it is looked at in one go whether the client has closed its side. */
#define LZR_PATIENCE_PEEKS 256
/* After so many looks it is looked at again: those that idle may end with half a line. */
#define LZR_PATIENCE_AGAIN 40

enum lzr_turn {
    LZR_TURN_OURS,   /* the server's, or the client's to read */
    LZR_TURN_SEND,   /* the client's, to send */
    LZR_TURN_SENT,   /* ... since before the last look */
    LZR_TURN_LOOKED, /* ... and whether it has closed its side was looked at */
    LZR_TURN_OVER    /* ... and it had */
};

struct lzr_line {
    _Atomic uint64_t due_us; /* lzr_now_us() clock; 0: it is the server's turn */
    _Atomic int turn;        /* enum lzr_turn */
    int fd;                  /* the connection's socket, open as long as the line */
    struct lzr_line *prev, *next;
};

enum lzr_code lzr_patience_new(struct lzr_patience **out, struct lzr_err *err);
void lzr_patience_free(struct lzr_patience **p); /* all lines are closed */
/* A line for a new connection, whose client has to send by then; NULL: no memory, and the
 * connection had better end. */
struct lzr_line *lzr_line_open(struct lzr_patience *p, int fd, uint64_t due_us);
/* Before the socket is closed. A NULL line is fine. */
void lzr_line_close(struct lzr_patience *p, struct lzr_line **line);
/* It is the client's turn to read, by then; 0: the server's. A NULL line is fine here and below. */
void lzr_line_due(struct lzr_line *line, uint64_t due_us);
/* It is the client's turn to send, by then. */
void lzr_line_sends(struct lzr_line *line, uint64_t due_us);
/* It still is, and must have done so by then, if not earlier already. */
void lzr_line_sends_earlier(struct lzr_line *line, uint64_t due_us);
/* Connections that were ended. */
uint64_t lzr_patience_ended(const struct lzr_patience *p);

#endif
