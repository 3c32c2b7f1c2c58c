/* Any values written with the JSON writer: the text is valid for our own checker, and cJSON reads
 * back what was written. Any bytes as a document: the checker never takes what cJSON refuses. */
#include <cJSON.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "store/json_span.h"
#include "store/json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p, *end;
};

static uint64_t take(struct input *in, size_t n)
{
    uint64_t v = 0;
    for (; n > 0 && in->p < in->end; n--) {
        v = v << 8 | *in->p++;
    }
    return v;
}

static void one(struct lzr_json *j, struct input *in, unsigned depth)
{
    uint64_t kind = take(in, 1) % 9;
    double d;
    uint64_t bits;
    switch (kind) {
    case 0:
        lzr_json_u64(j, take(in, 8));
        break;
    case 1:
        lzr_json_int(j, (int)take(in, 4));
        break;
    case 2:
        bits = take(in, 8);
        memcpy(&d, &bits, sizeof d);
        lzr_json_real(j, isfinite(d) ? d : 1.5);
        break;
    case 3:
        lzr_json_bool(j, take(in, 1) & 1);
        break;
    case 4:
        lzr_json_null(j);
        break;
    case 5:
    case 6:
        if (depth < 8) {
            bool object = kind == 5;
            lzr_json_open(j, object ? '{' : '[');
            for (uint64_t n = take(in, 1) % 5; n > 0; n--) {
                if (object) {
                    char key[8] = "k";
                    key[1] = (char)('a' + n);
                    lzr_json_key(j, key);
                }
                one(j, in, depth + 1);
            }
            lzr_json_close(j, object ? '}' : ']');
            break;
        }
        lzr_json_null(j);
        break;
    default: {
        size_t n = take(in, 1) % 40;
        n = n < (size_t)(in->end - in->p) ? n : (size_t)(in->end - in->p);
        lzr_json_string_n(j, (const char *)in->p, n);
        in->p += n;
    }
    }
}

/* What cJSON read against what was written. */
static void compare(const cJSON *v, struct input *in, unsigned depth)
{
    uint64_t kind = take(in, 1) % 9;
    double d;
    uint64_t bits;
    switch (kind) {
    case 0:
        LZR_CHECK(cJSON_IsNumber(v) && v->valuedouble == (double)take(in, 8));
        break;
    case 1:
        LZR_CHECK(cJSON_IsNumber(v) && v->valuedouble == (double)(int)take(in, 4));
        break;
    case 2:
        bits = take(in, 8);
        memcpy(&d, &bits, sizeof d);
        LZR_CHECK(cJSON_IsNumber(v) && v->valuedouble == (isfinite(d) ? d : 1.5));
        break;
    case 3:
        LZR_CHECK(cJSON_IsBool(v) && cJSON_IsTrue(v) == (int)(take(in, 1) & 1));
        break;
    case 4:
        LZR_CHECK(cJSON_IsNull(v));
        break;
    case 5:
    case 6:
        if (depth < 8) {
            LZR_CHECK(kind == 5 ? cJSON_IsObject(v) : cJSON_IsArray(v));
            const cJSON *child = v->child;
            for (uint64_t n = take(in, 1) % 5; n > 0; n--) {
                LZR_CHECK(child != NULL);
                LZR_CHECK(kind == 6 || child->string[1] == (char)('a' + n));
                compare(child, in, depth + 1);
                child = child->next;
            }
            LZR_CHECK(child == NULL);
            break;
        }
        LZR_CHECK(cJSON_IsNull(v));
        break;
    default: {
        size_t n = take(in, 1) % 40;
        n = n < (size_t)(in->end - in->p) ? n : (size_t)(in->end - in->p);
        LZR_CHECK(cJSON_IsString(v));
        bool ascii = true;
        for (size_t i = 0; i < n; i++) {
            ascii = ascii && in->p[i] < 0x80;
        }
        if (ascii) { /* cJSON cuts at a zero; bytes that are no UTF-8 are replaced */
            LZR_CHECK(strncmp(v->valuestring, (const char *)in->p, n) == 0);
        }
        in->p += n;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lzr_json j;
    struct lzr_buf b;
    struct lzr_err err;
    struct input in = {data, data + size};
    lzr_buf_init(&b, 1 << 20);
    lzr_json_init(&j, &b);
    one(&j, &in, 0);
    LZR_CHECK(!lzr_buf_failed(&b));
    LZR_CHECK(lzr_json_check(b.data, b.len, LZR_JSON_ANY, &err) == LZR_OK);
    cJSON *v = cJSON_ParseWithLength(b.data, b.len);
    LZR_CHECK(v != NULL);
    struct input same = {data, data + size};
    compare(v, &same, 0);
    cJSON_Delete(v);
    lzr_buf_release(&b);

    if (lzr_json_check((const char *)data, size, LZR_JSON_FOR_CJSON, &err) == LZR_OK) {
        v = cJSON_ParseWithLength((const char *)data, size);
        LZR_CHECK(v != NULL);
        cJSON_Delete(v);
    }
    return 0;
}
