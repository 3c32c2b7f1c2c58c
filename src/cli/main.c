#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/inherit.h"
#include "cli/service.h"

int main(int argc, char **argv)
{
    struct lzr_options o;
    uint64_t nofile = lzr_inherit();
    int rc = lzr_options_parse(argc, argv, &o);
    if (rc != 0) {
        return rc;
    }
    o.driver.worker_nofile = nofile;
    if (o.command == LZR_HELP) {
        lzr_options_help();
        return 0;
    }
    if (o.command == LZR_SHOW_VERSION) {
        (void)printf("lazarr %s\n", LZR_VERSION);
        return 0;
    }
    /* What is large is mapped, so that its memory goes back when it is freed; the library would
     * otherwise raise this limit by itself and keep what the budget has let go of. Chunks lie
     * elsewhere (base/pages.h); of the rest, each arena keeps what was freed, so there are two. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 22);
    (void)mallopt(M_ARENA_MAX, 2);
    if (o.command == LZR_DESCRIBE) {
        return lzr_describe(&o);
    }
    if (o.command == LZR_GET) {
        return lzr_get(&o);
    }
    if (o.command == LZR_BDV) {
        return lzr_bdv(&o);
    }
    /* Blocked before any thread starts, so that only the one that waits for them sees them. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    static struct lzr_service service; /* its thread may hang, and then outlives this */
    struct lzr_err err;
    if (lzr_service_take(&service, &err) != LZR_OK) {
        (void)fprintf(stderr, "lazarr: %s\n", err.msg);
        return 1;
    }
    return lzr_serve(&o, &signals, &service);
}
