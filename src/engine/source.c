#include "engine/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/memory_file.h"
#include "engine/engine.h"
#include "engine/recipe.h"
#include "store/codec.h"
#include "store/strided.h"

#define PIECE (UINT64_C(4) << 20) /* bytes of one read: each must end within --read-timeout */

void lzr_handover_init(struct lzr_handover *h)
{
    *h = (struct lzr_handover){.facts_fd = -1, .data_fd = -1};
}

void lzr_handover_release(struct lzr_handover *h)
{
    if (h->data != NULL) {
        (void)munmap((void *)(uintptr_t)h->data, (size_t)h->bytes);
    }
    if (h->facts_fd >= 0) {
        close(h->facts_fd);
    }
    if (h->data_fd >= 0) {
        close(h->data_fd);
    }
    lzr_handover_init(h);
}

/* Nobody can change or cut it any more: reading it can't fault. */
static bool sealed(int fd, uint64_t bytes)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & all) == all && fstat(fd, &st) == 0 && st.st_size > 0 &&
           (uint64_t)st.st_size == bytes;
}

/* Where there is no memfd here, a worker's file can't be sealed: its bytes are copied into one that
 * only the server has. */
static enum lzr_code copy_file(struct lzr_packet *p, struct lzr_err *err)
{
    unsigned char piece[65536];
    int fd = lzr_memory_file("lazarr-sources", err);
    bool ok = fd >= 0 && lzr_memory_unsealable(fd);
    if (fd >= 0 && !ok) {
        (void)lzr_err_set(err, LZR_E_PROTO, "what it hands over isn't sealed");
    }
    for (uint64_t at = 0; ok && at < p->msg.bytes;) {
        size_t most = p->msg.bytes - at < sizeof piece ? (size_t)(p->msg.bytes - at) : sizeof piece;
        ssize_t n = pread(p->fd, piece, most, (off_t)at);
        ok = n > 0 && pwrite(fd, piece, (size_t)n, (off_t)at) == n;
        at += ok ? (uint64_t)n : 0;
        if (!ok) {
            errno = n == 0 ? EIO : errno;
            lzr_err_sys(err, "what a source handed over can't be copied");
        }
    }
    if (!ok) {
        if (fd >= 0) {
            close(fd);
        }
        return LZR_E_SYS;
    }
    lzr_packet_close(p);
    p->fd = fd;
    return LZR_OK;
}

enum lzr_code lzr_handover_take(struct lzr_handover *h, struct lzr_packet *p, struct lzr_err *err)
{
    if ((p->msg.type == LZR_MSG_FACTS ? h->facts_fd >= 0 : h->data != NULL)) {
        return lzr_err_set(err, LZR_E_PROTO, "it handed its sources over twice");
    }
    if (!sealed(p->fd, p->msg.bytes) && copy_file(p, err) != LZR_OK) {
        return LZR_E_SYS;
    }
    if (p->msg.type == LZR_MSG_FACTS) {
        h->facts_fd = p->fd;
        h->facts_bytes = p->msg.bytes;
        p->fd = -1;
        return LZR_OK;
    }
    void *map = mmap(NULL, (size_t)p->msg.bytes, PROT_READ, MAP_SHARED, p->fd, 0);
    if (map == MAP_FAILED) {
        return lzr_err_sys(err, "cannot map the arrays of its sources (%llu bytes)",
                           (unsigned long long)p->msg.bytes);
    }
    h->data = map;
    h->bytes = p->msg.bytes;
    h->data_fd = p->fd;
    p->fd = -1;
    return LZR_OK;
}

enum lzr_code lzr_handover_check(const struct lzr_driver *d, struct lzr_err *err)
{
    for (size_t i = 0; i < lzr_catalog_narrays(d->catalog); i++) {
        const struct lzr_array *a = lzr_catalog_array(d->catalog, i);
        for (unsigned k = 0; k < a->nlevels; k++) {
            const struct lzr_data *data = a->levels[k].data;
            if (data != NULL && data->file == NULL &&
                data->bytes > lzr_folder_of_array(d, a)->handover.bytes) {
                return lzr_err_set(err, LZR_E_INVAL,
                                   "%s: array \"%.200s\": its data was not handed over",
                                   a->store->file, a->path);
            }
        }
    }
    return LZR_OK;
}

