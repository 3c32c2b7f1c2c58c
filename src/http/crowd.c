#include "http/crowd.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

enum { BUCKETS = 4096 };

struct client {
    uint8_t key[16]; /* an IPv4 address as IPv6 maps it, or the upper half of an IPv6 one */
    unsigned n;      /* its connections, > 0 */
    struct client *next;
};

struct lzr_crowd {
    unsigned limit;
    pthread_mutex_t mu;
    /* Guarded by mu. */
    struct client *buckets[BUCKETS];
    size_t addresses;
    uint64_t refused;
};

enum lzr_code lzr_crowd_new(unsigned limit, struct lzr_crowd **out, struct lzr_err *err)
{
    struct lzr_crowd *c = lzr_calloc(1, sizeof *c);
    if (c == NULL) {
        return lzr_err_set(err, LZR_E_NOMEM, "no memory to start");
    }
    c->limit = limit;
    LZR_ZERO(pthread_mutex_init(&c->mu, NULL));
    *out = c;
    return LZR_OK;
}

void lzr_crowd_free(struct lzr_crowd **cp)
{
    struct lzr_crowd *c = *cp;
    *cp = NULL;
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct client *p = c->buckets[i], *next; p != NULL; p = next) {
            next = p->next;
            lzr_free(p);
        }
    }
    LZR_ZERO(pthread_mutex_destroy(&c->mu));
    lzr_free(c);
}

bool lzr_crowd_key(const struct sockaddr *peer, uint8_t key[16])
{
    memset(key, 0, 16);
    if (peer->sa_family == AF_INET) {
        key[10] = key[11] = 0xff;
        memcpy(key + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
        return true;
    }
    if (peer->sa_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        memcpy(key, a, IN6_IS_ADDR_V4MAPPED(a) ? 16 : 8);
        return true;
    }
    return false;
}

/* Where the pointer to this client stands or, at the end of its bucket, would. */
static struct client **find(struct lzr_crowd *c, const uint8_t key[16])
{
    struct client **p = &c->buckets[lzr_hash64(key, 16, 0) % BUCKETS];
    while (*p != NULL && memcmp((*p)->key, key, 16) != 0) {
        p = &(*p)->next;
    }
    return p;
}

bool lzr_crowd_enter(struct lzr_crowd *c, const struct sockaddr *peer)
{
    uint8_t key[16];
    bool may = true;
    if (c->limit == 0 || !lzr_crowd_key(peer, key)) {
        return true;
    }
    pthread_mutex_lock(&c->mu);
    struct client **p = find(c, key);
    if (*p == NULL && (*p = lzr_calloc(1, sizeof **p)) != NULL) {
        memcpy((*p)->key, key, 16);
        c->addresses++;
    }
    if (*p != NULL) {
        may = ++(*p)->n <= c->limit;
        c->refused += !may;
    }
    pthread_mutex_unlock(&c->mu);
    return may;
}

void lzr_crowd_leave(struct lzr_crowd *c, const struct sockaddr *peer)
{
    uint8_t key[16];
    if (c->limit == 0 || !lzr_crowd_key(peer, key)) {
        return;
    }
    pthread_mutex_lock(&c->mu);
    struct client **p = find(c, key);
    struct client *gone = *p; /* NULL when it couldn't be counted */
    if (gone != NULL && --gone->n == 0) {
        *p = gone->next;
        c->addresses--;
        lzr_free(gone);
    }
    pthread_mutex_unlock(&c->mu);
}

uint64_t lzr_crowd_refused(struct lzr_crowd *c)
{
    pthread_mutex_lock(&c->mu);
    uint64_t n = c->refused;
    pthread_mutex_unlock(&c->mu);
    return n;
}

size_t lzr_crowd_addresses(struct lzr_crowd *c)
{
    pthread_mutex_lock(&c->mu);
    size_t n = c->addresses;
    pthread_mutex_unlock(&c->mu);
    return n;
}
