/* engine.h: the driver's inside, shared by the files of src/engine only.
 *
 *   driver.c     the public calls of lazarr/driver.h
 *   start.c      opening and closing: threads, first workers, manifests, the catalog
 *   loading.c    ... until all stores are loaded
 *   costs.c      ... and which of their arrays are told to take long
 *   stores.c     which files are stores, and their names
 *   find.c       ... looked for where a file system may not answer
 *   root.c       ... and the folder whose modules one imports
 *   folders.c    ... and which of them share a process
 *   turns.c      which folder each worker is for; the rule alone is share.c
 *   dispatch.c   which queued flight goes to which worker
 *   reply.c      codec threads: what workers answer, encoding, completion
 *   homes.c      which workers compute arrays with slots
 *   queue.c      the order in which flights start and get workers
 *   needs.c      what flights are made from: asking, waiting, failing, dropping
 *   plan.c       all that a root is made of, and the order in which that is made: a pure rule
 *   listing.c    ... listed from what there is
 *   merge.c      ... wanted from then on
 *   planner.c    ... started when the budget has room for it
 *   wanted.c     ... and kept until its last reader has read it
 *   pump.c       which of it is launched next
 *   recipe.h     the ways in which a chunk comes about
 *   inputs.c     what blocks are computed from: their needs, putting regions together
 *   prepare.c    ... in a worker's slot, on codec threads
 *   make.c       codec threads: chunks that are made in C
 *   transcode.c  ... those of other formats, from Zarr chunks
 *   reduce.c     ... levels of images, from the chunks of the level below
 *   copy.c       ... chunks of arrays that are others in other chunks
 *   copy_group.c ... and which of them are neighbours
 *   band.c       ... which levels are read together, where that is a file
 *   source.c     ... NumPy arrays and mapped files, which the server reads itself
 *   files.c      ... whether those files are what they were
 *   reads.c      ... the threads that read them
 *   supervise.c  the supervisor thread: deaths, deadlines, respawning, workers' output
 *   watchdog.c   the supervisor's: what ends jobs and workers early
 *   pace.c       ... how long blocks take, and what that says of one that nobody waits for
 *   drops.c      ... which chunks were dropped while they ran, until somebody has got them
 *   worker.c     starting a process; its slots
 *   starter.c    ... by a thread that may have to wait for its file system
 *   load.c       what a starting one says of its stores
 *   keep.c       an edition that keeps what another one has of some arrays
 *   code.c       which code the edition runs, and workers that run another
 *
 * Threads. Callers (HTTP) come in through driver.c. `codec threads` wait for workers' messages in
 * one epoll set and encode. The `supervisor` has processes started (by a thread of its own,
 * starter.c: a worker dies with the thread that started it) and waits for them. Sources' files are
 * read by threads that may be left behind (reads.c).
 *
 * Locks, in the order in which they may be taken: worker.read_mu, then driver.mu, then the cache's
 * own. Under mu there is no call out, no encoding and no blocking call; messages to workers are
 * sent under it (one packet, never blocking), since their order is that of the lists it guards. */
#ifndef LZR_ENGINE_ENGINE_H
#define LZR_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/scratch.h"
#include "base/trim.h"
#include "engine/band.h"
#include "engine/cache.h"
#include "engine/channel.h"
#include "engine/code.h"
#include "engine/copy.h"
#include "engine/drops.h"
#include "engine/failures.h"
#include "engine/files.h"
#include "engine/flight.h"
#include "engine/folders.h"
#include "engine/homes.h"
#include "engine/keep.h"
#include "engine/orphans.h"
#include "engine/output.h"
#include "engine/pace.h"
#include "engine/planner.h"
#include "engine/pyenv.h"
#include "engine/process.h"
#include "engine/queue.h"
#include "engine/reads.h"
#include "engine/share.h"
#include "engine/slot.h"
#include "engine/source.h"
#include "engine/starter.h"
#include "engine/troubles.h"
#include "lazarr/driver.h"

