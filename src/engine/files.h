/* files.h: the files that the server reads itself, as they were when they were opened; inside of
 * the engine.
 *
 * A file is what it was as long as size, mtime and inode are (store/array.h: lzr_data). Its ctime
 * changes with more than its content (chmod, hard links), but nobody can put it back: where it is
 * another, a digest of the content is compared with one that was taken at opening, and if that is
 * the same, the new ctime is remembered. The digest is of all of the file up to LZR_FILES_WHOLE
 * bytes, of larger ones of LZR_FILES_PIECES pieces at fixed places, the first and the last among
 * them; also of smaller ones once LZR_FILES_MOST bytes were read for an edition, so that many files
 * don't keep it from starting.
 *
 * A file system may not answer: each file is looked at by an errand (base/errand.h). Once one has
 * hung, the files that are left are late: each is looked at by its first read, as it is then (it
 * must still be what its array was described with).
 *
 * Threads: made before anybody reads; from then on any. Reads the disk: without mu. */
#ifndef LZR_ENGINE_FILES_H
#define LZR_ENGINE_FILES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

#define LZR_FILES_WHOLE (UINT64_C(64) << 20)
#define LZR_FILES_MOST (UINT64_C(1) << 30)
#define LZR_FILES_PIECES 256
#define LZR_FILES_PIECE (UINT64_C(64) << 10)

struct lzr_array;
struct lzr_pulse;
struct lzr_catalog;
struct lzr_data;

enum lzr_file_state {
    LZR_FILE_UNKNOWN, /* it was another than the one described, or can't be read */
    LZR_FILE_KNOWN,   /* it was looked at as it was described */
    LZR_FILE_LATE,    /* it hasn't been looked at yet, since it or another one hung */
    LZR_FILE_LOOKING  /* a read does that */
};

/* What a look finds. */
struct lzr_file_looks {
    bool known;
    bool sampled; /* the digest is of pieces */
    struct lzr_digest digest;
    int64_t ctime_ns;
};

struct lzr_file {
    const struct lzr_data *data; /* of one level that it is read for, in the catalog */
    _Atomic int state;           /* enum lzr_file_state; with the next two once it is KNOWN */
    bool sampled;
    struct lzr_digest digest;
    _Atomic int64_t ctime_ns;
};

struct lzr_files {
    struct lzr_file *files;
    uint32_t n;
    uint32_t *first;  /* by array id: place in `of` of its first level */
    uint32_t *of;     /* place + 1 in files, or 0: no file */
    /* Set before lzr_files_open. */
    uint64_t timeout_us;       /* for each step of a look; 0: the caller looks itself */
    _Atomic unsigned *left;    /* errand.h */
    const atomic_bool *cancel; /* nullable: looks are given up once it is true */
};

/* Looks at all files of a catalog, which is borrowed. kept(ctx, a): what is known of this array's
 * files from before, or NULL (then they are looked at now); kept may be NULL. */
enum lzr_code lzr_files_open(struct lzr_files *f, const struct lzr_catalog *c,
                             const struct lzr_file *(*kept)(void *ctx, const struct lzr_array *a,
                                                            uint32_t level),
                             void *ctx, struct lzr_err *err);
void lzr_files_release(struct lzr_files *f);
/* A level's file; NULL: it has none. */
struct lzr_file *lzr_files_of(const struct lzr_files *f, const struct lzr_array *a, uint32_t level);
/* Whether an open file is what it was at opening. pulse (nullable): of the thread that asks; where
 * it was given up, so the answer is nothing. */
enum lzr_code lzr_file_check(struct lzr_file *f, struct lzr_pulse *pulse, int fd,
                             struct lzr_err *err);

#endif
