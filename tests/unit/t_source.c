/* source.h: what a loader hands over, distrusted; channel.h: descriptors that come along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/channel.h"
#include "engine/engine.h"
#include "engine/source.h"

enum { ALL = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

static int memfd(size_t bytes, int seals)
{
    int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    if (bytes > 0) {
        assert_int_equal(pwrite(fd, "hello", 5, 0), 5);
    }
    if (seals != 0) {
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    }
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static struct lzr_packet packet(uint32_t type, uint64_t bytes, int fd)
{
    return (struct lzr_packet){.msg = {.type = type, .bytes = bytes}, .fd = fd};
}

static void only_what_is_sealed_and_as_long_as_said(void **state)
{
    (void)state;
    struct {
        size_t bytes;
        uint64_t said;
        int seals;
    } wrong[] = {{100, 100, 0},
                 {100, 100, ALL & ~F_SEAL_WRITE},
                 {100, 100, ALL & ~F_SEAL_SHRINK},
                 {100, 100, ALL & ~F_SEAL_SEAL},
                 {100, 99, ALL},
                 {100, UINT64_MAX, ALL},
                 {0, 0, ALL}};
    struct lzr_handover h;
    lzr_handover_init(&h);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (uint32_t type = LZR_MSG_FACTS; type <= LZR_MSG_DATA; type++) {
            struct lzr_packet p =
                packet(type, wrong[i].said, memfd(wrong[i].bytes, wrong[i].seals));
            int fd = p.fd;
            assert_int_not_equal(lzr_handover_take(&h, &p, NULL), LZR_OK);
            lzr_packet_close(&p);
            assert_false(is_open(fd));
        }
    }
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* no memfd at all */
    struct lzr_packet p = packet(LZR_MSG_DATA, (uint64_t)lseek(file, 0, SEEK_END), file);
    assert_int_not_equal(lzr_handover_take(&h, &p, NULL), LZR_OK);
    lzr_packet_close(&p);
    assert_true(h.data == NULL && h.facts_fd == -1);
    lzr_handover_release(&h);
}

static void each_once(void **state)
{
    (void)state;
    struct lzr_handover h;
    lzr_handover_init(&h);
    for (int again = 0; again < 2; again++) {
        for (uint32_t type = LZR_MSG_FACTS; type <= LZR_MSG_DATA; type++) {
            struct lzr_packet p = packet(type, 6, memfd(6, ALL));
            assert_int_equal(lzr_handover_take(&h, &p, NULL) == LZR_OK, again == 0);
            lzr_packet_close(&p);
        }
    }
    assert_memory_equal(h.data, "hello", 6);
    assert_true(h.bytes == 6 && h.facts_bytes == 6 && is_open(h.facts_fd));
    int fd = h.facts_fd;
    lzr_handover_release(&h);
    assert_false(is_open(fd));
}

/* One packet with so many descriptors; returns what the channel makes of it. */
static enum lzr_received sent(uint32_t type, unsigned nfds, struct lzr_packet *p)
{
    struct lzr_channel *c = NULL;
    int theirs = -1, fds[4];
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr align;
    } control;
    struct lzr_msg m = {.type = type, .version = LZR_PROTOCOL_VERSION};
    struct iovec iov = {&m, sizeof m};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    assert_int_equal(lzr_channel_new(&c, &theirs, NULL), LZR_OK);
    if (nfds > 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        for (unsigned i = 0; i < nfds; i++) {
            fds[i] = memfd(6, 0);
        }
        memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
    }
    assert_int_equal(sendmsg(theirs, &mh, 0), sizeof m);
    for (unsigned i = 0; i < nfds; i++) {
        close(fds[i]);
    }
    enum lzr_received got = lzr_channel_receive(c, p);
    close(theirs);
    lzr_channel_unref(&c);
    return got;
}

static void descriptors_come_where_they_belong(void **state)
{
    (void)state;
    struct lzr_packet p;
    int before = dup(0);
    close(before); /* the lowest number that is free */
    assert_int_equal(sent(LZR_MSG_DATA, 1, &p), LZR_RECEIVED);
    assert_true(p.fd >= 0 && fcntl(p.fd, F_GETFD) == FD_CLOEXEC);
    lzr_packet_close(&p);
    assert_int_equal(sent(LZR_MSG_FACTS, 1, &p), LZR_RECEIVED);
    lzr_packet_close(&p);
    assert_int_equal(sent(LZR_MSG_READY, 0, &p), LZR_RECEIVED);
    assert_int_equal(p.fd, -1);
    assert_int_equal(sent(LZR_MSG_READY, 1, &p), LZR_RECEIVED_GARBAGE);
    assert_int_equal(sent(LZR_MSG_DONE, 4, &p), LZR_RECEIVED_GARBAGE);
    assert_int_equal(sent(LZR_MSG_DATA, 0, &p), LZR_RECEIVED_GARBAGE);
    assert_int_equal(sent(LZR_MSG_DATA, 4, &p), LZR_RECEIVED_GARBAGE);
    int after = dup(0);
    assert_int_equal(after, before); /* none is left open */
    close(after);
}

/* What passes isn't remembered as a failure of the chunk: LZR_E_NOMEM, "ask again". */
static void without_a_descriptor_it_is_asked_for_again(void **state)
{
    (void)state;
    const struct lzr_driver d = {.nworkers = 1};
    struct lzr_data data = {.file = "/proc/self/exe", .strides = {1}, .bytes = 4};
    struct lzr_level level = {.grid = {.rank = 1, .shape = {4}, .chunks = {4}}, .data = &data};
    struct lzr_array a = {.path = "a", .nlevels = 1, .levels = &level};
    const uint64_t start[LZR_MAX_RANK] = {0}, extent[LZR_MAX_RANK] = {4};
    unsigned char block[4];
    struct lzr_err err;
    struct rlimit had, none;
    assert_int_equal(lzr_dtype_parse("|u1", &a.dtype, NULL), LZR_OK);
    data.dtype = a.dtype;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
    none = had;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum lzr_code code = lzr_source_read_box(&d, &a, 0, start, extent, block, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
    assert_int_equal(code, LZR_E_NOMEM);
    assert_non_null(strstr(err.msg, "/proc/self/exe"));
    assert_int_equal(lzr_source_read_box(&d, &a, 0, start, extent, block, &err), LZR_E_USER);
    assert_non_null(strstr(err.msg, "has changed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_sealed_and_as_long_as_said),
        cmocka_unit_test(each_once),
        cmocka_unit_test(without_a_descriptor_it_is_asked_for_again),
        cmocka_unit_test(descriptors_come_where_they_belong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
