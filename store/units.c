#include "store/units.h"

#include <stddef.h>
#include <string.h>

/* Prefixes that every reader knows; the others become the next one of these. */
static const struct {
    const char *name;
    double factor; /* of the symbol */
    double nano;
} PREFIXES[] = {
    {"yotta", 1, 1e33},  {"zetta", 1, 1e30}, {"exa", 1, 1e27},    {"peta", 1, 1e24},
    {"tera", 1, 1e21},   {"giga", 1, 1e18},  {"mega", 1, 1e15},   {"kilo", 1, 1e12},
    {"hecto", 100, 1e9}, {"deca", 10, 1e9},  {"deci", 100, 1e6},  {"centi", 10, 1e6},
    {"milli", 1, 1e6},   {"micro", 1, 1e3},  {"nano", 1, 1e0},    {"pico", 1, 1e-3},
    {"femto", 1, 1e-6},  {"atto", 1, 1e-9},  {"zepto", 1, 1e-12}, {"yocto", 1, 1e-15},
};

static const struct {
    const char *name;
    struct lzr_unit unit;
} OTHERS[] = {
    {"meter", {"m", 1, 1e9, true}},       {"second", {"s", 1, 1e9, false}},
    {"angstrom", {"nm", 0.1, 1, true}},   {"inch", {"mm", 25.4, 1e6, true}},
    {"foot", {"mm", 304.8, 1e6, true}},   {"yard", {"mm", 914.4, 1e6, true}},
    {"mile", {"m", 1609.344, 1e9, true}}, {"parsec", {"m", 3.0856775814913673e16, 1e9, true}},
    {"minute", {"s", 60, 1e9, false}},    {"hour", {"s", 3600, 1e9, false}},
    {"day", {"s", 86400, 1e9, false}},
};

static const char *const METRES[] = {"Ym", "Zm", "Em", "Pm", "Tm", "Gm", "Mm", "km", "m",  "m",
                                     "mm", "mm", "mm", "um", "nm", "pm", "fm", "am", "zm", "ym"};
static const char *const SECONDS[] = {"Ys", "Zs", "Es", "Ps", "Ts", "Gs", "Ms", "ks", "s",  "s",
                                      "ms", "ms", "ms", "us", "ns", "ps", "fs", "as", "zs", "ys"};

struct lzr_unit lzr_unit_of(const char *name)
{
    const struct lzr_unit none = {"", 1, 1, false};
    if (name == NULL) {
        return none;
    }
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        if (strcmp(name, OTHERS[i].name) == 0) {
            return OTHERS[i].unit;
        }
    }
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        size_t n = strlen(PREFIXES[i].name);
        if (strncmp(name, PREFIXES[i].name, n) != 0) {
            continue;
        }
        if (strcmp(name + n, "meter") == 0) {
            return (struct lzr_unit){METRES[i], PREFIXES[i].factor, PREFIXES[i].nano, true};
        }
        if (strcmp(name + n, "second") == 0) {
            return (struct lzr_unit){SECONDS[i], PREFIXES[i].factor, PREFIXES[i].nano, false};
        }
    }
    return none;
}
