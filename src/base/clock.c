#include "base/clock.h"

#include <time.h>

#include "base/check.h"

uint64_t lzr_now_us(void)
{
    struct timespec ts;
    LZR_CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

void lzr_day_text(char *out, size_t n, const char *format, uint64_t ago_us)
{
    struct timespec ts;
    struct tm tm;
    out[0] = '\0';
    if (clock_gettime(CLOCK_REALTIME, &ts) == 0) {
        time_t at = ts.tv_sec - (time_t)(ago_us / 1000000u);
        if (gmtime_r(&at, &tm) == NULL || strftime(out, n, format, &tm) == 0) {
            out[0] = '\0';
        }
    }
}
