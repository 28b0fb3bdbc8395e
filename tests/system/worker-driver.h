/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of worker-driver share: worker-driver.c (options, the
 * daemon's part until READY) and worker-driver-io.c (the gateway's, after it).
 */
#ifndef BH_TESTS_WORKER_DRIVER_H
#define BH_TESTS_WORKER_DRIVER_H

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/volume.h"
#include "sandbox/sandbox.h"

#define EPOCH 7u
#define NS_PER_S 1000000000ull
#define STEP_NS (25 * NS_PER_S) /* beyond the deadline of a login */
#define MIB (1024u * 1024)
#define BLOCK 4096u
/* The largest request that SFTP takes. */
#define LARGE (256u * 1024)
#define DEPTH 64u
#define ED25519_BYTES 32

struct op {
  bool used;
  uint16_t op;
  uint64_t offset;
  uint32_t length;
};

struct options {
  const char *port, *user, *key, *file, *password, *expect;
  const char *bench; /* NULL: no */
  uint64_t verify_bytes;
  bool drop;
  int violate;
  const char *kill, *greeting;
};
extern struct options opt;

struct driver {
  struct sbx_child child;
  int daemon, gateway, net;
  int fd[CHANNEL_FDS];
  struct channel channel;
  struct control message;
  struct volume_info info;
  struct ring ring;
  struct op op[RING_ENTRIES]; /* index = id = chunk of the arenas */
  unsigned in_flight;
  uint8_t *model;
  uint8_t *busy; /* by block: 0xff written to, else number of readers */
  uint64_t bytes[2]; /* read, written */
  uint8_t token[IO_TOKEN_BYTES];
  unsigned key_offers;
};
extern struct driver d;

void die (const char *fmt, ...)
  __attribute__ ((format (printf, 1, 2), noreturn));
uint64_t rnd (uint64_t below);
/* The next message of the worker to the daemon. */
void hear (void);

/* GO; then all that is asked for, each dies of what is wrong. */
void start_rings (void);
void verify (void);
void bench (const char *name, uint16_t op, uint32_t length, unsigned depth,
            bool random, uint64_t total);
void violate (int rule);

#endif
