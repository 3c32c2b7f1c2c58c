/* starter.h: the thread that starts workers' processes; inside of the engine.
 *
 * Starting a program may take for ever where its file system doesn't answer (posix_spawn waits for
 * exec). So it is a thread's of its own: the supervisor asks it, and goes on. A worker dies with
 * the thread that started it, which therefore lives until the last one is gone. */
#ifndef LZR_ENGINE_STARTER_H
#define LZR_ENGINE_STARTER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "engine/orphans.h"
#include "engine/process.h"

struct lzr_channel;
struct lzr_driver;
struct lzr_worker;

enum lzr_birth_state {
    LZR_BIRTH_NONE,
    LZR_BIRTH_ASKED, /* the thread will do it */
    LZR_BIRTH_AT,    /* ... is doing it */
    LZR_BIRTH_DONE   /* the supervisor takes it over (worker.c) */
};

/* A process that is being started. Guarded by the driver's mutex; while it is AT, the descriptors
 * are the thread's. */
struct lzr_birth {
    enum lzr_birth_state state;
    struct lzr_channel *channel; /* our end of its socket */
    int output_fd;               /* our end of its output */
    int socket_fd, write_fd;     /* its own ends */
    uint64_t asked_us;
    bool late; /* that it takes so long was said */
    char mark[LZR_ORPHANS_MARK]; /* orphans.h */
    pid_t pid;                   /* -1: it couldn't be started */
    struct lzr_process process;
    struct lzr_err err; /* why not */
};

struct lzr_starter {
    pthread_cond_t work;
    bool runs, ending;
};

/* False: no thread. */
bool lzr_starter_begin(struct lzr_driver *d);
/* Takes over the channel and the descriptors; supervisor. */
void lzr_starter_ask(struct lzr_driver *d, struct lzr_worker *w, const struct lzr_birth *b);
/* What has become of a worker's birth: takes it over, or says that it takes long; supervisor. */
void lzr_starter_check(struct lzr_driver *d, struct lzr_worker *w, uint64_t now);
/* Whether a worker's birth is still waited for although the driver closes. With mu. */
bool lzr_starter_awaited(const struct lzr_worker *w, uint64_t now);
/* Tells the thread to end, when the supervisor has. With mu. Whether it is stuck. */
bool lzr_starter_end(struct lzr_driver *d);
/* What is left of a birth that nobody took over. */
void lzr_birth_release(struct lzr_birth *b);

#endif
