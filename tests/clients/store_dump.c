/* store_dump MANIFEST RAWDIR OUTDIR: every key of a store as a file, so that a reader can be tried
 * on the store's documents and codecs without a server, a worker or Python. RAWDIR/<id>.<level> has
 * the raw values of an array's level in C order. Used by store_dump.py. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/catalog.h"
#include "store/codec.h"

static void die(const char *what)
{
    fprintf(stderr, "store_dump: %s\n", what);
    exit(1);
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        die(path);
    }
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = lzr_malloc(*n);
    if (bytes == NULL || fread(bytes, 1, *n, f) != *n) {
        die(path);
    }
    fclose(f);
    return bytes;
}

static void write_file(const char *dir, const char *key, const void *bytes, size_t n)
{
    char path[LZR_MAX_KEY * 2];
    snprintf(path, sizeof path, "%s/%s", dir, key);
    for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            die(path);
        }
        *p = '/';
    }
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) {
        die(path);
    }
}

static void write_documents(const struct lzr_catalog *c, const char *out, const char *key)
{
    struct lzr_hit hit = lzr_catalog_lookup(c, key, strlen(key));
    if (hit.node == LZR_NODE_DOC) {
        write_file(out, key, hit.doc->data, hit.doc->len);
    } else if (hit.node != LZR_NODE_DIR) {
        die("a listed key does not exist");
    }
    for (size_t i = 0; hit.dir != NULL && i < hit.dir->n; i++) {
        char below[LZR_MAX_KEY];
        snprintf(below, sizeof below, "%s%s%s", key, key[0] != '\0' ? "/" : "",
                 hit.dir->entries[i].name);
        write_documents(c, out, below);
    }
}

/* The block of a chunk out of the whole array, element by element: slow and plain. */
static void gather(const struct lzr_grid *g, const uint64_t start[], const uint64_t extent[],
                   const char *raw, unsigned size, char *block)
{
    uint64_t n = 1;
    for (unsigned i = 0; i < g->rank; i++) {
        n *= extent[i];
    }
    for (uint64_t e = 0; e < n; e++) {
        uint64_t rest = e, offset = 0, step = 1;
        for (unsigned i = g->rank; i-- > 0;) {
            offset += (start[i] + rest % extent[i]) * step;
            step *= g->shape[i];
            rest /= extent[i];
        }
        memcpy(block + e * size, raw + offset * size, size);
    }
}

static void write_chunk(const struct lzr_catalog *c, const struct lzr_array *a, unsigned level,
                        const uint64_t pos[], const void *bytes, size_t n, const char *out)
{
    const struct lzr_grid *g = &a->levels[level].grid;
    for (int face = 0; face < LZR_FACES; face++) {
        struct lzr_buf key;
        lzr_buf_init(&key, LZR_MAX_KEY);
        lzr_array_key(&key, a, (enum lzr_face)face);
        if (a->kind != LZR_PLAIN) {
            key.len--; /* the level's number is ours to say */
            lzr_buf_printf(&key, "%u", level);
        }
        bool v3 = face == LZR_FACE_ZARR3;
        lzr_buf_puts(&key, v3 ? "/c" : "");
        for (unsigned i = 0; i < g->rank; i++) {
            char before = i == 0 || v3 ? '/' : a->separator;
            lzr_buf_printf(&key, "%c%llu", before, (unsigned long long)pos[i]);
        }
        lzr_buf_puts(&key, g->rank == 0 && !v3 ? "/0" : "");
        struct lzr_hit hit = lzr_catalog_lookup(c, key.data, key.len);
        if (hit.node != LZR_NODE_CHUNK || hit.chunk.array != a || hit.chunk.level != level ||
            hit.chunk.index != lzr_grid_index(g, pos)) {
            die(key.data);
        }
        write_file(out, key.data, bytes, n);
        lzr_buf_release(&key);
    }
}

static void write_level(const struct lzr_catalog *c, const struct lzr_array *a, unsigned level,
                        const char *raws, const char *out)
{
    const struct lzr_grid *g = &a->levels[level].grid;
    char path[LZR_MAX_KEY];
    size_t nraw, n = (size_t)g->chunk_elements * a->dtype.size, len;
    snprintf(path, sizeof path, "%s/%u.%u", raws, (unsigned)a->id, level);
    char *raw = read_file(path, &nraw);
    size_t cap = lzr_codec_bound(&a->codec, n);
    char *block = lzr_malloc(n), *chunk = lzr_malloc(n), *encoded = lzr_malloc(cap);
    if (block == NULL || chunk == NULL || encoded == NULL) {
        die("out of memory");
    }
    for (uint64_t i = 0; i < g->total; i++) {
        uint64_t pos[LZR_MAX_RANK], start[LZR_MAX_RANK], extent[LZR_MAX_RANK];
        struct lzr_err err;
        lzr_grid_position(g, i, pos);
        lzr_grid_block(g, pos, start, extent);
        gather(g, start, extent, raw, a->dtype.size, block);
        lzr_chunk_pad(g, extent, block, a->dtype.size, a->fill, chunk);
        if (lzr_codec_encode(&a->codec, a->dtype.size, chunk, n, encoded, cap, &len, &err) !=
            LZR_OK) {
            die(err.msg);
        }
        write_chunk(c, a, level, pos, encoded, len, out);
    }
    lzr_free(encoded);
    lzr_free(chunk);
    lzr_free(block);
    lzr_free(raw);
}

int main(int argc, char **argv)
{
    struct lzr_catalog *c = NULL;
    struct lzr_err err;
    if (argc != 4) {
        die("usage: store_dump MANIFEST RAWDIR OUTDIR");
    }
    struct lzr_manifest_text text = {"dump", argv[1], NULL, 0};
    char *json = read_file(argv[1], &text.len);
    text.json = json;
    if (lzr_catalog_new(&text, 1, &c, &err) != LZR_OK) {
        die(err.msg);
    }
    write_documents(c, argv[3], "");
    for (size_t i = 0; i < lzr_catalog_narrays(c); i++) {
        const struct lzr_array *a = lzr_catalog_array(c, i);
        for (unsigned k = 0; k < a->nlevels; k++) {
            write_level(c, a, k, argv[2], argv[3]);
        }
    }
    lzr_catalog_free(&c);
    lzr_free(json);
    return 0;
}
