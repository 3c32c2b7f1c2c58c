/* troubles.h: the last failures of the arrays as JSON. The first line of a reason is for all who
 * may ask for the chunk; the traceback, which shows code and paths, for this machine only. */
#ifndef LZR_HTTP_TROUBLES_H
#define LZR_HTTP_TROUBLES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/json_writer.h"

struct lzr_array;
struct lzr_driver;
struct lzr_buf;

struct lzr_trouble_list {
    struct lzr_trouble *all; /* of each array the latest first; NULL: there is none */
    uint32_t n;
    uint64_t now_us;
};

/* A snapshot; no memory for it: none. */
void lzr_trouble_list_take(struct lzr_trouble_list *l, struct lzr_driver *d);
void lzr_trouble_list_free(struct lzr_trouble_list *l);
/* The value of "failures" for one array: a list. */
void lzr_trouble_list_write(struct lzr_json *j, const struct lzr_trouble_list *l,
                            const struct lzr_array *a, bool tracebacks);
/* "zarr3/brain.zarr/t1/0/c/1/2": a chunk's key in the Zarr v3 face. */
void lzr_trouble_key(struct lzr_buf *b, const struct lzr_array *a, unsigned level, uint64_t index);

#endif
