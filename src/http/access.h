/* access.h: who may ask: Host headers, the token, and pages that would change something. Pure, any
 * thread; fuzzed.
 *
 * DNS rebinding: a page of evil.example can make its own name mean 127.0.0.1 and then read a server
 * there as its own origin. Its requests still say "Host: evil.example", so a server that is bound
 * to a loopback address answers only names it knows. One that is bound to others is reached by
 * their addresses and its machine's names, too; a page of another origin has neither. */
#ifndef LZR_HTTP_ACCESS_H
#define LZR_HTTP_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#define LZR_TOKEN_MIN 16
#define LZR_TOKEN_MAX 256

struct lzr_access {
    bool check_hosts;         /* else any well-formed Host will do, and of these none counts: */
    const char *const *hosts; /* names that are allowed beside the loopback ones; "*": all */
    size_t nhosts;
    bool addresses;         /* any numeric address is allowed */
    const char *const *own; /* the machine's own names are allowed */
    size_t nown;
    const char *host;       /* --host, or NULL */
    const char *public_url; /* its host is allowed, and its origin is our own; or NULL */
    const char *token;      /* NULL: none is needed */
};

/* Bytes of an authority's host, brackets included; what follows is ":port" or nothing. */
size_t lzr_host_length(const char *authority, size_t n);
/* localhost, *.localhost, 127.a.b.c or ::1 in brackets; n bytes, no port. */
bool lzr_host_is_loopback(const char *host, size_t n);
/* The same of a well-formed authority: with or without a port. */
bool lzr_authority_is_loopback(const char *authority, size_t n);
/* "name", "name:port", "1.2.3.4:port", "[v6]:port" as RFC 9112 has it; n bytes. */
bool lzr_host_is_valid(const char *authority, size_t n);
/* "1.2.3.4", or an IPv6 address in brackets; n bytes, no port. */
bool lzr_host_is_address(const char *host, size_t n);
/* Whether this well-formed authority is one that we answer to. */
bool lzr_access_host(const struct lzr_access *a, const char *authority, size_t n);

/* A token as --token takes it: LZR_TOKEN_MIN to _MAX letters, digits, '-', '.', '_' and '~', which
 * need no escaping in a URL. */
bool lzr_token_is_valid(const char *token);
/* Bytes of "/t/<token>" at the beginning of this path if that is our token, else 0. In constant
 * time for a given length. */
size_t lzr_access_path(const struct lzr_access *a, const char *path, size_t n);
/* Whether the value of an Authorization header (nullable) is "Bearer <token>". */
bool lzr_access_bearer(const struct lzr_access *a, const char *authorization);

/* Whether a page of this origin (the header's value) is one of ours: it names the authority that
 * was asked (host: the Host header, nullable), or --public-url's. */
bool lzr_access_same_origin(const struct lzr_access *a, const char *origin, const char *host);

/* What --allow-origin takes: "*", "null", or scheme://host[:port] as browsers write it (letters in
 * either case, the scheme's own port or not). */
bool lzr_origin_is_valid(const char *origin);
/* Whether URLs can be made by writing a path behind this one: scheme://host[:port][/path], without
 * a user, a query, a fragment, or a part "." or "..". */
bool lzr_base_is_valid(const char *url);
/* What --allow-host takes: "*", a name, or an address; without a port. */
bool lzr_allow_host_is_valid(const char *host);

#endif
