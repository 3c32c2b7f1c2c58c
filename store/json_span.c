#include "store/json_span.h"

#include <stdint.h>
#include <string.h>

#include "lazarr/limits.h"

struct scan {
    const char *begin, *p, *end;
    unsigned flags;
    const char *wrong; /* what, once something is */
    enum lzr_code code;
};

static bool refuse(struct scan *s, enum lzr_code code, const char *wrong)
{
    if (s->wrong == NULL) {
        s->code = code;
        s->wrong = wrong;
    }
    return false;
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

static bool peek(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits of \uXXXX, or -1. */
static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) {
            return -1;
        }
        v = v * 16 + d;
    }
    return v;
}

/* s->p is behind "\u". */
static bool check_unicode_escape(struct scan *s)
{
    int v = hex4(s->p, s->end);
    if (v < 0) {
        return refuse(s, LZR_E_INVAL, "\\u without four hex digits");
    }
    if (v == 0 && (s->flags & LZR_JSON_FOR_CJSON) != 0) {
        return refuse(s, LZR_E_INVAL, "a string holds \\u0000");
    }
    s->p += 4;
    if (v >= 0xd800 && v <= 0xdfff) {
        int low = -1;
        if (v <= 0xdbff && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
            low = hex4(s->p + 2, s->end);
        }
        if (low < 0xdc00 || low > 0xdfff) {
            return refuse(s, LZR_E_INVAL, "a lone surrogate");
        }
        s->p += 6;
    }
    return true;
}

static bool check_utf8(struct scan *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t left = (size_t)(s->end - s->p);
    unsigned n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    bool good = p[0] >= 0xc2 && p[0] <= 0xf4 && left >= n;
    for (unsigned i = 1; good && i < n; i++) {
        good = (p[i] & 0xc0) == 0x80;
    }
    /* Overlong forms, surrogates, and what is above U+10FFFF. */
    if (good && n == 3) {
        good = !(p[0] == 0xe0 && p[1] < 0xa0) && !(p[0] == 0xed && p[1] > 0x9f);
    } else if (good && n == 4) {
        good = !(p[0] == 0xf0 && p[1] < 0x90) && !(p[0] == 0xf4 && p[1] > 0x8f);
    }
    if (!good) {
        return refuse(s, LZR_E_INVAL, "bytes that are not UTF-8");
    }
    s->p += n;
    return true;
}

static bool check_string(struct scan *s)
{
    s->p++;
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c < 0x20) {
            return refuse(s, LZR_E_INVAL, "a control character in a string");
        }
        if (c >= 0x80) {
            if (!check_utf8(s)) {
                return false;
            }
        } else if (c != '\\') {
            s->p++;
        } else {
            if (s->end - s->p < 2 || memchr("\"\\/bfnrtu", s->p[1], 9) == NULL) {
                return refuse(s, LZR_E_INVAL, "an unknown escape");
            }
            bool unicode = s->p[1] == 'u';
            s->p += 2;
            if (unicode && !check_unicode_escape(s)) {
                return false;
            }
        }
    }
    return refuse(s, LZR_E_INVAL, "a string without its end");
}

static bool check_digits(struct scan *s)
{
    const char *begin = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return s->p > begin || refuse(s, LZR_E_INVAL, "a number without digits");
}

static bool check_number(struct scan *s)
{
    const char *begin = s->p;
    if (peek(s, '-')) {
        s->p++;
    }
    if (peek(s, '0')) {
        s->p++;
    } else if (!check_digits(s)) {
        return false;
    }
    if (peek(s, '.')) {
        s->p++;
        if (!check_digits(s)) {
            return false;
        }
    }
    if (peek(s, 'e') || peek(s, 'E')) {
        s->p++;
        if (peek(s, '+') || peek(s, '-')) {
            s->p++;
        }
        if (!check_digits(s)) {
            return false;
        }
    }
    if (s->p - begin > 63 && (s->flags & LZR_JSON_FOR_CJSON) != 0) {
        return refuse(s, LZR_E_LIMIT, "a number of more than 63 characters");
    }
    return true;
}

static bool check_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) {
        return refuse(s, LZR_E_INVAL, "a word that is not true, false or null");
    }
    s->p += n;
    return true;
}

static bool check_value(struct scan *s, unsigned depth);

/* s->p is at the opening bracket. */
static bool check_container(struct scan *s, unsigned depth)
{
    bool object = *s->p == '{';
    char close = object ? '}' : ']';
    if (depth >= LZR_MAX_JSON_DEPTH) {
        return refuse(s, LZR_E_LIMIT, "nested too deep");
    }
    s->p = skip_space(s->p + 1, s->end);
    if (peek(s, close)) {
        s->p++;
        return true;
    }
    for (;;) {
        if (object) {
            if (!peek(s, '"')) {
                return refuse(s, LZR_E_INVAL, "a member without a name");
            }
            if (!check_string(s)) {
                return false;
            }
            s->p = skip_space(s->p, s->end);
            if (!peek(s, ':')) {
                return refuse(s, LZR_E_INVAL, "a member without a colon");
            }
            s->p++;
        }
        if (!check_value(s, depth + 1)) {
            return false;
        }
        if (peek(s, close)) {
            s->p++;
            return true;
        }
        if (!peek(s, ',')) {
            return refuse(s, LZR_E_INVAL, "a comma or bracket is missing");
        }
        s->p = skip_space(s->p + 1, s->end);
    }
}

