/* path.h: which names a store may use, and the order of paths.
 *
 * A path is segments joined by '/', "" being the root. Pure functions, any thread. */
#ifndef LZR_STORE_PATH_H
#define LZR_STORE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The rules of an array's or a group's path (not ""): characters, lengths, and the names that a
 * format uses for itself. */
enum lzr_code lzr_path_check(const char *path, struct lzr_err *err);

/* A store's name is one segment of a URL: the characters and the length, without the reserved names
 * (the face adds its ending). */
enum lzr_code lzr_path_check_store(const char *name, struct lzr_err *err);

/* Orders by segments: '/' before every other character, so that what is inside a path follows it
 * immediately. For qsort through a wrapper. */
int lzr_path_compare(const char *a, const char *b);

/* Whether inner is at or below outer ("a" holds "a" and "a/b", not "ab"); "" holds all. */
bool lzr_path_holds(const char *outer, const char *inner);

#endif
