/* channel.h: the server's end of a worker's socket: whole messages, descriptors, never blocking.
 *
 * Refcounted, so that a thread may send after the worker was given up: the descriptor closes with
 * the last reference and its number is not reused before. Any thread may send; packets are atomic.
 */
#ifndef LZR_ENGINE_CHANNEL_H
#define LZR_ENGINE_CHANNEL_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "lazarr/protocol.h"

struct lzr_channel {
    _Atomic uint32_t refs;
    int fd;
};

/* A message as it was received: text has `msg.len` bytes and a NUL behind them. Of what is GARBAGE
 * only why is set, and msg as far as it came. */
struct lzr_packet {
    struct lzr_msg msg;
    int fd; /* that came along with a DATA or FACTS, or -1; the receiver's to close */
    char why[96];
    char text[LZR_MAX_MESSAGE - sizeof(struct lzr_msg) + 1];
};

/* A socket pair: *out is the server's end, *worker_fd the worker's, close-on-exec both. */
enum lzr_code lzr_channel_new(struct lzr_channel **out, int *worker_fd, struct lzr_err *err);
struct lzr_channel *lzr_channel_ref(struct lzr_channel *c);
void lzr_channel_unref(struct lzr_channel **c);

/* msg->len and version are set here. fd is sent along when >= 0 and stays the caller's. Never
 * blocks: a worker that doesn't read is LZR_E_BUSY, one that is gone LZR_E_WORKER. */
enum lzr_code lzr_channel_send(struct lzr_channel *c, struct lzr_msg *msg, const void *text,
                               uint32_t len, int fd, struct lzr_err *err);

enum lzr_received {
    LZR_RECEIVED,
    LZR_RECEIVED_NOTHING,
    LZR_RECEIVED_END,
    LZR_RECEIVED_GARBAGE,
    LZR_RECEIVED_VERSION /* garbage: one of another LZR_PROTOCOL_VERSION */
};

/* Takes one message, never blocking. GARBAGE is a packet of a wrong size, version or length, or one
 * with a descriptor where none belongs or without one where it does. */
enum lzr_received lzr_channel_receive(struct lzr_channel *c, struct lzr_packet *p);
/* Closes the descriptor of a packet, if it still has one. */
void lzr_packet_close(struct lzr_packet *p);

#endif
