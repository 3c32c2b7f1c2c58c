/* driver.h: the storage driver: keys in, bytes out.
 *
 * What the Zarr specification calls an abstract store, with chunks that are computed when asked
 * for. HTTP (src/http) is one front on it, `lazarr get` another.
 *
 *   struct lzr_driver_options o = LZR_DRIVER_DEFAULTS;
 *   o.stores = argv; o.nstores = 1;
 *   lzr_driver_open(&o, &d, &err, &traceback)     starts workers, loads, checks; blocks
 *   hit = lzr_catalog_lookup(lzr_driver_catalog(d), key, strlen(key));
 *   if (hit.node == LZR_NODE_CHUNK) lzr_driver_get(d, &hit.chunk, &req);
 *   lzr_driver_close(&d);
 *
 * Threads: open and close from one thread; everything else from any. Callbacks come on a thread of
 * the driver, with no lock held; they must not block.
 */
#ifndef LAZARR_DRIVER_H
#define LAZARR_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "store/catalog.h"

struct lzr_driver;

struct lzr_driver_options {
    /* Paths of .py or .json files, folders of them, data files, each also as NAME=PATH, and names
     * of modules that are stores ("package.store", NAME=...); borrowed for open. */
    const char *const *stores;
    size_t nstores;
    const char *const *modules;
    size_t nmodules;
    const char *const *ops; /* "module:function" of arrays computed beside data files, and options
                             * of those files, "--axes=zyx"; borrowed for the driver's life */
    size_t nops;
    bool follow; /* files that data files name may lie anywhere, not only below their folders */
    unsigned workers;          /* 0: as many as base/cores.h finds */
    uint64_t cache_bytes;      /* the byte budget; 0 keeps nothing */
    const char *python;        /* a prefix, or its interpreter; NULL: $VIRTUAL_ENV, $CONDA_PREFIX,
                                * Debian's */
    const struct lzr_log *log; /* borrowed for the driver's life */
    uint64_t first_byte_us;    /* unused by the driver itself; see lzr_request.deadline_us */
    uint64_t start_timeout_us; /* until a worker must have loaded the stores */
    uint64_t read_timeout_us;  /* until a call to a file system must have answered */
    _Atomic unsigned *left;    /* NULL, or counts the threads that hang in such calls and were left
                                * behind; lives as long as the process */
    /* A worker whose own memory (resident, not shared) is beyond soft is replaced after its job,
     * beyond hard it is killed. It is also replaced after so many jobs, at this age. 0: no limit.
     */
    uint64_t worker_memory_soft, worker_memory_hard;
    uint64_t worker_jobs, worker_age_us;
    uint64_t worker_nofile; /* their soft limit of descriptors; 0: as this process' own */
    unsigned order;            /* enum lzr_order of engine/queue.h: 0 unless it is measured */
    /* NULL, or an open driver that this one shall take the place of, of which all is kept but these
     * arrays ("STORE/PATH"), what is made of them, and what has become another meanwhile. Borrowed
     * for open, which takes its cached chunks; code that has changed fails it. */
    struct lzr_driver *keep;
    const char *const *renew;
    size_t nrenew;
    /* NULL, or a catalog whose loaded stores must load again: one that fails now fails the opening,
     * which else it does only where no store loads. Borrowed for open. */
    const struct lzr_catalog *before;
    const atomic_bool *cancel; /* NULL, or opening is given up soon after it became true */
};

#define LZR_DRIVER_DEFAULTS                                                                        \
    (struct lzr_driver_options)                                                                    \
    {                                                                                              \
        .cache_bytes = UINT64_C(1) << 30, .start_timeout_us = UINT64_C(300) * 1000000,             \
        .read_timeout_us = UINT64_C(60) * 1000000                                                  \
    }