#define LZR_WORKER_SLOTS 3 /* one computed into, one being encoded, one for the job sent ahead */
#define LZR_WORKER_PINNED                                                                          \
    8                  /* more pinned slots than this, and the worker is replaced when idle        \
                        */
#define LZR_PIPELINE 2 /* jobs a worker may have: one runs, one waits in its socket */
/* A job is sent ahead of time only where blocks take less than this: it would wait behind a slow
 * one while another worker idles. */
#define LZR_AHEAD_US 1000
#define LZR_SLOTS_US 1000000 /* until a slot that could not be made is tried again */
#define LZR_TICK_US 100000   /* the supervisor looks at everything at least this often */
#define LZR_QUIT_US 2500000  /* what a worker may take to end by itself */
#define LZR_LOST_US 1000000  /* what one that was killed may take to be gone */
#define LZR_LOST 64          /* processes that were written off and may still be waited for */

/* In an error: what helps when a file isn't any more what was loaded. */
#define LZR_SAY_RELOAD "reload (SIGHUP, or POST /api/reload) or restart lazarr to serve it as it is"

enum lzr_worker_state {
    LZR_WORKER_DOWN,     /* no process; to be started at restart_us */
    LZR_WORKER_STARTING, /* loads the stores */
    LZR_WORKER_READY,
    LZR_WORKER_ENDING, /* told to quit, or killed; its process is still there */
};

struct lzr_job {
    uint64_t seq;
    struct lzr_flight *flight;
    struct lzr_slot *slot;   /* borrowed from the worker's list */
    uint64_t timeout_us;     /* what it may take */
    uint64_t deadline_us;    /* counts from when it can run; 0 while another job is before it */
    uint64_t interrupted_us; /* since when the worker is asked to give it up; 0: it isn't */
};

/* Why a worker was killed by us. */
enum lzr_killed {
    LZR_KILLED_NOT,
    LZR_KILLED_DEADLINE,
    LZR_KILLED_ABANDONED,
    LZR_KILLED_MEMORY, /* counts as a crash */
    LZR_KILLED_CODE,   /* it runs other code than its edition; no fault of its job */
    LZR_KILLED_STALLED, /* stalled.h; its job is done by another */
};

/* The next job of a worker, whose inputs are being put into its slot. */
struct lzr_prepared {
    struct lzr_flight *flight; /* PREPARING; NULL: none */
    struct lzr_slot *slot;     /* borrowed from the worker's list */
    bool ready;                /* all is there: it can be sent */
};

