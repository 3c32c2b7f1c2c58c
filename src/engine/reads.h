/* reads.h: the threads that read sources' files, of which any read may never return; inside of the
 * engine.
 *
 * A file system that doesn't answer (NFS, FUSE) holds a thread in open, fstat or pread for as long
 * as it likes. So codec threads read no files: tasks that do (source.c, reduce.c, inputs.c) run on
 * threads of this file's, as many as there are codec threads. A hung file costs its own arrays
 * only:
 *
 * - A read that takes longer than LZR_STALL_US is stalled: another thread takes its thread's
 *   place; a worker whose inputs it was to fill gets other work (the slot stays with the thread).
 * - Of one file no more than LZR_READS_EACH reads stall, rather fewer on few cores: what else
 *   wants it is parked.
 * - A read that takes longer than --read-timeout is written off: its flight fails (503), the
 *   thread has only what is its own from then on (base/pulse.h). Once as many of a file's reads
 *   were written off as may stall, the file is refused at once, until one of them is back.
 * - A driver that closes waits a second for threads in reads; its memory is freed by the last of
 *   those that it left behind.
 *
 * Lists and figures are guarded by the driver's mutex. */
#ifndef LZR_ENGINE_READS_H
#define LZR_ENGINE_READS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/pulse.h"
#include "engine/flight.h"

#define LZR_STALL_US 50000     /* looked at with every tick */
#define LZR_READS_EACH 16      /* stalled reads of one file */
#define LZR_READS_THREADS 1024 /* of one driver */
#define LZR_READS_PARKED 1000  /* flights that wait for one file whose reads are stalled */
#define LZR_READS_LEFT 256     /* threads left behind, of all editions, from when on nothing is
                                * reloaded, and one stalled read stops a file */
#define LZR_READS_CLOSE_US 1000000

struct lzr_driver;
struct lzr_file;
struct lzr_request;
struct lzr_slot;

/* A thread's task. */
struct lzr_reading {
    struct lzr_reading *next;
    struct lzr_pulse pulse;
    struct lzr_file *_Atomic file; /* that it is in, or was last */
    struct lzr_flight view;        /* the flight, as its thread sees it without mu */
    struct lzr_flight *flight;     /* NULL once it was written off */
    struct lzr_slot *slot;         /* a reference, where inputs are filled */
    struct lzr_file *stuck;        /* whose stalled reads it is counted among; NULL: none */
};

/* Of each of the driver's files. */
struct lzr_reads_file {
    unsigned stalled;      /* reads, those that were written off included */
    _Atomic unsigned hung; /* those; read without mu */
    struct lzr_list parked;
};

struct lzr_reads {
    uint64_t timeout_us;
    _Atomic unsigned *left; /* driver.h; NULL: nobody counts */
    struct lzr_reads_file *files; /* as driver.files.files; NULL: there are none, or not yet */
    int epoll, event; /* what threads wait on: the event, which counts what waits, and the driver's
                       * stop; -1 without files. Of those that wait the last one is woken, whose
                       * caches are warm, and not before it can have mu */
    struct lzr_list waiting;
    struct lzr_reading *readings;
    unsigned threads; /* the starter's (starter.h) among them */
    unsigned stalled; /* threads that others stand in for */
    uint32_t parked;
    bool closed;
};

/* After lzr_files_open. */
enum lzr_code lzr_reads_init(struct lzr_driver *d, struct lzr_err *err);
void lzr_reads_release(struct lzr_driver *d);
/* Whether a flight's task reads files. */
bool lzr_reads_wants(const struct lzr_driver *d, const struct lzr_flight *f);
/* A task for these threads, last or first. With mu. */
void lzr_reads_add(struct lzr_driver *d, struct lzr_flight *f, bool first);
/* Begins and ends a thread's task; slot: the reference that it has, or NULL. With mu. */
void lzr_reading_begin(struct lzr_driver *d, struct lzr_reading *r, struct lzr_flight *f,
                       struct lzr_slot *slot);
void lzr_reading_end(struct lzr_driver *d, struct lzr_reading *r);
/* The same of one that was written off; without mu. */
void lzr_reading_lost(struct lzr_driver *d, struct lzr_reading *r);
/* A file is to be read: refused where it has hung again and again. r is nullable. Without mu. */
enum lzr_code lzr_reading_open(const struct lzr_driver *d, struct lzr_reading *r,
                               struct lzr_file *file, struct lzr_err *err);
/* The thread was given up: so its error, which nobody will see. */
enum lzr_code lzr_reading_over(struct lzr_err *err);
/* What is stalled or late; the supervisor, with mu. */
void lzr_reads_check(struct lzr_driver *d, uint64_t now, struct lzr_request **list);
/* Starts threads that are missing; the supervisor, without mu. */
void lzr_reads_provide(struct lzr_driver *d);
/* Ends the threads when nothing else of the driver runs. False: some were left behind, and the
 * last of them will call lzr_driver_release. */
bool lzr_reads_close(struct lzr_driver *d);
/* The last words of a thread that may be left behind; with mu, which it releases. */
void lzr_thread_ends(struct lzr_driver *d);

#endif
