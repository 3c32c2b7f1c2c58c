/* manifest_fields.h: typed, bounded reading of members of a cJSON object; private to the manifest
 * reader (manifest.c, manifest_array.c).
 *
 * Error texts name the field and what came; whoever calls puts the file and the array before them.
 * Not for any other module: nothing outside these files sees cJSON. */
#ifndef LZR_STORE_MANIFEST_FIELDS_H
#define LZR_STORE_MANIFEST_FIELDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "store/array.h"
#include "store/json_span.h"

/* The member, or NULL where it is absent or null. */
const cJSON *lzr_field(const cJSON *object, const char *name);
/* "a string", "nothing": what came instead. */
const char *lzr_field_kind(const cJSON *v);

/* A whole number >= 0 for an axis: a JSON number up to 2^53 or a string of digits. least (">= 1")
 * is what the text of an error asks for; the bound itself is the caller's to check. */
enum lzr_code lzr_field_u64(const cJSON *v, const char *name, const char *least, unsigned axis,
                            uint64_t *out, struct lzr_err *err);
/* A whole number that isn't an axis', up to 2^53 or a string of digits, maybe with a minus. */
enum lzr_code lzr_field_i64(const cJSON *object, const char *name, int64_t *out,
                            struct lzr_err *err);
/* A finite number. */
enum lzr_code lzr_field_real(const cJSON *v, const char *name, double *out, struct lzr_err *err);
/* A whole number within int. */
enum lzr_code lzr_field_int(const cJSON *v, const char *name, int *out, struct lzr_err *err);
/* Absent leaves *out as it is. */
enum lzr_code lzr_field_bool(const cJSON *object, const char *name, bool *out, struct lzr_err *err);
/* A string that must be there; borrowed from the cJSON tree. */
enum lzr_code lzr_field_string(const cJSON *object, const char *name, const char **out,
                               struct lzr_err *err);
/* 32 hex digits that must be there. */
enum lzr_code lzr_field_digest(const cJSON *object, const char *name, struct lzr_digest *out,
                               struct lzr_err *err);
/* The raw text of a member of the manifest, without blanks, copied to the arena: `fallback`
 * where it is absent or null. Its first character must be `bracket`. */
enum lzr_code lzr_field_raw(struct lzr_arena *arena, struct lzr_span object, const char *name,
                            char bracket, const char *fallback, const char **out,
                            struct lzr_err *err);

/* A list of whole numbers, one per axis; with sets_rank it says how many axes there are. */
enum lzr_code lzr_field_lengths(const cJSON *object, const char *name, const char *least,
                                unsigned *rank, bool sets_rank, uint64_t out[],
                                struct lzr_err *err);

/* An array's codecs (manifest_codecs.c). */
enum lzr_code lzr_manifest_codecs(const cJSON *object, struct lzr_array *a, struct lzr_err *err);
/* Its levels and pyramid (manifest_levels.c); kind and dtype are read. */
enum lzr_code lzr_manifest_levels(struct lzr_arena *arena, const cJSON *object, struct lzr_array *a,
                                  struct lzr_err *err);
/* Where a level lies that the server reads itself, if it is one (manifest_data.c): object is the
 * level's, whose grid is read. */
enum lzr_code lzr_manifest_data(struct lzr_arena *arena, const cJSON *object, struct lzr_array *a,
                                unsigned level, struct lzr_err *err);
/* manifest_labels.c, once all arrays of the store are read: the image of each labels_of, which may
 * come later in the list. Error texts begin with the array. */
enum lzr_code lzr_manifest_labels(const cJSON *arrays, struct lzr_store *s, struct lzr_err *err);
/* manifest_inputs.c, once all arrays of the store are read: their inputs, which may come later in
 * the list, without cycles; what that means for digests. Error texts begin with the array. */
enum lzr_code lzr_manifest_inputs(struct lzr_arena *arena, const cJSON *arrays, struct lzr_store *s,
                                  struct lzr_err *err);

/* manifest_array.c: one element of "arrays" whose path is read and checked already. raw is its text
 * in the manifest. Fills everything but store, id, local_id, labels_of and inputs. */
enum lzr_code lzr_manifest_array(struct lzr_arena *arena, const cJSON *object, struct lzr_span raw,
                                 struct lzr_array *a, struct lzr_err *err);

#endif
