/* caution.h: what `lazarr serve` says, or does, about itself before it serves: who may ask, whom it
 * runs as, what it leaves behind when it crashes. */
#ifndef LZR_CLI_CAUTION_H
#define LZR_CLI_CAUTION_H

#include <stdbool.h>

#include "base/log.h"
#include "cli/options.h"

/* A crash leaves no core file, which would hold the token and voxels, also where a program is given
 * them (systemd-coredump). Not with --core-dumps: then the limit is as it was inherited. Before any
 * worker starts; a worker never leaves one. */
void lzr_caution_cores(bool wanted);

/* How much of the machine the server is given, in lines of the log. */
void lzr_caution_say(const struct lzr_options *o, const struct lzr_server *server,
                     const struct lzr_log *log);

#endif
