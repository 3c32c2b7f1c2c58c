#include "worker/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool lzr_wire_send(int socket_fd, struct lzr_msg *m, const char *text, size_t len)
{
    m->version = LZR_PROTOCOL_VERSION;
    m->len = (uint32_t)len;
    struct iovec iov[2] = {{.iov_base = m, .iov_len = sizeof *m},
                           {.iov_base = (void *)(uintptr_t)text, .iov_len = len}};
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
    ssize_t n;
    do {
        n = sendmsg(socket_fd, &mh, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0;
}

bool lzr_wire_send_fd(int socket_fd, struct lzr_msg *m, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = m, .iov_len = sizeof *m};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    memset(&control, 0, sizeof control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    m->version = LZR_PROTOCOL_VERSION;
    m->len = 0;
    ssize_t n;
    do {
        n = sendmsg(socket_fd, &mh, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0;
}

int lzr_wire_receive(int socket_fd, struct lzr_wire_packet *p)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
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
    do {
        n = recvmsg(socket_fd, &mh, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return 0;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            memcpy(&p->fd, CMSG_DATA(c), sizeof p->fd);
        }
    }
    if ((size_t)n < sizeof p->msg || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        p->msg.version != LZR_PROTOCOL_VERSION || p->msg.len != (size_t)n - sizeof p->msg) {
        if (p->fd >= 0) {
            close(p->fd);
            p->fd = -1;
        }
        return (size_t)n >= sizeof p->msg && p->msg.version != LZR_PROTOCOL_VERSION ? -2 : -1;
    }
    p->text[p->msg.len] = '\0';
    return 1;
}

char *lzr_wire_config(int socket_fd, struct lzr_wire_packet *p, size_t *n)
{
    size_t total = p->msg.total > p->msg.len ? (size_t)p->msg.total : p->msg.len, have = 0;
    char *text = total <= LZR_MAX_CONFIG ? malloc(total + 1) : NULL;
    while (text != NULL) {
        if (p->msg.type != LZR_MSG_CONFIG || p->fd >= 0 || p->msg.len > total - have ||
            (p->msg.len == 0 && have < total)) {
            break;
        }
        memcpy(text + have, p->text, p->msg.len);
        have += p->msg.len;
        text[have] = '\0';
        if (have == total) {
            *n = total;
            return text;
        }
        struct lzr_msg more = {.type = LZR_MSG_MORE, .bytes = have};
        if (!lzr_wire_send(socket_fd, &more, NULL, 0) || lzr_wire_receive(socket_fd, p) <= 0) {
            break;
        }
    }
    free(text);
    return NULL;
}

bool lzr_wire_pending(int socket_fd)
{
    struct pollfd p = {.fd = socket_fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}
