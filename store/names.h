/* names.h: the names that an array's chunks have in a format, level by level, as a folder's listing
 * has them. Nothing is computed for it: a grid says which chunks there are.
 *
 *   struct lzr_names names;                        what a face says of a directory (face.h)
 *   if (lzr_names_at(&names, "c/3", 3, &depth))    the folder is there
 *       for (i = 0; i < lzr_names_count(&names, depth); i++)
 *           n = lzr_names_write(&names, depth, i, text);
 *
 * Counts may be far beyond what anybody wants to list. Pure functions, any thread. */
#ifndef LZR_STORE_NAMES_H
#define LZR_STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/array.h"

enum lzr_names_form {
    LZR_NAMES_FOLDERS, /* "0/4/2": a folder for each axis but the last */
    LZR_NAMES_DOTTED,  /* "0.4.2", all in one folder */
    LZR_NAMES_RANGES,  /* "0-64_64-128_0-20", all in one folder (precomputed) */
};

struct lzr_names {
    enum lzr_names_form form;
    bool letter;                   /* they begin with "c" (Zarr v3) */
    unsigned n;                    /* segments or numbers of a name, in the key's order */
    uint64_t counts[LZR_MAX_RANK]; /* of each; a 0 among them: there are no chunks at all */
    /* Of ranges: */
    uint64_t shape[3], chunk[3];
    int64_t offset[3];
};

/* Bytes of a name at most, its NUL included. */
#define LZR_NAME_TEXT (21 * LZR_MAX_RANK + 1)

/* Whether the folder with this path (behind the array's own, no slash at its end; "" is the array's
 * own) holds chunks or folders of them, and how deep it is. */
bool lzr_names_at(const struct lzr_names *names, const char *path, size_t n, unsigned *depth);
/* How many names a folder of this depth has. */
uint64_t lzr_names_count(const struct lzr_names *names, unsigned depth);
/* Whether they are folders; else they are chunks. */
bool lzr_names_are_folders(const struct lzr_names *names, unsigned depth);
/* Name i into text (LZR_NAME_TEXT bytes); its length. */
size_t lzr_names_write(const struct lzr_names *names, unsigned depth, uint64_t i, char *text);

#endif
