/* protocol.h: what the server and a worker say to each other.
 *
 * A worker is started with a SOCK_SEQPACKET socket as descriptor 3 and its stdout and stderr as
 * pipes. One packet is one message: struct lzr_msg and then `len` bytes of text; never more than
 * LZR_MAX_MESSAGE in all. Both run on one machine from one build, so fields are native; sizes are
 * fixed and asserted. The server distrusts every field it receives.
 *
 * Order:
 *
 *   server  CONFIG         text: "name\0path\0" for each store of the worker's folder; of a data
 *                          file the path is "data:FILE::PATH", of a file that was found in a folder
 *                          "found:PATH"; behind them "\0module:function\0" for each --op,
 *                          "\0--follow\0" if that is given, "\0--axes=zyx\0" and the like.
 *                          `total` bytes in all, of which this packet has the first
 *   worker  MORE           while it has fewer: `bytes` is how many it has
 *   server  CONFIG         ... and the server sends those from there on
 *   worker  MANIFEST_PART  for each store its parts in order (store, total), then
 *           READY          or LOAD_FAILED (text: message, NUL, traceback); of several stores, and
 *                          with LZR_CONFIG_OTHERS, one that fails has a manifest that says so
 *                          (store/manifest.h)
 *   server  SLOT           with a descriptor: a sealed memfd of `bytes` bytes, LZR_SLOT_CONTROL
 *                          more, and then `total` bytes for inputs; its number is `slot`
 *   server  JOB            the worker first claims it, see below
 *   worker  DONE, FAILED   seq, slot
 *   worker  CODE           "path\0digest\0" of each local file of code that it has loaded since
 *                          it last said so: before its manifests, and before the answer of the job
 *                          that loaded more
 *   worker  UNPINNED       the last reference that user code kept to a slot is gone
 *   server  DROP_SLOT      the worker unmaps it and forgets it; never while it is pinned
 *   server  QUIT           finish the running job, end as an interpreter does
 *
 * Folders. A worker has the stores of one folder; places in messages are those in its CONFIG. With
 * LZR_CONFIG_OTHERS there are stores in other folders, so none of these has to load.
 *
 * Sources. One worker a folder, the loader (LZR_CONFIG_LOADER), calls the functions that open
 * sources. Before READY it sends two sealed memfds: DATA with the bytes of all NumPy arrays among
 * them (not sent when there are none), where the manifests' "data" say which is where; and FACTS,
 * which the server passes on unread to all workers that were told to expect them
 * (LZR_CONFIG_FACTS): what those need to know of such sources without opening them. A worker that
 * needs them waits for them while it loads; others drop them. They also say which stores didn't
 * load: no other worker loads those. With LZR_READY_END the loader is done: it opened what nobody
 * needs to keep, and is told to QUIT; a fresh worker takes its place.
 *
 * Keeping. A loader with LZR_CONFIG_KEEP is sent, behind CONFIG, RENEW (text: "store/path\0" of
 * each array that is made new; flags LZR_RENEW_*: DATA follows; more RENEW come before all else),
 * the FACTS of the edition before, and its DATA, if it has any: all other sources are as these say,
 * and aren't opened.
 *
 * Claiming: the 64-bit word at offset `capacity` of the slot's memfd holds the number of the job
 * that may run. The worker compares it with seq and sets it to 0 in one atomic step; if it held
 * anything else, the server has withdrawn the job, and the worker drops the message without an
 * answer.
 *
 * Cancelling: the word behind the claim word is 0 when a job is sent. When nobody waits for its
 * chunk any more, the server puts seq there and sends a signal, again and again until the worker
 * has set LZR_CANCEL_TOLD in one atomic step, from when on the function knows (Block.cancelled, or
 * Cancelled was raised in it) and its result is not used: the answer is FAILED with
 * LZR_FAILED_CANCELLED. As long as the bit is not set the server may take it back.
 *
 * Inputs: the text of a JOB is a struct lzr_msg_input for each input of the array, in order. The
 * server writes their regions behind the control page before it sends the job; the worker maps that
 * part privately and writably, so what user code writes there is its own, and forgets it
 * (MADV_DONTNEED) before it uses the slot for another job.
 *
 * Versions. The server starts a worker with --version, its own; one of another, or whose package is
 * of another, answers with LOAD_FAILED and LZR_LOAD_VERSIONS (an upgrade underneath a server that
 * runs). type, version, len and flags stay where they are for ever: a worker that is sent another
 * LZR_PROTOCOL_VERSION says so and ends with LZR_EXIT_VERSIONS.
 *
 * Printing: stdout and stderr are one pipe. What Python's streams write says of which block it is:
 * each write is BEGIN '=' label END text BEGIN '.' END, at most PIPE_BUF bytes in all. An
 * empty label is "of none". Text without marks (of C code, of children) is of the block that runs,
 * or, where BEGIN '!' label END follows before it has been read, of that one. What looks like a
 * mark and isn't one is text. Marks only decide which name stands before a line of the log.
 *
 * The worker runs jobs one by one in the order they came; the server may send the next JOB while
 * one runs. A worker whose socket is closed ends at once.
 */
#ifndef LAZARR_PROTOCOL_H
#define LAZARR_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#include "lazarr/limits.h"

#define LZR_PROTOCOL_VERSION 3
#define LZR_WORKER_FD 3
#define LZR_EXIT_VERSIONS 76
/* What a worker's line about it begins with. */
#define LZR_VERSIONS_DIFFER "versions differ"
/* Bytes behind a slot's capacity: its memfd is so much longer. The first eight are the claim word.
 */
