/* store_path.h: where a store's file is, and what the store is called after it. No globals; any
 * thread. */
#ifndef LZR_ENGINE_STORE_PATH_H
#define LZR_ENGINE_STORE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* A path from the root, as it was given: links are not followed, "." and doubled slashes go, and
 * ".." goes with the name before it where that is no link. The caller's (lzr_free). NULL and errno:
 * the folder that this process is in can't be found, or there is no memory. */
char *lzr_path_absolute(const char *path);

/* Whether it may be a store's name: A-Z, a-z, 0-9, '.', '_' and '-', no '.' or '~' first, at most
 * LZR_MAX_NAME bytes. */
bool lzr_store_name_ok(const char *s, size_t n);

/* A store's name made of n bytes of a file's: what a name can't hold becomes '_', a character each;
 * one of which no letter or digit would be left is made of its characters' numbers ("u6570u636e").
 * Cut to LZR_MAX_NAME bytes. out has room for LZR_MAX_NAME + 1. */
void lzr_store_name_make(const char *file, size_t n, char *out);

#endif
