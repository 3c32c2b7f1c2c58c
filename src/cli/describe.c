#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"

int lzr_describe(const struct lzr_options *o)
{
    struct lzr_log log = {.fd = STDERR_FILENO, .level = LZR_LOG_INFO};
    struct lzr_options one = *o;
    one.driver.workers = 1;
    struct lzr_driver *d = lzr_open_driver(&one, &log);
    if (d == NULL) {
        return 1;
    }
    size_t n = lzr_catalog_nstores(lzr_driver_catalog(d));
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *text = lzr_driver_manifest(d, i, &len);
        ok = ok && fwrite(text, 1, len, stdout) == len && fputc('\n', stdout) != EOF;
    }
    ok = fflush(stdout) == 0 && ok;
    lzr_driver_close(&d);
    return ok ? 0 : 1;
}
