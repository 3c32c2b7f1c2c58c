#include "http/condition.h"

#include <string.h>

bool lzr_etag_matches(const char *header, const char *etag, bool weak)
{
    size_t n = strlen(etag);
    const char *p = header;
    for (;;) {
        p += strspn(p, " \t,");
        if (*p == '\0') {
            return false;
        }
        if (*p == '*' && (p[1] == '\0' || p[1] == ' ' || p[1] == ',')) {
            return true;
        }
        bool is_weak = strncmp(p, "W/", 2) == 0;
        p += is_weak ? 2 : 0;
        if (*p != '"') {
            return false; /* not a list of tags: nothing matches */
        }
        const char *end = strchr(p + 1, '"');
        if (end == NULL) {
            return false;
        }
        if ((weak || !is_weak) && (size_t)(end + 1 - p) == n && memcmp(p, etag, n) == 0) {
            return true;
        }
        p = end + 1;
    }
}