struct lzr_worker {
    unsigned number;
    uint32_t folder, to; /* whose stores it has (folders.h); LZR_NO_FOLDER: none. To: that it has
                          * when this process has ended; LZR_NO_FOLDER: the same */
    uint64_t held_us; /* since when its place serves that folder; 0: it never has */
    uint64_t used_us; /* when it got its last job, or was through with it, or was ready */
    pthread_mutex_t read_mu; /* one thread at a time takes messages and applies them in order */
    /* Guarded by the driver's mu. */
    enum lzr_worker_state state;
    pid_t pid;
    struct lzr_process process; /* the same, watched from when it is started */
    struct lzr_channel *channel;
    struct lzr_job jobs[LZR_PIPELINE]; /* in the order they were sent */
    unsigned njobs;
    struct lzr_prepared next; /* sent when the jobs before it are done, or nearly */
    uint64_t jobs_done;       /* of this process */
    uint64_t *done;           /* a bit an array of which it has computed a block; NULL: none */
    struct lzr_slot *slots;
    unsigned npinned;
    unsigned nhomes; /* arrays with slots that it is a home of */
    uint32_t next_slot;
    uint64_t slots_us; /* no slot could be made: when that is tried again */
    bool loaded;       /* this process has been READY */
    bool loader;       /* this process opens the sources for all (protocol.h) */
    bool configured;   /* ... and was told of all its stores */
    bool facts_sent;
    /* code.h */
    bool stray;          /* this process runs other code than the edition */
    bool refused;        /* the last start of one was refused for it */
    unsigned char *code; /* bits: the files of the edition that this process has loaded */
    uint32_t code_room;  /* bytes */
    uint64_t start_deadline_us;
    uint64_t restart_us;
    bool launching; /* DOWN, but the supervisor is about to have started it: for this folder */
    unsigned failed_starts; /* in a row: back-off */
    struct lzr_birth birth; /* of the next process */
    uint32_t deaths;
    enum lzr_killed killed;
    char killed_why[256]; /* in the words of who killed it; "": nobody did, or said why */
    uint64_t full_us;       /* since when its socket has no room for a job; 0: it has */
    uint64_t dump_us;       /* since when it writes its stacks, to be killed then; 0: it doesn't */
    uint64_t began_us;      /* when this process was started */
    uint64_t start_cost_us; /* from then until it was READY */
    uint64_t most_jobs;     /* replaced after so many; 0: never */
    uint64_t retire_us;     /* replaced then; 0: never */
    const char *retire;     /* why it is to be replaced as soon as it is idle; NULL: it isn't */
    uint64_t quit_us;       /* killed then if it hasn't ended as it was told */
    uint64_t killed_us;     /* when SIGKILL was sent, or it was seen dead and couldn't be waited
                             * for: LZR_LOST_US later it is written off; 0: neither */
    bool unseen;            /* its end was seen, and it can't be waited for yet */
    unsigned late_reads;    /* messages that were taken since its job was last seen in time */
    bool unread;            /* its job is late, but an answer may lie in its socket */
    struct lzr_buf *manifests; /* by store of the driver, while STARTING; of its folder only */
    bool said_why;             /* this process has sent LOAD_FAILED */
    /* Of the last process that couldn't start or load; kept until one has. */
    char *load_error;
    char *load_traceback;
    /* Only the supervisor's. */
    int output_fd; /* stdout and stderr of the process, or -1 */
    struct lzr_output output;
    char mark[LZR_ORPHANS_MARK]; /* what this process starts has it (orphans.h) */
    uint64_t resident; /* bytes of memory of its own, when it was last looked at */
};

struct lzr_named_store {
    char *name, *path;
    char *root; /* root.h; "" of a data file */
    char *told; /* what workers are told in place of the path: "data:FILE::PATH", "found:PATH" of a
                 * folder's file, "module:NAME" of -m; NULL: the path */
    bool data;  /* it is a data file */
    bool made;  /* it is to have a name made of its file's, which is none or another store's */
};

struct lzr_driver {
    /* Immutable after open. */
    const struct lzr_log *log;
    struct lzr_named_store *stores;
    size_t nstores;
    const char *const *ops; /* "module:function" of arrays beside data files; borrowed */
    size_t nops;
    bool follow;           /* see struct lzr_driver_options */
    char **manifests;      /* one a store; the reference that every worker is compared with */
    size_t *manifest_lens;
    struct lzr_files files;
    struct lzr_catalog *catalog;
    struct lzr_pyenv pyenv;
    unsigned nworkers;
    uint64_t start_timeout_us;
    uint64_t nofile; /* workers' soft limit of descriptors; 0: this process' own */
    uint64_t nonce;
    uint64_t *salts; /* by array id: part of ETags, the nonce of when it was made new last */
    uint64_t slot_bytes;               /* capacity of a slot: the largest block */
    uint64_t inputs_bytes;             /* ... and for the inputs of one */
    uint64_t encoded_bytes;            /* ... and for their chunks, encoded */
    uint64_t input_chunk_bytes;        /* the largest chunk that one is made from, raw */
    bool keep;                         /* false with a cache of 0 bytes */
    uint64_t memory_soft, memory_hard; /* of a worker; 0: no limit */
    uint64_t worker_jobs, worker_age_us;
    int codec_epoll, supervisor_epoll;
    int wake_fd; /* eventfd: wakes the supervisor */
    int stop_fd; /* eventfd: ends the codec threads */
    int task_fd; /* eventfd: counts flights in tasks */

    struct lzr_budget budget;
    struct lzr_trim trim;       /* only the supervisor's */
    struct lzr_orphans orphans; /* only the supervisor's */
    struct lzr_cache *cache;
    struct lzr_scratch_pool scratch; /* what codec threads work in */
    struct lzr_cache *decoded; /* chunks that regions share, decoded; NULL: not kept (inputs.h) */

