/* Any bytes as a request target: what is called a key is canonical and within its length. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lzr_target t;
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
