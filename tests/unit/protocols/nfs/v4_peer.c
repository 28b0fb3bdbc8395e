/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/unit/protocols/nfs/v4_peer.h"

#include <CUnit/CUnit.h>
#include <string.h>

struct fake_nfs4 server;
uint8_t data[1 << 17], back[1 << 17];
static uint64_t next_tag = 1;

void
peer4_begin (struct peer *s)
{
  fake_nfs4_init (&server, SIZE);
  peer_init (s, FAKE4_PATH);
  s->params[2] = "client-id";
  s->params[3] = "here";
}

void
peer4_end (struct peer *s)
{
  peer_fini (s);
  fake_nfs4_fini (&server);
}

/* Answers all there is; false: nothing was there. */
bool
peer4_answer (struct peer *s)
{
  bool any = false;
  size_t n, bytes;

  while (nfs_ops.state (s->p) != PROTO_FAILED && (n = peer_call (s)) > 0) {
    any = true;
    server.connection = s->lane;
    bytes = fake_nfs4_answer (&server, s->call, n, s->reply, PEER_RECORD_BYTES);
    CU_ASSERT_FATAL (bytes > 0);
    if (!s->tamper || s->tamper (s, s->reply, &bytes))
      peer_record (s, s->reply, bytes);
  }
  return any;
}

void
peer4_sleep (struct peer *s)
{
  uint64_t at = nfs_ops.deadline_ns (s->p);

  CU_ASSERT_FATAL (at != PROTO_NO_DEADLINE);
  if (at > s->now_ns)
    s->now_ns = at;
  nfs_ops.tick (s->p, s->now_ns);
}

enum proto_state
peer4_start (struct peer *s)
{
  if (!s->p && peer_open (s))
    return PROTO_FAILED;
  for (unsigned i = 0; i < 500 && nfs_ops.state (s->p) == PROTO_STARTING; i++)
    if (!peer4_answer (s) && !peer_move (s))
      peer4_sleep (s);
  return nfs_ops.state (s->p);
}

enum err
peer4_submit (struct peer *s, uint64_t tag, enum io_op op, uint32_t flags,
              uint64_t offset, uint32_t length, uint8_t *bytes)
{
  struct proto_request r = {tag, tag, op, flags, offset, length, bytes};

  return nfs_ops.submit (s->p, &r, s->now_ns);
}

/* Until something is reaped, or the engine fails. */
struct proto_completion
peer4_finish (struct peer *s)
{
  struct proto_completion c = {.error = ERR_CLOSED};

  for (unsigned i = 0; i < 500 && nfs_ops.state (s->p) == PROTO_READY; i++) {
    if (nfs_ops.reap (s->p, &c))
      return c;
    if (!peer4_answer (s))
      peer4_sleep (s);
  }
  return c;
}

struct proto_completion
peer4_request (struct peer *s, enum io_op op, uint32_t flags, uint64_t offset,
               uint32_t length, uint8_t *bytes)
{
  CU_ASSERT_EQUAL (
      peer4_submit (s, next_tag++, op, flags, offset, length, bytes), ERR_OK);
  return peer4_finish (s);
}

/* The calls go to the server; its answers are lost with the connection. */
void
peer4_lose (struct peer *s, bool arrive)
{
  size_t n;

  while ((n = peer_call (s)) > 0)
    if (arrive) {
      server.connection = s->lane;
      fake_nfs4_answer (&server, s->call, n, s->reply, PEER_RECORD_BYTES);
    }
  peer_close (s);
}

void
peer4_fill (unsigned seed)
{
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * 31 + seed + 1);
}

/* Writes a block and reads it back; the session works. */
void
peer4_works (struct peer *s, unsigned seed)
{
  peer4_fill (seed);
  CU_ASSERT_EQUAL (peer4_request (s, IO_WRITE, 0, 8192, 4096, data).error,
                   ERR_OK);
  CU_ASSERT_EQUAL (peer4_request (s, IO_READ, 0, 8192, 4096, back).error,
                   ERR_OK);
  CU_ASSERT_EQUAL (memcmp (data, back, 4096), 0);
}

bool
peer4_says (struct peer *s, const char *words)
{
  return strstr (nfs_ops.fault (s->p)->text, words);
}

/* As peer_open, for the second connection or gateway of the same volume. */
void
peer4_begin_second (struct peer *s, const struct peer *first)
{
  peer_init (s, FAKE4_PATH);
  memcpy (s->params, first->params, sizeof s->params);
  s->seed = 100;
}