    struct lzr_troubles troubles; /* its own lock */
    pthread_mutex_t mu;
    pthread_cond_t started; /* a worker became ready or failed to; or the supervisor has ended */
    struct lzr_worker *workers;
    struct lzr_folders folders;
    struct lzr_share *shares; /* by folder, as they stood when lzr_turns_look was called last */
    bool asked;               /* one of those asks for a worker */
    struct lzr_flights flights;
    struct lzr_queue queue;
    struct lzr_planner planner;
    struct lzr_list tasks; /* MAKING flights that no thread has taken */
    struct lzr_list kept_back; /* ... and that wait until clients have read (make.c) */
    struct lzr_reads reads; /* ... and those that read files */
    struct lzr_starter starter;
    struct lzr_band bands[LZR_BANDS]; /* that are being made */
    struct lzr_copying *copying; /* chunks that threads copy now */
    uint32_t need_tasks; /* of them, those that started flights wait for and that need nothing */
    struct lzr_flight *held; /* HELD flights */
    struct lzr_failures failures;
    struct lzr_keep kept; /* while it opens */
    struct lzr_drops drops;
    struct lzr_stats stats; /* counters; gauges are filled when asked for */
    struct lzr_array_stats *array_stats;
    struct lzr_home *homes; /* by array id; NULL: no array has slots */
    uint64_t blocked;       /* arrays with slots, as bits, for which so much waits that nothing made
                             * of them is begun (needs.c); 0: none */
    bool full[LZR_MAX_STORES]; /* by folder: likewise so much waits for its workers */
    uint64_t next_seq;
    unsigned active;            /* flights PREPARING, RUNNING or ENCODING */
    unsigned encoding;          /* of them, ENCODING */
    unsigned making;            /* flights MAKING */
    unsigned holding;           /* eager flights that have all they need */
    _Atomic unsigned gathering; /* flights that were started with needs and aren't over */
    uint64_t waiting;           /* requests that wait */
    bool opened, draining, closing;

    pthread_t supervisor;
    pthread_t *codecs;
    unsigned ncodecs;
    bool supervisor_runs;
    bool supervisor_over; /* with mu: it only has to be joined */
    pid_t lost[LZR_LOST]; /* only the supervisor's; 0: a place that is free */
};

/* dispatch.c */
/* Whether work may begin for which the budget has no room, as it must when nothing is under way
 * that would free any. Not while answers that clients are slow to read take half of it: those end,
 * at their deadlines at the latest. */
bool lzr_may_overdraw(const struct lzr_driver *d);
/* Mean time of a block of this array; unknown: UINT64_MAX. With mu. */
uint64_t lzr_mean_us(const struct lzr_driver *d, const struct lzr_array *a);
/* Moves everything on that can move: asks for needs, gives queued flights to workers. With mu held,
 * after whatever may have changed what can go on; flights that fail over it end up in *list. */
void lzr_dispatch(struct lzr_driver *d, struct lzr_request **list);
/* Evicts until the budget has room; false: it has none. Where all that is cached wouldn't make it,
 * as where clients don't read what they asked for, nothing is evicted. Any thread. */
bool lzr_make_room(struct lzr_driver *d, uint64_t need);
/* Bytes that making a flight's chunk takes beside a slot. */
uint64_t lzr_flight_output_bytes(const struct lzr_flight *f);
/* Takes a flight that was given to a worker back, if it hasn't begun. With mu. */
bool lzr_withdraw(struct lzr_driver *d, struct lzr_flight *f);
/* Puts the flight of a job that will not be run back to the front of the queue; the job is still in
 * its worker's list, the caller takes it out. With mu. */
void lzr_job_return(struct lzr_driver *d, struct lzr_job *j);
/* Puts a RUNNING flight that its worker won't finish back to the front of the queue. With mu. */
void lzr_flight_requeue(struct lzr_driver *d, struct lzr_flight *f);
/* Takes the worker's i-th job back if it hasn't begun: its flight is queued again. With mu. */
bool lzr_worker_withdraw(struct lzr_driver *d, struct lzr_worker *w, unsigned i);

