/* source.h: arrays that the server reads itself: NumPy arrays that the loader handed over, and the
 * files under its memory maps (store/array.h: lzr_level.data); inside of the engine.
 *
 * Such a chunk is made by a codec thread (lzr_recipe_read), which reads its box (store/strided.h)
 * and encodes it. No worker and no Python take part, and no HTTP thread reads.
 *
 * Files are read with pread and never mapped, so one that is cut short is an error of its chunks
 * and never a signal. It is opened for each chunk, and compared with what it was when its array was
 * described, before and after (files.h): a file that was changed, replaced or removed makes its
 * chunks an error, so that old and new bytes are never mixed.
 *
 * Arrays in memory lie in one sealed memfd a folder, mapped here; they come on top of the budget.
 */
#ifndef LZR_ENGINE_SOURCE_H
#define LZR_ENGINE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lzr_array;
struct lzr_driver;
struct lzr_packet;

/* What a folder's loader handed over. */
struct lzr_handover {
    int facts_fd; /* memfd for the workers; -1 until the loader's FACTS came */
    uint64_t facts_bytes;
    const unsigned char *data; /* arrays in memory, read only; NULL without */
    uint64_t bytes;
    int data_fd; /* of the same; -1 without */
};

void lzr_handover_init(struct lzr_handover *h);
void lzr_handover_release(struct lzr_handover *h);
/* A DATA or FACTS message: takes its descriptor, or, where it makes no sense, says why. With mu. */
enum lzr_code lzr_handover_take(struct lzr_handover *h, struct lzr_packet *p, struct lzr_err *err);
/* Reads a box of a level that has data: from voxel start[i] on, extent[i] of them, each step[i] (1,
 * -1 or 0) from the one before. They go to dst with these strides in bytes, in the byte
 * order that they are stored in. Blocks on the disk; any thread, without mu. */
enum lzr_code lzr_source_read(const struct lzr_driver *d, const struct lzr_array *a, uint32_t level,
                              const uint64_t start[], const int step[], const uint64_t extent[],
                              const int64_t to_strides[], unsigned char *dst, struct lzr_err *err);
/* The same of a dense box, in C order and in the array's byte order. */
enum lzr_code lzr_source_read_box(const struct lzr_driver *d, const struct lzr_array *a,
                                  uint32_t level, const uint64_t start[], const uint64_t extent[],
                                  unsigned char *block, struct lzr_err *err);
/* Whether all sources of the catalog that lie in memory were handed over. */
enum lzr_code lzr_handover_check(const struct lzr_driver *d, struct lzr_err *err);

#endif
