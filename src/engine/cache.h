/* cache.h: the bounded cache of encoded chunks.
 *
 * A table from chunk key to blob. Its bytes are the blobs' charges plus LZR_CACHE_ENTRY_BYTES an
 * entry plus the bucket array, all charged to the budget that the blobs are charged to. It keeps
 * the budget by evicting: lzr_cache_make_room drops entries until `used + need <= limit` or nothing
 * is left. What a response or a flight still holds stays charged until they let go.
 *
 * Which entry goes first is the policy's business (struct lzr_cache_policy): LRU now. One mutex; no
 * call out under it; any thread.
 *
 * Bookkeeping: one entry is at most LZR_CACHE_ENTRY_BYTES, malloc's own overhead included. */
#ifndef LZR_ENGINE_CACHE_H
#define LZR_ENGINE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"

/* What one entry is charged beside its blob: the entry and malloc's share of it. The blob's header
 * and the bucket array are charged on their own. */
#define LZR_CACHE_ENTRY_BYTES 80

struct lzr_cache_key {
    uint32_t array;
    uint32_t variant; /* 0 until arrays take parameters (design 5) */
    uint16_t level;
    uint16_t encoding;
    uint32_t zero; /* padding, always 0: the key is hashed and compared as bytes */
    uint64_t index;
};

struct lzr_chunk;
struct lzr_cache_key lzr_cache_key_of(const struct lzr_chunk *c);

struct lzr_cache_stats {
    uint64_t entries, bytes; /* bytes: charges and bookkeeping */
    uint64_t hits, misses, inserts, evictions, refused;
};

struct lzr_cache;

/* most: bytes that the cache itself may take at most, beside the budget's limit. */
struct lzr_cache *lzr_cache_new(struct lzr_budget *budget, uint64_t most);
void lzr_cache_free(struct lzr_cache **c);

/* Before it is used. */
void lzr_cache_set_most(struct lzr_cache *c, uint64_t most);
/* A new reference to the blob, or NULL. Counts a hit or a miss when count is true. */
struct lzr_blob *lzr_cache_get(struct lzr_cache *c, const struct lzr_cache_key *k, bool count);
/* Keeps a reference of its own; cost_us is what the chunk cost to make (for the policy). Not kept
 * (false) when it can't fit, and then nothing is evicted for it in vain; a blob larger than an
 * eighth of the limit is never kept. An entry of the same key is replaced. */
bool lzr_cache_put(struct lzr_cache *c, const struct lzr_cache_key *k, struct lzr_blob *b,
                   uint64_t cost_us);
/* Evicts until need more bytes fit into the budget. False if they still don't. */
bool lzr_cache_make_room(struct lzr_cache *c, uint64_t need);
/* Takes the chunks of `from` whose key map(ctx, key) makes a key of this cache (true), in order of
 * their use and one after the other: copies that are charged to this one's budget, as blobs live no
 * longer than theirs. All go from `from`. */
void lzr_cache_move(struct lzr_cache *c, struct lzr_cache *from,
                    bool (*map)(void *ctx, struct lzr_cache_key *k), void *ctx);
/* Lets go of one, if it is there. */
void lzr_cache_drop(struct lzr_cache *c, const struct lzr_cache_key *k);
void lzr_cache_clear(struct lzr_cache *c);
/* Empties it, and from now on nothing is kept. */
void lzr_cache_retire(struct lzr_cache *c);
struct lzr_cache_stats lzr_cache_stats(struct lzr_cache *c);

#endif
