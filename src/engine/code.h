/* code.h: which code an edition runs, and the workers that run another; inside of the engine.
 *
 * Each worker says which local files of code it has loaded (CODE, protocol.h). The first one that
 * names a file says what it is in this edition, from then on and for ever, whoever dies. A worker
 * that names another text of it is never used:
 *
 * - while it starts, it is refused: killed, and started again ever later, as the file may become
 *   what it was;
 * - in a job (a function imported it only then), what it gives is dropped, the block goes to
 *   another worker, and so do all blocks of workers that haven't loaded that file yet: they are
 *   replaced when idle, and none of those is accepted.
 *
 * Each folder has a record of its own (folders.h): what its workers never load is nothing to them.
 * But a file that workers of several folders load is the same for all of them.
 *
 * Where no worker of a folder is left that could compute and each one's last start was refused or
 * failed again and again, whoever asks for a block gets a 503 that says why. Cached chunks go on.
 *
 * Guarded by the driver's mutex; nothing here blocks. */
#ifndef LZR_ENGINE_CODE_H
#define LZR_ENGINE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lzr_driver;
struct lzr_worker;
struct lzr_request;

/* In an error: what helps when code isn't any more what was loaded. */
#define LZR_RELOAD_WITH "reload with SIGHUP or POST /api/reload, or restart lazarr"

#define LZR_CODE_FILES 65536 /* of a folder; more are not compared, and that is said */
#define LZR_CODE_BYTES (UINT64_C(16) << 20) /* of their paths and digests, likewise */
#define LZR_CODE_DIGEST 64                 /* bytes of a digest at most */
#define LZR_CODE_BUCKETS 1024
#define LZR_CODE_STARTS 3 /* failed starts in a row from when on nobody waits for the next */

struct lzr_code_file {
    char *path, *digest;
    uint32_t next; /* in its bucket: place + 1; 0: the last */
    bool changed;  /* a worker loaded another text of it in a job */
};

struct lzr_code_record {
    struct lzr_code_file *files;
    uint32_t n, room, nchanged;
    uint64_t bytes;
    uint32_t buckets[LZR_CODE_BUCKETS]; /* place + 1; 0: empty */
    bool full;                          /* as many came as there may be, and it was said */
    char why[512];                      /* why a worker was refused last; "": none was */
};

void lzr_code_release(struct lzr_code_record *c);
/* What `from` knows is `c`'s from the start: an edition that keeps some of another's chunks runs
 * the same code. False: no memory. c is empty. */
bool lzr_code_copy(struct lzr_code_record *c, const struct lzr_code_record *from);
/* A worker's CODE. False: it makes no sense. */
bool lzr_code_take(struct lzr_driver *d, struct lzr_worker *w, const char *text, size_t n);
/* Whether a worker that says READY may be used; else it is refused. */
bool lzr_code_accept(struct lzr_driver *d, struct lzr_worker *w);
/* Kills a starting worker for this reason, which is logged once and shown. */
void lzr_worker_refuse(struct lzr_driver *d, struct lzr_worker *w, const char *why);
/* The same of one whose program or package is of another version than the server (an upgrade
 * underneath it): said once, however often it is tried again. With mu. */
void lzr_worker_outdated(struct lzr_driver *d, struct lzr_worker *w, const char *what);
/* No worker of the folder can compute, and none is expected to: why. NULL: there may be one. */
const char *lzr_code_hopeless(const struct lzr_driver *d, uint32_t folder);
/* Some worker can't be replaced as its code has changed, or no longer loads: why. NULL: no. */
const char *lzr_code_stale(const struct lzr_driver *d);
/* Replaces workers that lack what has changed, and fails what waits for a worker in vain. */
void lzr_code_check(struct lzr_driver *d, struct lzr_request **list);

#endif
