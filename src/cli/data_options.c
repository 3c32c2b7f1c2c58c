#include "cli/data_options.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AXES, SCALE, UNITS, CHANNELS, CHUNKS, DTYPE, RECHUNK, RAW };
static const char *const names[LZR_DATA_OPTIONS] = {"axes",   "scale", "units",   "channels",
                                                    "chunks", "dtype", "rechunk", "raw"};

/* Some of t, c, z, y, x, each at most once, in any order; y and x among them. */
static bool is_axes(const char *text)
{
    size_t n = strspn(text, "tczyx");
    if (text[n] != '\0' || strchr(text, 'y') == NULL || strchr(text, 'x') == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (strchr(text + i + 1, text[i]) != NULL) {
            return false;
        }
    }
    return true;
}

/* Numbers above 0 between commas; whole: integers. */
static bool is_numbers(const char *text, bool whole)
{
    for (;;) {
        char *end = NULL;
        double v = strtod(text, &end);
        if (end == text || !isfinite(v) || v <= 0 ||
            (whole && strspn(text, "0123456789") != (size_t)(end - text))) {
            return false;
        }
        if (*end == '\0') {
            return true;
        }
        if (*end != ',') {
            return false;
        }
        text = end + 1;
    }
}

/* AXIS=N between commas: an axis' name or position, and voxels, or -1 for all of it. */
static bool is_chunks_of_axes(const char *text)
{
    for (;;) {
        size_t name = strcspn(text, "=,");
        if (name == 0 || text[name] != '=') {
            return false;
        }
        text += name + 1;
        size_t n = strspn(text, "0123456789");
        if (strncmp(text, "-1", 2) == 0) {
            n = 2;
        } else if (n == 0 || n > 18 || strspn(text, "0") == n) {
            return false;
        }
        if (text[n] == '\0') {
            return true;
        }
        if (text[n] != ',') {
            return false;
        }
        text += n + 1;
    }
}

/* What a value must be that isn't one; NULL where it is. */
static const char *must_be(int which, const char *value)
{
    if (which == AXES && !is_axes(value)) {
        return "different letters out of t, c, z, y and x, with y and x";
    }
    if (which == SCALE && !is_numbers(value, false)) {
        return "numbers > 0 with commas between them";
    }
    if (which == CHUNKS && !is_numbers(value, true)) {
        return "integers >= 1 with commas between them";
    }
    if (which == RECHUNK && !is_chunks_of_axes(value)) {
        return "AXIS=N with commas between them, N >= 1 or -1 for all of an axis";
    }
    return which != RAW && value[0] == '\0'                                  ? "a text"
           : which != RAW && strlen(value) + 16 > (size_t)LZR_DATA_OPTION_TEXT ? "shorter"
                                                                               : NULL;
}

int lzr_data_option_take(struct lzr_data_options *o, const char *name, const char *value)
{
    int which = 0;
    while (which < LZR_DATA_OPTIONS - 1 && strcmp(names[which], name) != 0) {
        which++;
    }
    const char *must = must_be(which, value);
    if (must != NULL) {
        (void)fprintf(stderr, "lazarr: --%s must be %s, got '%.200s' (lazarr --help says how)\n",
                      name, must, value);
        return 2;
    }
    (void)snprintf(o->texts[which], sizeof o->texts[which], "--%s%s%s", name,
                   which == RAW ? "" : "=", which == RAW ? "" : value);
    return 0;
}

size_t lzr_data_options_list(const struct lzr_data_options *o, const char **list, size_t n,
                             size_t room)
{
    for (size_t i = 0; i < LZR_DATA_OPTIONS && n < room; i++) {
        if (o->texts[i][0] != '\0') {
            list[n++] = o->texts[i];
        }
    }
    return n;
}
