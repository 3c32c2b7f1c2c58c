/* repeats.h: lines that come again and again are summed up.
 *
 * The first of a key is shown. Those that come within LZR_REPEATS_FIRST_US of it are counted and
 * become one sum when that time is over; while more come, there is one sum every LZR_REPEATS_US.
 * After such a time without any, the next is shown again. At most LZR_REPEATS_MAX keys are known;
 * where one more comes, the one begun longest ago is summed up and forgotten.
 *
 * Pure: the caller says what time it is. One thread. */
#ifndef LZR_BASE_REPEATS_H
#define LZR_BASE_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LZR_REPEATS_MAX 128
#define LZR_REPEATS_TEXT 240 /* bytes of the last one's text that are kept */
#define LZR_REPEATS_FIRST_US (UINT64_C(10) * 1000000)
#define LZR_REPEATS_US (UINT64_C(60) * 1000000)

struct lzr_repeat {
    uint64_t key, begun_us, due_us;
    uint64_t count; /* that weren't shown since begun_us */
    bool client;    /* of its text, see log.h */
    size_t n;
    char text[LZR_REPEATS_TEXT];
};

struct lzr_repeats {
    size_t n;
    struct lzr_repeat known[LZR_REPEATS_MAX];
};

/* What makes lines the same: this number and the text, digits aside. */
uint64_t lzr_repeats_key(uint64_t same, const char *text, size_t n);
/* Whether a line of this key is to be shown. Before it, sums that are due are taken out, and
 * lzr_repeats_room has made room. */
bool lzr_repeats_note(struct lzr_repeats *t, uint64_t key, bool client, const char *text, size_t n,
                      uint64_t now_us);
/* Takes out one sum that is due, into *out; false: there is none. Keys that had no repeat go
 * without a word. all: due or not, and every key goes. */
bool lzr_repeats_due(struct lzr_repeats *t, uint64_t now_us, bool all, struct lzr_repeat *out);
/* Forgets the oldest where there is no room for this key; true: that one had a sum, now in *out. */
bool lzr_repeats_room(struct lzr_repeats *t, uint64_t key, struct lzr_repeat *out);
/* When lzr_repeats_due is to be called next; UINT64_MAX: not before a note. */
uint64_t lzr_repeats_next(const struct lzr_repeats *t);

#endif
