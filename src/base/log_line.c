#include "base/log_line.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t lzr_log_character(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t c = s[0] & (0xffu >> (len + 1));
    if (s[0] < 0xc0 || s[0] >= 0xf8 || len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    bool fine = c >= least[len] && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000) && c >= 0xa0;
    return fine ? len : 0;
}

size_t lzr_log_show(char out[LZR_LOG_LINE + 1], const char *text, size_t n, bool client)
{
    static const char name[] = "lazarr: ";
    size_t len = sizeof name - 1;
    memcpy(out, name, len);
    for (size_t i = 0; i < n;) {
        const unsigned char *c = (const unsigned char *)text + i;
        char piece[8];
        size_t used = 1, shown = 1;
        piece[0] = (char)*c;
        if (*c == '\n') {
            shown = i + 1 < n ? 5 : 0;
            memcpy(piece, "\n    ", 5);
        } else if (*c >= 0x80 && !client && (used = lzr_log_character(text + i, n - i)) > 0) {
            shown = used;
            memcpy(piece, c, used);
        } else if ((*c < 0x20 && *c != '\t') || *c >= 0x7f) {
            used = 1;
            shown = (size_t)snprintf(piece, sizeof piece, "\\x%02x", *c);
        }
        if (len + shown > LZR_LOG_LINE) {
            break;
        }
        memcpy(out + len, piece, shown);
        len += shown;
        i += used;
    }
    out[len++] = '\n';
    return len;
}
