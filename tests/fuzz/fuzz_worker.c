/* What a hostile or garbled worker may send: real packets over a real socket into the code that
 * takes and applies them, in a driver without threads or processes, with requests that wait.
 * Whatever comes, every request gets one result or still waits, and nothing that was handed out is
 * lost.
 *
 * The input is a list of packets: a byte that says how one is made, and what that takes. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "store/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define D "\"digest\":\"00112233445566778899aabbccddeeff\""
static const char MANIFEST[] = "{\"lazarr\":1,\"arrays\":["
                               "{\"path\":\"a\",\"kind\":\"plain\",\"dtype\":\"<u2\",\"levels\":"
                               "[{\"shape\":[10,20],\"chunks\":[4,8]}]," D "},"
                               "{\"path\":\"b\",\"kind\":\"plain\",\"dtype\":\"|b1\",\"levels\":"
                               "[{\"shape\":[10],\"chunks\":[4]}]," D "}]}";

enum { REQUESTS = 5 };

struct fixture {
    struct lzr_driver *d;
    int worker_fd;
    struct lzr_request req[REQUESTS];
    unsigned results;
};

static void done(struct lzr_request *req)
{
    struct fixture *f = req->ctx;
    f->results++;
    lzr_blob_unref(&req->result.blob);
    lzr_free(req->result.text);
    req->result.text = NULL;
}

/* As lzr_driver_open does it, without threads and processes. */
static struct lzr_driver *make_driver(void)
{
    struct lzr_driver *d = lzr_calloc(1, sizeof *d);
    const struct lzr_manifest_text text = {"b", "b.py", MANIFEST, sizeof MANIFEST - 1};
    LZR_CHECK(d != NULL);
    d->budget.limit = 1 << 24;
    d->keep = true;
    LZR_ZERO(pthread_mutex_init(&d->mu, NULL));
    LZR_ZERO(pthread_cond_init(&d->started, NULL));
    lzr_failures_init(&d->failures);
    d->codec_epoll = epoll_create1(EPOLL_CLOEXEC);
    d->supervisor_epoll = d->stop_fd = -1;
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->task_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    d->cache = lzr_cache_new(&d->budget, 1 << 20);
    d->nworkers = 1;
    d->workers = lzr_calloc(1, sizeof *d->workers);
    LZR_CHECK(d->cache != NULL && d->workers != NULL && d->task_fd >= 0);
    LZR_CHECK(lzr_queue_init(&d->queue, LZR_ORDER_BURSTS, NULL) == LZR_OK);
    LZR_CHECK(lzr_flights_init(&d->flights, NULL) == LZR_OK);
    LZR_CHECK(lzr_catalog_new(&text, 1, &d->catalog, NULL) == LZR_OK);
    d->slot_bytes = lzr_catalog_max_chunk_bytes(d->catalog);
    d->array_stats = lzr_calloc(lzr_catalog_narrays(d->catalog), sizeof *d->array_stats);
    d->stores = lzr_calloc(1, sizeof *d->stores);
    d->nstores = 1;
    d->manifests = lzr_calloc(1, sizeof *d->manifests);
    d->manifest_lens = lzr_calloc(1, sizeof *d->manifest_lens);
    LZR_CHECK(d->stores != NULL && d->manifests != NULL && d->manifest_lens != NULL);
    d->stores[0] = (struct lzr_named_store){
        .name = lzr_strdup("b"), .path = lzr_strdup("b.py"), .root = lzr_strdup("/")};
    LZR_CHECK(lzr_folders_make(d, NULL) == LZR_OK && lzr_folders_map(d, NULL) == LZR_OK);
    d->folders.at[0].state = LZR_FOLDER_LOADING;
    return d;
}

static void add_worker(struct fixture *f, bool starting, bool loader)
{
    struct lzr_driver *d = f->d;
    struct lzr_worker *w = &d->workers[0];
    lzr_worker_init(w, 0);
    w->folder = 0;
    w->manifests = lzr_calloc(1, sizeof *w->manifests);
    LZR_CHECK(w->manifests != NULL);
    lzr_buf_init(&w->manifests[0], LZR_MAX_MANIFEST);
    LZR_CHECK(lzr_channel_new(&w->channel, &f->worker_fd, NULL) == LZR_OK);
    d->opened = !loader;
    if (!loader) {
        d->manifests[0] = lzr_strdup(MANIFEST);
        d->manifest_lens[0] = sizeof MANIFEST - 1;
    }
    w->loader = loader;
    w->state = starting ? LZR_WORKER_STARTING : LZR_WORKER_READY;
    if (!starting) {
        w->loaded = true;
        lzr_worker_provide_slots(d, w);
        const struct lzr_array *a = lzr_catalog_array(d->catalog, 0);
        for (unsigned i = 0; i < REQUESTS; i++) {
            const struct lzr_chunk c = {a, 0, LZR_ENC_ZARR, i < 3 ? i : i - 3};
            f->req[i] = (struct lzr_request){.done = done, .ctx = f};
            if (lzr_driver_start(d, &c, &f->req[i]) == LZR_GOT_NOW) {
                done(&f->req[i]);
            }
        }
    }
}

