/* handover.h: a worker's part in opening sources once for all (protocol.h, lazarr/_handover.py).
 * Main thread, with the GIL. */
#ifndef LZR_WORKER_HANDOVER_H
#define LZR_WORKER_HANDOVER_H

#include "worker/interp.h"
#include "worker/wire.h"

/* Calls lazarr._host.load for a CONFIG's stores and flags: the list of manifests, or NULL with a
 * Python error. May take a FACTS message from the server into p, which lives as long as the
 * process. */
PyObject *lzr_call_load(const struct lzr_interp *in, struct lzr_wire_packet *p, PyObject *stores,
                        uint32_t flags);
/* The loader's DATA and FACTS. 1: sent; 0: the server is gone; -1: a Python error is set. end: what
 * it opened nobody needs to keep. */
int lzr_hand_over(const struct lzr_interp *in, int socket_fd, bool *end);
/* Sends what was printed to the log, and CODE with what local code was loaded since the last call:
 * before anything is sent that it made. False: the server is gone. Clears a Python error. */
bool lzr_report(const struct lzr_interp *in, int socket_fd);

#endif
