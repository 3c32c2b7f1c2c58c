#include "http/public.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
#define PATH_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~/%!$&()*+=@"

/* The first of a list, cut of blanks: its start and length; 0 if it has other characters. */
static size_t first_of(const char *list, const char *chars, const char **start)
{
    if (list == NULL) {
        return 0;
    }
    list += strspn(list, " \t");
    size_t n = strcspn(list, ", \t");
    *start = list;
    return strspn(list, chars) >= n && n < 512 ? n : 0;
}

/* Whether a path has a segment "." or "..", which clients would resolve to another one. */
static bool has_dots(const char *path, size_t n)
{
    for (size_t i = 0, from = 0; i <= n; i++) {
        if (i == n || path[i] == '/') {
            size_t len = i - from;
            if ((len == 1 || len == 2) && strspn(path + from, ".") >= len) {
                return true;
            }
            from = i + 1;
        }
    }
    return false;
}

/* A proxy's folder without slashes at its end; 0 if it has none, or one that makes no sense. */
static size_t prefix_of(const struct lzr_asked *asked, const char **start)
{
    size_t n = first_of(asked->prefix, PATH_CHARS, start);
    while (n > 0 && (*start)[n - 1] == '/') {
        n--;
    }
    bool sensible = n > 0 && (*start)[0] == '/' && (n < 2 || (*start)[1] != '/');
    return sensible && !has_dots(*start, n) ? n : 0;
}

enum { SAID = 512 };

/* Reads the value at p, a token or a quoted text (RFC 9110 5.6.4), and copies it to out as far as
 * it fits. Where it and the blanks behind it end; NULL: what ends it is no value's end. */
