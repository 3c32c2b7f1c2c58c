#include "base/hash.h"

#include <stdio.h>
#include <xxhash.h>

uint64_t lzr_hash64(const void *bytes, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, n, seed);
}

struct lzr_digest lzr_digest(const void *bytes, size_t n, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(bytes, n, seed);
    return (struct lzr_digest){.hi = h.high64, .lo = h.low64};
}

struct lzr_digest lzr_digest_join(struct lzr_digest a, const void *bytes, size_t n)
{
    struct lzr_digest b = lzr_digest(bytes, n, a.lo);
    uint64_t all[4] = {a.hi, a.lo, b.hi, b.lo};
    return lzr_digest(all, sizeof all, 0);
}

void lzr_digest_hex(struct lzr_digest d, char out[33])
{
    (void)snprintf(out, 33, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
}
