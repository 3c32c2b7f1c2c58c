#include "http/once.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { NAME_BYTES = 256 };

void lzr_once_init(struct lzr_once *o)
{
    *o = (struct lzr_once){.n = 0};
    LZR_ZERO(pthread_mutex_init(&o->mu, NULL));
}

void lzr_once_release(struct lzr_once *o)
{
    for (size_t i = 0; i < o->n; i++) {
        lzr_free(o->names[i]);
    }
    LZR_ZERO(pthread_mutex_destroy(&o->mu));
}

/* With mu. */
static bool is_known(const struct lzr_once *o, const char *name)
{
    for (size_t i = 0; i < o->n; i++) {
        if (strncmp(o->names[i], name, NAME_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

bool lzr_once_due(struct lzr_once *o, const char *name, uint64_t now_us)
{
    bool due = false;
    pthread_mutex_lock(&o->mu);
    if (!is_known(o, name)) {
        char *copy = o->n < LZR_ONCE_NAMES ? lzr_strndup(name, NAME_BYTES) : NULL;
        if (copy != NULL) {
            o->names[o->n++] = copy;
            due = true;
        } else if (o->last_us == 0 || now_us - o->last_us >= LZR_ONCE_US) {
            o->last_us = now_us;
            due = true;
        }
    }
    pthread_mutex_unlock(&o->mu);
    return due;
}
