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
struct lzr_catalog;
struct lzr_data;

struct lzr_file {
    const struct lzr_data *data; /* of one level that it is read for, in the catalog */
    bool known;                  /* it was looked at as it was described */
    bool sampled;                /* the digest is of pieces */
    struct lzr_digest digest;
    _Atomic int64_t ctime_ns;
};

struct lzr_files {
    struct lzr_file *files;
    uint32_t n;
    uint32_t *first;  /* by array id: place in `of` of its first level */
    uint32_t *of;     /* place + 1 in files, or 0: no file */
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
/* Whether an open file is what it was at opening. */
enum lzr_code lzr_file_check(struct lzr_file *f, int fd, struct lzr_err *err);

#endif
