#include "http/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Bytes at the start of s[0..n) that are of this set. */
static size_t span(const char *s, size_t n, const char *set)
{
    size_t i = 0;
    while (i < n && s[i] != '\0' && strchr(set, s[i]) != NULL) {
        i++;
    }
    return i;
}

static bool same(const char *a, size_t n, const char *b)
{
    return strlen(b) == n && strncasecmp(a, b, n) == 0;
}

size_t lzr_host_length(const char *authority, size_t n)
{
    if (n > 0 && authority[0] == '[') {
        const char *end = memchr(authority, ']', n);
        return end != NULL ? (size_t)(end - authority) + 1 : n;
    }
    const char *colon = memchr(authority, ':', n);
    return colon != NULL ? (size_t)(colon - authority) : n;
}

bool lzr_host_is_loopback(const char *host, size_t n)
{
    static const char tail[] = ".localhost";
    size_t t = sizeof tail - 1;
    if (same(host, n, "localhost") || same(host, n, "localhost.") || same(host, n, "[::1]") ||
        (n > t && strncasecmp(host + n - t, tail, t) == 0)) {
        return true;
    }
    /* Four numbers and nothing else: "127.0.0.1.example" is somebody else's. */
    if (n < 9 || n > 15 || strncmp(host, "127.", 4) != 0 || span(host, n, "0123456789.") != n) {
        return false;
    }
    unsigned dots = 0;
    for (size_t i = 0; i < n; i++) {
        if (host[i] == '.') {
            dots++;
            if (i + 1 == n || host[i + 1] == '.') {
                return false;
            }
        }
    }
    return dots == 3;
}

bool lzr_authority_is_loopback(const char *authority, size_t n)
{
    return lzr_host_is_loopback(authority, lzr_host_length(authority, n));
}

bool lzr_host_is_valid(const char *authority, size_t n)
{
    size_t h = lzr_host_length(authority, n);
    if (h == 0 || n > 255 + 6) {
        return false;
    }
    if (authority[0] == '[') {
        if (h < 4 || authority[h - 1] != ']' ||
            span(authority + 1, h - 2, "0123456789abcdefABCDEF:.") != h - 2) {
            return false;
        }
    } else if (span(authority, h, ALNUM "-._~") != h) {
        return false;
    }
    if (h == n) {
        return true;
    }
    size_t digits = n - h - 1;
    return authority[h] == ':' && digits <= 5 &&
           span(authority + h + 1, digits, "0123456789") == digits;
}

/* The authority of "scheme://authority[/...]"; false if there is none. */
static bool authority_of(const char *url, const char **out, size_t *n)
{
    size_t scheme = span(url, strlen(url), ALNUM "+-.");
    if (scheme == 0 || strncmp(url + scheme, "://", 3) != 0) {
        return false;
    }
    *out = url + scheme + 3;
    *n = strcspn(*out, "/?#");
    return *n > 0;
}

/* Reads a host that is an address: its family, and itself without brackets; 0: it is none. */
static int address_of(const char *host, size_t n, char text[INET6_ADDRSTRLEN], struct in6_addr *at)
{
    bool v6 = n > 2 && host[0] == '[' && host[n - 1] == ']';
    host += v6;
    n -= v6 ? 2 : 0;
    if (n >= INET6_ADDRSTRLEN) {
        return 0;
    }
    memcpy(text, host, n);
    text[n] = '\0';
    int family = v6 ? AF_INET6 : AF_INET;
    return inet_pton(family, text, at) == 1 ? family : 0;
}

bool lzr_host_is_address(const char *host, size_t n)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr at; /* the larger of the two */
    return address_of(host, n, text, &at) != 0;
}

