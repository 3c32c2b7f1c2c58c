/* manifest.h: a store's manifest, JSON in, struct lzr_store out. The only file that knows cJSON.
 *
 * The form (docs/manifest.md is for people, this is the contract with lazarr/_manifest.py):
 *   {"lazarr": 1, "store": "brain", "file": "brain.py", "digest": "<32 hex>",
 *    "groups": [{"path": "a", "attributes": {...}}],
 *    "arrays": [{"path": "t1", "kind": "plain" | "image" | "labels", "source": true,
 *       "dtype": "|u1", "fill_value": null | "0" | ["re", "im"] | true,
 *       "dims": ["z","y","x"] | null, "units": ["millimeter", null, ...] | null,
 *       "levels": [{"shape": [..], "chunks": [..], "scale": [..], "translation": [..],
 *                   "factor": [..],                            (may be absent at level 0)
 *                   "data": null | {"dtype": ">u2", "offset": 0, "strides": [2, ..],
 *                       "file": "/abs/path" | null, "bytes": 10, "mtime_ns": 0, "inode": 0}}],
 *       "pyramid": null | "mean" | "mode" | "max" | "min" | "stride" | "each"; null: one level,
 *       "inputs": [{"array": "path", "levels": [0, ..], "axes": [0, null, ..],
 *                   "fixed": [null, [[3, 4], ..], ..], "drop": [false, true, ..],
 *                   "halo": [[8, 8], [0, 0], ..], "boundary": "constant" | "edge" | "reflect" |
 *                   "symmetric" | "wrap"}] | null,             (struct lzr_input)
 *       "slots": null | 1,
 *       "separator": ".", "compressor": null | {"id": "blosc", "cname": "lz4", "clevel": 5,
 *       "shuffle": "noshuffle" | "shuffle" | "bitshuffle"} | {"id": "zstd"|"gzip", "level": 3},
 *       "n5_compressor": as compressor, or {"id": "lz4"}; absent: gzip 1,
 *       "precomputed_encoding": "raw" | "compressed_segmentation"; absent: that for labels,
 *       "labels_of": "path of an image" | null,
 *       "dataset": true of what xarray reads, a variable of a dataset or an array whose file names
 *       its axes: where it has no fill value it is null in Zarr v2, of every dtype, as xarray masks
 *       what is said there; absent: false,
 *       "text": true of texts: struct lzr_array's; absent: false,
 *       "attributes": {...}, "channels": [...] | null, "timeout": 300.0, "first_timeout": 900.0,
 *       "deterministic": true, "copied": false, "version": null | "text", "digest": "<32 hex>"}]}
 * A store that isn't served beside others that are has no arrays, and "failed": "one line",
 * "traceback": "text"; or "skipped": "one line", as it isn't one (struct lzr_store's fate).
 * Integers above 2^53 are strings of digits; fill values are always strings but for bool and null;
 * attributes and channels are kept as the text they came in, so their numbers stay exact.
 * Unknown members are ignored, so that a newer package may say more. */
#ifndef LZR_STORE_MANIFEST_H
#define LZR_STORE_MANIFEST_H

#include <stddef.h>

#include "base/err.h"
#include "store/array.h"

struct lzr_arena;

/* json: n bytes, hostile as far as this function knows: depth, sizes and types are checked. All
 * that *out points to is allocated in arena. The error text begins with the file's name. */
enum lzr_code lzr_manifest_read(struct lzr_arena *arena, const char *name, const char *file,
                                const char *json, size_t n, struct lzr_store *out,
                                struct lzr_err *err);

#endif
