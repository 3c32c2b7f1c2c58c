#include "engine/config.h"

#include <string.h>

#include "engine/engine.h"

enum { PART = LZR_MAX_MESSAGE - (int)sizeof(struct lzr_msg) };

static void add(struct lzr_buf *b, const char *text, uint64_t *bytes)
{
    size_t n = strlen(text) + 1;
    *bytes += n;
    lzr_buf_add(b, text, n);
}

enum lzr_code lzr_config_make(struct lzr_driver *d, struct lzr_folder *f, struct lzr_err *err)
{
    struct lzr_buf *b = &f->config;
    uint64_t bytes = 0;
    lzr_buf_init(b, LZR_MAX_CONFIG);
    for (uint32_t i = 0; i < f->nstores; i++) {
        const struct lzr_named_store *s = &d->stores[f->stores[i]];
        add(b, s->name, &bytes);
        add(b, s->told != NULL ? s->told : s->path, &bytes);
    }
    for (size_t i = 0; i < d->nops; i++) {
        add(b, "", &bytes);
        add(b, d->ops[i], &bytes);
    }
    if (d->follow) {
        add(b, "", &bytes);
        add(b, "--follow", &bytes);
    }
    if (bytes > LZR_MAX_CONFIG) {
        return lzr_err_set(err, LZR_E_LIMIT,
                           "the paths of the %zu stores, with --op, have more than %llu MiB",
                           (size_t)f->nstores, (unsigned long long)(LZR_MAX_CONFIG >> 20));
    }
    return !lzr_buf_failed(b) ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
}

enum lzr_code lzr_config_send(const struct lzr_folder *f, struct lzr_channel *c, uint32_t flags,
                              uint64_t at, bool *last, struct lzr_err *err)
{
    struct lzr_msg m = {.type = LZR_MSG_CONFIG, .flags = flags, .total = f->config.len};
    if (at >= f->config.len) {
        return lzr_err_set(err, LZR_E_INVAL, "it asked for stores that there aren't");
    }
    size_t n = f->config.len - (size_t)at;
    *last = n <= PART;
    return lzr_channel_send(c, &m, f->config.data + at, (uint32_t)(*last ? n : PART), -1, err);
}
