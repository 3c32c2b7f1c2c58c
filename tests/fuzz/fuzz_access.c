/* Any text as Host, Origin, Authorization, option and raw target: what is let through is well
 * formed, and no spelling of the token gets into the log. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "http/access.h"
#include "http/mask.h"
#include "http/cors.h"
#include "http/public.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char TOKEN[] = "0123456789abcdef";

static void hosts(const char *text, size_t n)
{
    static const char *const more[] = {"lab.example", "[fd00::1]"};
    const struct lzr_access a = {.check_hosts = true,
                                 .hosts = more,
                                 .nhosts = 2,
                                 .host = "127.0.0.1",
                                 .public_url = "https://view.example:8443/x",
                                 .token = TOKEN};
    if (lzr_host_is_valid(text, n)) {
        LZR_CHECK(n > 0 && strcspn(text, "/@?#\\<>\" \r\n%") >= n);
        if (lzr_access_host(&a, text, n)) {
            /* Only what has one of the names in it. */
            char copy[4096];
            (void)snprintf(copy, sizeof copy, "%.*s", (int)n, text);
            LZR_CHECK(strcasestr(copy, "localhost") != NULL || strstr(copy, "127.") == copy ||
                      strstr(copy, "[::1]") == copy || strcasestr(copy, "lab.example") == copy ||
                      strcasestr(copy, "[fd00::1]") == copy ||
                      strcasestr(copy, "view.example") == copy);
        }
    }
    static const char *const own[] = {"box"};
    const struct lzr_access wide = {.check_hosts = true, .addresses = true, .own = own, .nown = 1};
    if (lzr_host_is_valid(text, n) && lzr_access_host(&wide, text, n)) {
        size_t h = lzr_host_length(text, n);
        LZR_CHECK(lzr_host_is_loopback(text, h) || strncasecmp(text, "box", h) == 0 ||
                  strspn(text, "[]0123456789.:abcdefABCDEF") >= h);
    }
    if (lzr_origin_is_loopback(text)) {
        LZR_CHECK(lzr_origin_is_valid(text));
    }
    if (lzr_access_same_origin(&a, text, "127.0.0.1:8080")) {
        LZR_CHECK(strstr(text, "://127.0.0.1:8080") != NULL ||
                  strcasecmp(text, "https://view.example:8443") == 0);
    }
    if (lzr_access_bearer(&a, text)) {
        LZR_CHECK(strcmp(text + strlen(text) - strlen(TOKEN), TOKEN) == 0);
    }
    (void)lzr_allow_host_is_valid(text);
    (void)lzr_token_is_valid(text);
}

static int nibble(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* Decodes once, leniently, in an own way. */
static void decode(const char *in, char *out)
{
    while (*in != '\0') {
        if (*in == '%' && nibble(in[1]) >= 0 && nibble(in[2]) >= 0) {
            char c = (char)(nibble(in[1]) * 16 + nibble(in[2]));
            *out++ = c != '\0' ? c : '?';
            in += 3;
        } else {
            *out++ = *in++;
        }
    }
    *out = '\0';
}

static void mask(const char *text, size_t n)
{
    char out[4200], plain[4200];
    size_t size = n > 0 && text[0] == 'S' ? n % 13 + 1 : sizeof out;
    lzr_target_mask(text, n, TOKEN, out, size);
    LZR_CHECK(strlen(out) < size);
    decode(out, plain);
    LZR_CHECK(strstr(out, TOKEN) == NULL && strstr(plain, TOKEN) == NULL);
    LZR_CHECK(strstr(out, "?token=") == NULL || strncmp(strstr(out, "?token=") + 7, "***", 3) == 0 ||
              size < sizeof out);
    (void)lzr_text_mask(text, n, TOKEN, out, size);
    LZR_CHECK(strlen(out) < size);
    decode(out, plain);
    LZR_CHECK(strcasestr(out, TOKEN) == NULL && strcasestr(plain, TOKEN) == NULL);
}

static void base(const char *text)
{
    char out[LZR_PUBLIC_BYTES];
    const struct lzr_asked asked = {.host = text,
                                    .port = text,
                                    .forwarded = text,
                                    .proto = text,
                                    .forwarded_host = text,
                                    .prefix = text};
    lzr_public_base(NULL, &asked, "127.0.0.1:80", out);
    LZR_CHECK(strlen(out) < sizeof out && strcspn(out, "<>\"'\\ \r\n\t") == strlen(out));
    (void)lzr_public_has_prefix(NULL, &asked);
    (void)lzr_proxy_range_ok(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096];
    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    size_t n = strlen(text);
    hosts(text, n);
    mask(text, n);
    base(text);
    size_t skip = lzr_target_authority(text, n);
    LZR_CHECK(skip <= n);
    const struct lzr_access a = {.token = TOKEN};
    size_t prefix = lzr_access_path(&a, text + skip, n - skip);
    LZR_CHECK(prefix == 0 || prefix == strlen("/t/") + strlen(TOKEN));
    LZR_CHECK(skip + prefix <= n);
    return 0;
}
