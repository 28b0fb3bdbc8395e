/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of an NFS engine, for tests: cuts what the engine sends into
 * calls, has them answered (by the fake server or by the test), feeds the
 * answers in pieces of any size, and does what the daemon does for a MOVE.
 */
#ifndef BH_TESTS_NFS_PEER_H
#define BH_TESTS_NFS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"
#include "protocols/nfs/nfs.h"
#include "tests/fake/nfs3.h"

#define PEER_RECORD_BYTES (1u << 19)

struct peer {
  struct proto *p;
  struct fake_nfs3 server;
  uint64_t now_ns;
  struct fault open_fault;
  uint8_t identity[PROTO_IDENTITY_BYTES];
  const char *params[16]; /* key, value, …, NULL */
  uint8_t seed;
  struct proto_want want; /* the last one */
  unsigned moves;
  uint8_t moved[PROTO_WANT_BYTES];
  size_t moved_bytes;

  unsigned lanes, lanes_wanted; /* 0: one */
  unsigned lanes_most;          /* of those that are asked for; 0: all */
  unsigned lane;    /* of the last peer_call; what is fed goes there */
  uint64_t shuffle; /* not 0: calls are taken from lanes in any order */

  size_t cut_bytes;      /* replies come in pieces of at most that; 0: whole */
  size_t fragment_bytes; /* in fragments of that; 0: one */
  unsigned steps;        /* receptions */
  /* Changes a reply (without mark) before it is sent; false: swallow it. */
  bool (*tamper) (struct peer *s, uint8_t *reply, size_t *bytes);
  unsigned tampered; /* for its use */

  /* What the engine sent, on each lane, and nobody has answered. */
  uint8_t *tx[PROTO_LANES_MAX];
  size_t tx_bytes[PROTO_LANES_MAX];
  uint8_t *call, *reply;
};

/* path "" means FAKE_PATH. Extra parameters: set params from [2] on before. */
void peer_init (struct peer *s, const char *path);
void peer_fini (struct peer *s);
enum err peer_open (struct peer *s);
void peer_close (struct peer *s);
/* Raw bytes, in pieces. Stops when the engine fails. */
enum err peer_feed (struct peer *s, const uint8_t *bytes, size_t n);
/* A record: mark(s) and content. */
enum err peer_record (struct peer *s, const uint8_t *bytes, size_t n);
/* The next call of the engine, without mark, in s->call, and its lane in
 * s->lane; 0: none.
 */
size_t peer_call (struct peer *s);
/* Answers all there is. False: nothing was to be done. */
bool peer_answer (struct peer *s);
/* Does the MOVE that the engine asks for; false: it does not. */
bool
peer_move (struct peer *s);
/* Until the engine is ready or has failed; MOVEs are done. */
enum proto_state peer_start (struct peer *s);
/* Until nothing is to be done any more; waits are waited for. */
void peer_run (struct peer *s);
/* A request to its end. */
struct proto_completion peer_do (struct peer *s, enum io_op op, uint32_t flags,
                                 uint64_t offset, uint32_t length,
                                 uint8_t *data);

#endif
