#include "cli/caution.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

void lzr_caution_cores(bool wanted)
{
    struct rlimit lim;
    if (wanted || getrlimit(RLIMIT_CORE, &lim) != 0) {
        return;
    }
    /* No file is as short as that; and of the limits it is the one that Linux heeds where
     * core_pattern names a program, which 0 isn't. */
    lim.rlim_cur = lim.rlim_max < 1 ? lim.rlim_max : 1;
    (void)setrlimit(RLIMIT_CORE, &lim);
}

void lzr_caution_say(const struct lzr_options *o, const struct lzr_server *server,
                     const struct lzr_log *log)
{
    char where[160];
    (void)snprintf(where, sizeof where, "%s %.120s",
                   o->server.ngiven > 0 ? "the socket at" : "--host", lzr_server_host(server));
    if (geteuid() == 0) {
        lzr_log(log, LZR_LOG_WARN,
                "running as root: what the stores' code may do, it may do to all of this machine");
    }
    if (o->token.in_arguments) {
        lzr_log(log, LZR_LOG_WARN,
                "--token can be read in the process list by everybody on this machine; "
                "--token-file FILE and $LAZARR_TOKEN can't");
    }
    if (lzr_server_is_loopback(server) || o->server.token != NULL) {
        return;
    }
    if (o->token.none) {
        lzr_log(log, LZR_LOG_WARN,
                "%s without a token: everybody who reaches this machine may read the stores "
                "and have chunks computed",
                where);
        lzr_log(log, LZR_LOG_WARN,
                "to ask for one: --token-file FILE; to be there for this machine only: --host "
                "127.0.0.1");
        return;
    }
    lzr_log(log, LZR_LOG_WARN,
            "%s is there for other machines, too, and no token was given: one was made, and the "
            "URLs have it",
            where);
    lzr_log(log, LZR_LOG_WARN,
            "to keep one: --token-file FILE; to let everybody read: --no-token; to be there for "
            "this machine only: --host 127.0.0.1");
}
