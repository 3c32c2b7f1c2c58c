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
    bool zarr2; /* only where zarr-python 2 reads: whole chunks, of the formats that it knows */
} table[] = {
    /* Debian 12: python3-zarr 2.13.6 (with xarray 2023.1, dask 2022.12) on python3-fsspec
     * 2022.11 and python3-aiohttp 3.8.4, which is what it calls itself. FSStore.getitems asks
     * fsspec to omit whatever fails (on_error="omit", zarr/storage.py), so every status and a
     * cut body are memory that nobody wrote; an empty body is "cannot reshape array of size 0",
     * and an error in every decoder. zarr-python 3 on the same aiohttp fails over it, too.
     * Byte for byte its request is that of any script on that aiohttp (no header, none missing, the
     * same order), so nothing narrower tells it; but it knows no format of ours but two, and asks
     * for parts only where an error is one. */
    {"aiohttp/3.8.", LZR_AMENDS_EMPTY, true},
    /* GDAL 3.6 (Debian 12), whose /vsicurl/ says this only if GDAL_HTTP_USERAGENT does: every
     * status and a body without a byte are fill, one that is cut behind its first bytes is an
     * error. */
    {"GDAL/", LZR_AMENDS_CUT, false},
    /* zarr-java 0.0.9, on OkHttp 2.7.5: asks by HEAD first, and where that isn't 200, or the GET's
     * body is cut, it goes on with zeros (core/Array.read, store/HttpStore.get). It doesn't look at
     * the status of the GET, and decodes what comes: nothing is an error in each of its codecs. */
    {"okhttp/2.", LZR_AMENDS_THERE, false},
};

enum lzr_amends lzr_amends_for(const char *agent, bool part, enum lzr_face face)
{
    bool zarr2 = !part && (face == LZR_FACE_ZARR2 || face == LZR_FACE_N5);
    for (size_t i = 0; agent != NULL && i < sizeof table / sizeof table[0]; i++) {
        if (strstr(agent, table[i].agent) != NULL && (zarr2 || !table[i].zarr2)) {
            return table[i].amends;
        }
    }
    return LZR_AMENDS_NONE;
}
