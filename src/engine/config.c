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

enum lzr_code lzr_config_make(struct lzr_driver *d, struct lzr_err *err)
{
    struct lzr_buf *b = &d->config;
    uint64_t bytes = 0;
    lzr_buf_init(b, LZR_MAX_CONFIG);
    for (size_t i = 0; i < d->nstores; i++) {
        const char *told = d->stores[i].told != NULL ? d->stores[i].told : d->stores[i].path;
        add(b, d->stores[i].name, &bytes);
        add(b, told, &bytes);
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
                           d->nstores, (unsigned long long)(LZR_MAX_CONFIG >> 20));
    }
    return !lzr_buf_failed(b) ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
}

enum lzr_code lzr_config_send(const struct lzr_driver *d, struct lzr_channel *c, uint32_t flags,
                              uint64_t at, bool *last, struct lzr_err *err)
{
    struct lzr_msg m = {.type = LZR_MSG_CONFIG, .flags = flags, .total = d->config.len};
    if (at >= d->config.len) {
        return lzr_err_set(err, LZR_E_INVAL, "it asked for stores that there aren't");
    }
    size_t n = d->config.len - (size_t)at;
    *last = n <= PART;
    return lzr_channel_send(c, &m, d->config.data + at, (uint32_t)(*last ? n : PART), -1, err);
}
