/* inherit.h: what a process is given by the one that started it, set right.
 *
 * Signals, limits and descriptors go through exec: a shell, a supervisor or another program may
 * have left any of them odd. Called first of all in main, before any thread and any descriptor. */
#ifndef LZR_CLI_INHERIT_H
#define LZR_CLI_INHERIT_H

#include <stdint.h>

/* Descriptors 0 to 2 that are closed lead to /dev/null, or the first socket would be the log. No
 * signal is blocked. SIGCHLD is noticed; SIGPIPE and SIGXFSZ are errors of the call instead (a
 * file beyond `ulimit -f`); SIGTERM ends it also where it was ignored. No timer of a former program
 * runs. As many descriptors, and files as long, as the hard limits allow. A SIGHUP that is ignored
 * (nohup) stays so. What workers leave behind becomes this process's child (engine/orphans.h).
 * Returns the soft limit of descriptors that was raised, which is that of stores' code (programs
 * that use select() count on it); 0: it is as it was. */
uint64_t lzr_inherit(void);

#endif
