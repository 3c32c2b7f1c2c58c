#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

static void new_line(unsigned depth, FILE *out)
{
    (void)putc_unlocked('\n', out);
    while (depth-- > 0) {
        (void)putc_unlocked(' ', out);
    }
}

/* Writes valid JSON indented, as it goes: a manifest may have tens of megabytes in few lines. */
static void write_indented(const char *text, size_t n, FILE *out)
{
    unsigned depth = 0;
    bool quoted = false, opened = false; /* opened: the last that was written is a bracket */
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (!quoted && strchr(" \t\r\n", c) != NULL) {
            continue;
        }
        bool closes = !quoted && (c == '}' || c == ']');
        depth -= closes;
        if (closes != opened) { /* nothing between brackets: they stay together */
            new_line(depth, out);
        }
        (void)putc_unlocked(c, out);
        opened = !quoted && (c == '{' || c == '[');
        depth += opened;
        if (quoted && c == '\\' && i + 1 < n) {
            (void)putc_unlocked(text[++i], out);
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && c == ',') {
            new_line(depth, out);
        } else if (!quoted && c == ':') {
            (void)putc_unlocked(' ', out);
        }
    }
    (void)putc_unlocked('\n', out);
}

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
    for (size_t i = 0; i < n && !ferror(stdout); i++) {
        size_t len;
        if (lzr_catalog_store(lzr_driver_catalog(d), i)->fate != LZR_LOADED) {
            continue; /* why stands in the log */
        }
        const char *text = lzr_driver_manifest(d, i, &len);
        write_indented(text, len, stdout);
    }
    bool ok = fflush(stdout) == 0 && !ferror(stdout) &&
              lzr_catalog_count(lzr_driver_catalog(d), LZR_FAILED) == 0;
    lzr_driver_close(&d);
    return ok ? 0 : 1;
}
