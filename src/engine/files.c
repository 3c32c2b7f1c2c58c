#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errand.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "store/catalog.h"

enum { NEAR = 64 }; /* files that are looked through for one that is there already */

static int64_t ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* Whether the file is the one that the array was described with. */
static bool unchanged(const struct lzr_data *s, const struct stat *st)
{
    return (uint64_t)st->st_size == s->bytes && ((uint64_t)st->st_ino & INT64_MAX) == s->inode &&
           ns(&st->st_mtim) == s->mtime_ns;
}

/* Joins n bytes from `at` on to a digest. False: they can't be read. */
static bool join(struct lzr_digest *d, struct lzr_pulse *pulse, int fd, unsigned char *buf,
                 uint64_t at, uint64_t n)
{
    for (uint64_t have = 0; have < n;) {
        if (!lzr_pulse_beat(pulse)) {
            return false;
        }
        ssize_t got = pread(fd, buf + have, (size_t)(n - have), (off_t)(at + have));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        have += (uint64_t)got;
    }
    *d = lzr_digest_join(*d, buf, (size_t)n);
    return true;
}

static bool digest_of(int fd, struct lzr_pulse *pulse, uint64_t size, bool sampled,
                      struct lzr_digest *out)
{
    const uint64_t piece = sampled ? LZR_FILES_PIECE : UINT64_C(1) << 20;
    unsigned char *buf = lzr_malloc((size_t)piece);
    struct lzr_digest d = {.hi = size, .lo = sampled};
    bool ok = buf != NULL;
    if (sampled && size > LZR_FILES_PIECES * piece) {
        for (uint64_t i = 0; ok && i < LZR_FILES_PIECES; i++) {
            /* Not (size - piece) * i / n: that may be more than 64 bits. */
            uint64_t step = (size - piece) / (LZR_FILES_PIECES - 1);
            ok = join(&d, pulse, fd, buf, i + 1 == LZR_FILES_PIECES ? size - piece : step * i,
                      piece);
        }
    } else {
        for (uint64_t at = 0; ok && at < size; at += piece) {
            ok = join(&d, pulse, fd, buf, at, size - at < piece ? size - at : piece);
        }
    }
    lzr_free(buf);
    *out = d;
    return ok;
}

/* Takes the digest of a file, if it is as it was described before and after. */
static void look_at(const struct lzr_data *data, struct lzr_pulse *pulse, int fd,
                    struct lzr_file_looks *out)
{
    struct stat before, after;
    if (fstat(fd, &before) == 0 && S_ISREG(before.st_mode) && unchanged(data, &before) &&
        digest_of(fd, pulse, data->bytes, out->sampled, &out->digest) && fstat(fd, &after) == 0 &&
        unchanged(data, &after) && ns(&before.st_ctim) == ns(&after.st_ctim)) {
        out->known = true;
        out->ctime_ns = ns(&after.st_ctim);
    }
}

/* Opens it for that; what can't be opened isn't known: its chunks will say so. */
static void look(const struct lzr_data *data, struct lzr_pulse *pulse, struct lzr_file_looks *out)
{
    int fd = open(data->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0) {
        look_at(data, pulse, fd, out);
        (void)lzr_pulse_beat(pulse);
        close(fd);
    }
}

static void learn(struct lzr_file *f, const struct lzr_file_looks *l)
{
    f->sampled = l->sampled;
    f->digest = l->digest;
    atomic_store(&f->ctime_ns, l->ctime_ns);
    atomic_store(&f->state, l->known ? LZR_FILE_KNOWN : LZR_FILE_UNKNOWN);
}

struct look_errand {
    struct lzr_errand errand;
    struct lzr_data data; /* its path is its own */
    struct lzr_file_looks looks;
};

static void run_look(struct lzr_errand *e)
{
    struct look_errand *l = (struct look_errand *)e;
    look(&l->data, &e->pulse, &l->looks);
}

static void drop_look(struct lzr_errand *e)
{
    struct look_errand *l = (struct look_errand *)e;
    lzr_free((char *)(uintptr_t)l->data.file);
    lzr_free(l);
}