#define LZR_SLOT_CONTROL 4096
/* The second word of the control page: the number of the running job, put there by the server, once
 * nobody waits for its chunk; with this bit once the function was told. */
#define LZR_CANCEL_TOLD (UINT64_C(1) << 63)
/* Signals of the server to a worker, behind SIGRTMIN: "look at the cancel word of your job", and
 * "write all Python stacks to stderr". A worker that runs no job ignores the first. */
#define LZR_SIGNAL_CANCEL 5
#define LZR_SIGNAL_STACK 6
/* The kernel's, to a worker whose server has ended: it ends with all of its process group. */
#define LZR_SIGNAL_ALONE 7

/* Marks in what is printed. */
#define LZR_MARK_BEGIN '\x1d'
#define LZR_MARK_END '\x1e'
#define LZR_MARK_IS '='
#define LZR_MARK_OVER '.'
#define LZR_MARK_WAS '!'
#define LZR_MAX_LABEL 400 /* bytes of a label, without control characters */

enum lzr_msg_type {
    LZR_MSG_CONFIG = 1,
    LZR_MSG_MANIFEST_PART,
    LZR_MSG_READY,
    LZR_MSG_LOAD_FAILED,
    LZR_MSG_SLOT,
    LZR_MSG_DROP_SLOT,
    LZR_MSG_JOB,
    LZR_MSG_DONE,
    LZR_MSG_FAILED,
    LZR_MSG_UNPINNED,
    LZR_MSG_QUIT,
    LZR_MSG_FACTS,
    LZR_MSG_DATA,
    LZR_MSG_CODE,
    LZR_MSG_RENEW,
    LZR_MSG_MORE,
};

/* Flags of CONFIG; without one of them a worker opens all sources itself. */
#define LZR_CONFIG_LOADER 1u
#define LZR_CONFIG_FACTS 2u
#define LZR_CONFIG_KEEP 4u  /* with LZR_CONFIG_LOADER: RENEW follows */
#define LZR_CONFIG_KNOWN 8u /* with LZR_CONFIG_FACTS: those follow at once */
#define LZR_CONFIG_OTHERS 16u
/* Flags of LOAD_FAILED. */
#define LZR_LOAD_VERSIONS 1u
/* Flags of RENEW. */
#define LZR_RENEW_DATA 1u
#define LZR_RENEW_MORE 2u
/* Flags of READY. */
#define LZR_READY_END 1u

/* Flags of DONE. */
#define LZR_DONE_PINNED                                                                            \
    1u /* user code still holds an array over the slot: copy before you read                       \
        */

/* Of DONE, FAILED and UNPINNED: a child may have the slot mapped and write to it: copy before you
 * read, and don't use it again. */
#define LZR_DONE_FORKED 4u

/* Flags of FAILED. */
#define LZR_FAILED_CANCELLED 2u /* the job's cancel word says so */

/* One header for all messages: 208 bytes, unused fields 0. */
struct lzr_msg {
    uint32_t type;    /* enum lzr_msg_type */
    uint32_t version; /* LZR_PROTOCOL_VERSION */
    uint32_t len;     /* bytes of text behind the header */
    uint32_t flags;   /* CONFIG, READY, DONE: LZR_CONFIG_*, LZR_READY_*, LZR_DONE_* */
    uint64_t seq;     /* JOB and its answers: the job's number, unique for the worker's life */
    uint32_t store;   /* JOB, MANIFEST_PART: place of the store in CONFIG */
    uint32_t array;   /* JOB: lzr_array.local_id */
    uint32_t level;   /* JOB */
    uint32_t rank;    /* JOB */
    uint32_t slot;    /* SLOT, DROP_SLOT, JOB, DONE, FAILED, UNPINNED */
    uint32_t pad;
    uint64_t bytes; /* SLOT: capacity; JOB and DONE: bytes of the block in the slot; DATA, FACTS:
                     * bytes of the memfd; MORE: bytes of the CONFIG that are there */
    uint64_t total; /* CONFIG, MANIFEST_PART: bytes of the whole; JOB: flat chunk index */
    uint64_t start[LZR_MAX_RANK];  /* JOB: first voxel of the block */
    uint64_t extent[LZR_MAX_RANK]; /* JOB: voxels of the block, cut to the array */
    uint64_t run_us;               /* DONE, FAILED: what the function took */
    uint64_t reserved;
};

static_assert(sizeof(struct lzr_msg) == 16 + 8 + 24 + 16 + 128 + 16, "wire format");

/* One input of a JOB: a C-ordered array in the machine's byte order, of the dtype that the worker
 * knows the input has. */
struct lzr_msg_input {
    uint64_t offset; /* from where the slot's inputs begin; a multiple of LZR_INPUT_ALIGN */
    uint64_t extent[LZR_MAX_RANK];
    uint32_t rank;
    uint32_t pad;
};

#define LZR_INPUT_ALIGN 64

static_assert(sizeof(struct lzr_msg_input) == 8 + 8 * LZR_MAX_RANK + 8, "wire format");
static_assert(LZR_MAX_INPUTS * sizeof(struct lzr_msg_input) + sizeof(struct lzr_msg) <=
                  LZR_MAX_MESSAGE,
              "a job with all its inputs is one message");

/* Text of LOAD_FAILED and FAILED: one line for people, a NUL, the whole traceback (may be empty).
 * Both UTF-8, cut to fit a message. */

#endif
