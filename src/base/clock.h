/* clock.h: monotonic time; and the day's, which is written for people and never used to order or
 * limit anything. */
#ifndef LZR_BASE_CLOCK_H
#define LZR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t lzr_now_us(void); /* microseconds of CLOCK_MONOTONIC */

/* Writes the day and time `ago_us` ago, in UTC, as strftime's format says: "" if it can't. */
void lzr_day_text(char *out, size_t n, const char *format, uint64_t ago_us)
    __attribute__((format(strftime, 3, 0)));

#endif
