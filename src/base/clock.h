/* clock.h: monotonic time; and the day's, which is written for people and never used to order or
 * limit anything. */
#ifndef LZR_BASE_CLOCK_H
#define LZR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

uint64_t lzr_now_us(void); /* microseconds of CLOCK_MONOTONIC */

/* A time of lzr_now_us, or a span, as system calls take it. */
static inline struct timespec lzr_timespec(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}

enum lzr_day_form {
    LZR_DAY_ISO, /* 2026-12-01T04:37:00Z */
    LZR_DAY_HTTP, /* Tue, 01 Dec 2026 04:37:00 GMT */
    LZR_DAY_LOG   /* 01/Dec/2026:04:37:00 +0000 */
};

/* Writes the day and time `ago_us` ago, in UTC: "" if it can't. */
void lzr_day_text(char *out, size_t n, enum lzr_day_form form, uint64_t ago_us);

#endif
