/* target.h: the raw request target to a key. Pure, any thread; fuzzed.
 *
 * libmicrohttpd's own decoding cuts at %00, so the raw target is decoded here with explicit
 * lengths. Slashes in a row count as one: many readers join a URL that ends in one with "/key".
 * Whatever else isn't the one canonical spelling of a key is no key: ".", "..", a backslash or a
 * control byte give NOTHING (404), broken percent-encoding gives BAD (400). */
#ifndef LZR_HTTP_TARGET_H
#define LZR_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "lazarr/limits.h"

enum lzr_target_kind { LZR_TARGET_KEY, LZR_TARGET_NOTHING, LZR_TARGET_BAD };

struct lzr_target {
    enum lzr_target_kind kind;
    char key[LZR_MAX_KEY +
             1]; /* decoded, without the leading slash, with a trailing one if it came */
    size_t len;
    bool slash;        /* the key ends with '/', or is empty */
    const char *query; /* in the raw target, behind the '?'; NULL if there is none */
};

/* Bytes of "http://host:port" before the path, 0 if it begins with the path: whoever takes us for a
 * proxy asks so, and RFC 9112 (3.2.2) wants it understood. */
size_t lzr_target_authority(const char *raw, size_t n);
/* Bytes of the authority and of all but the last of the slashes that the path begins with. */
size_t lzr_target_path(const char *raw, size_t n);
/* Bytes of the folder ("/data", no slash at its end) that a proxy has us in and that it left in
 * this path, or 0. A path that it did take it from may begin with the same name, so it counts only
 * if what lies behind it is one of ours: "/zarr3/zarr3/…" of a proxy that has us at "/zarr3".
 * Slashes in a row are one. */
size_t lzr_target_folder(const char *path, size_t n, const char *folder, size_t nfolder);
/* Whether every byte, the query's too, may stand in a target at all. */
bool lzr_target_is_clean(const char *raw, size_t n);
void lzr_target_parse(const char *raw, size_t n, struct lzr_target *out);
/* The decoded value of the query's first parameter of this name, of less than n bytes, into out. 1:
 * it is there; 0: it isn't; -1: it makes no sense, or is too long. */
int lzr_query_value(const char *query, const char *name, char *out, size_t n);
/* Whether the query holds this name as a parameter (with or without a value). */
bool lzr_query_has(const char *query, const char *name);
/* The number that the query gives to this name, "name=12"; otherwise where it gives none. */
size_t lzr_query_number(const char *query, const char *name, size_t otherwise);

#endif