static void send_packet(int fd, const void *head, size_t nhead, const void *text, size_t n,
                        int pass)
{
    struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)head, .iov_len = nhead},
                           {.iov_base = (void *)(uintptr_t)text, .iov_len = n}};
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
    int fds[2] = {pass, pass};
    if (pass >= 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.bytes;
        mh.msg_controllen = nhead % 2 == 1 ? CMSG_SPACE(2 * sizeof(int)) : CMSG_SPACE(sizeof(int));
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = nhead % 2 == 1 ? CMSG_LEN(2 * sizeof(int)) : CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cm), fds, nhead % 2 == 1 ? sizeof fds : sizeof fds[0]);
    }
    (void)sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct input {
    const uint8_t *p, *end;
};

static uint8_t byte(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

/* A descriptor to send along: none, something that is no memory, memory that can shrink. */
static int a_descriptor(unsigned how)
{
    int fd = -1;
    if (how % 4 == 1) {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } else if (how % 4 >= 2) {
        fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        LZR_CHECK(ftruncate(fd, how * 100) == 0);
        if (how % 4 == 3) {
            (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE);
        }
    }
    return fd;
}

/* One packet; about right where the input says so, else as it stands there. */
static void one(struct fixture *f, struct input *in)
{
    const struct lzr_worker *w = &f->d->workers[0];
    uint8_t how = byte(in), pass = byte(in);
    size_t left = (size_t)(in->end - in->p), n = byte(in);
    n = n < left ? n : (left > 0 ? left - 1 : 0);
    int fd = (how & 0x40) != 0 ? a_descriptor(pass) : -1;
    if ((how & 0x80) != 0) { /* raw */
        send_packet(f->worker_fd, in->p, n, NULL, 0, fd);
    } else {
        struct lzr_msg m = {.version = LZR_PROTOCOL_VERSION, .len = (uint32_t)n};
        m.type = how % 16;
        m.flags = byte(in);
        m.run_us = byte(in);
        if ((m.run_us & 1) != 0) {
            m.run_us = UINT64_MAX - m.run_us;
        }
        m.store = (how & 0x20) != 0 ? UINT32_MAX : 0;
        m.bytes = pass * 100u;
        m.total = n;
        if (w->njobs > 0 && (how & 0x10) == 0) {
            m.seq = w->jobs[0].seq;
            m.slot = w->jobs[0].slot->id;
        } else {
            m.seq = byte(in);
            m.slot = byte(in);
        }
        left = (size_t)(in->end - in->p);
        n = n < left ? n : left;
        m.len = (uint32_t)n;
        if (m.type == LZR_MSG_MANIFEST_PART && (how & 0x20) == 0 && pass % 2 == 0) {
            m.len = sizeof MANIFEST - 1;
            send_packet(f->worker_fd, &m, sizeof m, MANIFEST, sizeof MANIFEST - 1, fd);
        } else {
            send_packet(f->worker_fd, &m, sizeof m, in->p, n, fd);
        }
    }
    in->p += n < (size_t)(in->end - in->p) ? n : (size_t)(in->end - in->p);
    if (fd >= 0) {
        close(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char sink[LZR_MAX_MESSAGE];
    struct input in = {data, data + size};
    struct fixture f = {.d = make_driver()};
    uint8_t first = byte(&in);
    bool starting = (first & 1) != 0;
    add_worker(&f, starting, starting && (first & 2) != 0);
    for (unsigned i = 0; i < 16 && in.p < in.end; i++) {
        one(&f, &in);
        lzr_worker_read(f.d, &f.d->workers[0]);
        while (recv(f.worker_fd, sink, sizeof sink, MSG_DONTWAIT) > 0) {
        }
    }
    if (!starting) {
        lzr_driver_drain(f.d);
        LZR_CHECK(f.results == REQUESTS && f.d->waiting == 0);
    }
    close(f.worker_fd);
    f.d->workers[0].njobs = 0;
    lzr_driver_close(&f.d);
    return 0;
}
