/* once.h: log lines about names that clients choose: each name once, and not too many in all.
 *
 * The first LZR_ONCE_NAMES names get a line each; of later ones, one every LZR_ONCE_US. Any thread.
 */
#ifndef LZR_HTTP_ONCE_H
#define LZR_HTTP_ONCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LZR_ONCE_NAMES 64
#define LZR_ONCE_US (UINT64_C(10) * 1000000)

struct lzr_once {
    pthread_mutex_t mu;
    /* Guarded by mu. */
    char *names[LZR_ONCE_NAMES];
    size_t n;
    uint64_t last_us; /* of a line about a name beyond them */
};

void lzr_once_init(struct lzr_once *o);
void lzr_once_release(struct lzr_once *o);
/* Whether a line about this name is due; of long names the first 256 bytes count. */
bool lzr_once_due(struct lzr_once *o, const char *name, uint64_t now_us);

#endif