/* What became of a request for a chunk. */
struct lzr_result {
    enum lzr_code code;    /* LZR_OK: blob is set. E_USER: the function failed; E_WORKER: it killed
                            * its worker twice; E_TIMEOUT: killed at its deadline (http tells the
                            * first, 503, from a remembered second, 500, by `again`), or the
                            * request's own deadline passed while work goes on (E_BUSY);
                            * E_BUSY: queue full, or that; E_CANCELLED: driver is closing */
    bool hit;              /* from the cache, nothing was waited for */
    bool remembered;       /* a failure that is answered without trying again */
    bool again;            /* asking again may succeed: Retry-After applies */
    struct lzr_blob *blob; /* one reference, the receiver's; NULL unless LZR_OK */
    struct lzr_digest digest; /* of the blob's bytes; only where the array is not deterministic */
    char *text; /* failure: one line, then (after '\n') the traceback; lzr_free'd by the
                 * receiver; NULL if memory was out */
    uint64_t queue_us, inputs_us, compute_us, encode_us; /* inputs: waiting for them, and putting
                                                          * them together */
};

/* A wish for one chunk; the caller's storage, which must stay until done was called or
 * lzr_driver_cancel returned true. Zero it, set the first four fields. */
struct lzr_request {
    void (*done)(struct lzr_request *req); /* called once, result is filled; never NULL */
    void *ctx;                             /* the caller's */
    uint64_t deadline_us;                  /* lzr_now_us() clock; 0: none. Past it: E_BUSY, and the
                                            * flight is held for 60 s so that the work isn't lost */
    uint64_t client;                       /* who asks: clients take turns (engine/queue.h) */
    struct lzr_result result;
    struct lzr_request *prev, *next; /* the driver's */
    struct lzr_flight *flight;       /* the driver's */
};

enum lzr_got { LZR_GOT_NOW, LZR_GOT_LATER };

/* Starts workers, loads the stores in each, compares their manifests, builds the catalog. A store
 * that fails is logged and left out (its fate in the catalog) as long as another one loads. On
 * failure nothing is left running; err->msg is one line; *traceback (nullable) gets the Python
 * traceback or NULL, to be lzr_free'd. */
enum lzr_code lzr_driver_open(const struct lzr_driver_options *o, struct lzr_driver **out,
                              char **traceback, struct lzr_err *err);
/* Ends the workers. Requests still waiting get E_CANCELLED. */
void lzr_driver_close(struct lzr_driver **d);
/* Makes every waiting request end with E_CANCELLED now, and every later one at once. */
void lzr_driver_drain(struct lzr_driver *d);
/* Another driver takes its place: the cache is emptied and keeps nothing from now on; whoever still
 * waits is answered as before. */
void lzr_driver_retire(struct lzr_driver *d);

const struct lzr_catalog *lzr_driver_catalog(const struct lzr_driver *d);
/* Of the start, or of when the array was made new last: part of ETags. */
uint64_t lzr_driver_salt(const struct lzr_driver *d, const struct lzr_array *a);
/* Whether there is an array of this name, "STORE/PATH". */
bool lzr_driver_has(const struct lzr_driver *d, const char *name);
/* The Python that the stores run in, for people: "Python 3.11.2 of /usr". */
void lzr_driver_python(const struct lzr_driver *d, char *out, size_t n);
/* The i-th store's manifest as its worker reported it (JSON). */
const char *lzr_driver_manifest(const struct lzr_driver *d, size_t i, size_t *len);

/* From the cache or not at all: true, and req->result is filled. Counts a hit or a miss. */
bool lzr_driver_try(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_request *req);
/* Joins or starts the making of a chunk; for one whose lzr_driver_try was false. LZR_GOT_NOW:
 * req->result is filled and done will not be called. LZR_GOT_LATER: done will be, perhaps before
 * this returns. */
enum lzr_got lzr_driver_start(struct lzr_driver *d, const struct lzr_chunk *c,
                              struct lzr_request *req);
/* lzr_driver_try, else lzr_driver_start. */
enum lzr_got lzr_driver_get(struct lzr_driver *d, const struct lzr_chunk *c,
                            struct lzr_request *req);
