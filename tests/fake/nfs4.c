/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/nfs4-private.h"

#include <stdlib.h>
#include <string.h>

void
fake_nfs4_init (struct fake_nfs4 *s, uint64_t size)
{
  *s = (struct fake_nfs4){.size = size,
                          .content = calloc (1, size),
                          .committed = calloc (1, size),
                          .boot = 1,
                          .minor_max = 2,
                          .slots = 8,
                          .next_id = 100,
                          .generation = 1,
                          .fileid = 42,
                          .access = 0x0d,
                          .change = 7,
                          .io_bytes = 1 << 16,
                          .moved_from = "",
                          .moved_to = ""};
}

void
fake_nfs4_fini (struct fake_nfs4 *s)
{
  free (s->content);
  free (s->committed);
}

void
fake_nfs4_expire (struct fake_nfs4 *s)
{
  memset (s->client, 0, sizeof s->client);
  memset (s->session, 0, sizeof s->session);
  memset (s->open, 0, sizeof s->open);
}

void
fake_nfs4_reboot (struct fake_nfs4 *s)
{
  fake_nfs4_expire (s);
  memcpy (s->content, s->committed, s->size);
  s->boot++;
}

void
fake_nfs4_hang_up (struct fake_nfs4 *s, unsigned connection)
{
  for (unsigned i = 0; i < FAKE4_SESSIONS; i++)
    s->session[i].bound &= ~(1u << connection);
}

/* ------------------------------------------------------------------ XDR --- */

void
fake4_put_opaque (struct wirebuf *b, const void *p, size_t n)
{
  wirebuf_u32 (b, (uint32_t)n);
  wirebuf_bytes (b, p, n);
  wirebuf_bytes (b, "\0\0\0", (4 - n % 4) % 4);
}

const uint8_t *
fake4_get_opaque (struct wire *w, size_t *n)
{
  const uint8_t *p;

  *n = wire_u32 (w);
  p = wire_bytes (w, *n);
  wire_bytes (w, (4 - *n % 4) % 4);
  return p;
}

void
fake4_put_stateid (struct fake_nfs4 *s, struct wirebuf *b, uint32_t id)
{
  wirebuf_u32 (b, 1);
  wirebuf_u64 (b, s->boot);
  wirebuf_u32 (b, id);
}

/* The open that it names, or NULL. */
bool
fake4_get_stateid (struct run *r)
{
  uint64_t boot;
  uint32_t id;

  wire_u32 (&r->in);
  boot = wire_u64 (&r->in);
  id = wire_u32 (&r->in);
  for (unsigned i = 0; i < FAKE4_OPENS; i++)
    if (boot == r->s->boot && r->s->open[i].used && r->s->open[i].id == id)
      return true;
  return false;
}

/* ------------------------------------------------------------- COMPOUND --- */

/* Writes the result behind its number, but not an error's status. */
static uint32_t
execute (struct run *r, uint32_t op, bool *ret_replay)
{
  struct fake_nfs4 *s = r->s;

  if (s->fail_times > 0 && s->fail_op == op) {
    s->fail_times--;
    if (s->fail_status == COMPLETE_ALREADY)
      fake4_complete (r);
    return s->fail_status;
  }
  if (op < 80)
    s->executed[op]++;
  switch (op) {
  case 3: /* ACCESS */
    wire_u32 (&r->in);
    wirebuf_u32 (r->out, OK);
    wirebuf_u32 (r->out, 0x0d);
    wirebuf_u32 (r->out, s->access);
    return OK;
  case 4:
    return fake4_close_file (r);
  case 5:
    return fake4_commit (r);
  case 8:  /* DELEGRETURN */
  case 45: /* FREE_STATEID */
    fake4_get_stateid (r);
    break;
  case 9:
    return fake4_getattr (r);
  case 10: /* GETFH */
    if (fake4_is_gone (r))
      return MOVED;
    wirebuf_u32 (r->out, OK);
    fake4_put_opaque (r->out,
                      (uint8_t[]){r->fh, r->fh == 'F' ? s->generation : 0}, 2);
    return OK;
  case 15:
    return fake4_lookup (r);
  case 18:
    return fake4_open_file (r);
  case 22:
    return fake4_putfh (r);
  case 24: /* PUTROOTFH */
    r->fh = 'R';
    break;
  case 25:
    return fake4_read_file (r);
  case 26:
    return fake4_readdir (r);
  case 27:
    return fake4_readlink (r);
  case 34:
    return fake4_setattr (r);
  case 38:
    return fake4_write_file (r);
  case 41:
    return fake4_bind_connection (r);
  case 42:
    return fake4_exchange_id (r);
  case 43:
    return fake4_create_session (r);
  case 44:
    return fake4_destroy_session (r);
  case 53:
    return fake4_sequence (r, ret_replay);
  case 55:
    return fake4_test_stateid (r);
  case 57:
    return fake4_destroy_clientid (r);
  case 58: /* RECLAIM_COMPLETE */
    wire_u32 (&r->in);
    fake4_complete (r);
    break;
  case 59:
    return fake4_range (r, false);
  case 62:
    return fake4_range (r, true);
  case 68:
    return fake4_read_plus (r);
  case 69:
    return fake4_seek (r);
  default:
    return OP_ILLEGAL;
  }
  wirebuf_u32 (r->out, OK);
  return OK;
}

