/* folders.h: stores of one folder (root.h) share a process, others never do; inside of the engine.
 *
 * Each worker has the stores of one folder: what they import, their working directory, settings and
 * environment are theirs alone. Data files that are served as they are form a "folder" of their
 * own, whose root is "": they run no code of a user's.
 *
 * While the driver opens, one worker a folder is its loader (protocol.h): as many at once as there
 * are places, the others after them. What a folder's loader says of its stores stands in the places
 * that these have on the command line. With one folder all workers start at once; with several the
 * other places are filled when all have loaded. A folder whose loader ends before it has loaded
 * keeps none of the others from being served: its stores have failed.
 *
 * Later a worker changes its folder as share.h says (turns.h).
 *
 * Guarded by the driver's mutex, but for what stands before the first worker is started. */
#ifndef LZR_ENGINE_FOLDERS_H
#define LZR_ENGINE_FOLDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/code.h"
#include "engine/source.h"

struct lzr_driver;
struct lzr_worker;
struct lzr_array;

#define LZR_NO_FOLDER UINT32_MAX

enum lzr_folder_state {
    LZR_FOLDER_NEW, /* nobody has begun to load it */
    LZR_FOLDER_LOADING,
    LZR_FOLDER_LOADED,
    LZR_FOLDER_FAILED /* none of its stores */
};

struct lzr_folder {
    const char *root; /* borrowed from its first store; "": data files */
    uint32_t *stores; /* their places among all; in CONFIG they stand in this order */
    uint32_t nstores;
    struct lzr_buf config; /* what its workers are told (config.h) */
    enum lzr_folder_state state;
    unsigned loader;              /* the number of the worker that loads it for all */
    struct lzr_handover handover; /* what that gave */
    struct lzr_code_record code;
    /* Of the last worker that changed to another folder: */
    unsigned failed_starts;
    bool refused;
    uint64_t restart_us;
    uint64_t lost_us; /* when no worker was left */
    uint64_t cost_us; /* what a start took last */
};

struct lzr_folders {
    struct lzr_folder *at;
    uint32_t n;
    uint32_t *of, *place; /* by array id: its folder, and its store's place in that; NULL until
                           * there is a catalog */
};

/* Finds out which stores belong together; the driver's stores are there. */
enum lzr_code lzr_folders_make(struct lzr_driver *d, struct lzr_err *err);
/* Once the catalog is there: which folder an array is of. */
enum lzr_code lzr_folders_map(struct lzr_driver *d, struct lzr_err *err);
void lzr_folders_release(struct lzr_folders *f);

/* The folder of a worker that has a process. */
struct lzr_folder *lzr_folder_of(const struct lzr_driver *d, const struct lzr_worker *w);
/* The folder of an array's store. */
const struct lzr_folder *lzr_folder_of_array(const struct lzr_driver *d, const struct lzr_array *a);
/* The folder of this root, of another edition; NULL: it has none that is loaded. */
const struct lzr_folder *lzr_folder_find(const struct lzr_driver *d, const char *root);

/* While the driver opens, for a worker that has no process: which folder it starts with is chosen.
 * False: none for now. */
bool lzr_folders_assign(struct lzr_driver *d, struct lzr_worker *w);
/* While the driver opens: the process of a loader has ended before it had loaded. Where there are
 * other folders, this one has failed for the reason that the worker has (load_error), which it has
 * no more then. */
void lzr_folders_lost(struct lzr_driver *d, struct lzr_worker *w);
/* Its loader has loaded it. Whether there are folders that nobody loads yet. */
bool lzr_folders_loaded(struct lzr_driver *d, struct lzr_worker *w);
/* Every folder has loaded, or failed; *any: one of them has loaded. */
bool lzr_folders_settled(const struct lzr_driver *d, bool *any);
/* The worker, which has no process, is for this folder from now on. */
void lzr_folder_enter(struct lzr_driver *d, struct lzr_worker *w, uint32_t folder);

#endif
