/* near.h: what is said of an option or a command that there is none of, with the one that may be
 * meant. */
#ifndef LZR_CLI_NEAR_H
#define LZR_CLI_NEAR_H

#include <getopt.h>

/* Each says it on stderr and returns 2, the exit status of wrong usage.
 *
 * options: those there are, up to one without a name. "--worker" is told of "--workers",
 * "--tokenfile=x" of "--token-file". */
int lzr_unknown_option(const char *given, const struct option *options);

/* "brain.py" is told of "lazarr serve brain.py". */
int lzr_unknown_command(const char *given);

#endif
