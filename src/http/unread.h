/* unread.h: what clients hold that don't read their answers, and which of them go. Pure, any
 * thread.
 *
 * An answer's bytes stay in memory until the client has read them. One that doesn't isn't late
 * before --send-timeout, and until then others would want for what it holds. So of each budget one
 * address may hold half, and all together three quarters; beyond that the connections end that
 * have held theirs longest. Who reads is not concerned: only what has been held for
 * LZR_UNREAD_US counts. */
#ifndef LZR_HTTP_UNREAD_H
#define LZR_HTTP_UNREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LZR_UNREAD_US (UINT64_C(5) * 1000000)
/* Less than this, of one budget, is nobody's too much. */
#define LZR_UNREAD_LEAST (UINT64_C(8) << 20)

/* One connection's answer. */
struct lzr_unread {
    uint8_t who[16];        /* lzr_crowd_key */
    const void *pool;       /* the budget that the bytes are charged to; never looked into */
    const void *blob;       /* what holds the bytes, likewise: several answers may have the same */
    uint64_t bytes, limit;  /* of the blob, of the budget */
    uint64_t since_us;      /* when it was answered */
    uint64_t line;          /* the caller's number of the connection */
    size_t address, mine, whole; /* scratch */
    bool end;                    /* out: the connection is to end */
};

/* Marks which connections end, and how many; sorts them. 0 also when memory is out: the next look
 * tries again. */
size_t lzr_unread_reckon(struct lzr_unread *u, size_t n);

#endif
