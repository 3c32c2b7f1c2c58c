#include "http/amends.h"

#include <stddef.h>
#include <string.h>

/* What was tried with each, as the answer to one chunk of a readable array: 401, 403, 404, 409,
 * 410, 416, 418, 429, 500 to 504, 507, a connection that ends in the body, and 200 with bodies
 * of other lengths. docs/readers.md says what to do about those that can't be told by their
 * User-Agent. */
static const struct {
    const char *agent; /* is in the User-Agent */
    enum lzr_amends amends;
} table[] = {
    /* Debian 12: python3-zarr 2.13.6 (with xarray 2023.1, dask 2022.12) on python3-fsspec
     * 2022.11 and python3-aiohttp 3.8.4, which is what it calls itself. FSStore.getitems asks
     * fsspec to omit whatever fails (on_error="omit", zarr/storage.py), so every status and a
     * cut body are memory that nobody wrote; an empty body is "cannot reshape array of size 0",
     * and an error in every decoder. zarr-python 3 on the same aiohttp fails over it, too. */
    {"aiohttp/3.8.", LZR_AMENDS_EMPTY},
    /* GDAL 3.6 (Debian 12), whose /vsicurl/ says this only if GDAL_HTTP_USERAGENT does: every
     * status and a body without a byte are fill, one that is cut behind its first bytes is an
     * error. */
    {"GDAL/", LZR_AMENDS_CUT},
};

enum lzr_amends lzr_amends_for(const char *agent)
{
    for (size_t i = 0; agent != NULL && i < sizeof table / sizeof table[0]; i++) {
        if (strstr(agent, table[i].agent) != NULL) {
            return table[i].amends;
        }
    }
    return LZR_AMENDS_NONE;
}
