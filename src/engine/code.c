#include "engine/code.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"

enum { NONE = UINT32_MAX };

static uint32_t bucket_of(const char *path)
{
    return (uint32_t)(lzr_hash64(path, strlen(path), 0) % LZR_CODE_BUCKETS);
}

static uint32_t find(const struct lzr_code_record *c, const char *path)
{
    uint32_t i = c->buckets[bucket_of(path)];
    while (i != 0 && strcmp(c->files[i - 1].path, path) != 0) {
        i = c->files[i - 1].next;
    }
    return i - 1; /* NONE for 0 */
}

/* A new file's place; NONE: no memory. */
static uint32_t add(struct lzr_code_record *c, const char *path, const char *digest)
{
    if (c->n == c->room) {
        uint32_t room = c->room > 0 ? 2 * c->room : 64;
        struct lzr_code_file *more = lzr_realloc(c->files, room * sizeof *more);
        if (more == NULL) {
            return NONE;
        }
        c->files = more;
        c->room = room;
    }
    struct lzr_code_file f = {.path = lzr_strdup(path), .digest = lzr_strdup(digest)};
    if (f.path == NULL || f.digest == NULL) {
        lzr_free(f.path);
        lzr_free(f.digest);
        return NONE;
    }
    uint32_t *head = &c->buckets[bucket_of(path)];
    f.next = *head;
    c->files[c->n] = f;
    c->bytes += strlen(path) + strlen(digest);
    *head = ++c->n;
    return c->n - 1;
}

void lzr_code_release(struct lzr_code_record *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        lzr_free(c->files[i].path);
        lzr_free(c->files[i].digest);
    }
    lzr_free(c->files);
    *c = (struct lzr_code_record){0};
}

bool lzr_code_copy(struct lzr_code_record *c, const struct lzr_code_record *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        if (add(c, from->files[i].path, from->files[i].digest) == NONE) {
            return false;
        }
    }
    return true;
}

/* Notes that a worker has loaded the file at a place. False: no memory. */
static bool has_loaded(struct lzr_worker *w, uint32_t i)
{
    if (i / 8 >= w->code_room) {
        uint32_t room = (i / 8 + 64) & ~UINT32_C(63);
        unsigned char *more = lzr_realloc(w->code, room);
        if (more == NULL) {
            return false;
        }
        memset(more + w->code_room, 0, room - w->code_room);
        w->code = more;
        w->code_room = room;
    }
    w->code[i / 8] |= (unsigned char)(1u << i % 8);
    return true;
}

static struct lzr_code_record *record_of(struct lzr_driver *d, const struct lzr_worker *w)
{
    return &lzr_folder_of(d, w)->code;
}

static bool lacks(const struct lzr_code_record *c, const struct lzr_worker *w, uint32_t *which)
{
    for (uint32_t i = 0; c->nchanged > 0 && i < c->n; i++) {
        if (c->files[i].changed &&
            (i / 8 >= w->code_room || (w->code[i / 8] >> i % 8 & 1) == 0)) {
            *which = i;
            return true;
        }
    }
    return false;
}

static void say_changed(struct lzr_driver *d, const struct lzr_code_record *c, const char *path,
                        char why[512])
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(why, 512, "%.300s has changed since it was loaded; " LZR_RELOAD_WITH,
                   slash != NULL ? slash + 1 : path);
    if (strcmp(c->why, why) != 0) {
        lzr_log(d->log, LZR_LOG_ERROR, "%s: %s", path, why);
    }
}

void lzr_worker_refuse(struct lzr_driver *d, struct lzr_worker *w, const char *why)
{
    lzr_worker_forget_why(w);
    w->load_error = lzr_strdup(why);
    w->said_why = w->refused = true;
    struct lzr_code_record *c = record_of(d, w);
    (void)snprintf(c->why, sizeof c->why, "%s", why);
    w->killed = LZR_KILLED_CODE;
    lzr_worker_kill(d, w);
    pthread_cond_broadcast(&d->started);
}

void lzr_worker_outdated(struct lzr_driver *d, struct lzr_worker *w, const char *what)
{
    char why[512];
    (void)snprintf(why, sizeof why, LZR_VERSIONS_DIFFER ": %.400s; restart the server", what);
    if (d->opened && strcmp(record_of(d, w)->why, why) != 0) {
        lzr_log(d->log, LZR_LOG_ERROR, "%s", why);
    }
    lzr_worker_refuse(d, w, why);
}

/* A worker has loaded another text of a file than its edition has. f: of its folder's record; NULL:
 * only another folder's workers have loaded that file. */
static void stray(struct lzr_driver *d, struct lzr_worker *w, const char *path,
                  struct lzr_code_file *f)
{
    struct lzr_code_record *c = record_of(d, w);
    char why[512];
    if (w->stray) {
        return;
    }
    w->stray = true;
    say_changed(d, c, path, why);
    if (w->state == LZR_WORKER_STARTING) {
        lzr_worker_refuse(d, w, why);
        return;
    }
    (void)snprintf(c->why, sizeof c->why, "%s", why);
    if (f != NULL) {
        c->nchanged += !f->changed;
        f->changed = true;
    }
    /* It is killed when it answers for what it loaded it for (reply.c); or, if it idles, now: a
     * thread of its own has. */
    if (w->njobs == 0 && w->state == LZR_WORKER_READY) {
        w->killed = LZR_KILLED_CODE;
        lzr_worker_kill(d, w);
    }
}

