/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients and sessions. */
#include "config.h"
#include "tests/fake/nfs4-private.h"

#include <string.h>

uint32_t
fake4_exchange_id (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  const uint8_t *owner;
  size_t n;
  unsigned i, empty = FAKE4_CLIENTS;

  wire_u64 (&r->in);
  owner = fake4_get_opaque (&r->in, &n);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  for (i = 0; i < FAKE4_CLIENTS; i++) {
    if (s->client[i].used && s->client[i].owner_bytes == n
        && memcmp (s->client[i].owner, owner, n) == 0)
      break;
    if (!s->client[i].used && empty == FAKE4_CLIENTS)
      empty = i;
  }
  if (i == FAKE4_CLIENTS) {
    i = empty;
    s->client[i].used = true;
    s->client[i].confirmed = s->client[i].complete = false;
    s->client[i].owner_bytes = n;
    memcpy (s->client[i].owner, owner, n);
    s->client[i].id = s->boot << 32 | s->next_id++;
    s->client[i].create_sequenceid = 1;
  }
  wirebuf_u32 (r->out, OK);
  wirebuf_u64 (r->out, s->client[i].id);
  wirebuf_u32 (r->out, s->client[i].create_sequenceid);
  wirebuf_u32 (r->out, 0x10000 | (s->client[i].confirmed ? 0x80000000u : 0));
  wirebuf_u32 (r->out, 0);
  wirebuf_u64 (r->out, 0);
  fake4_put_opaque (r->out, "server", 6);
  fake4_put_opaque (r->out, "scope", 5);
  wirebuf_u32 (r->out, 0);
  return OK;
}

static void
put_session (struct wirebuf *b, uint64_t id)
{
  wirebuf_u64 (b, id);
  wirebuf_u64 (b, ~id);
}

/* Index; FAKE4_SESSIONS: none. */
static unsigned
get_session (struct run *r)
{
  uint64_t id = wire_u64 (&r->in);
  unsigned i;

  wire_u64 (&r->in);
  for (i = 0; i < FAKE4_SESSIONS; i++)
    if (r->s->session[i].used && r->s->session[i].id == id)
      break;
  return i;
}

uint32_t
fake4_create_session (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  uint64_t client = wire_u64 (&r->in);
  uint32_t sequenceid = wire_u32 (&r->in), channel[2][7];
  unsigned c, i = 0;

  wire_u32 (&r->in);
  for (unsigned k = 0; k < 14; k++)
    channel[k / 7][k % 7] = wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  wire_u32 (&r->in);
  for (c = 0; c < FAKE4_CLIENTS; c++)
    if (s->client[c].used && s->client[c].id == client)
      break;
  if (c == FAKE4_CLIENTS)
    return STALE_CLIENTID;
  if (sequenceid == s->client[c].create_sequenceid) {
    while (i < FAKE4_SESSIONS && s->session[i].used)
      i++;
    if (i == FAKE4_SESSIONS) /* the oldest ones go */
      i = s->next_id % FAKE4_SESSIONS;
    memset (&s->session[i], 0, sizeof s->session[i]);
    s->session[i].used = true;
    s->session[i].id = s->boot << 32 | s->next_id++;
    s->session[i].client = client;
    s->session[i].bound = 1u << s->connection;
    s->client[c].create_sequenceid++;
    s->client[c].confirmed = true;
    s->client[c].last_session = i;
  } else if (sequenceid + 1 == s->client[c].create_sequenceid)
    i = s->client[c].last_session; /* §18.36.4: a replay */
  else
    return SEQ_MISORDERED;
  wirebuf_u32 (r->out, OK);
  put_session (r->out, s->session[i].id);
  wirebuf_u32 (r->out, sequenceid);
  wirebuf_u32 (r->out, 0);
  if (channel[0][5] > s->slots)
    channel[0][5] = s->slots;
  if (s->request_max)
    channel[0][1] = s->request_max;
  for (unsigned k = 0; k < 14; k++)
    wirebuf_u32 (r->out, channel[k / 7][k % 7]);
  return OK;
}

