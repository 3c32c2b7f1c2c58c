/* wire.h: messages to and from the server, blocking; the worker has nothing else to do. */
#ifndef LZR_WORKER_WIRE_H
#define LZR_WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "lazarr/protocol.h"

struct lzr_wire_packet {
    struct lzr_msg msg;
    char text[LZR_MAX_MESSAGE - sizeof(struct lzr_msg) + 1]; /* msg.len bytes and a NUL */
    int fd; /* that came along, or -1; the receiver's */
};

/* False when the server is gone. text may be NULL when len is 0; len is at most
 * LZR_MAX_MESSAGE - sizeof(struct lzr_msg). Any thread. */
bool lzr_wire_send(int socket_fd, struct lzr_msg *m, const char *text, size_t len);
/* A message without text that a descriptor goes along with, which stays the caller's. */
bool lzr_wire_send_fd(int socket_fd, struct lzr_msg *m, int fd);
/* Waits for a message. 1: one came; 0: the server is gone; -1: it makes no sense; -2: it is one of
 * another LZR_PROTOCOL_VERSION, which is in p->msg.version. */
int lzr_wire_receive(int socket_fd, struct lzr_wire_packet *p);
/* The whole text of a CONFIG that has come, the rest of which is asked for and waited for; p is
 * used for that. n bytes and a NUL, to be freed by the caller. NULL: the server is gone, what it
 * sent makes no sense, or there is no memory. */
char *lzr_wire_config(int socket_fd, struct lzr_wire_packet *p, size_t *n);
/* Whether a message is there already. */
bool lzr_wire_pending(int socket_fd);

#endif
