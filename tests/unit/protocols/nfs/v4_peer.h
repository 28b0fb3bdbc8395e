/* SPDX-License-Identifier: BSD-2-Clause */
/* peer.h for NFSv4: an engine and the fake server of tests/fake/nfs4.h, with
 * what the tests of the dialect have in common.
 */
#ifndef BH_TESTS_NFS_V4_PEER_H
#define BH_TESTS_NFS_V4_PEER_H

#include "tests/fake/nfs4.h"
#include "tests/unit/protocols/nfs/peer.h"

#define SIZE (1u << 20)
/* nfs_opnum4 */
enum {
  ACCESS = 3,
  CLOSE = 4,
  COMMIT = 5,
  DELEGRETURN = 8,
  GETATTR = 9,
  LOOKUP = 15,
  OPEN = 18,
  PUTFH = 22,
  READ = 25,
  READDIR = 26,
  READLINK = 27,
  SETATTR = 34, WRITE = 38,
  BIND = 41,
  EXCHANGE_ID = 42,
  CREATE_SESSION = 43,
  DESTROY_SESSION = 44,
  FREE_STATEID = 45,
  SEQUENCE = 53,
  TEST_STATEID = 55,
  DESTROY_CLIENTID = 57,
  RECLAIM_COMPLETE = 58,
  ALLOCATE = 59,
  DEALLOCATE = 62,
  READ_PLUS = 68, SEEK = 69
};

/* One server, and what is written and read, for all tests of a program. */
extern struct fake_nfs4 server;
extern uint8_t data[1 << 17], back[1 << 17];

/* A new server with SIZE bytes, and who will connect to it. */
void
peer4_begin (struct peer *s);
/* The second connection, or gateway, of the same volume. */
void
peer4_begin_second (struct peer *s, const struct peer *first);
void
peer4_end (struct peer *s);
/* Answers all there is; false: nothing was there. */
bool
peer4_answer (struct peer *s);
/* Until the engine's next deadline. */
void
peer4_sleep (struct peer *s);
/* Until the engine is ready or has failed. */
enum proto_state
peer4_start (struct peer *s);
enum err
peer4_submit (struct peer *s, uint64_t tag, enum io_op op, uint32_t flags,
              uint64_t offset, uint32_t length, uint8_t *data);
/* Until something is reaped, or the engine fails. */
struct proto_completion
peer4_finish (struct peer *s);
/* Both, with a new tag. */
struct proto_completion
peer4_request (struct peer *s, enum io_op op, uint32_t flags, uint64_t offset,
               uint32_t length, uint8_t *bytes);
/* The calls go to the server, or not; its answers are lost with the
 * connection.
 */
void
peer4_lose (struct peer *s, bool arrive);
/* data is other data for another seed. */
void
peer4_fill (unsigned seed);
/* Writes a block and reads it back: the session works. */
void
peer4_works (struct peer *s, unsigned seed);
/* The engine's fault has these words. */
bool
peer4_says (struct peer *s, const char *words);

#endif
