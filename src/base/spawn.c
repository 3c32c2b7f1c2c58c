#include "base/spawn.h"

#include <signal.h>

#include "base/check.h"

int lzr_spawn_clean(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    LZR_ZERO(posix_spawnattr_init(attr));
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(attr, &none);
    rc = rc != 0 ? rc : posix_spawnattr_setsigdefault(attr, &all);
    return rc != 0 ? rc
                   : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}