/* The path and the digest at *i of a CODE's text, and *i behind them. False: it makes no sense. */
static bool next_file(const char *text, size_t n, size_t *i, const char **path, const char **digest)
{
    *path = text + *i;
    *digest = *path + strlen(*path) + 1;
    if (*digest >= text + n || **path != '/' || strlen(*digest) > LZR_CODE_DIGEST) {
        return false;
    }
    *i = (size_t)(*digest - text) + strlen(*digest) + 1;
    return true;
}

/* Notes a file that a worker has loaded. False: no memory. */
static bool note(struct lzr_driver *d, struct lzr_worker *w, const char *path, const char *digest)
{
    struct lzr_code_record *c = record_of(d, w);
    uint32_t at = find(c, path);
    if (at == NONE && (c->n == LZR_CODE_FILES || c->bytes > LZR_CODE_BYTES)) {
        if (!c->full) {
            lzr_log(d->log, LZR_LOG_WARN,
                    "more than %u files of local code: changes of further ones are not noticed",
                    c->n);
        }
        c->full = true;
        return true;
    }
    at = at == NONE ? add(c, path, digest) : at;
    return at != NONE && has_loaded(w, at);
}

static bool take(struct lzr_driver *d, struct lzr_worker *w, const char *text, size_t n)
{
    const char *path, *digest;
    if (n == 0 || text[n - 1] != '\0') {
        return false;
    }
    for (size_t i = 0; i < n;) {
        if (!next_file(text, n, &i, &path, &digest)) {
            return false;
        }
        for (uint32_t k = 0; k < d->folders.n; k++) {
            struct lzr_code_record *c = &d->folders.at[k].code;
            uint32_t at = find(c, path);
            if (at != NONE && strcmp(c->files[at].digest, digest) != 0) {
                stray(d, w, path, k == w->folder ? &c->files[at] : NULL);
            }
        }
    }
    for (size_t i = 0; i < n && !w->stray;) {
        if (!next_file(text, n, &i, &path, &digest) || !note(d, w, path, digest)) {
            return false;
        }
    }
    return true;
}

bool lzr_code_take(struct lzr_driver *d, struct lzr_worker *w, const char *text, size_t n)
{
    bool ok = take(d, w, text, n);
    w->stray = w->stray || !ok; /* a worker of which that isn't known isn't used */
    return ok;
}

bool lzr_code_accept(struct lzr_driver *d, struct lzr_worker *w)
{
    uint32_t i;
    char why[512];
    const struct lzr_code_record *c = record_of(d, w);
    if (!w->stray && lacks(c, w, &i)) {
        say_changed(d, c, c->files[i].path, why);
        lzr_worker_refuse(d, w, why);
        return false;
    }
    w->refused = w->refused && w->stray;
    return !w->stray;
}

const char *lzr_code_hopeless(const struct lzr_driver *d, uint32_t folder)
{
    const struct lzr_folder *f = &d->folders.at[folder];
    bool hope = f->code.why[0] == '\0' || !d->opened, any = false;
    for (unsigned i = 0; i < d->nworkers && !hope; i++) {
        const struct lzr_worker *w = &d->workers[i];
        if (w->folder != folder || w->to != LZR_NO_FOLDER) {
            continue;
        }
        any = true;
        hope = (!w->refused && w->failed_starts < LZR_CODE_STARTS) ||
               w->state == LZR_WORKER_READY || (w->state == LZR_WORKER_ENDING && w->loaded);
    }
    /* Where no worker has it, the last one that had tells. */
    hope = hope || (!any && !f->refused && f->failed_starts < LZR_CODE_STARTS);
    return hope ? NULL : f->code.why;
}

const char *lzr_code_stale(const struct lzr_driver *d)
{
    for (uint32_t i = 0; i < d->folders.n; i++) {
        const struct lzr_folder *f = &d->folders.at[i];
        bool stale = f->code.nchanged > 0 || f->refused || lzr_code_hopeless(d, i) != NULL;
        for (unsigned k = 0; k < d->nworkers && !stale; k++) {
            stale = d->workers[k].folder == i && d->workers[k].refused;
        }
        if (stale) {
            return f->code.why;
        }
    }
    return NULL;
}

/* Whether a flight waits for a worker of a folder. */
static bool in_vain(const struct lzr_flight *f, uint32_t folder)
{
    return f->folder == folder && f->state == LZR_QUEUED && f->recipe->worker && !f->ending;
}

/* Fails what waits for a worker of a folder. */
static void fail_in_vain(struct lzr_driver *d, uint32_t folder, const char *why,
                         struct lzr_request **list)
{
    for (uint32_t b = 0; b < d->flights.nbuckets; b++) {
        for (struct lzr_flight *f = d->flights.buckets[b]; f != NULL;) {
            if (!in_vain(f, folder)) {
                f = f->hash_next;
                continue;
            }
            f->why = (struct lzr_why){
                .code = LZR_E_BUSY, .again = true, .cause = f->array, .text = lzr_strdup(why)};
            lzr_needs_fail(d, f, list);
            f = d->flights.buckets[b]; /* others may have gone with it */
        }
    }
}

void lzr_code_check(struct lzr_driver *d, struct lzr_request **list)
{
    uint32_t which;
    for (unsigned i = 0; i < d->nworkers; i++) {
        struct lzr_worker *w = &d->workers[i];
        if (w->state == LZR_WORKER_READY && w->retire == NULL && !w->stray &&
            lacks(record_of(d, w), w, &which)) {
            w->retire = "code that it hasn't loaded yet has changed";
        }
    }
    for (uint32_t i = 0; i < d->folders.n; i++) {
        const char *why = d->folders.at[i].code.why[0] != '\0' ? lzr_code_hopeless(d, i) : NULL;
        if (why != NULL) {
            fail_in_vain(d, i, why, list);
        }
    }
}
