/* SPDX-License-Identifier: BSD-2-Clause */
/* A channel: the shared memory between one gateway process and one worker.
 *
 *   object        gateway     worker      what
 *   requests      read/write  read        ring_object of the gateway
 *   write arena   read/write  read        payload of writes
 *   completions   read        read/write  ring_object of the worker
 *   read arena    read        read/write  payload of reads
 *   identity      read/write  read/write  session identity (later issues)
 *
 * The daemon creates the objects, hands fds with exactly these rights to both
 * sides and keeps its own. A channel outlives its workers: the next one starts
 * at index zero in the next epoch. The gateway resets `requests` and sends
 * CONTROL_GO; the worker then resets `completions` (ring.h, R4). When it
 * starts a worker the daemon clears completions->refused_syscall, no more.
 *
 * Both arenas are CHANNEL_SLOTS chunks of CHANNEL_CHUNK_BYTES; the gateway
 * alone decides who uses which chunk.
 */
#ifndef BH_IPC_CHANNEL_H
#define BH_IPC_CHANNEL_H

#include "ipc/ring.h"

/* A gateway has at most so many channels to one volume (connections=). They
 * share one CHANNEL_WAKE_GATEWAY, so that one thread can sleep for all.
 */
#define CHANNEL_PATHS 8u

#define CHANNEL_SLOTS RING_ENTRIES
#define CHANNEL_CHUNK_BYTES (1024u * 1024)
#define CHANNEL_ARENA_BYTES ((size_t)CHANNEL_SLOTS * CHANNEL_CHUNK_BYTES)
#define CHANNEL_RING_BYTES                                                    \
  ((sizeof (struct ring_object) + 4095) / 4096 * 4096)
#define CHANNEL_IDENTITY_BYTES 4096u

/* The objects, in the order in which CONTROL_CHANNEL carries their fds. */
enum channel_object {
  CHANNEL_REQUESTS,
  CHANNEL_WRITE_ARENA,
  CHANNEL_COMPLETIONS,
  CHANNEL_READ_ARENA,
  CHANNEL_IDENTITY,
  CHANNEL_WAKE_WORKER,  /* eventfd; written by the gateway */
  CHANNEL_WAKE_GATEWAY, /* eventfd; written by the worker */
  CHANNEL_FDS
};

enum channel_side { CHANNEL_SIDE_GATEWAY, CHANNEL_SIDE_WORKER };

/* Size of an object in bytes; 0 for the eventfds. */
size_t channel_object_bytes (enum channel_object object);
/* Of its memfd. */
const char *channel_object_name (enum channel_object object);
bool channel_object_writable (enum channel_object object,
                              enum channel_side side);

/* What one side has mapped. */
struct channel {
  enum channel_side side;
  void *base[CHANNEL_IDENTITY + 1];
};

/* Daemon: creates all objects and eventfds (EFD_NONBLOCK, EFD_CLOEXEC).
 * fd[] are writable and owned by the caller. ERR_NOMEM, ERR_LIMIT.
 */
enum err channel_create (int ret_fd[CHANNEL_FDS]);
/* Daemon: the fds to hand to one side, read-only where the table says so; all
 * are new descriptors that the caller owns.
 */
enum err channel_fds_for (const int fd[CHANNEL_FDS], enum channel_side side,
                          int ret_fd[CHANNEL_FDS]);
/* A new daemon: the fds that a gateway has (its rights) become writable ones of
 * the same objects, in place. ERR_PEER: they are no such objects.
 */
enum err channel_adopt (int fd[CHANNEL_FDS]);
void channel_close_fds (int fd[CHANNEL_FDS]);

/* A side: maps the objects by its rights; the fds stay the caller's (the
 * worker closes the memory fds right afterwards). ERR_PEER, ERR_NOMEM.
 */
enum err channel_map (struct channel *c, enum channel_side side,
                      const int fd[CHANNEL_FDS]);
void channel_unmap (struct channel *c);

static inline struct ring_object *
channel_ring (const struct channel *c, enum channel_object object)
{
  return c->base[object];
}

#endif
