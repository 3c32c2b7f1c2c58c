/* mask.h: what clients send, as the log may have it: without secrets. Pure, any thread; fuzzed. */
#ifndef LZR_HTTP_MASK_H
#define LZR_HTTP_MASK_H

#include <stdbool.h>
#include <stddef.h>

/* Copies a request target with what may be a secret hidden, always terminated, cut to fit:
 * - asterisks stand for the second segment where the first one is "t" in any spelling, which is
 *   where a token of ours stands;
 * - where our token (nullable) is anywhere else, "(the token)" stands for all that is left;
 * - asterisks stand for the values of parameters that other programs put tokens, keys and passwords
 *   into ("?token=", "&X-Amz-Signature="), and for the user before an authority. */
void lzr_target_mask(const char *raw, size_t n, const char *token, char *out, size_t size);

/* Copies a header's value, always terminated, cut to fit; "(the token)" where ours (nullable) is in
 * it, in any case and spelling. True: it is as it was, and may be shown. */
bool lzr_text_mask(const char *text, size_t n, const char *token, char *out, size_t size);

#endif