static void
patch (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

static void
compound (struct fake_nfs4 *s, struct wire *in, struct wirebuf *out)
{
  struct run r = {.s = s, .out = out};
  uint8_t *base = out->base + out->used_bytes;
  uint32_t minor, count, done = 0, status = OK;
  bool replay = false;

  wire_u32 (in); /* tag */
  minor = wire_u32 (in);
  count = wire_u32 (in);
  r.in = *in;
  wirebuf_u32 (out, OK);
  wirebuf_u32 (out, 0);
  wirebuf_u32 (out, 0);
  if (minor > s->minor_max) {
    patch (base, MINOR_VERS_MISMATCH);
    return;
  }
  while (done < count && status == OK) {
    uint32_t op = wire_u32 (&r.in);

    wirebuf_u32 (out, op);
    if (replay && done == 1)
      status = RETRY_UNCACHED_REP;
    else
      status = execute (&r, op, &replay);
    if (status != OK)
      wirebuf_u32 (out, status);
    done++;
    if (replay && done == 1) {
      s->replays++;
      if (r.slot->cached) {
        out->used_bytes = (size_t)(base - out->base);
        wirebuf_bytes (out, r.slot->reply, r.slot->reply_bytes);
        return;
      }
    }
  }
  patch (base, status);
  patch (base + 8, done);
  if (!r.slot || replay)
    return;
  r.slot->reply_bytes = (size_t)(out->base + out->used_bytes - base);
  r.slot->cached = r.cache && r.slot->reply_bytes <= FAKE4_REPLY_BYTES;
  if (r.slot->cached)
    memcpy (r.slot->reply, base, r.slot->reply_bytes);
}

size_t
fake_nfs4_answer (struct fake_nfs4 *s, const uint8_t *call, size_t call_bytes,
                  uint8_t *reply, size_t reply_size_bytes)
{
  struct wire in = wire_init (call, call_bytes);
  struct wirebuf out = wirebuf_init (reply, reply_size_bytes);
  uint32_t xid = wire_u32 (&in), version, procedure;
  size_t n;

  s->call_bytes = call_bytes;
  wire_u64 (&in); /* CALL, RPC 2 */
  wire_u32 (&in); /* program */
  version = wire_u32 (&in);
  procedure = wire_u32 (&in);
  wire_u32 (&in);
  fake4_get_opaque (&in, &n);
  wire_u32 (&in);
  fake4_get_opaque (&in, &n);
  if (in.err)
    return 0;
  wirebuf_u32 (&out, xid);
  wirebuf_u32 (&out, 1);
  wirebuf_u32 (&out, 0);
  wirebuf_u64 (&out, 0);
  if (version != 4) {
    wirebuf_u32 (&out, 2); /* PROG_MISMATCH */
    wirebuf_u32 (&out, 4);
    wirebuf_u32 (&out, 4);
    return out.used_bytes;
  }
  wirebuf_u32 (&out, 0);
  if (procedure == 1)
    compound (s, &in, &out);
  return out.err ? 0 : out.used_bytes;
}
