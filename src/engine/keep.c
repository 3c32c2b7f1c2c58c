#include "engine/keep.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/engine.h"

uint32_t lzr_keep_find(const struct lzr_catalog *c, const char *name)
{
    for (size_t i = 0; i < lzr_catalog_narrays(c); i++) {
        const struct lzr_array *a = lzr_catalog_array(c, i);
        size_t n = strlen(a->store->name);
        if (strncmp(name, a->store->name, n) == 0 && name[n] == '/' &&
            strcmp(name + n + 1, a->path) == 0) {
            return (uint32_t)i + 1;
        }
    }
    return 0;
}

enum lzr_code lzr_keep_begin(struct lzr_driver *d, struct lzr_err *err)
{
    struct lzr_driver *old = d->kept.old;
    if (old == NULL) {
        return LZR_OK;
    }
    for (size_t i = 0; i < d->kept.nrenew; i++) {
        if (lzr_keep_find(old->catalog, d->kept.renew[i]) == 0) {
            return lzr_err_set(err, LZR_E_NOTFOUND, "there is no array \"%.300s\"",
                               d->kept.renew[i]);
        }
    }
    pthread_mutex_lock(&old->mu);
    bool ok = true;
    for (uint32_t i = 0; ok && i < d->folders.n; i++) {
        const struct lzr_folder *f = lzr_folder_find(old, d->folders.at[i].root);
        ok = f == NULL || lzr_code_copy(&d->folders.at[i].code, &f->code);
    }
    pthread_mutex_unlock(&old->mu);
    return ok ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory to keep what is loaded");
}

/* What is made new, in as many messages as that needs; at least one. */
static enum lzr_code tell_renewed(const struct lzr_driver *d, struct lzr_channel *c, bool data,
                                  struct lzr_err *err)
{
    enum lzr_code code = LZR_OK;
    struct lzr_buf b;
    lzr_buf_init(&b, LZR_MAX_MESSAGE - sizeof(struct lzr_msg));
    for (size_t i = 0, n = d->kept.nrenew; code == LZR_OK; i++) {
        const char *name = i < n ? d->kept.renew[i] : "";
        size_t len = strlen(name) + 1;
        if (i == n || b.len + len >= LZR_MAX_MESSAGE - sizeof(struct lzr_msg)) {
            const uint32_t more = i < n ? LZR_RENEW_MORE : 0;
            struct lzr_msg m = {.type = LZR_MSG_RENEW,
                                .flags = (data ? LZR_RENEW_DATA : 0) | more};
            code = lzr_buf_failed(&b)
                       ? lzr_err_set(err, LZR_E_NOMEM, "no memory to say what is made new")
                       : lzr_channel_send(c, &m, b.data, (uint32_t)b.len, -1, err);
            lzr_buf_clear(&b);
        }
        if (i == n) {
            break;
        }
        lzr_buf_add(&b, name, len);
    }
    lzr_buf_release(&b);
    return code;
}

enum lzr_code lzr_keep_tell(struct lzr_driver *d, const struct lzr_handover *h,
                            struct lzr_channel *c, struct lzr_err *err)
{
    struct lzr_msg facts = {.type = LZR_MSG_FACTS, .bytes = h->facts_bytes};
    struct lzr_msg data = {.type = LZR_MSG_DATA, .bytes = h->bytes};
    enum lzr_code code = tell_renewed(d, c, h->data_fd >= 0, err);
    if (code == LZR_OK) {
        code = lzr_channel_send(c, &facts, NULL, 0, h->facts_fd, err);
    }
    if (code == LZR_OK && h->data_fd >= 0) {
        code = lzr_channel_send(c, &data, NULL, 0, h->data_fd, err);
    }
    return code;
}

/* The old array that a new one may be, by its name; NULL: there was none. Mostly it has the same
 * place. */
