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
 * And it ends connections whose clients hold too much that they don't read (unread.h).
 *
 * Whose turn it is is two atomic stores, on any thread, while the line is open; open and close
 * lock. */
#ifndef LZR_HTTP_PATIENCE_H
#define LZR_HTTP_PATIENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LZR_PATIENCE_LOOK_US UINT64_C(250000)
/* A connection on which nothing is asked ends after so long. */
#define LZR_IDLE_US (UINT64_C(120) * 1000000)
/* Reading an answer may take --send-timeout, and as long again for each so many bytes. */
#define LZR_SEND_STEP (UINT64_C(4) << 20)

struct lzr_patience;
struct lzr_blob;
struct sockaddr;

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
    uint64_t number;         /* no other line has had it */
    uint64_t taken;          /* bytes of requests that are behind it (headroom.h); its thread's */
    uint8_t who[16];         /* whom it counts for: lzr_crowd_key */
    /* The answer that is being read. blob is written last, and NULL while the rest changes. */
    _Atomic(const void *) blob, pool;
    _Atomic uint64_t bytes, limit, since_us;
    atomic_bool unread; /* that was too much, and it has been ended */
    /* A request whose head is still to be handled, and the thread that does (badhead.h). */
    _Atomic(void *) head;
    _Atomic uintptr_t thread;
    void *request; /* the last such one until it ends; of the connection's own thread */
    struct lzr_line *prev, *next;
};

enum lzr_code lzr_patience_new(struct lzr_patience **out, struct lzr_err *err);
void lzr_patience_free(struct lzr_patience **p); /* all lines are closed */
/* A line for a new connection of this peer (nullable), whose client has to send by then; NULL: no
 * memory, and the connection had better end. */
struct lzr_line *lzr_line_open(struct lzr_patience *p, int fd, const struct sockaddr *peer,
                               uint64_t due_us);
/* Before the socket is closed. A NULL line is fine. */
void lzr_line_close(struct lzr_patience *p, struct lzr_line **line);
/* It is the client's turn to read, by then; 0: the server's. A NULL line is fine here and below. */
void lzr_line_due(struct lzr_line *line, uint64_t due_us);
/* It is the client's turn to send, by then. */
void lzr_line_sends(struct lzr_line *line, uint64_t due_us);
/* It still is, and must have done so by then, if not earlier already. */
void lzr_line_sends_earlier(struct lzr_line *line, uint64_t due_us);
/* What is being read now, since then; NULL: nothing that is held for it. */
void lzr_line_reads(struct lzr_line *line, const struct lzr_blob *blob, uint64_t since_us);
/* A request whose head is still being read, for lzr_patience_heads; NULL: it has been handled. */
void lzr_line_head(struct lzr_line *line, void *head);
/* Up to n of the heads that are read on the calling thread: they are its own, and stay until it
 * goes on. *skip: how many to pass over, 0 at first; advances. */
size_t lzr_patience_heads(struct lzr_patience *p, size_t *skip, void **out, size_t n);
/* Ends all connections, as if their clients had left. */
void lzr_patience_end_all(struct lzr_patience *p);
/* Connections that were ended for being late, and for what they held. */
uint64_t lzr_patience_ended(const struct lzr_patience *p);
uint64_t lzr_patience_unread(const struct lzr_patience *p);

#endif
