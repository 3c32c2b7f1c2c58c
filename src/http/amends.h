/* amends.h: readers that take whatever status a failed chunk has for "not there" and go on with
 * fill or with memory that nobody wrote. For them, told by their User-Agent, a failed chunk
 * has the answer that they do fail over (design 3's list holds for all others). */
#ifndef LZR_HTTP_AMENDS_H
#define LZR_HTTP_AMENDS_H

#include <stdbool.h>

#include "store/catalog.h"

enum lzr_amends {
    LZR_AMENDS_NONE,  /* the status says it */
    LZR_AMENDS_EMPTY, /* 200 without a byte: no chunk has none */
    LZR_AMENDS_CUT,   /* 200, and the connection ends before the body does */
    LZR_AMENDS_THERE, /* a HEAD is 200: it is there; the GET has its status and not a byte */
};

/* agent: of the request, or NULL. part: it has a Range. Pure, any thread. */
enum lzr_amends lzr_amends_for(const char *agent, bool part, enum lzr_face face);

#endif