/* The cached blob (a new reference) or NULL, never starting anything. */
struct lzr_blob *lzr_driver_peek(struct lzr_driver *d, const struct lzr_chunk *c);
/* The failure that is remembered for this chunk now, without starting anything: true, and *out is
 * filled as by lzr_driver_get. */
bool lzr_driver_recall(struct lzr_driver *d, const struct lzr_chunk *c, struct lzr_result *out);
/* Takes a wish back: true if done has not been and will not be called. With hold, the flight is
 * kept for 60 s as if somebody waited. A queued flight that nobody wants is dropped. */
bool lzr_driver_cancel(struct lzr_driver *d, struct lzr_request *req, bool hold);

/* Counters and gauges, for /metrics and tests. X(type, name, help); all uint64_t. */
#define LZR_DRIVER_STATS(X)                                                                        \
    X(counter, cache_hits_total, "chunk requests answered from the cache")                         \
    X(counter, cache_misses_total, "chunk requests that were not in the cache")                    \
    X(counter, joined_total, "requests that joined a flight under way")                            \
    X(counter, flights_total, "flights started")                                                   \
    X(counter, computed_total, "blocks that a function computed, failures included")               \
    X(counter, compute_failures_total, "functions that raised or gave a wrong result")             \
    X(counter, compute_us_total, "microseconds spent in functions")                                \
    X(counter, source_reads_total, "chunks read from arrays and files without a worker")           \
    X(counter, read_timeouts_total, "reads of files written off at --read-timeout")                \
    X(counter, encoded_total, "chunks encoded")                                                    \
    X(counter, encoded_bytes_total, "bytes of encoded chunks")                                     \
    X(counter, encode_us_total, "microseconds spent encoding")                                     \
    X(counter, gathered_total, "blocks whose inputs were put together")                            \
    X(counter, gather_us_total, "microseconds spent putting inputs together")                      \
    X(counter, decoded_hits_total, "chunks of inputs that were there decoded")                     \
    X(counter, decoded_misses_total, "chunks of inputs that were decoded and kept for a while")    \
    X(counter, made_total, "Zarr chunks made without a function: pyramid levels, sources")         \
    X(counter, copied_total, "chunks copied from others, pieces of them included")                 \
    X(counter, copy_decoded_total, "chunks of inputs decoded to copy from them")                   \
    X(counter, make_us_total, "microseconds spent making them")                                    \
    X(counter, transcoded_total, "chunks of N5, BDV and precomputed made from Zarr chunks")        \
    X(counter, transcode_us_total, "microseconds spent transcoding")                               \
    X(counter, retries_total, "blocks tried again after their worker died")                        \
    X(counter, remembered_failures_total, "requests answered with a remembered failure")           \
    X(counter, refused_total, "requests refused because the queue was full")                       \
    X(counter, dropped_total, "queued flights dropped because nobody waited any more")             \
    X(counter, dropped_running_total, "blocks dropped while they ran, as nobody waited any more")  \
    X(counter, worker_starts_total, "workers started")                                             \
    X(counter, worker_deaths_total, "workers that died unasked")                                   \
    X(counter, worker_kills_total, "workers killed at a deadline")                                 \
    X(counter, interrupted_total, "functions interrupted because nobody waited any more")          \
    X(counter, cancelled_total, "functions that ended because of that")                            \
    X(counter, abandoned_kills_total, "workers killed because a function went on all the same")    \
    X(counter, memory_kills_total, "workers killed because they used too much memory")             \
    X(counter, worker_recycles_total, "workers replaced: jobs, age, memory, kept blocks")          \
    X(counter, worker_switches_total, "workers started to serve another folder's stores")          \
    X(counter, cache_evictions_total, "chunks evicted")                                            \
    X(counter, cache_inserts_total, "chunks put into the cache")                                   \
    X(gauge, cache_entries, "chunks in the cache")                                                 \
    X(gauge, cache_bytes, "bytes of the cache, bookkeeping included")                              \
    X(gauge, decoded_bytes, "bytes of decoded chunks of inputs, bookkeeping included")             \
    X(gauge, budget_bytes, "bytes charged to the budget")                                          \
    X(gauge, budget_limit_bytes, "the budget")                                                     \
    X(gauge, source_bytes, "bytes of sources in memory, beside the budget")                        \
    X(gauge, unsent_bytes, "bytes of answers that clients have yet to read")                       \
    X(gauge, queued, "flights that wait for a worker")                                             \
    X(gauge, gathering, "flights that wait for other chunks")                                      \
    X(gauge, running, "flights that a worker runs")                                                \
    X(gauge, waiting, "requests that wait for a flight")                                           \
    X(gauge, workers, "workers that are ready")                                                    \
    X(gauge, slots_pinned, "slots that user code still refers to")                                 \
    X(gauge, reads_stalled, "reads of files that take long")                                       \
    X(gauge, threads_left, "threads that hang in a file system and were left behind")

