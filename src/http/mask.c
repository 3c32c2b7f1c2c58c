#include "http/mask.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte at *i, percent-decoded where it can be; advances. */
static char next_byte(const char *s, size_t n, size_t *i)
{
    if (s[*i] == '%' && *i + 2 < n && hex(s[*i + 1]) >= 0 && hex(s[*i + 2]) >= 0) {
        char c = (char)(hex(s[*i + 1]) * 16 + hex(s[*i + 2]));
        *i += 3;
        return c;
    }
    return s[(*i)++];
}

/* Whether the token stands anywhere in it, in any spelling. */
static bool holds(const char *raw, size_t n, const char *token)
{
    for (size_t start = 0; token != NULL && start < n; start++) {
        size_t i = start, k = 0;
        while (i < n && token[k] != '\0' &&
               tolower((unsigned char)next_byte(raw, n, &i)) == tolower((unsigned char)token[k])) {
            k++;
        }
        if (token[k] == '\0') {
            return true;
        }
    }
    return false;
}

/* A text of so many bytes; what doesn't fit is left out. */
struct out {
    char *text;
    size_t size, n;
};

static void put(struct out *o, const char *s, size_t n)
{
    size_t room = o->size - 1 - o->n;
    n = n < room ? n : room;
    memcpy(o->text + o->n, s, n);
    o->n += n;
    o->text[o->n] = '\0';
}

static void say(struct out *o, const char *s)
{
    put(o, s, strlen(s));
}

/* Whether a parameter's name, or what an URL inside of a value has for one, is of those that hold
 * secrets. */
static bool is_secret(const char *name, size_t n)
{
    static const char *const words[] = {"token", "secret", "passw",  "passphrase", "pwd",
                                        "auth",  "key",    "signat", "jwt",        "session",
                                        "cred",  "cookie", "ticket", "xsrf",   "csrf"};
    static const char *const whole[] = {"sig", "sid", "code", "pass", "otp", "totp"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (holds(name, n, words[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        size_t at = 0, k = 0;
        while (at < n && whole[i][k] != '\0' &&
               tolower((unsigned char)next_byte(name, n, &at)) == whole[i][k]) {
            k++;
        }
        if (at == n && whole[i][k] == '\0') {
            return true;
        }
    }
    return false;
}

/* A query, its question mark included. */
static void put_query(struct out *o, const char *s, size_t n)
{
    static const char *const inner[] = {"token=", "signature=", "password=", "secret=", "key="};
    for (size_t i = 0; i < n;) {
        size_t end = i + 1, name = i + 1;
        while (end < n && s[end] != '&' && s[end] != ';' && s[end] != '?') {
            end++;
        }
        const char *equals = memchr(s + name, '=', end - name);
        size_t len = equals != NULL ? (size_t)(equals - s) - name : end - name;
        bool hide = equals != NULL && is_secret(s + name, len);
        for (size_t k = 0; !hide && equals != NULL && k < sizeof inner / sizeof inner[0]; k++) {
            hide = holds(equals + 1, (size_t)(s + end - equals) - 1, inner[k]);
        }
        put(o, s + i, hide ? (size_t)(equals - s) + 1 - i : end - i);
        if (hide) {
            say(o, "***");
        }
        i = end;
    }
}

void lzr_target_mask(const char *raw, size_t n, const char *token, char *out, size_t size)
{
    struct out o = {out, size, 0};
    size_t i = 0, at = 0;
    out[0] = '\0';
    /* The path begins behind "scheme://authority", if that is there. */
    const char *scheme = n > 8 ? memmem(raw, 8, "://", 3) : NULL;
    const char *user = NULL;
    if (scheme != NULL) {
        at = (size_t)(scheme - raw) + 3;
        while (at < n && raw[at] != '/' && raw[at] != '?') {
            user = raw[at] == '@' ? raw + at : user;
            at++;
        }
    }
    while (at < n && raw[at] == '/') {
        at++;
    }
    i = at;
    if (at > 0 && i < n && next_byte(raw, n, &i) == 't' && i < n && next_byte(raw, n, &i) == '/') {
        while (i < n && raw[i] != '/' && raw[i] != '?') {
            i++;
        }
        say(&o, "/t/***");
        raw += i;
        n -= i;
    } else if (user != NULL) {
        say(&o, "***");
        n -= (size_t)(user - raw);
        raw = user;
    }
    if (holds(raw, n, token)) {
        say(&o, "(the token)");
        return;
    }
    const char *query = memchr(raw, '?', n);
    size_t path = query != NULL ? (size_t)(query - raw) : n;
    put(&o, raw, path);
    put_query(&o, raw + path, n - path);
}

bool lzr_text_mask(const char *text, size_t n, const char *token, char *out, size_t size)
{
    struct out o = {out, size, 0};
    bool shown = !holds(text, n, token);
    out[0] = '\0';
    put(&o, shown ? text : "(the token)", shown ? n : strlen("(the token)"));
    return shown;
}
