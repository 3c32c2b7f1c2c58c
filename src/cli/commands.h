/* commands.h: what each command does; each returns the exit status. */
#ifndef LZR_CLI_COMMANDS_H
#define LZR_CLI_COMMANDS_H

#include <signal.h>

#include "cli/options.h"
#include "cli/service.h"

/* signals: SIGTERM, SIGINT and SIGHUP, blocked already; serve waits for them. */
int lzr_serve(const struct lzr_options *o, const sigset_t *signals, struct lzr_service *service);
int lzr_describe(const struct lzr_options *o);
int lzr_get(const struct lzr_options *o);
int lzr_bdv(const struct lzr_options *o);

/* Opens the driver, or says on stderr why not (one line, then the traceback). NULL: it failed. */
struct lzr_driver *lzr_open_driver(const struct lzr_options *o, const struct lzr_log *log);

#endif