/* Sends a flight to a worker, which has a slot for it. With mu. */
void lzr_send_job(struct lzr_driver *d, struct lzr_worker *w, struct lzr_flight *f,
                  struct lzr_slot *s);

/* prepare.c; all with mu but for the task itself */
/* Binds a queued flight, whose needs are all there, to a worker and its slot; a task for the codec
 * threads. */
void lzr_prepare(struct lzr_driver *d, struct lzr_worker *w, struct lzr_flight *f,
                 struct lzr_slot *s);
/* The task that the flight is, as lzr_task_do. */
void lzr_prepare_run(struct lzr_driver *d, struct lzr_flight *f, struct lzr_reading *r);
/* A PREPARING flight that is no worker's next any more goes back to where it came from. */
void lzr_prepare_again(struct lzr_driver *d, struct lzr_flight *f);
/* The worker's next flight goes back to the queue: its worker is gone, or another can take it. One
 * that a thread is at goes back when that has finished; then this is false. */
bool lzr_unprepare(struct lzr_driver *d, struct lzr_worker *w);

/* A list of requests to complete once mu is released. */
void lzr_complete(struct lzr_request *list);

/* driver.c */
/* A new flight, in the table but in no list yet; its recipe says whether it has to be started.
 * NULL: no memory. With mu. */
struct lzr_flight *lzr_flight_new(struct lzr_driver *d, const struct lzr_chunk *c);

/* needs.c */
/* A flight that nobody wants: out of the queue or taken back from a worker that hasn't begun, its
 * needs let go, and so on with those that nobody else wants. A running one is interrupted
 * (watchdog.c), and ends by itself. With mu. */
void lzr_flight_abandon(struct lzr_driver *d, struct lzr_flight *f);
/* Removes a flight that nobody waits for, whatever its state. With mu. */
void lzr_flight_drop(struct lzr_driver *d, struct lzr_flight *f);

/* A flight is over, or its chunk is there. With mu. */
void lzr_needs_over(struct lzr_driver *d, struct lzr_flight *f);

/* make.c */
/* Whether a chunk that was made is put into the cache. Without one, that is while anything is being
 * made of others: what its needs share isn't computed twice. Any thread. */
bool lzr_keeps(const struct lzr_driver *d);
/* After a chunk was put because lzr_keeps said so: with --cache 0 what is made of others may have
 * been over, and the cache emptied, before it was there. With mu. */
void lzr_kept(struct lzr_driver *d);
/* Wakes a codec thread for a flight, put last or first among the tasks. With mu. */
void lzr_task_add(struct lzr_driver *d, struct lzr_flight *f, bool first);
/* Makes a flight whose needs are all there a task. With mu. */
void lzr_task_push(struct lzr_driver *d, struct lzr_flight *f);
/* Whether a task that a thread has taken from a list has to wait, as nobody reads what there is: it
 * is kept back then. What a plan wants has its room. With mu. */
bool lzr_task_waits(struct lzr_driver *d, struct lzr_flight *f);
/* Those are tasks again, a few at a time, once there is room. With mu. */
void lzr_tasks_go_on(struct lzr_driver *d);
/* A task is over: its chunk (b taken over), or NULL and why there is none. With mu. */
void lzr_task_made(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b,
                   const struct lzr_err *err, struct lzr_request **list);
/* A codec thread's turn after the driver's task_fd woke it: one task, if there is one. */
void lzr_task_run(struct lzr_driver *d);
/* A flight's task, on a codec thread (r is NULL) or one that reads files. Called with mu, which it
 * releases. */
void lzr_task_do(struct lzr_driver *d, struct lzr_flight *f, struct lzr_reading *r);

/* reply.c */
void *lzr_codec_main(void *driver);
/* Takes and applies all messages that a worker has sent; called by codec threads and, after a
 * death, by the supervisor. Returns when none is left. */
