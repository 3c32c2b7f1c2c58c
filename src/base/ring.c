#include "base/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "base/outlet.h"
#include "base/repeats.h"

enum {
    IN = 65536,       /* bytes of records that are taken at once */
    NAP_NS = 2000000, /* after lines were written: those of so long are written together */
    LOOK_MS = 50,     /* how often a thread that waits for its reader looks whether to give up */
    KEEP = 256 * 1024, /* bytes of the ring that stay in memory when it is empty */
    QUIT_US = 400000 /* until a thread that was told to quit has, unless it hangs in a write */
};

struct record {
    uint32_t n;
    uint32_t flags;
    uint64_t same;
    uint64_t put_us;
};

struct lzr_ring {
    struct lzr_outlet to; /* the thread's own once it runs */
    atomic_bool again;    /* the file is to be opened again */
    pthread_t thread;
    atomic_bool *here; /* in a page that is empty in a forked child */
    atomic_size_t left;
    atomic_bool quit; /* the thread ends without writing more */
    _Atomic uint64_t lost_ever;

    pthread_mutex_t mu;
    pthread_cond_t news;  /* for the thread */
    pthread_cond_t moved; /* for who waits for it */
    /* Guarded by mu. */
    unsigned char *data;
    size_t size, head, used, high;
    uint64_t lost;  /* not said yet */
    uint64_t taken; /* how often the descriptor took something */
    bool stop, over;
    bool opened;  /* the thread has its file, or open_error says why not */
    int open_error;
    bool joined;  /* the thread is over, and was waited for */
    bool awaited; /* somebody waits for moved */

    /* The thread's own. */
    size_t nout;
    int wrong; /* errno of the last write that failed since lost lines were said, or 0 */
    struct lzr_repeats repeats;
    unsigned char in[IN];
    char out[LZR_OUTLET_FILE];
};

/* With mu; there is room. */
static void copy_in(struct lzr_ring *r, const void *bytes, size_t n)
{
    size_t at = r->head + r->used;
    at = at < r->size ? at : at - r->size;
    size_t first = n < r->size - at ? n : r->size - at;
    if (n > 0) {
        memcpy(r->data + at, bytes, first);
        memcpy(r->data, (const unsigned char *)bytes + first, n - first);
    }
    r->used += n;
    r->high = r->used > r->high ? r->used : r->high;
}

static void copy_out(struct lzr_ring *r, void *bytes, size_t n)
{
    size_t first = n < r->size - r->head ? n : r->size - r->head;
    memcpy(bytes, r->data + r->head, first);
    memcpy((unsigned char *)bytes + first, r->data, n - first);
    r->head = (r->head + n) % r->size;
    r->used -= n;
}

/* With mu; there is room. */
static void append(struct lzr_ring *r, const struct record *rec, const char *head, size_t nhead,
                   const char *text)
{
    copy_in(r, rec, sizeof *rec);
    copy_in(r, head, nhead);
    copy_in(r, text, rec->n - nhead);
    atomic_fetch_add(&r->left, sizeof *rec + rec->n);
}