static enum lzr_code read_all(const struct lzr_data *s, struct lzr_pulse *pulse, int fd,
                              unsigned char *to, uint64_t n, uint64_t at, struct lzr_err *err)
{
    while (n > 0) {
        if (!lzr_pulse_beat(pulse)) {
            return lzr_reading_over(err);
        }
        ssize_t got = pread(fd, to, (size_t)(n < PIECE ? n : PIECE), (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return lzr_err_sys(err, "'%.300s' can't be read", s->file);
        }
        if (got == 0) {
            return lzr_err_set(err, LZR_E_USER,
                               "'%.300s' ends before its data does: " LZR_SAY_RELOAD, s->file);
        }
        to += got;
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return LZR_OK;
}

/* What a read is made of: the box's first element lies `offset` bytes into the source. */
struct reading {
    struct lzr_reading *thread; /* NULL: nobody watches it */
    struct lzr_pulse *pulse;
    const struct lzr_array *array;
    const struct lzr_data *data;
    struct lzr_file *file; /* of one that is a file */
    unsigned rank;
    const uint64_t *extent;
    uint64_t offset;
    int64_t strides[LZR_MAX_RANK];
    const int64_t *to; /* strides of block */
    unsigned char *block;
};

static enum lzr_code read_spans(const struct reading *r, int fd, struct lzr_err *err)
{
    struct lzr_strided_plan p;
    struct lzr_strided_read at;
    enum lzr_code code = LZR_OK;
    lzr_strided_plan(r->rank, r->array->dtype.size, r->extent, r->offset, r->strides, r->to, &p);
    unsigned char *span = p.direct ? NULL : lzr_malloc((size_t)p.span);
    if (!p.direct && span == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to read a file");
    }
    for (bool more = lzr_strided_start(&p, &at); more && code == LZR_OK;
         more = lzr_strided_next(&p, &at)) {
        code = read_all(r->data, r->pulse, fd, p.direct ? r->block + at.to : span, p.span, at.at,
                        err);
        if (code == LZR_OK && !p.direct) {
            lzr_strided_scatter(&p, &at, span, r->block);
        }
    }
    lzr_free(span);
    return code;
}

static enum lzr_code read_open(const struct reading *r, struct lzr_err *err)
{
    int fd = open(r->data->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
        /* This passes: it isn't remembered, as what is wrong with the file is. */
        return lzr_err_set(err, LZR_E_NOMEM, "no descriptor or memory left to open '%.300s'",
                           r->data->file);
    }
    if (fd < 0) {
        return lzr_err_sys(err, "'%.300s' can't be opened", r->data->file);
    }
    enum lzr_code code = lzr_file_check(r->file, r->pulse, fd, err);
    if (code == LZR_OK) {
        code = read_spans(r, fd, err);
    }
    if (code == LZR_OK) {
        code = lzr_file_check(r->file, r->pulse, fd, err);
    }
    (void)lzr_pulse_beat(r->pulse);
    close(fd);
    return code;
}

/* All of it, from open to close, may never return. */
static enum lzr_code read_file(const struct lzr_driver *d, const struct reading *r,
                               struct lzr_err *err)
{
    enum lzr_code code = lzr_reading_open(d, r->thread, r->file, err);
    if (code == LZR_OK && lzr_pulse_beat(r->pulse)) {
        code = read_open(r, err);
    }
    return lzr_pulse_rest(r->pulse) ? code : lzr_reading_over(err);
}

enum lzr_code lzr_source_read(const struct lzr_driver *d, struct lzr_reading *thread,
                              const struct lzr_array *a, uint32_t level, const uint64_t start[],
                              const int step[], const uint64_t extent[],
                              const int64_t to_strides[], unsigned char *dst, struct lzr_err *err)
{
    const struct lzr_data *data = a->levels[level].data;
    struct lzr_file unknown = {.data = data}, *file = lzr_files_of(&d->files, a, level);
    struct reading r = {.thread = thread,
                        .pulse = thread != NULL ? &thread->pulse : NULL,
                        .array = a,
                        .data = data,
                        .file = file != NULL ? file : &unknown,
                        .rank = a->levels[level].grid.rank,
                        .extent = extent,
                        .offset = data->offset,
                        .to = to_strides,
                        .block = dst};
    for (unsigned i = 0; i < r.rank; i++) {
        r.offset += (uint64_t)((int64_t)start[i] * data->strides[i]);
        r.strides[i] = data->strides[i] * step[i];
    }
    if (data->file != NULL) {
        return read_file(d, &r, err);
    }
    lzr_strided_copy(r.rank, a->dtype.size, extent,
                     lzr_folder_of_array(d, a)->handover.data + r.offset, r.strides, dst,
                     to_strides);
    return LZR_OK;
}

enum lzr_code lzr_source_read_box(const struct lzr_driver *d, struct lzr_reading *r,
                                  const struct lzr_array *a, uint32_t level,
                                  const uint64_t start[], const uint64_t extent[],
                                  unsigned char *block, struct lzr_err *err)
{
    unsigned rank = a->levels[level].grid.rank;
    uint64_t bytes = a->dtype.size;
    int64_t to[LZR_MAX_RANK];
    int step[LZR_MAX_RANK];
    for (unsigned i = 0; i < rank; i++) {
        step[i] = 1;
        bytes *= extent[i];
    }
    lzr_strided_dense(rank, a->dtype.size, extent, to);
    enum lzr_code code = lzr_source_read(d, r, a, level, start, step, extent, to, block, err);
    if (code == LZR_OK && a->levels[level].data->dtype.big != a->dtype.big) {
        lzr_swap_words(block, bytes, lzr_dtype_word(a->dtype));
    }
    return code;
}

/* Reads and encodes; what it takes beside the result is charged to the budget meanwhile, and there
 * are as many of these as codec threads. */
static enum lzr_code make(struct lzr_driver *d, const struct lzr_flight *f, struct lzr_blob **out,
                          struct lzr_err *err)
{
    const struct lzr_array *a = f->array;
    const struct lzr_grid *g = &a->levels[f->level].grid;
    uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
    uint64_t chunk = g->chunk_elements * a->dtype.size, bytes = a->dtype.size;
    lzr_grid_position(g, f->index, pos);
    lzr_grid_block(g, pos, start, extent);
    for (unsigned i = 0; i < g->rank; i++) {
        bytes *= extent[i];
    }
    uint64_t room = bytes + LZR_STRIDED_SPAN + (bytes < chunk ? chunk : 0);
    (void)lzr_make_room(d, room + lzr_blob_charge(lzr_codec_bound(&a->codec, (size_t)chunk)));
    lzr_budget_add(&d->budget, room);
    unsigned char *block = lzr_malloc((size_t)bytes);
    unsigned char *padded = bytes < chunk ? lzr_malloc((size_t)chunk) : NULL;
    enum lzr_code code = LZR_OK;
    if (block == NULL || (bytes < chunk && padded == NULL)) {
        code = lzr_err_set(err, LZR_E_NOMEM, "no memory for a chunk");
    }
    if (code == LZR_OK) {
        code = lzr_source_read_box(d, f->reading, a, f->level, start, extent, block, err);
    }
    if (code == LZR_OK && padded != NULL) {
        lzr_chunk_pad(g, extent, block, a->dtype.size, a->fill, padded);
    }
    if (code == LZR_OK) {
        code = lzr_chunk_encode(d, a, f->level, padded != NULL ? padded : block, out, err);
    }
    lzr_free(block);
    lzr_free(padded);
    lzr_budget_sub(&d->budget, room);
    return code;
}

const struct lzr_recipe lzr_recipe_read = {.remembers = true, .make = make};
