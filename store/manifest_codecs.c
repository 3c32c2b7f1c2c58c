#include <string.h>

#include "store/codec.h"
#include "store/manifest_fields.h"

static enum lzr_code read_blosc(const cJSON *v, struct lzr_codec *c, struct lzr_err *err)
{
    static const char *const SHUFFLES[] = {"noshuffle", "shuffle", "bitshuffle"};
    const char *cname, *shuffle;
    enum lzr_code code = lzr_field_string(v, "cname", &cname, err);
    if (code == LZR_OK) {
        code = lzr_field_string(v, "shuffle", &shuffle, err);
    }
    if (code == LZR_OK) {
        code = lzr_field_int(lzr_field(v, "clevel"), "clevel", &c->level, err);
    }
    if (code != LZR_OK) {
        return code;
    }
    size_t n = strlen(cname);
    if (n >= sizeof c->cname) {
        return lzr_err_set(err, LZR_E_INVAL, "unknown blosc cname \"%.40s\"", cname);
    }
    memcpy(c->cname, cname, n + 1);
    for (int i = 0; i < 3; i++) {
        if (strcmp(SHUFFLES[i], shuffle) == 0) {
            c->shuffle = i;
            return LZR_OK;
        }
    }
    return lzr_err_set(err, LZR_E_INVAL,
                       "blosc shuffle must be \"noshuffle\", \"shuffle\" or \"bitshuffle\", got "
                       "\"%.40s\"",
                       shuffle);
}

/* v: null for none, or an object with an id. lz4 is a codec of N5 alone. */
static enum lzr_code read_codec(const cJSON *v, bool n5, struct lzr_codec *c, struct lzr_err *err)
{
    const char *id = "";
    enum lzr_code code = LZR_OK;
    c->id = LZR_CODEC_NONE;
    if (v == NULL) {
        return LZR_OK;
    }
    if (!cJSON_IsObject(v)) {
        return lzr_err_set(err, LZR_E_INVAL, "must be an object or null, got %s",
                           lzr_field_kind(v));
    }
    code = lzr_field_string(v, "id", &id, err);
    if (code != LZR_OK) {
        return code;
    }
    if (strcmp(id, "blosc") == 0) {
        c->id = LZR_CODEC_BLOSC;
        code = read_blosc(v, c, err);
    } else if (strcmp(id, "zstd") == 0 || strcmp(id, "gzip") == 0) {
        c->id = id[0] == 'z' ? LZR_CODEC_ZSTD : LZR_CODEC_GZIP;
        code = lzr_field_int(lzr_field(v, "level"), "level", &c->level, err);
    } else if (n5 && strcmp(id, "lz4") == 0) {
        c->id = LZR_CODEC_LZ4;
    } else {
        code =
            lzr_err_set(err, LZR_E_INVAL, "unknown id \"%.40s\"; known are blosc, zstd and gzip%s",
                        id, n5 ? ", lz4" : "");
    }
    return code == LZR_OK ? lzr_codec_check(c, err) : code;
}

/* Neuroglancer's default for labels; it says nothing where the type shown has no such encoding. */
static enum lzr_code read_precomputed(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    const cJSON *v = lzr_field(object, "precomputed_encoding");
    a->compressed_segmentation = a->kind == LZR_LABELS;
    if (v == NULL) {
        return LZR_OK;
    }
    if (!cJSON_IsString(v) || (strcmp(v->valuestring, "raw") != 0 &&
                               strcmp(v->valuestring, "compressed_segmentation") != 0)) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "precomputed_encoding must be \"raw\" or \"compressed_segmentation\"");
    }
    a->compressed_segmentation = v->valuestring[0] == 'c';
    return LZR_OK;
}

enum lzr_code lzr_manifest_codecs(const cJSON *object, struct lzr_array *a, struct lzr_err *err)
{
    enum lzr_code code = read_codec(lzr_field(object, "compressor"), false, &a->codec, err);
    if (code != LZR_OK) {
        lzr_err_prefix(err, "compressor");
        return code;
    }
    /* gzip 1: Java readers rarely have a native blosc. null is no compression, so the default is
     * that of a manifest that doesn't say it at all. */
    a->n5_codec = (struct lzr_codec){.id = LZR_CODEC_GZIP, .level = 1};
    if (cJSON_GetObjectItemCaseSensitive(object, "n5_compressor") != NULL) {
        code = read_codec(lzr_field(object, "n5_compressor"), true, &a->n5_codec, err);
        if (code != LZR_OK) {
            lzr_err_prefix(err, "n5_compressor");
            return code;
        }
    }
    return read_precomputed(object, a, err);
}
