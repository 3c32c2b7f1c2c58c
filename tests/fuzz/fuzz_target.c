/* Any bytes as a request target: what is called a key is canonical and within its length, and what
 * its query is said to hold is in it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A query as the pages, listings and views read it. */
static void query(const char *text)
{
    static const char *const names[] = {"n", "acl", "arrays", "format"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char value[300], less[4];
        bool has = lzr_query_has(text, names[i]);
        int got = lzr_query_value(text, names[i], value, sizeof value);
        int short_one = lzr_query_value(text, names[i], less, sizeof less);
        LZR_CHECK(got == 0 || (has && strstr(text, names[i]) != NULL));
        LZR_CHECK(got != 1 || (strlen(value) < sizeof value && strlen(value) <= strlen(text)));
        LZR_CHECK((short_one == 1) == (got == 1 && strlen(value) < sizeof less));
        LZR_CHECK(short_one != 1 || strcmp(value, less) == 0);
        size_t number = lzr_query_number(text, names[i], 7);
        LZR_CHECK(has || number == 7);
    }
}

/* The parts before the key are of the target, and the folder is there. */
static void folder(const char *raw, size_t n)
{
    static const char name[] = "/zarr3";
    size_t skip = lzr_target_path(raw, n);
    LZR_CHECK(skip <= n && lzr_target_authority(raw, n) <= skip);
    size_t taken = lzr_target_folder(raw + skip, n - skip, name, sizeof name - 1);
    LZR_CHECK(taken == 0 || (taken == sizeof name - 1 && taken <= n - skip &&
                             memcmp(raw + skip, name, taken) == 0));
    (void)lzr_target_is_clean(raw, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lzr_target t;
    static char text[1 << 16];
    folder((const char *)data, size);
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = '\0';
        const char *q = strchr(text, '?');
        query(q != NULL ? q + 1 : text);
    }
    lzr_target_parse((const char *)data, size, &t);
    if (t.kind != LZR_TARGET_KEY) {
        return 0;
    }
    LZR_CHECK(t.len <= LZR_MAX_KEY && t.key[t.len] == '\0' && strlen(t.key) == t.len);
    LZR_CHECK(t.key[0] != '/' && strstr(t.key, "//") == NULL && strchr(t.key, '\\') == NULL);
    LZR_CHECK(t.slash == (t.len == 0 || t.key[t.len - 1] == '/'));
    for (size_t i = 0, start = 0; i <= t.len; i++) {
        if (i == t.len || t.key[i] == '/') {
            LZR_CHECK(!(i - start == 1 && t.key[start] == '.'));
            LZR_CHECK(!(i - start == 2 && t.key[start] == '.' && t.key[start + 1] == '.'));
            start = i + 1;
        } else {
            unsigned char c = (unsigned char)t.key[i];
            LZR_CHECK(c >= 0x20 && c != 0x7f);
        }
    }
    LZR_CHECK(t.query == NULL ||
              ((const uint8_t *)t.query > data && (const uint8_t *)t.query <= data + size));
    return 0;
}