static bool check_value(struct scan *s, unsigned depth)
{
    s->p = skip_space(s->p, s->end);
    bool good;
    if (s->p >= s->end) {
        return refuse(s, LZR_E_INVAL, "the text ends too early");
    }
    switch (*s->p) {
    case '{':
    case '[':
        good = check_container(s, depth);
        break;
    case '"':
        good = check_string(s);
        break;
    case 't':
        good = check_word(s, "true");
        break;
    case 'f':
        good = check_word(s, "false");
        break;
    case 'n':
        good = check_word(s, "null");
        break;
    default:
        good = (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
                   ? check_number(s)
                   : refuse(s, LZR_E_INVAL, "a value that JSON does not know (such as NaN)");
        break;
    }
    if (good) {
        s->p = skip_space(s->p, s->end);
    }
    return good;
}

enum lzr_code lzr_json_check(const char *text, size_t n, unsigned flags, struct lzr_err *err)
{
    struct scan s = {.begin = text, .p = text, .end = text + n, .flags = flags};
    if (check_value(&s, 0) && s.p != s.end) {
        refuse(&s, LZR_E_INVAL, "something follows the value");
    }
    if (s.wrong != NULL) {
        return lzr_err_set(err, s.code, "not valid JSON at byte %zu: %s", (size_t)(s.p - s.begin),
                           s.wrong);
    }
    return LZR_OK;
}

/* Behind a string of a valid text that begins at p. */
static const char *skip_string(const char *p)
{
    for (p++; *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }
    return p + 1;
}

static const char *skip_value(const char *p, const char *end)
{
    unsigned depth = 0;
    while (p < end) {
        char c = *p;
        if (c == '"') {
            p = skip_string(p);
        } else if (c == '{' || c == '[') {
            depth++;
            p++;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return p; /* the bracket of what this value is in */
            }
            depth--;
            p++;
        } else if (depth == 0) {
            while (p < end && memchr(",]} \n\t\r", *p, 7) == NULL) {
                p++;
            }
        } else {
            p++;
            continue;
        }
        if (depth == 0) {
            return p;
        }
    }
    return p;
}

void lzr_json_iter_init(struct lzr_json_iter *it, struct lzr_span container)
{
    bool is = container.n >= 2 && (container.p[0] == '{' || container.p[0] == '[');
    it->object = is && container.p[0] == '{';
    it->p = is ? container.p + 1 : container.p;
    it->end = is ? container.p + container.n - 1 : container.p;
}

bool lzr_json_next(struct lzr_json_iter *it, struct lzr_span *key, struct lzr_span *value)
{
    it->p = skip_space(it->p, it->end);
    if (it->p < it->end && *it->p == ',') {
        it->p = skip_space(it->p + 1, it->end);
    }
    if (it->p >= it->end) {
        return false;
    }
    *key = (struct lzr_span){it->p, 0};
    if (it->object) {
        const char *behind = skip_string(it->p);
        key->n = (size_t)(behind - it->p);
        it->p = skip_space(behind, it->end) + 1; /* the colon */
        it->p = skip_space(it->p, it->end);
    }
    const char *behind = skip_value(it->p, it->end);
    *value = (struct lzr_span){it->p, (size_t)(behind - it->p)};
    it->p = behind;
    return true;
}

bool lzr_json_key_is(struct lzr_span key, const char *name)
{
    if (key.n < 2) {
        return false;
    }
    const char *p = key.p + 1, *end = key.p + key.n - 1;
    while (p < end && *name != '\0') {
        unsigned char c = (unsigned char)*p++;
        if (c == '\\') {
            char e = *p++;
            const char *at = e == 'u' ? NULL : strchr("b\bf\fn\nr\rt\t", e);
            if (e == 'u') {
                int v = hex4(p, end);
                p += 4;
                if (v < 0 || v > 0x7f) {
                    return false;
                }
                c = (unsigned char)v;
            } else {
                c = (unsigned char)(at != NULL ? at[1] : e);
            }
        }
        if (c != (unsigned char)*name++) {
            return false;
        }
    }
    return p == end && *name == '\0';
}

bool lzr_json_member(struct lzr_span object, const char *name, struct lzr_span *value)
{
    struct lzr_json_iter it;
    struct lzr_span key;
    lzr_json_iter_init(&it, object);
    while (it.object && lzr_json_next(&it, &key, value)) {
        if (lzr_json_key_is(key, name)) {
            return true;
        }
    }
    return false;
}
