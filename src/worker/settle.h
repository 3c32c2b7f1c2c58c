/* settle.h: what a worker's process does first, before Python: it goes with its server, and takes
 * the processes of its group along, gets the CPU last, can't gain rights, writes no core file, and
 * is the first to go when memory is short.
 * What is left open and which variables it sees is its server's doing (engine/worker.c). */
#ifndef LZR_WORKER_SETTLE_H
#define LZR_WORKER_SETTLE_H

/* Ends the process if the server is gone already. */
void lzr_settle(void);
/* The soft limit of descriptors that the server was started with; it has raised its own. */
void lzr_settle_descriptors(unsigned long long most);

#endif
