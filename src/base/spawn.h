/* spawn.h: a child process begins with no signal blocked or ignored, whatever this one was given or
 * has set: an ignored SIGCHLD or SIGPIPE and a blocked SIGTERM are inherited through exec. */
#ifndef LZR_BASE_SPAWN_H
#define LZR_BASE_SPAWN_H

#include <spawn.h>

/* Initialises attr for that; destroy it also after an error. Returns an error number. */
int lzr_spawn_clean(posix_spawnattr_t *attr);

#endif