/* Looks at a file while the driver opens: itself, or by an errand. False: it is late. */
static bool look_in_time(const struct lzr_files *all, struct lzr_file *f, uint64_t *left)
{
    uint64_t size = f->data->bytes;
    struct lzr_file_looks looks = {.sampled = size > LZR_FILES_WHOLE || size > *left};
    *left -= size < *left ? size : *left;
    if (all->timeout_us == 0) {
        look(f->data, NULL, &looks);
        learn(f, &looks);
        return true;
    }
    struct look_errand *l = lzr_calloc(1, sizeof *l);
    char *path = lzr_strdup(f->data->file);
    if (l == NULL || path == NULL) {
        lzr_free(l);
        lzr_free(path);
        return false;
    }
    *l = (struct look_errand){.errand = {.run = run_look, .drop = drop_look, .left = all->left},
                              .data = *f->data,
                              .looks = looks};
    l->data.file = path;
    if (lzr_errand_run(&l->errand, all->timeout_us, all->cancel, NULL) != LZR_OK) {
        return false;
    }
    learn(f, &l->looks);
    lzr_errand_drop(&l->errand);
    return true;
}

static bool same(const struct lzr_data *a, const struct lzr_data *b)
{
    return a->bytes == b->bytes && a->inode == b->inode && a->mtime_ns == b->mtime_ns &&
           strcmp(a->file, b->file) == 0;
}

/* Counts levels, and files if none were shared. */
static void count(const struct lzr_catalog *c, size_t *nlevels, size_t *nfiles)
{
    *nlevels = *nfiles = 0;
    for (size_t i = 0; i < lzr_catalog_narrays(c); i++) {
        const struct lzr_array *a = lzr_catalog_array(c, i);
        *nlevels += a->nlevels;
        for (unsigned k = 0; k < a->nlevels; k++) {
            *nfiles += a->levels[k].data != NULL && a->levels[k].data->file != NULL;
        }
    }
}

/* The place + 1 of a level's file among those since `from`, where it was looked at a moment ago. */
static uint32_t find(const struct lzr_files *f, uint32_t from, const struct lzr_data *data)
{
    uint32_t low = f->n > NEAR ? f->n - NEAR : 0;
    for (uint32_t i = f->n; i > (low > from ? low : from); i--) {
        if (same(f->files[i - 1].data, data)) {
            return i;
        }
    }
    return 0;
}

/* What another edition knows; one that it hasn't looked at yet, or is looking at, is late here. */
static void take_over(struct lzr_file *f, const struct lzr_file *old)
{
    int state = atomic_load(&old->state);
    if (state == LZR_FILE_KNOWN || state == LZR_FILE_UNKNOWN) {
        learn(f, &(struct lzr_file_looks){.known = state == LZR_FILE_KNOWN,
                                          .sampled = old->sampled,
                                          .digest = old->digest,
                                          .ctime_ns = atomic_load(&old->ctime_ns)});
    }
}

enum lzr_code lzr_files_open(struct lzr_files *f, const struct lzr_catalog *c,
                             const struct lzr_file *(*kept)(void *ctx, const struct lzr_array *a,
                                                            uint32_t level),
                             void *ctx, struct lzr_err *err)
{
    size_t nlevels, nfiles, narrays = lzr_catalog_narrays(c);
    uint64_t left = LZR_FILES_MOST;
    bool late = false;
    uint32_t at = 0, fresh = 0;
    count(c, &nlevels, &nfiles);
    if (nfiles == 0) {
        return LZR_OK;
    }
    f->files = lzr_calloc(nfiles, sizeof *f->files);
    f->first = lzr_calloc(narrays, sizeof *f->first);
    f->of = lzr_calloc(nlevels, sizeof *f->of);
    if (f->files == NULL || f->first == NULL || f->of == NULL) {
        lzr_files_release(f);
        return lzr_err_set(err, LZR_E_NOMEM, "no memory for what is known of files");
    }
    for (size_t i = 0; i < narrays; i++) {
        const struct lzr_array *a = lzr_catalog_array(c, i);
        f->first[i] = at;
        for (uint32_t k = 0; k < a->nlevels; k++, at++) {
            const struct lzr_data *data = a->levels[k].data;
            if (data == NULL || data->file == NULL) {
                continue;
            }
            const struct lzr_file *old = kept != NULL ? kept(ctx, a, k) : NULL;
            f->of[at] = old == NULL ? find(f, fresh, data) : 0;
            if (f->of[at] == 0) {
                struct lzr_file *new = &f->files[f->n++];
                f->of[at] = f->n;
                *new = (struct lzr_file){.data = data, .state = LZR_FILE_LATE};
                if (old != NULL) {
                    take_over(new, old);
                    fresh = f->n; /* what was looked at before isn't shared with what is new */
                } else {
                    late = late || !look_in_time(f, new, &left); /* the rest with it */
                }
            }
        }
    }
    return LZR_OK;
}