/* With mu: whether so many bytes are taken, else they count as one line that is lost. */
static bool fits(struct lzr_ring *r, size_t n)
{
    if (r->stop || r->lost > 0 || n > r->size - r->used) {
        r->lost++;
        atomic_fetch_add_explicit(&r->lost_ever, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

bool lzr_ring_put(struct lzr_ring *r, unsigned flags, uint64_t same, const char *head, size_t nhead,
                  const char *text, size_t n)
{
    if (!atomic_load_explicit(r->here, memory_order_relaxed)) {
        return false;
    }
    nhead = nhead < LZR_RING_RECORD ? nhead : LZR_RING_RECORD;
    n = n < LZR_RING_RECORD - nhead ? n : LZR_RING_RECORD - nhead;
    const struct record rec = {
        .n = (uint32_t)(nhead + n), .flags = flags, .same = same, .put_us = lzr_now_us()};
    pthread_mutex_lock(&r->mu);
    if (fits(r, sizeof rec + rec.n)) {
        append(r, &rec, head, nhead, text);
        pthread_cond_signal(&r->news);
    }
    pthread_mutex_unlock(&r->mu);
    return true;
}

bool lzr_ring_put_text(struct lzr_ring *r, const char *text, size_t n)
{
    if (!atomic_load_explicit(r->here, memory_order_relaxed)) {
        return false;
    }
    size_t parts = n / LZR_RING_RECORD + 1;
    pthread_mutex_lock(&r->mu);
    if (fits(r, n + parts * sizeof(struct record))) {
        for (size_t at = 0; at < n; at += LZR_RING_RECORD) {
            size_t more = n - at < LZR_RING_RECORD ? n - at : LZR_RING_RECORD;
            append(r,
                   &(struct record){
                       .n = (uint32_t)more, .flags = LZR_RING_RAW, .put_us = lzr_now_us()},
                   text + at, more, "");
        }
        pthread_cond_signal(&r->news);
    }
    pthread_mutex_unlock(&r->mu);
    return true;
}

/* What the thread does. */

static void tell_moved(struct lzr_ring *r, bool took)
{
    pthread_mutex_lock(&r->mu);
    r->taken += took;
    if (r->awaited) {
        pthread_cond_broadcast(&r->moved);
    }
    pthread_mutex_unlock(&r->mu);
}

/* Writing failed: a while, unless it is to end, when nothing will come of it. */
static void pause_and_retry(struct lzr_ring *r)
{
    uint64_t until = lzr_now_us() + LZR_RING_RETRY_US;
    const struct timespec at = lzr_timespec(until);
    pthread_mutex_lock(&r->mu);
    while (!r->stop && lzr_now_us() < until) {
        (void)pthread_cond_timedwait(&r->news, &r->mu, &at);
    }
    if (r->stop) {
        atomic_store(&r->quit, true);
    }
    pthread_mutex_unlock(&r->mu);
}

/* The next bytes to write: whole lines where they fit. */
static size_t next_piece(const struct lzr_ring *r, size_t at)
{
    size_t n = r->nout - at;
    if (n <= r->to.piece) {
        return n;
    }
    const char *end = memrchr(r->out + at, '\n', r->to.piece);
    return end != NULL ? (size_t)(end + 1 - (r->out + at)) : r->to.piece;
}

static void open_again(struct lzr_ring *r)
{
    char text[256];
    atomic_store(&r->again, false);
    if (lzr_outlet_open(&r->to)) {
        return;
    }
    int n = snprintf(text, sizeof text,
                     "--log-file '%.100s' can't be opened again, the old one goes on: %s",
                     r->to.path, strerrordesc_np(errno));
    (void)lzr_ring_put(r, LZR_LOG_ERROR * LZR_RING_LEVEL, 0, text, (size_t)n, "", 0);
}

static void write_out(struct lzr_ring *r)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    for (size_t at = 0; at < r->nout && !atomic_load(&r->quit);) {
        if (atomic_load(&r->again) && (at == 0 || r->out[at - 1] == '\n')) {
            open_again(r);
        }
        struct pollfd p = {.fd = r->to.fd, .events = POLLOUT};
        if (r->to.fd >= 0 && poll(&p, 1, LOOK_MS) == 0) { /* poll has no word on -1 */
            continue;
        }
        ssize_t n = write(r->to.fd, r->out + at, next_piece(r, at));
        if (n >= 0) {
            at += (size_t)n;
            tell_moved(r, true);
        } else if (errno == EAGAIN) {
            (void)nanosleep(&moment, NULL);
        } else if (errno != EINTR) {
            r->wrong = errno;
            pause_and_retry(r);
        }
    }
    r->nout = 0;
}

static void emit(struct lzr_ring *r, const char *text, size_t n)
{
    if (n > sizeof r->out - r->nout) {
        write_out(r);
    }
    memcpy(r->out + r->nout, text, n); /* of at most a record or a line, both less than OUT */
    r->nout += n;
}

static void emit_line(struct lzr_ring *r, const struct record *rec, const char *text, size_t n)
{
    emit(r, r->to.line, lzr_outlet_line(&r->to, rec->flags, rec->put_us, text, n));
}

static void emit_sum(struct lzr_ring *r, const struct lzr_repeat *e, uint64_t now)
{
    char text[LZR_REPEATS_TEXT + 96];
    const char *end = memchr(e->text, '\n', e->n);
    int n = snprintf(text, sizeof text, "repeated %llu time%s in %llu s, the last: %.*s",
                     (unsigned long long)e->count, e->count == 1 ? "" : "s",
                     (unsigned long long)((now - e->begun_us + 999999) / 1000000),
                     (int)(end != NULL ? end - e->text : (ptrdiff_t)e->n), e->text);
    for (int i = 0; i < n; i++) { /* when, of a line of requests */
        text[i] = (char)(text[i] == LZR_RING_TIME ? '-' : text[i]);
    }
    const struct record rec = {.flags = (e->client ? LZR_RING_CLIENT : 0u) |
                                        LZR_LOG_INFO * LZR_RING_LEVEL,
                               .put_us = now};
    emit_line(r, &rec, text, (size_t)n);
}

static void emit_sums(struct lzr_ring *r, uint64_t now, bool all)
{
    struct lzr_repeat sum;
    while (lzr_repeats_due(&r->repeats, now, all, &sum)) {
        emit_sum(r, &sum, now);
    }
}

static void emit_record(struct lzr_ring *r, const struct record *rec, const char *text,
                        uint64_t now)
{
    bool client = (rec->flags & LZR_RING_CLIENT) != 0;
    if ((rec->flags & LZR_RING_RAW) != 0 && !r->to.json) {
        emit(r, text, rec->n);
        return;
    }
    if (rec->same != 0) {
        uint64_t key = lzr_repeats_key(rec->same, text, rec->n);
        struct lzr_repeat sum;
        if (lzr_repeats_room(&r->repeats, key, &sum)) {
            emit_sum(r, &sum, now);
        }
        if (!lzr_repeats_note(&r->repeats, key, client, text, rec->n, now)) {
            return;
        }
    }
    emit_line(r, rec, text, rec->n);
}

/* With mu: the count of lost lines takes their place once there is room. */
static void say_lost(struct lzr_ring *r)
{
    char text[160];
    if (r->lost == 0 || (r->used > r->size / 2 && !r->stop)) {
        return;
    }
    int n = snprintf(text, sizeof text, "%llu lines lost: the log %s%s",
                     (unsigned long long)r->lost,
                     r->wrong == 0 ? "wasn't read" : "couldn't be written: ",
                     r->wrong == 0 ? "" : strerrordesc_np(r->wrong));
    const struct record rec = {.n = (uint32_t)n,
                               .flags = LZR_LOG_WARN * LZR_RING_LEVEL,
                               .put_us = lzr_now_us()};
    if (sizeof rec + rec.n <= r->size - r->used) {
        r->lost = 0;
        r->wrong = 0;
        append(r, &rec, text, rec.n, "");
    }
}

/* With mu: whole records, as many as there is room for; *bytes: how many of the ring's. */
static size_t take(struct lzr_ring *r)
{
    size_t n = 0;
    while (r->used > 0) {
        struct record rec;
        size_t head = r->head;
        copy_out(r, &rec, sizeof rec);
        if (n + sizeof rec + rec.n > sizeof r->in) {
            r->head = head;
            r->used += sizeof rec;
            break;
        }
        memcpy(r->in + n, &rec, sizeof rec);
        copy_out(r, r->in + n + sizeof rec, rec.n);
        n += sizeof rec + rec.n;
    }
    if (r->used == 0) {
        r->head = 0; /* from the start again: a log that is read touches a few pages only */
        if (r->high > KEEP) {
            (void)madvise(r->data, r->size, MADV_DONTNEED);
        }
        r->high = 0;
    }
    return n;
}

/* With mu: until there is something to do. */
static void await_news(struct lzr_ring *r)
{
    uint64_t next = lzr_repeats_next(&r->repeats);
    if (next == UINT64_MAX) {
        while (r->used == 0 && r->lost == 0 && !r->stop && !atomic_load(&r->again)) {
            pthread_cond_wait(&r->news, &r->mu);
        }
        return;
    }
    const struct timespec at = lzr_timespec(next);
    while (r->used == 0 && r->lost == 0 && !r->stop && !atomic_load(&r->again) &&
           lzr_now_us() < next) {
        (void)pthread_cond_timedwait(&r->news, &r->mu, &at);
    }
}

static void *ring_main(void *arg)
{
    struct lzr_ring *r = arg;
    const struct timespec nap = {.tv_nsec = NAP_NS};
    if (r->to.path != NULL) {
        int why = lzr_outlet_open(&r->to) ? 0 : errno;
        pthread_mutex_lock(&r->mu);
        r->open_error = why;
        r->opened = true;
        r->stop = r->stop || why != 0;
        pthread_cond_broadcast(&r->moved);
        pthread_mutex_unlock(&r->mu);
    }
    for (bool last = false; !last;) {
        pthread_mutex_lock(&r->mu);
        await_news(r);
        say_lost(r);
        size_t n = take(r);
        last = r->stop && r->used == 0 && r->lost == 0;
        pthread_mutex_unlock(&r->mu);
        uint64_t now = lzr_now_us();
        if (atomic_load(&r->again) && !last) {
            open_again(r); /* nothing waits to be written */
        }
        emit_sums(r, now, false);
        for (size_t at = 0; at < n;) {
            struct record rec;
            memcpy(&rec, r->in + at, sizeof rec);
            emit_record(r, &rec, (const char *)r->in + at + sizeof rec, now);
            at += sizeof rec + rec.n;
        }
        if (last) {
            emit_sums(r, now, true);
        }
        write_out(r);
        atomic_fetch_sub(&r->left, n);
        tell_moved(r, false);
        last = last || atomic_load(&r->quit);
        if (!last && n < IN / 2) {
            (void)nanosleep(&nap, NULL);
        }
    }
    pthread_mutex_lock(&r->mu);
    r->over = true;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->mu);
    return NULL;
}

/* The owner's side. */

static enum lzr_code start(struct lzr_ring *r, struct lzr_err *err)
{
    pthread_condattr_t attr;
    LZR_ZERO(pthread_mutex_init(&r->mu, NULL));
    LZR_ZERO(pthread_condattr_init(&attr));
    LZR_ZERO(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    LZR_ZERO(pthread_cond_init(&r->news, &attr));
    LZR_ZERO(pthread_cond_init(&r->moved, &attr));
    LZR_ZERO(pthread_condattr_destroy(&attr));
    int rc = pthread_create(&r->thread, NULL, ring_main, r);
    if (rc == 0) {
        return LZR_OK;
    }
    LZR_ZERO(pthread_cond_destroy(&r->moved));
    LZR_ZERO(pthread_cond_destroy(&r->news));
    LZR_ZERO(pthread_mutex_destroy(&r->mu));
    errno = rc;
    return lzr_err_sys(err, "cannot start a thread");
}

static void *map(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

static void unmap(struct lzr_ring *r)
{
    if (r->data != NULL) {
        (void)munmap(r->data, r->size);
    }
    if (r->here != NULL) {
        (void)munmap(r->here, sizeof *r->here);
    }
    lzr_free(r);
}

/* Until the thread has its file. */
static enum lzr_code await_file(struct lzr_ring **rp, struct lzr_err *err)
{
    struct lzr_ring *r = *rp;
    uint64_t end = lzr_now_us() + LZR_RING_OPEN_US;
    const struct timespec at = lzr_timespec(end);
    pthread_mutex_lock(&r->mu);
    r->awaited = true;
    while (!r->opened && lzr_now_us() < end) {
        (void)pthread_cond_timedwait(&r->moved, &r->mu, &at);
    }
    int why = !r->opened ? ETIMEDOUT : r->open_error;
    pthread_mutex_unlock(&r->mu);
    if (why == 0) {
        return LZR_OK;
    }
    errno = why;
    enum lzr_code code = lzr_err_sys(err, "--log-file '%s' can't be opened", r->to.path);
    lzr_ring_free(rp);
    return code;
}

enum lzr_code lzr_ring_new(int fd, size_t bytes, struct lzr_ring **out, struct lzr_err *err)
{
    return lzr_ring_new_as(NULL, fd, false, bytes, out, err);
}

enum lzr_code lzr_ring_new_as(const char *path, int fd, bool json, size_t bytes,
                              struct lzr_ring **out, struct lzr_err *err)
{
    struct lzr_ring *r = lzr_calloc(1, sizeof *r);
    if (r == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for the log");
    }
    lzr_outlet_init(&r->to, path, fd, json);
    r->size = bytes;
    r->data = map(bytes);
    r->here = map(sizeof *r->here);
    if (r->data == NULL || r->here == NULL) {
        unmap(r);
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for the log");
    }
    (void)madvise(r->here, sizeof *r->here, MADV_WIPEONFORK);
    atomic_store(r->here, true);
    enum lzr_code code = start(r, err);
    if (code != LZR_OK) {
        unmap(r);
        return code;
    }
    code = path != NULL ? await_file(&r, err) : LZR_OK;
    if (code == LZR_OK) {
        *out = r;
    }
    return code;
}

bool lzr_ring_reopen(struct lzr_ring *r)
{
    if (r->to.path == NULL || !atomic_load(r->here)) {
        return false;
    }
    pthread_mutex_lock(&r->mu);
    atomic_store(&r->again, true);
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->mu);
    return true;
}

/* With mu: while it goes on, within the bounds. over: until the thread ends, else until all is
 * written. */
static void await(struct lzr_ring *r, bool over, uint64_t still_us, uint64_t most_us)
{
    uint64_t now = lzr_now_us(), end = now + most_us, still = now + still_us, taken = r->taken;
    while (!(over ? r->over : atomic_load(&r->left) == 0) && now < end && now < still) {
        const struct timespec at = lzr_timespec(still < end ? still : end);
        r->awaited = true;
        (void)pthread_cond_timedwait(&r->moved, &r->mu, &at);
        now = lzr_now_us();
        if (r->taken != taken) {
            taken = r->taken;
            still = now + still_us;
        }
    }
}

void lzr_ring_flush(struct lzr_ring *r, uint64_t still_us, uint64_t most_us)
{
    if (atomic_load(r->here)) {
        pthread_mutex_lock(&r->mu);
        await(r, false, still_us, most_us);
        pthread_mutex_unlock(&r->mu);
    }
}

void lzr_ring_end(struct lzr_ring *r, uint64_t still_us, uint64_t most_us)
{
    if (!atomic_load(r->here)) {
        return;
    }
    pthread_mutex_lock(&r->mu);
    r->stop = true;
    pthread_cond_signal(&r->news);
    await(r, true, still_us, most_us);
    atomic_store(&r->quit, true);
    await(r, true, QUIT_US, QUIT_US);
    bool join = r->over && !r->joined;
    r->joined = r->joined || join;
    pthread_mutex_unlock(&r->mu);
    if (join) {
        LZR_ZERO(pthread_join(r->thread, NULL));
    }
}

void lzr_ring_free(struct lzr_ring **rp)
{
    struct lzr_ring *r = *rp;
    *rp = NULL;
    if (r == NULL || !atomic_load(r->here)) {
        return;
    }
    lzr_ring_end(r, 0, 0);
    pthread_mutex_lock(&r->mu);
    bool joined = r->joined;
    pthread_mutex_unlock(&r->mu);
    if (!joined) {
        LZR_ZERO(pthread_detach(r->thread)); /* it is in a write that doesn't come back */
        return;
    }
    LZR_ZERO(pthread_cond_destroy(&r->moved));
    LZR_ZERO(pthread_cond_destroy(&r->news));
    LZR_ZERO(pthread_mutex_destroy(&r->mu));
    lzr_outlet_close(&r->to);
    unmap(r);
}

size_t lzr_ring_left(const struct lzr_ring *r)
{
    return atomic_load(&r->left);
}

uint64_t lzr_ring_lost(const struct lzr_ring *r)
{
    return atomic_load_explicit(&r->lost_ever, memory_order_relaxed);
}