bool lzr_access_host(const struct lzr_access *a, const char *authority, size_t n)
{
    size_t h = lzr_host_length(authority, n);
    if (!a->check_hosts || lzr_host_is_loopback(authority, h) ||
        (a->addresses && lzr_host_is_address(authority, h))) {
        return true;
    }
    for (size_t i = 0; i < a->nown; i++) {
        if (same(authority, h, a->own[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < a->nhosts; i++) {
        if (strcmp(a->hosts[i], "*") == 0 || same(authority, h, a->hosts[i])) {
            return true;
        }
    }
    if (a->host != NULL && (same(authority, h, a->host) ||
                            (h > 2 && authority[0] == '[' && strchr(a->host, ':') != NULL &&
                             same(authority + 1, h - 2, a->host)))) {
        return true;
    }
    const char *public;
    size_t len;
    if (a->public_url != NULL && authority_of(a->public_url, &public, &len)) {
        size_t p = lzr_host_length(public, len);
        return p == h && strncasecmp(public, authority, h) == 0;
    }
    return false;
}

bool lzr_token_is_valid(const char *token)
{
    size_t n = strlen(token);
    return n >= LZR_TOKEN_MIN && n <= LZR_TOKEN_MAX && span(token, n, ALNUM "-._~") == n;
}

/* Whether n bytes are the token; looks at all of them whatever they are, so that the time tells
 * nothing but their number. */
static bool is_token(const char *token, const char *s, size_t n)
{
    size_t len = strlen(token);
    volatile unsigned char different = 0;
    if (n != len) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        different = (unsigned char)(different | ((unsigned char)token[i] ^ (unsigned char)s[i]));
    }
    return different == 0;
}

size_t lzr_access_path(const struct lzr_access *a, const char *path, size_t n)
{
    if (a->token == NULL || n < 3 || memcmp(path, "/t/", 3) != 0) {
        return 0;
    }
    size_t i = 3;
    while (i < n && path[i] != '/' && path[i] != '?') {
        i++;
    }
    return is_token(a->token, path + 3, i - 3) ? i : 0;
}

bool lzr_access_bearer(const struct lzr_access *a, const char *authorization)
{
    if (a->token == NULL || authorization == NULL ||
        strncasecmp(authorization, "Bearer ", 7) != 0) {
        return false;
    }
    const char *t = authorization + 7;
    t += strspn(t, " ");
    return is_token(a->token, t, strlen(t));
}

bool lzr_access_same_origin(const struct lzr_access *a, const char *origin, const char *host)
{
    const char *theirs, *public;
    size_t n, len;
    if (!authority_of(origin, &theirs, &n) || theirs[n] != '\0') {
        return false; /* "null" among others */
    }
    if (host != NULL && same(theirs, n, host)) {
        return true;
    }
    if (a->public_url == NULL || !authority_of(a->public_url, &public, &len)) {
        return false;
    }
    len = (size_t)(public - a->public_url) + len; /* with the scheme */
    return strlen(origin) == len && strncasecmp(origin, a->public_url, len) == 0;
}

/* Whether a browser writes this host so: an address has one spelling, "127.1" and "[0:0::1]" are
 * none. A name whose last part is a number is an address, or nothing. */
static bool is_as_browsers_write(const char *host, size_t n)
{
    char text[INET6_ADDRSTRLEN], again[INET6_ADDRSTRLEN];
    struct in6_addr at; /* the larger of the two */
    bool v6 = host[0] == '[';
    size_t end = n - (n > 1 && host[n - 1] == '.'), last = end;
    while (last > 0 && host[last - 1] != '.') {
        last--;
    }
    bool number = !v6 && last < end && host[last] >= '0' && host[last] <= '9' &&
                  (span(host + last, end - last, "0123456789") == end - last ||
                   (end - last > 1 && (host[last + 1] == 'x' || host[last + 1] == 'X')));
    if (!v6 && !number) {
        return true;
    }
    int family = address_of(host, n, text, &at);
    if (family == 0 || (v6 && strchr(text, '.') != NULL) ||
        inet_ntop(family, &at, again, sizeof again) == NULL) {
        return false;
    }
    /* The system writes "::ffff:1.2.3.4", browsers don't. */
    return (v6 && strchr(again, '.') != NULL) || strcasecmp(text, again) == 0;
}

/* ":8443" or nothing: no zeros before it, at most 65535. */
static bool is_port(const char *port, size_t n)
{
    unsigned v = 0;
    for (size_t i = 1; i < n; i++) {
        v = v * 10 + (unsigned)(port[i] - '0');
    }
    return n == 0 || (n > 1 && port[1] != '0' && v <= 65535);
}

bool lzr_origin_is_valid(const char *origin)
{
    const char *authority;
    size_t n;
    if (strcmp(origin, "*") == 0 || strcmp(origin, "null") == 0) {
        return true;
    }
    if (!authority_of(origin, &authority, &n) || authority[n] != '\0' ||
        !lzr_host_is_valid(authority, n)) {
        return false;
    }
    size_t host = lzr_host_length(authority, n);
    return is_as_browsers_write(authority, host) && is_port(authority + host, n - host);
}

bool lzr_base_is_valid(const char *url)
{
    const char *authority;
    size_t n;
    if (strpbrk(url, "?#") != NULL || !authority_of(url, &authority, &n) ||
        !lzr_host_is_valid(authority, n)) {
        return false;
    }
    size_t host = lzr_host_length(authority, n);
    for (const char *p = authority + n; *p != '\0'; p += strcspn(p, "/")) {
        p += strspn(p, "/");
        size_t len = strcspn(p, "/");
        if ((len == 1 || len == 2) && span(p, len, ".") == len) {
            return false;
        }
    }
    return is_port(authority + host, n - host);
}

bool lzr_allow_host_is_valid(const char *host)
{
    size_t n = strlen(host);
    return strcmp(host, "*") == 0 || (lzr_host_is_valid(host, n) && lzr_host_length(host, n) == n);
}
