#include "cli/memory.h"

#include "base/memory_limit.h"

static unsigned long long mib(uint64_t bytes)
{
    return (unsigned long long)(bytes >> 20);
}

void lzr_memory_settle(struct lzr_options *o, const struct lzr_log *log)
{
    uint64_t most = lzr_memory_limit(""), half = most / 2;
    if (most == 0 || o->driver.cache_bytes <= half) {
        return;
    }
    if (o->cache_given) {
        lzr_log(log, LZR_LOG_WARN,
                "--cache of %llu MiB is more than half of the %llu MiB of memory that the control "
                "group allows: workers need the rest",
                mib(o->driver.cache_bytes), mib(most));
        return;
    }
    o->driver.cache_bytes = half;
    lzr_log(log, LZR_LOG_INFO,
            "--cache is %llu MiB: half of the %llu MiB of memory that the control group allows",
            mib(half), mib(most));
}
