#include "engine/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

enum lzr_code lzr_channel_new(struct lzr_channel **out, int *worker_fd, struct lzr_err *err)
{
    int fds[2];
    struct lzr_channel *c = lzr_calloc(1, sizeof *c);
    if (c == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for a worker's channel");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        enum lzr_code code = lzr_err_sys(err, "cannot make a worker's socket");
        lzr_free(c);
        return code;
    }
    atomic_init(&c->refs, 1);
    c->fd = fds[0];
    *worker_fd = fds[1];
    *out = c;
    return LZR_OK;
}

struct lzr_channel *lzr_channel_ref(struct lzr_channel *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void lzr_channel_unref(struct lzr_channel **cp)
{
    struct lzr_channel *c = *cp;
    *cp = NULL;
    if (c == NULL) {
        return;
    }
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        close(c->fd);
        lzr_free(c);
    }
}

enum lzr_code lzr_channel_send(struct lzr_channel *c, struct lzr_msg *msg, const void *text,
                               uint32_t len, int fd, struct lzr_err *err)
{
    if (len > LZR_MAX_MESSAGE - sizeof *msg) {
        return lzr_err_set(err, LZR_E_LIMIT, "a message of %u bytes is too long", len);
    }
    msg->version = LZR_PROTOCOL_VERSION;
    msg->len = len;
    struct iovec iov[2] = {{.iov_base = msg, .iov_len = sizeof *msg},
                           {.iov_base = (void *)(uintptr_t)text, .iov_len = len}};
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.bytes;
        mh.msg_controllen = sizeof control.bytes;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    }
    ssize_t n;
    do {
        n = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return LZR_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return lzr_err_set(err, LZR_E_BUSY, "a worker doesn't read its messages");
    }
    return lzr_err_set(err, LZR_E_WORKER, "a worker's socket is closed");
}

/* Keeps one descriptor of what came along, and closes the rest. */
static int take_descriptor(struct msghdr *mh)
{
    int kept = -1;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cm) + i * sizeof fd, sizeof fd);
            if (kept >= 0) {
                close(kept);
            }
            kept = fd;
        }
    }
    return kept;
}

/* Why a packet of n bytes is no message; p->why stays "" where it is one. */
static enum lzr_received judge(struct lzr_packet *p, size_t n, int flags)
{
    bool wanted =
        n >= sizeof p->msg && (p->msg.type == LZR_MSG_DATA || p->msg.type == LZR_MSG_FACTS);
    p->why[0] = '\0';
    if (n < sizeof p->msg || (flags & MSG_TRUNC) != 0) {
        (void)snprintf(p->why, sizeof p->why, "a message of %zu%s bytes", n,
                       n < sizeof p->msg ? "" : " and more");
    } else if (p->msg.version != LZR_PROTOCOL_VERSION) {
        (void)snprintf(p->why, sizeof p->why, "the worker speaks protocol %u, the server %u",
                       p->msg.version, LZR_PROTOCOL_VERSION);
        return LZR_RECEIVED_VERSION;
    } else if (p->msg.len != n - sizeof p->msg) {
        (void)snprintf(p->why, sizeof p->why, "a message with %zu bytes of text that says %u",
                       n - sizeof p->msg, p->msg.len);
    } else if ((flags & MSG_CTRUNC) != 0 || wanted != (p->fd >= 0)) {
        (void)snprintf(p->why, sizeof p->why, "a message of type %u with%s", p->msg.type,
                       !wanted ? " descriptors" : "out its descriptor (are none left?)");
    }
    return p->why[0] != '\0' ? LZR_RECEIVED_GARBAGE : LZR_RECEIVED;
}

enum lzr_received lzr_channel_receive(struct lzr_channel *c, struct lzr_packet *p)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))]; /* for one; the kernel drops what a hostile one sends
                                              * beyond it (MSG_CTRUNC) */
        struct cmsghdr align;
    } control;
    struct iovec iov[2] = {{.iov_base = &p->msg, .iov_len = sizeof p->msg},
                           {.iov_base = p->text, .iov_len = sizeof p->text - 1}};
    struct msghdr mh = {.msg_iov = iov,
                        .msg_iovlen = 2,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    ssize_t n;
    p->fd = -1;
    /* A worker that ended with a message of ours unread resets the socket: that is reported once,
     * and before what it still had to say. */
    int resets = 0;
    do {
        n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ < 2)));
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? LZR_RECEIVED_NOTHING : LZR_RECEIVED_END;
    }
    if (n == 0) {
        return LZR_RECEIVED_END;
    }
    p->fd = take_descriptor(&mh);
    enum lzr_received what = judge(p, (size_t)n, mh.msg_flags);
    if (what != LZR_RECEIVED) {
        lzr_packet_close(p);
        return what;
    }
    p->text[p->msg.len] = '\0';
    return LZR_RECEIVED;
}

void lzr_packet_close(struct lzr_packet *p)
{
    if (p->fd >= 0) {
        close(p->fd);
        p->fd = -1;
    }
}
