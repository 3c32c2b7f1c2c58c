/* json_writer.h: JSON into a struct lzr_buf, compact, numbers exact.
 *
 *   struct lzr_json j;
 *   lzr_json_init(&j, &buf);
 *   lzr_json_open(&j, '{');
 *   lzr_json_key(&j, "zarr_format");
 *   lzr_json_u64(&j, 2);
 *   lzr_json_close(&j, '}');
 *
 * It places the commas and nothing else: whoever writes keys and values in the wrong order gets the
 * wrong text. Failure is the buffer's sticky flag. The same calls give the same bytes. */
#ifndef LZR_STORE_JSON_WRITER_H
#define LZR_STORE_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lzr_buf;

struct lzr_json {
    struct lzr_buf *out; /* borrowed */
    bool comma;          /* one is due before the next key or value */
};

void lzr_json_init(struct lzr_json *j, struct lzr_buf *out);
void lzr_json_open(struct lzr_json *j, char bracket);  /* '{' or '[' */
void lzr_json_close(struct lzr_json *j, char bracket); /* '}' or ']' */
void lzr_json_key(struct lzr_json *j, const char *name);
void lzr_json_key_n(struct lzr_json *j, const char *name, size_t n);
void lzr_json_string(struct lzr_json *j, const char *s);
void lzr_json_string_n(struct lzr_json *j, const char *s, size_t n);
void lzr_json_u64(struct lzr_json *j, uint64_t v);
void lzr_json_int(struct lzr_json *j, int v);
void lzr_json_real(struct lzr_json *j, double v); /* finite; the shortest that round-trips */
void lzr_json_bool(struct lzr_json *j, bool v);
void lzr_json_null(struct lzr_json *j);
/* A value, or "key":value members, that is JSON already. */
void lzr_json_raw(struct lzr_json *j, const char *text, size_t n);
/* Places the comma that is due; the caller then appends exactly one value to j->out itself. */
void lzr_json_value(struct lzr_json *j);

#endif
