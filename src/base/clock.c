#include "base/clock.h"

#include <time.h>

#include "base/check.h"

uint64_t lzr_now_us(void)
{
    struct timespec ts;
    LZR_CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}
