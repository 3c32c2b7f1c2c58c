/* clock.h: monotonic time only. Wall-clock time is never used to order or limit anything. */
#ifndef LZR_BASE_CLOCK_H
#define LZR_BASE_CLOCK_H

#include <stdint.h>

uint64_t lzr_now_us(void); /* microseconds of CLOCK_MONOTONIC */

#endif