/* Does the whole answer when it is a replay: then *ret_replay. */
uint32_t
fake4_sequence (struct run *r, bool *ret_replay)
{
  struct fake_nfs4 *s = r->s;
  unsigned i = get_session (r);
  uint32_t sequenceid = wire_u32 (&r->in), slotid = wire_u32 (&r->in);

  wire_u32 (&r->in);
  r->cache = wire_u32 (&r->in) || s->keeps_all;
  if (i == FAKE4_SESSIONS)
    return BADSESSION;
  if (!s->strict) /* SP4_NONE: by the way (§2.10.3.1) */
    s->session[i].bound |= 1u << s->connection;
  if (!(s->session[i].bound & 1u << s->connection)) {
    s->unbound++;
    return CONN_NOT_BOUND;
  }
  if (slotid >= s->slots)
    return BADSLOT;
  if (s->request_max && s->call_bytes > s->request_max)
    return REQ_TOO_BIG;
  r->slot = &s->session[i].slot[slotid];
  *ret_replay = sequenceid == r->slot->sequenceid;
  if (!*ret_replay && sequenceid != r->slot->sequenceid + 1) {
    r->slot = NULL;
    return SEQ_MISORDERED;
  }
  r->slot->sequenceid = sequenceid;
  r->client = s->session[i].client;
  s->sequences[s->connection]++;
  wirebuf_u32 (r->out, OK);
  put_session (r->out, s->session[i].id);
  wirebuf_u32 (r->out, sequenceid);
  wirebuf_u32 (r->out, slotid);
  wirebuf_u32 (r->out, s->slots - 1);
  wirebuf_u32 (r->out, s->slots - 1);
  wirebuf_u32 (r->out, s->status_flags);
  return OK;
}

uint32_t
fake4_bind_connection (struct run *r)
{
  struct fake_nfs4 *s = r->s;
  unsigned i = get_session (r);
  uint32_t direction = wire_u32 (&r->in);

  wire_u32 (&r->in);
  if (i == FAKE4_SESSIONS)
    return BADSESSION;
  if (s->bind != FAKE4_BIND_FORGOTTEN)
    s->session[i].bound |= 1u << s->connection;
  wirebuf_u32 (r->out, OK);
  put_session (r->out,
               s->session[i].id + (s->bind == FAKE4_BIND_OTHER_SESSION));
  wirebuf_u32 (r->out, s->bind == FAKE4_BIND_BACK ? 2 : direction & 3);
  wirebuf_u32 (r->out, s->bind == FAKE4_BIND_RDMA);
  return OK;
}

uint32_t
fake4_destroy_session (struct run *r)
{
  unsigned i = get_session (r);

  if (i == FAKE4_SESSIONS)
    return BADSESSION;
  r->s->session[i].used = false;
  r->slot = NULL;
  wirebuf_u32 (r->out, OK);
  return OK;
}

uint32_t
fake4_destroy_clientid (struct run *r)
{
  uint64_t client = wire_u64 (&r->in);

  for (unsigned i = 0; i < FAKE4_SESSIONS; i++)
    if (r->s->session[i].used && r->s->session[i].client == client)
      return CLIENTID_BUSY;
  for (unsigned i = 0; i < FAKE4_OPENS; i++)
    if (r->s->open[i].used && r->s->open[i].client == client)
      return CLIENTID_BUSY;
  for (unsigned i = 0; i < FAKE4_CLIENTS; i++)
    if (r->s->client[i].id == client)
      r->s->client[i].used = false;
  wirebuf_u32 (r->out, OK);
  return OK;
}

/* RECLAIM_COMPLETE */
void
fake4_complete (struct run *r)
{
  for (unsigned i = 0; i < FAKE4_CLIENTS; i++)
    if (r->s->client[i].used && r->s->client[i].id == r->client)
      r->s->client[i].complete = true;
}

bool
fake4_may_reclaim (const struct fake_nfs4 *s, uint64_t client)
{
  for (unsigned i = 0; i < FAKE4_CLIENTS; i++)
    if (s->client[i].used && s->client[i].id == client)
      return !s->client[i].complete;
  return false;
}
