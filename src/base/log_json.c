#include "base/log_json.h"

#include <stdio.h>
#include <string.h>

/* One byte or character as it stands in a string; *used: how many bytes of the text. */
static size_t piece_of(char piece[8], const char *text, size_t n, bool client, size_t *used)
{
    static const char plain[] = "\"\\\n\r\t", named[] = "\"\\nrt";
    const unsigned char c = (unsigned char)*text;
    const char *at = c != '\0' ? strchr(plain, c) : NULL;
    *used = 1;
    if (at != NULL) {
        piece[0] = '\\';
        piece[1] = named[at - plain];
        return 2;
    }
    if (c >= 0x80 && !client && (*used = lzr_log_character(text, n)) > 0) {
        memcpy(piece, text, *used);
        return *used;
    }
    *used = 1;
    if (c < 0x20 || c >= 0x7f) {
        return (size_t)snprintf(piece, 8, "\\\\x%02x", c);
    }
    piece[0] = (char)c;
    return 1;
}

size_t lzr_log_json_string(char *out, size_t size, const char *text, size_t n, bool client)
{
    size_t len = 0, used;
    out[len++] = '"';
    for (size_t i = 0; i < n; i += used) {
        char piece[8];
        size_t more = piece_of(piece, text + i, n - i, client, &used);
        if (len + more + 1 > size) {
            break;
        }
        memcpy(out + len, piece, more);
        len += more;
    }
    out[len++] = '"';
    return len;
}

size_t lzr_log_json(char out[LZR_LOG_LINE + 1], const char *time, const char *level,
                    const char *text, size_t n, bool client)
{
    static const char end[] = "}\n";
    int len = snprintf(out, LZR_LOG_LINE, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time,
                       level);
    size_t at = (size_t)len;
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    at += lzr_log_json_string(out + at, LZR_LOG_LINE - at - sizeof end, text, n, client);
    memcpy(out + at, end, sizeof end - 1);
    return at + sizeof end - 1;
}
