/* data_options.h: options for what a data file doesn't say, as lazarr.source has them: --axes zyx,
 * --scale 2,0.5,0.5, --units micrometer, --channels DAPI,GFP, --chunks 64, --dtype float32, --raw,
 * --rechunk time=-1,lat=16.
 *
 * Here their form is checked; what they mean for an array is the package's (_readers/given.py),
 * which gets them as texts "--axes=zyx" among the driver's --op. */
#ifndef LZR_CLI_DATA_OPTIONS_H
#define LZR_CLI_DATA_OPTIONS_H

#include <stddef.h>

enum { LZR_DATA_OPTIONS = 8, LZR_DATA_OPTION_TEXT = 1024 };

/* Which ones were given. An option that is given twice is the later one. */
struct lzr_data_options {
    char texts[LZR_DATA_OPTIONS][LZR_DATA_OPTION_TEXT]; /* empty: not given */
};

/* Takes an option, whose value is NULL of --raw: 0, or 2 for one that makes no sense, said on
 * stderr. name: without the hyphens, one of the eight. */
int lzr_data_option_take(struct lzr_data_options *o, const char *name, const char *value);

/* Appends the texts of those that were given to a list of n, which has room for so many; returns
 * how many it has then. They are borrowed from *o. */
size_t lzr_data_options_list(const struct lzr_data_options *o, const char **list, size_t n,
                             size_t room);

#endif