static const struct lzr_array *old_of(const struct lzr_catalog *old, const struct lzr_array *a)
{
    const struct lzr_array *b =
        a->id < lzr_catalog_narrays(old) ? lzr_catalog_array(old, a->id) : NULL;
    if (b != NULL && strcmp(a->path, b->path) == 0 && strcmp(a->store->name, b->store->name) == 0) {
        return b;
    }
    char name[LZR_MAX_NAME + LZR_MAX_PATH + 2];
    (void)snprintf(name, sizeof name, "%s/%s", a->store->name, a->path);
    uint32_t at = lzr_keep_find(old, name);
    return at > 0 ? lzr_catalog_array(old, at - 1) : NULL;
}

/* Marks what is made new, and all that is made of it: until nothing more is, as a graph of inputs
 * is as deep as it likes. */
static void mark_new(const struct lzr_driver *d, unsigned char *new)
{
    size_t n = lzr_catalog_narrays(d->catalog);
    for (size_t i = 0; i < d->kept.nrenew; i++) {
        uint32_t at = lzr_keep_find(d->catalog, d->kept.renew[i]);
        if (at > 0) {
            new[at - 1] = 1;
        }
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < n; i++) {
            const struct lzr_array *a = lzr_catalog_array(d->catalog, i);
            for (unsigned k = 0; k < a->ninputs && !new[i]; k++) {
                new[i] = new[a->inputs[k].array->id];
                more = more || new[i];
            }
        }
    }
}

enum lzr_code lzr_keep_map(struct lzr_driver *d, struct lzr_err *err)
{
    const struct lzr_driver *old = d->kept.old;
    size_t n = lzr_catalog_narrays(d->catalog), room = n > 0 ? n : 1;
    d->salts = lzr_calloc(room, sizeof *d->salts);
    for (size_t i = 0; d->salts != NULL && i < n; i++) {
        d->salts[i] = d->nonce;
    }
    if (d->salts != NULL && old == NULL) {
        return LZR_OK;
    }
    unsigned char *new = lzr_calloc(room, 1);
    d->kept.from = lzr_calloc(room, sizeof *d->kept.from);
    if (d->salts == NULL || new == NULL || d->kept.from == NULL) {
        lzr_free(new);
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to keep what is loaded");
    }
    mark_new(d, new);
    for (size_t i = 0; i < n; i++) {
        const struct lzr_array *a = lzr_catalog_array(d->catalog, i);
        const struct lzr_array *b = new[i] ? NULL : old_of(old->catalog, a);
        if (b != NULL && a->digest.hi == b->digest.hi && a->digest.lo == b->digest.lo) {
            d->kept.from[i] = b->id + 1;
            d->salts[i] = old->salts[b->id];
        }
    }
    lzr_free(new);
    return LZR_OK;
}

const struct lzr_file *lzr_keep_file(void *ctx, const struct lzr_array *a, uint32_t level)
{
    const struct lzr_driver *d = ctx;
    uint32_t at = d->kept.from != NULL ? d->kept.from[a->id] : 0;
    if (at == 0) {
        return NULL;
    }
    const struct lzr_driver *old = d->kept.old;
    return lzr_files_of(&old->files, lzr_catalog_array(old->catalog, at - 1), level);
}

/* By the old array's id: the new one's + 1. */
struct moving {
    const uint32_t *to;
    size_t n;
};

static bool moves(void *ctx, struct lzr_cache_key *k)
{
    const struct moving *m = ctx;
    uint32_t to = k->array < m->n ? m->to[k->array] : 0;
    k->array = to - 1;
    return to > 0;
}

void lzr_keep_chunks(struct lzr_driver *d)
{
    struct lzr_driver *old = d->kept.old;
    if (old != NULL) {
        struct moving m = {.n = lzr_catalog_narrays(old->catalog)};
        uint32_t *to = lzr_calloc(m.n > 0 ? m.n : 1, sizeof *to);
        for (size_t i = 0; to != NULL && i < lzr_catalog_narrays(d->catalog); i++) {
            if (d->kept.from[i] > 0) {
                to[d->kept.from[i] - 1] = (uint32_t)i + 1;
            }
        }
        m.to = to;
        if (to != NULL && d->keep) {
            lzr_cache_move(d->cache, old->cache, moves, &m);
        }
        lzr_free(to);
    }
    lzr_keep_release(&d->kept);
}

void lzr_keep_release(struct lzr_keep *k)
{
    lzr_free(k->from);
    *k = (struct lzr_keep){0};
}