struct lzr_stats {
#define LZR_STAT_FIELD(type, name, help) uint64_t name;
    LZR_DRIVER_STATS(LZR_STAT_FIELD)
#undef LZR_STAT_FIELD
};

/* How long an array's blocks take that come out well; a worker's first one, which is often the one
 * that loads a model or compiles, by itself. */
struct lzr_pace {
    uint64_t firsts, laters;
    uint64_t first_us, later_us; /* their times, summed up */
};

struct lzr_array_stats {
    uint64_t computed, compute_us; /* blocks that a function was run for */
    uint64_t failed;        /* chunks that couldn't be made, whatever of theirs or of what they
                             * are made of failed; one whose failure is remembered counts once */
    uint64_t inputs_us;     /* waiting for a block's inputs, and putting them together */
    uint64_t read, read_us; /* chunks that the server read itself */
    uint64_t encoded, encoded_bytes, hits, misses;
    struct lzr_pace pace;
    uint64_t stalled_us;       /* when it was last seen to stall (stalled.h) */
    uint64_t stalled_until_us; /* a single worker leaves it alone until then ... */
    unsigned stalled_turns;    /* ... and has been taken from it so often */
};

/* A chunk that failed lately. */
#define LZR_TROUBLES 128
#define LZR_TROUBLE_TEXT 4096
struct lzr_trouble {
    uint32_t array, level; /* the array's id */
    uint64_t index;        /* in the level's grid */
    enum lzr_code code;
    uint32_t times;
    uint64_t last_us; /* lzr_now_us() clock */
    char text[LZR_TROUBLE_TEXT]; /* the reason's line, '\n' and a traceback if there is one; cut */
};

struct lzr_worker_info {
    int pid;
    const char *state; /* "starting", "ready", "busy", "backing off" */
    uint64_t jobs;
    uint32_t deaths;
    const char *folder; /* whose stores it has, "" for data files; the driver's */
    char error[1024]; /* why it last failed to start: line '\n' traceback, cut; "" if it didn't */
};

/* What its blobs are charged to; lives as long as the driver. For blobs of a front's own. */
struct lzr_budget *lzr_driver_budget(struct lzr_driver *d);
/* Whether some workers can't be replaced, as the code that they run has changed or no longer loads:
 * why, in one line. */
bool lzr_driver_stale(struct lzr_driver *d, char *out, size_t n);
void lzr_driver_stats(struct lzr_driver *d, struct lzr_stats *out);
void lzr_driver_array_stats(struct lzr_driver *d, uint32_t array_id, struct lzr_array_stats *out);
/* The last failures of each array (LZR_TROUBLES in all), in no order; returns how many. Takes no
 * lock that a chunk which doesn't fail needs. */
uint32_t lzr_driver_troubles(struct lzr_driver *d, struct lzr_trouble out[LZR_TROUBLES]);
/* Whether a worker can compute: at least one has loaded the stores. Any thread. */
bool lzr_driver_ready(struct lzr_driver *d);
/* Fills up to n; returns how many there are. */
size_t lzr_driver_workers(struct lzr_driver *d, struct lzr_worker_info *out, size_t n);

#endif