static const char *value_of(const char *p, char out[SAID])
{
    bool quoted = *p == '"';
    size_t n = 0;
    for (p += quoted; *p != '\0' && (quoted ? *p != '"' : strchr(";, \t\"", *p) == NULL); p++) {
        p += quoted && *p == '\\' && p[1] != '\0';
        if (n + 1 < SAID) {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
    if (quoted && *p++ != '"') {
        return NULL;
    }
    p += strspn(p, " \t");
    return strchr(";,", *p) != NULL ? p : NULL; /* or the end */
}

/* A parameter of the first element of Forwarded, or of the last, its quotes taken off: its length;
 * 0: it isn't there, or has other characters, or an element up to there makes no sense. */
static size_t parameter_of(const char *forwarded, const char *name, bool last, char out[SAID])
{
    char value[SAID];
    size_t len = strlen(name), n = 0;
    for (const char *p = forwarded; p != NULL && *p != '\0' && (last || *p != ',');) {
        n = *p == ',' ? 0 : n;
        p += strspn(p, last ? " \t;," : " \t;");
        bool it = strncasecmp(p, name, len) == 0 && p[len] == '=';
        p += strcspn(p, "=;,");
        if (*p == '=' && (p = value_of(p + 1, value)) == NULL) {
            return 0;
        }
        if (it && n == 0 && strspn(value, HOST_CHARS) == strlen(value) &&
            strlen(value) + 1 < SAID) {
            n = strlen(value);
            memcpy(out, value, n + 1);
        }
    }
    return n;
}

/* ":8443", where a proxy says that it was asked at a port that neither its name for the host nor
 * the scheme says; 0: nothing to add. */
static size_t port_of(const struct lzr_asked *asked, const char *proto, const char *host, size_t n,
                      const char **start)
{
    const char *usual = strcmp(proto, "https") == 0 ? "443" : "80";
    size_t len = first_of(asked->port, "0123456789", start);
    const char *bracket = memchr(host, ']', n);
    bool has = memchr(bracket != NULL ? bracket : host, ':',
                      n - (bracket != NULL ? (size_t)(bracket - host) : 0)) != NULL;
    bool is_usual = len == strlen(usual) && strncmp(*start, usual, len) == 0;
    long number = len > 0 && len <= 5 ? strtol(*start, NULL, 10) : 0;
    return has || number < 1 || number > 65535 || is_usual ? 0 : len;
}

void lzr_public_base(const char *public_url, const struct lzr_asked *asked,
                     const char *fallback_host, char out[LZR_PUBLIC_BYTES])
{
    const char *host = NULL, *proto = "http", *said = "", *prefix = "", *port = "";
    char their_proto[SAID], their_host[SAID];
    if (public_url != NULL) {
        size_t n = strlen(public_url);
        while (n > 0 && public_url[n - 1] == '/') {
            n--;
        }
        (void)snprintf(out, LZR_PUBLIC_BYTES, "%.*s", (int)n, public_url);
        return;
    }
    size_t n = first_of(asked->proto, HOST_CHARS, &said);
    if (n == 0) {
        n = parameter_of(asked->forwarded, "proto", false, their_proto);
        said = their_proto;
    }
    if (n == 5 && strncasecmp(said, "https", 5) == 0) {
        proto = "https";
    }
    n = first_of(asked->forwarded_host, HOST_CHARS, &host);
    if (n == 0) {
        n = parameter_of(asked->forwarded, "host", false, their_host);
        host = their_host;
    }
    if (n == 0) {
        n = first_of(asked->host, HOST_CHARS, &host);
    }
    if (n == 0) {
        host = fallback_host;
        n = strlen(host);
    }
    size_t digits = port_of(asked, proto, host, n, &port);
    size_t folder = prefix_of(asked, &prefix);
    (void)snprintf(out, LZR_PUBLIC_BYTES, "%s://%.*s%s%.*s%.*s", proto, (int)n, host,
                   digits > 0 ? ":" : "", (int)digits, port, (int)folder, prefix);
}

/* "1.2.3.4", "1.2.3.4:5", "[::1]:5" and "::1" as an address alone. */
static bool is_address(char *text, char out[SAID])
{
    unsigned char raw[16];
    char *colon = strchr(text, ':');
    if (text[0] == '[') {
        text++;
        text[strcspn(text, "]")] = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    (void)snprintf(out, SAID, "%s", text);
    return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

bool lzr_public_client(const char *list, const char *forwarded, char *out, size_t size)
{
    char text[SAID], address[SAID];
    const char *comma = list != NULL ? strrchr(list, ',') : NULL;
    list = comma != NULL ? comma + 1 : list;
    list = list != NULL ? list + strspn(list, " \t") : "";
    size_t n = strcspn(list, " \t");
    (void)snprintf(text, sizeof text, "%.*s", n < SAID ? (int)n : 0, list);
    bool ok = is_address(text, address);
    if (!ok && parameter_of(forwarded, "for", true, text) > 0) {
        ok = is_address(text, address);
    }
    if (ok && strlen(address) < size) {
        memcpy(out, address, strlen(address) + 1);
        return true;
    }
    return false;
}

const char *lzr_public_folder(const char *public_url, const struct lzr_asked *asked, size_t *n)
{
    const char *start = NULL;
    if (public_url == NULL) {
        *n = prefix_of(asked, &start);
        return *n > 0 ? start : NULL;
    }
    const char *host = strstr(public_url, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    *n = path != NULL ? strlen(path) : 0;
    while (*n > 0 && path[*n - 1] == '/') {
        (*n)--;
    }
    return *n > 0 ? path : NULL;
}

bool lzr_public_has_prefix(const char *public_url, const struct lzr_asked *asked)
{
    size_t n;
    return lzr_public_folder(public_url, asked, &n) != NULL;
}

/* An address of either family as 16 bytes, IPv4 as IPv6 maps it. */
static bool parse_address(const char *text, uint8_t out[16])
{
    struct in_addr four;
    if (inet_pton(AF_INET, text, &four) == 1) {
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        memcpy(out + 12, &four, 4);
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

/* Its address and how many of its bits count. */
static bool parse_range(const char *range, uint8_t out[16], unsigned *bits)
{
    char address[64], *end;
    const char *slash = strchr(range, '/');
    size_t n = slash != NULL ? (size_t)(slash - range) : strlen(range);
    if (n >= sizeof address) {
        return false;
    }
    memcpy(address, range, n);
    address[n] = '\0';
    if (!parse_address(address, out)) {
        return false;
    }
    unsigned most = strchr(address, ':') != NULL ? 128 : 32;
    *bits = 128;
    if (slash != NULL) {
        unsigned long v = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || v > most) {
            return false;
        }
        *bits = (unsigned)v + 128 - most;
    }
    return true;
}

bool lzr_proxy_range_ok(const char *range)
{
    uint8_t address[16];
    unsigned bits;
    return parse_range(range, address, &bits);
}

static bool same_bits(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

bool lzr_proxy_trusted(const struct sockaddr *peer, const char *const *ranges, size_t n)
{
    static const char *const here[] = {"127.0.0.0/8", "::1"};
    uint8_t address[16], range[16];
    unsigned bits;
    if (peer == NULL) {
        return false;
    }
    if (peer->sa_family == AF_INET) {
        memset(address, 0, 10);
        memset(address + 10, 0xff, 2);
        memcpy(address + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    } else if (peer->sa_family == AF_INET6) {
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    } else {
        return false;
    }
    for (size_t i = 0; i < n + 2; i++) {
        if (parse_range(i < 2 ? here[i] : ranges[i - 2], range, &bits) &&
            same_bits(address, range, bits)) {
            return true;
        }
    }
    return false;
}