void lzr_worker_read(struct lzr_driver *d, struct lzr_worker *w);
/* Ends a flight with a failure: notes it, moves its waiters to *list, removes it. With mu held.
 * text: line '\n' traceback, may be NULL. */
void lzr_flight_fail(struct lzr_driver *d, struct lzr_flight *f, enum lzr_code code,
                     const char *text, struct lzr_request **list);
/* The chunk is made: gives b (taken over) to all who wait, and ends the flight or, while it is
 * promised to somebody, holds it. In one step, so that nobody can join a flight that is over. With
 * mu held. */
void lzr_flight_land(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b,
                     struct lzr_digest digest, struct lzr_request **list);
/* Encodes a full chunk's raw bytes; without mu. What was reserved for it is the flight's in an
 * ENCODING one; else it is charged as it comes. */
enum lzr_code lzr_chunk_encode(struct lzr_driver *d, const struct lzr_array *a, uint32_t level,
                               const void *raw, struct lzr_blob **out, struct lzr_err *err);
/* A waiter, whose result is filled and no failure, leaves: to *list, or where it is a need to the
 * flight that has it. With mu held. */
void lzr_flight_dismiss(struct lzr_driver *d, struct lzr_flight *f, struct lzr_request *req,
                        struct lzr_request **list);
/* Releases what a flight had reserved; with mu held. */
void lzr_flight_release(struct lzr_driver *d, struct lzr_flight *f);

/* worker.c */
/* Passes what a folder's loader said on to all workers that wait for it. With mu. */
void lzr_send_facts(struct lzr_driver *d);
/* Sends more of the CONFIG to a worker that has `at` bytes of it; false: it has no reason to ask,
 * or doesn't read. With mu. */
bool lzr_send_more(struct lzr_driver *d, struct lzr_worker *w, uint64_t at);
/* Asks for a process; supervisor only, without mu. */
void lzr_worker_start(struct lzr_driver *d, struct lzr_worker *w);
/* Starts the process and watches it: its pid, or -1. The starter's thread, without mu. Blocks on
 * the program's file system. */
pid_t lzr_worker_spawn(const struct lzr_driver *d, const char *mark, int socket_fd, int output_fd,
                       struct lzr_process *process, struct lzr_err *err);
/* The process was started, or couldn't be: takes it over, and says that; supervisor only. */
void lzr_worker_born(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_birth *b);
/* Makes slots until LZR_WORKER_SLOTS are usable, queueing SLOT messages; without mu. What fails for
 * lack of memory or descriptors is tried again every LZR_SLOTS_US: the supervisor calls this for
 * every worker. */
void lzr_worker_provide_slots(struct lzr_driver *d, struct lzr_worker *w);
struct lzr_slot *lzr_worker_free_slot(const struct lzr_worker *w); /* with mu; NULL if none */
/* A job or an encoding is over that used the slot, or its last pin is gone: it can be used again,
 * or never is. With mu. */
void lzr_worker_free(struct lzr_worker *w, struct lzr_slot *s);
void lzr_worker_forget_why(struct lzr_worker *w); /* load_error and load_traceback; with mu */
void lzr_worker_init(struct lzr_worker *w, unsigned number);
void lzr_worker_release(struct lzr_worker *w);
/* Forgets process, channel and slots of a dead worker; with mu held, jobs already taken care of. */
void lzr_worker_reset(struct lzr_worker *w);
void lzr_worker_kill(struct lzr_driver *d, struct lzr_worker *w); /* with mu */
/* Whether this process has computed a block of the array, and that it has. With mu. */
bool lzr_worker_has_done(const struct lzr_worker *w, const struct lzr_array *a);
void lzr_worker_note_done(const struct lzr_driver *d, struct lzr_worker *w,
                          const struct lzr_array *a);
/* Kills it for a reason that is known: "it ...", without its name. That goes to the log now; where
 * the worker is loading, it is also why it couldn't, and where it is at a job, what that died of.
 * With mu. */
