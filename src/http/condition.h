/* condition.h: If-None-Match, If-Match and If-Range against one ETag. Pure, any thread.
 * RFC 9110 §13. ETags of lazarr are always strong. */
#ifndef LZR_HTTP_CONDITION_H
#define LZR_HTTP_CONDITION_H

#include <stdbool.h>

/* header: "*" or a list of entity tags; etag: quoted, strong. weak: W/ is ignored (If-None-Match).
 */
bool lzr_etag_matches(const char *header, const char *etag, bool weak);

#endif
