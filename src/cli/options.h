/* options.h: the command line. */
#ifndef LZR_CLI_OPTIONS_H
#define LZR_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/data_options.h"
#include "cli/token.h"
#include "http/server.h"
#include "lazarr/driver.h"

enum lzr_command {
    LZR_SERVE,
    LZR_DESCRIBE,
    LZR_GET,
    LZR_BDV,
    LZR_HELP,
    LZR_SHOW_VERSION
};

struct lzr_options {
    enum lzr_command command;
    struct lzr_driver_options driver;
    struct lzr_server_options server;
    const char *key; /* of get; of bdv the array's path */
    const char *url; /* of bdv: what the server's URLs begin with */
    const char *out; /* of bdv: the file; NULL is stdout */
    bool quiet;
    bool cache_given; /* --cache */
    const char *log_file; /* NULL: standard error */
    bool log_json;
    const char *origins[64], *hosts[64], *proxies[64];
    const char *ops[64 + LZR_DATA_OPTIONS]; /* with the texts of data_options.h behind them */
    struct lzr_data_options data;
    const char *modules[64]; /* of -m */
    char viewer_origin[256]; /* of --neuroglancer: may read, too */
    struct lzr_token token;
    bool core_dumps;
};

/* Reads argv into *o. 0, or 2 for wrong usage, said on stderr. Pointers into argv and into *o
 * itself are kept: *o must not move. */
int lzr_options_parse(int argc, char **argv, struct lzr_options *o);
void lzr_options_help(void);

/* "1GiB", "512MiB", "100MB", "4096", "0" to bytes. False: it isn't a size. */
bool lzr_size_parse(const char *text, uint64_t *out);

#endif
