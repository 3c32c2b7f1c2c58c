/* crowd.h: how many connections one address has, so that one client can't have all of them.
 *
 * An IPv4 address is one client, and so are the 2^64 addresses of an IPv6 network: whoever has one
 * of them has all. Every connection that enters leaves again. Any thread; nothing is called with
 * the lock held. */
#ifndef LZR_HTTP_CROWD_H
#define LZR_HTTP_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct lzr_crowd;
struct sockaddr;

/* Whom an address counts for, as 16 bytes; false, and zeros: nobody. Pure. */
bool lzr_crowd_key(const struct sockaddr *peer, uint8_t key[16]);
/* limit: connections of one address; 0: any number. */
enum lzr_code lzr_crowd_new(unsigned limit, struct lzr_crowd **out, struct lzr_err *err);
void lzr_crowd_free(struct lzr_crowd **c); /* a NULL one is fine */
/* One more of this address; false: it has more than it may, and should be closed. What can't be
 * counted (no memory, no such family) may always. */
bool lzr_crowd_enter(struct lzr_crowd *c, const struct sockaddr *peer);
/* For each that entered, whatever it was told. */
void lzr_crowd_leave(struct lzr_crowd *c, const struct sockaddr *peer);
/* Connections that were told to close, and the addresses that have any now. */
uint64_t lzr_crowd_refused(struct lzr_crowd *c);
size_t lzr_crowd_addresses(struct lzr_crowd *c);

#endif