void lzr_files_release(struct lzr_files *f)
{
    lzr_free(f->files);
    lzr_free(f->first);
    lzr_free(f->of);
    *f = (struct lzr_files){0};
}

struct lzr_file *lzr_files_of(const struct lzr_files *f, const struct lzr_array *a, uint32_t level)
{
    uint32_t at = f->of != NULL ? f->of[f->first[a->id] + level] : 0;
    return at > 0 ? &f->files[at - 1] : NULL;
}

/* The first read of a file that is late looks at it for all. */
static enum lzr_code look_late(struct lzr_file *f, struct lzr_pulse *pulse, int fd,
                               struct lzr_err *err)
{
    int state = LZR_FILE_LATE;
    struct lzr_file_looks looks = {.sampled = f->data->bytes > LZR_FILES_WHOLE};
    if (atomic_load(&f->state) < LZR_FILE_LATE) {
        return LZR_OK;
    }
    if (!atomic_compare_exchange_strong(&f->state, &state, LZR_FILE_LOOKING)) {
        return state != LZR_FILE_LOOKING
                   ? LZR_OK
                   : lzr_err_set(err, LZR_E_BUSY,
                                 "'%.300s' didn't answer when it was opened, and is looked at now",
                                 f->data->file);
    }
    look_at(f->data, pulse, fd, &looks);
    if (lzr_pulse_over(pulse)) {
        atomic_store(&f->state, LZR_FILE_LATE);
        return LZR_E_TIMEOUT;
    }
    learn(f, &looks);
    return LZR_OK;
}

enum lzr_code lzr_file_check(struct lzr_file *f, struct lzr_pulse *pulse, int fd,
                             struct lzr_err *err)
{
    const struct lzr_data *s = f->data;
    struct stat st, after;
    struct lzr_digest digest;
    enum lzr_code code = lzr_pulse_beat(pulse) ? look_late(f, pulse, fd, err) : LZR_E_TIMEOUT;
    if (code != LZR_OK) {
        return code;
    }
    if (fstat(fd, &st) != 0) {
        return lzr_err_sys(err, "'%.300s' can't be read", s->file);
    }
    bool known = atomic_load(&f->state) == LZR_FILE_KNOWN;
    bool ok = unchanged(s, &st), touched = ok && ns(&st.st_ctim) != atomic_load(&f->ctime_ns);
    if (touched || (ok && !known)) {
        ok = known && digest_of(fd, pulse, s->bytes, f->sampled, &digest) &&
             digest.hi == f->digest.hi && digest.lo == f->digest.lo && fstat(fd, &after) == 0 &&
             unchanged(s, &after);
        if (ok && ns(&after.st_ctim) == ns(&st.st_ctim)) {
            atomic_store(&f->ctime_ns, ns(&st.st_ctim));
        }
    }
    if (!ok) {
        return lzr_err_set(err, LZR_E_USER,
                           "'%.300s' has changed since it was opened%s: " LZR_SAY_RELOAD, s->file,
                           (uint64_t)st.st_size < s->bytes ? " (it is shorter now)" : "");
    }
    return LZR_OK;
}
