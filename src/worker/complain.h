/* complain.h: what a worker says on its standard error, the server's log, before it ends. */
#ifndef LZR_WORKER_COMPLAIN_H
#define LZR_WORKER_COMPLAIN_H

#include "lazarr/protocol.h"

void lzr_complain(const char *what);
/* With what errno says. */
void lzr_complain_sys(const char *what);
/* A message that the server should never have sent: named, with what it said. */
void lzr_complain_of(const struct lzr_msg *m);
/* The server speaks this LZR_PROTOCOL_VERSION. */
void lzr_complain_of_version(unsigned theirs);

#endif
