#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#include "base/check.h"

uint64_t lzr_now_us(void)
{
    struct timespec ts;
    LZR_CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

void lzr_day_text(char *out, size_t n, enum lzr_day_form form, uint64_t ago_us)
{
    struct timespec ts;
    struct tm tm;
    out[0] = '\0';
    if (clock_gettime(CLOCK_REALTIME, &ts) == 0) {
        time_t at = ts.tv_sec - (time_t)(ago_us / 1000000u);
        bool known = gmtime_r(&at, &tm) != NULL;
        size_t len = !known                ? 0
                     : form == LZR_DAY_ISO ? strftime(out, n, "%Y-%m-%dT%H:%M:%SZ", &tm)
                     : form == LZR_DAY_LOG ? strftime(out, n, "%d/%b/%Y:%H:%M:%S +0000", &tm)
                                           : strftime(out, n, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        out[len] = '\0';
    }
}