void lzr_worker_give_up(struct lzr_driver *d, struct lzr_worker *w, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* How a failing chunk is logged: one that is asked for again and again, or beside others that fail
 * in the same way, is summed up. */
static inline struct lzr_log_how lzr_failing(const struct lzr_driver *d, const struct lzr_flight *f)
{
    return (struct lzr_log_how){.same = (d->nonce ^ f->array->id) | 1};
}

/* watchdog.c */
/* Interrupts the worker that runs a flight, if that saves more than it costs (pace.h), the array
 * allows it and the block isn't one that is finished in any case: its worker's first of the array,
 * or one that was asked for again after a drop. May be called again and again. With mu. */
void lzr_job_interrupt(struct lzr_driver *d, struct lzr_flight *f);
/* A block that ran is dropped since nobody waits for it: counted. With mu. */
void lzr_job_dropped(struct lzr_driver *d, const struct lzr_job *j);
/* Writes the line about such drops if it is time, or the last. With mu. */
void lzr_say_drops(struct lzr_driver *d, uint64_t now, bool last);
/* Looks at a worker: what is late, too large, too old or unwanted. With mu. */
void lzr_worker_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now,
                      struct lzr_request **list);
/* Kills a worker whose first job is beyond its deadline, and fails that job's flight. With mu. */
void lzr_worker_late(struct lzr_driver *d, struct lzr_worker *w, struct lzr_request **list);
/* Looks up what memory it uses; supervisor only, without mu. */
void lzr_worker_measure(struct lzr_driver *d, struct lzr_worker *w);
/* When it has to be looked at again at the latest; UINT64_MAX: at any time. With mu. */
uint64_t lzr_worker_due(const struct lzr_worker *w);

/* turns.c; all with mu */
/* Looks at what waits of which folder. */
void lzr_turns_look(struct lzr_driver *d, uint64_t now);
/* Whether another folder is to have the place of a worker that could go on with its own; one that
 * is at nothing now gets it at once, any other gets no more jobs. After lzr_turns_look. */
bool lzr_turn_over(struct lzr_driver *d, struct lzr_worker *w, uint64_t now);
/* Gives the places of workers that have nothing to do to folders that ask for them. */
void lzr_turns_give(struct lzr_driver *d, uint64_t now);

/* loading.c */
/* Until something may have changed, or for a tenth of a second. With mu. */
void lzr_await_a_while(struct lzr_driver *d);
/* Waits until every folder has loaded or failed, and every worker is ready, or one has failed to.
 * *traceback (nullable): the caller's. */
enum lzr_code lzr_await_workers(struct lzr_driver *d, const atomic_bool *cancel, char **traceback,
                                struct lzr_err *err);
/* Whether all workers say the same of a store. With mu. */
enum lzr_code lzr_compare_manifests(struct lzr_driver *d, struct lzr_err *err);

/* supervise.c */
void *lzr_supervisor_main(void *driver);
/* Ends holds whose time is over: of results that were kept for somebody who didn't come back, and
 * of flights that nobody has waited for since. With mu. */
void lzr_check_holds(struct lzr_driver *d, uint64_t now);
void lzr_wake_supervisor(struct lzr_driver *d);
int lzr_watch_process(struct lzr_driver *d, struct lzr_worker *w); /* supervisor, after a start */

/* start.c */
/* Frees a driver of which no thread runs any more but the one that calls this. */
void lzr_driver_release(struct lzr_driver *d);

/* find.c */
/* The stores of the options, and the Python that runs them, as lzr_stores_find and lzr_pyenv_choose
 * find them: by errands, if --read-timeout is not 0. */
enum lzr_code lzr_find_stores(struct lzr_driver *d, const struct lzr_driver_options *o,
                              struct lzr_err *err);
enum lzr_code lzr_find_python(struct lzr_driver *d, const struct lzr_driver_options *o,
                              const char *exe, struct lzr_err *err);

/* costs.c */
/* Says which arrays' first picture takes long; once they are loaded. */
void lzr_say_costs(struct lzr_driver *d);

/* stores.c */
enum lzr_code lzr_stores_find(const struct lzr_driver_options *o, struct lzr_named_store **out,
                              size_t *nout, struct lzr_err *err);
void lzr_stores_free(struct lzr_named_store *stores, size_t n);

#endif
