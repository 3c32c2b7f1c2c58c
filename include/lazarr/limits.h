/* limits.h: every bound of lazarr that a user or a peer can run into, in one place.
 *
 * A limit that stands here is checked where data enters (manifest, request target, worker
 * message); code behind that check may rely on it. */
#ifndef LAZARR_LIMITS_H
#define LAZARR_LIMITS_H

#define LZR_MAX_LISTED 100000                    /* names of chunks in one folder that are listed */
#define LZR_MAX_RANK 8                            /* axes of an array */
#define LZR_MAX_ITEMSIZE 16                       /* bytes of one element (complex128) */
#define LZR_MAX_ELEMENTS (UINT64_C(1) << 62)      /* elements of an array */
#define LZR_MAX_CHUNK_BYTES (UINT64_C(256) << 20) /* raw bytes of one chunk */
#define LZR_MAX_STORES 256                        /* stores of one server */
#define LZR_MAX_ARRAYS 65536                      /* arrays of one server */
#define LZR_MAX_LEVELS 32                         /* resolution levels of an image */
#define LZR_MAX_INPUTS 256                        /* inputs of an array */
#define LZR_MAX_BLOCK_BYTES (UINT64_C(2) << 30)   /* raw bytes of one block and of its inputs */
#define LZR_MAX_NEEDS 65536                       /* chunks that one block is made of */
#define LZR_COSTLY_BLOCKS 512                     /* of one coarsest chunk: more is said at start */
#define LZR_MAX_PATH 1024                         /* bytes of an array's path in its store */
#define LZR_MAX_NAME 200                          /* bytes of one path segment */
#define LZR_MAX_KEY 2048                          /* bytes of a key: face, store, path, chunk */
#define LZR_MAX_MANIFEST (UINT64_C(64) << 20)     /* bytes of one store's manifest */
#define LZR_MAX_CONFIG (UINT64_C(16) << 20)       /* bytes of the stores' names, paths and --op */
#define LZR_MAX_DOCUMENTS (UINT64_C(512) << 20)   /* bytes of all metadata documents of a server */
#define LZR_MAX_JSON_DEPTH 64                     /* nesting of JSON we accept */
#define LZR_MAX_WORKERS 256
#define LZR_MAX_WAITING 10000 /* flights that wait for a worker */
#define LZR_MAX_MESSAGE 32768 /* bytes of one worker message */

#endif
