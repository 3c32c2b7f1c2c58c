/* sheets.h: bodies that are made for an answer: the page, listings, figures, reasons.
 *
 * Each is a blob on a budget of its own within the driver's, so that what slow clients hold of them
 * is bounded: one that would go beyond it isn't made, and who asked is told to come again. Those
 * that are the same for all who ask are kept for a while, and all get the same blob.
 *
 * Any thread; nothing is called with the lock held. */
#ifndef LZR_HTTP_SHEETS_H
#define LZR_HTTP_SHEETS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/hash.h"

/* A quarter of the driver's budget, within these; half of it for what is kept. */
#define LZR_SHEETS_LEAST (UINT64_C(16) << 20)
#define LZR_SHEETS_MOST (UINT64_C(64) << 20)
/* Shorter ones are always made: a connection costs as much anyway. */
#define LZR_SHEET_SHORT (UINT64_C(16) << 10)
#define LZR_SHEETS_KEPT 8

struct lzr_sheet {
    char *name; /* NULL: none is here */
    struct lzr_blob *blob;
    struct lzr_digest digest; /* of the blob's bytes */
    uint64_t used;            /* when, in the order of uses */
};

struct lzr_sheets {
    struct lzr_budget budget; /* its parent is the driver's */
    _Atomic uint64_t refused;
    pthread_mutex_t mu;
    /* Guarded by mu. */
    struct lzr_sheet kept[LZR_SHEETS_KEPT];
    uint64_t uses;
};

/* parent: where all is charged, too; outlives this. */
void lzr_sheets_init(struct lzr_sheets *s, struct lzr_budget *parent);
/* When no sheet is held by anybody any more. */
void lzr_sheets_release(struct lzr_sheets *s);

/* A copy of the bytes; the caller's reference. NULL: no memory, or clients hold too much of it. */
struct lzr_blob *lzr_sheets_make(struct lzr_sheets *s, const void *bytes, size_t len);
/* The one that is kept under this name, and its digest; a new reference, or NULL. */
struct lzr_blob *lzr_sheets_find(struct lzr_sheets *s, const char *name, struct lzr_digest *digest);
/* Makes one, and keeps it under this name if there is room. Of two that are made at once both get
 * the same. As lzr_sheets_make otherwise. */
struct lzr_blob *lzr_sheets_keep(struct lzr_sheets *s, const char *name, const void *bytes,
                                 size_t len, struct lzr_digest *digest);

#endif
