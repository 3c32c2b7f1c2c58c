/* ring.h: the records of a log between those who put them and the thread that writes them.
 *
 * lzr_ring_put costs a mutex, which is never held across a call out, and a memcpy. A record that
 * doesn't fit is lost and counted; from then on all are, until half of the ring is free: then one
 * line says how many, in their place. The thread makes lines of records (log_line.h), sums up
 * repeats (repeats.h), and writes whole lines together. Where the descriptor takes nothing (a pipe
 * that nobody reads, a full non-blocking one) it waits; where writing fails (no space, no reader)
 * it tries again each LZR_RING_RETRY_US. A line is never dropped but by being counted, or at the
 * end.
 *
 * In a forked child there is no such thread: lzr_ring_put says so and nothing waits for anything.
 */
#ifndef LZR_BASE_RING_H
#define LZR_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LZR_RING_RETRY_US 500000
#define LZR_RING_RECORD 16384 /* bytes of a record's text at most */

enum {
    LZR_RING_RAW = 1,    /* written as it is */
    LZR_RING_CLIENT = 2, /* see struct lzr_log_how */
    LZR_RING_BARE = 4,   /* a line that is made already, but for LZR_RING_TIME in it */
    LZR_RING_LEVEL = 8,  /* times the level, for lines that say it */
};
/* In a bare line: here comes the time of the put. */
#define LZR_RING_TIME '\1'

struct lzr_ring;

/* bytes: of records that wait. fd is borrowed until the end. */
enum lzr_code lzr_ring_new(int fd, size_t bytes, struct lzr_ring **out, struct lzr_err *err);
/* The same to a file, which the thread opens for appending (0640), whoever keeps it waiting; or,
 * with path NULL, to fd. json: lines are objects (log_json.h). Fails where it can't be opened
 * within LZR_RING_OPEN_US. path is borrowed until the end. */
#define LZR_RING_OPEN_US (UINT64_C(10) * 1000000)
enum lzr_code lzr_ring_new_as(const char *path, int fd, bool json, size_t bytes,
                              struct lzr_ring **out, struct lzr_err *err);
/* Opens the file again, which somebody has moved away: lines from then on go to the new one. Where
 * that fails they go on to the old one, and a line says so. False: there is no file. Any thread. */
bool lzr_ring_reopen(struct lzr_ring *r);
/* One record of two parts, at most LZR_RING_RECORD bytes of them; same as in struct lzr_log_how.
 * False: this is a forked child, write it yourself. Any thread. */
bool lzr_ring_put(struct lzr_ring *r, unsigned flags, uint64_t same, const char *head, size_t nhead,
                  const char *text, size_t n);
/* Bytes as they are, of any length, all of them or none. */
bool lzr_ring_put_text(struct lzr_ring *r, const char *text, size_t n);
/* Waits until all that was put is written, at most most_us, and not where no byte was taken for
 * still_us. Any thread. */
void lzr_ring_flush(struct lzr_ring *r, uint64_t still_us, uint64_t most_us);
/* The same, then the thread ends; what is put later is dropped. Again: nothing. One thread. */
void lzr_ring_end(struct lzr_ring *r, uint64_t still_us, uint64_t most_us);
/* NULL is fine. Memory is left where the thread hangs in a call that doesn't come back. */
void lzr_ring_free(struct lzr_ring **r);
/* Bytes that aren't written yet. Of a signal handler, too. */
size_t lzr_ring_left(const struct lzr_ring *r);
uint64_t lzr_ring_lost(const struct lzr_ring *r);

#endif
