#include "worker/complain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void lzr_complain(const char *what)
{
    (void)fprintf(stderr, "lazarr-worker: %s\n", what);
}

void lzr_complain_sys(const char *what)
{
    int sys = errno;
    char reason[128];
    (void)fprintf(stderr, "lazarr-worker: %s: %s\n", what, strerror_r(sys, reason, sizeof reason));
}

void lzr_complain_of(const struct lzr_msg *m)
{
    static const char *const names[] = {[LZR_MSG_CONFIG] = "configuration",
                                        [LZR_MSG_SLOT] = "slot",
                                        [LZR_MSG_DROP_SLOT] = "drop of a slot",
                                        [LZR_MSG_JOB] = "job"};
    const char *name = m->type < sizeof names / sizeof names[0] ? names[m->type] : NULL;
    (void)fprintf(stderr,
                  "lazarr-worker: a %s that makes no sense (type %u, store %u, array %u, slot %u, "
                  "%llu bytes)\n",
                  name != NULL ? name : "message", m->type, m->store, m->array, m->slot,
                  (unsigned long long)m->bytes);
}

void lzr_complain_of_version(unsigned theirs)
{
    (void)fprintf(stderr,
                  "lazarr-worker: " LZR_VERSIONS_DIFFER
                  ": the server speaks protocol %u, this worker (lazarr %s) %u; restart "
                  "the server\n",
                  theirs, LZR_VERSION, LZR_PROTOCOL_VERSION);
}
