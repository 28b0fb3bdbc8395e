/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/lanes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* What a call costs beside its payload, both ways. */
#define CALL_BYTES 512u
/* Replies that are not worth the copy out of the stage. */
#define LARGE_BYTES (32u * 1024)
#define STAGE_LEAST_BYTES 512u

static unsigned
within (unsigned n)
{
  if (n < 1)
    return 1;
  return n < PROTO_LANES_MAX ? n : PROTO_LANES_MAX;
}

enum err
nfs_lanes_init (struct nfs_lanes *l, const struct proto_config *config,
                const struct rpc_sink *sink, const struct rpc_auth *auth,
                uint32_t first_xid, uint64_t now_ns)
{
  l->count = within (config->lanes);
  l->wanted = within (config->lanes_wanted);
  l->lane = calloc (l->count, sizeof *l->lane);
  if (!l->lane)
    return ERR_NOMEM;
  for (unsigned i = 0; i < l->count; i++) {
    rpc_init (&l->lane[i].rpc, sink, auth, first_xid);
    l->lane[i].heard_ns = now_ns;
  }
  l->lane[0].state = LANE_OPEN;
  return ERR_OK;
}

void
nfs_lanes_fini (struct nfs_lanes *l)
{
  free (l->lane);
  l->lane = NULL;
}

static bool
under_way (const struct nfs_lanes *l, uint32_t xid)
{
  for (unsigned i = 1; i < l->count; i++)
    if (rpc_under_way (&l->lane[i].rpc, xid))
      return true;
  return false;
}

uint32_t
nfs_lanes_xid (struct nfs_lanes *l)
{
  uint32_t xid;

  do
    xid = rpc_xid (&l->lane[0].rpc);
  while (under_way (l, xid));
  return xid;
}

struct nfs_lane *
nfs_lanes_choose (struct nfs_lanes *l, size_t arguments_bytes)
{
  struct nfs_lane *best = NULL;

  for (unsigned i = 0; i < l->count; i++) {
    struct nfs_lane *lane = &l->lane[i];

    if (lane->state == LANE_OPEN && rpc_ready (&lane->rpc, arguments_bytes)
        && (!best || lane->load_bytes < best->load_bytes))
      best = lane;
  }
  return best;
}

static bool
carries_data (const struct nfs_piece *p)
{
  return p->op == IO_READ || p->op == IO_WRITE;
}

static uint64_t
weight (const struct nfs_piece *p)
{
  return CALL_BYTES + (carries_data (p) ? p->length : 0);
}

static bool
is_large (const struct nfs_piece *p)
{
  return p->op == IO_READ && p->length >= LARGE_BYTES;
}

static void
set_stage (struct nfs_lane *lane)
{
  lane->rpc.stage_bytes
      = lane->large > 0 ? STAGE_LEAST_BYTES : RPC_STAGE_BYTES;
}

void
nfs_lanes_took (struct nfs_lanes *l, const struct nfs_piece *p)
{
  struct nfs_lane *lane = &l->lane[p->lane];

  lane->load_bytes += weight (p);
  if (is_large (p))
    lane->large++;
  set_stage (lane);
}

void
nfs_lanes_answered (struct nfs_lanes *l, const struct nfs_piece *p)
{
  struct nfs_lane *lane = &l->lane[p->lane];

  assert (lane->load_bytes >= weight (p));
  lane->load_bytes -= weight (p);
  if (is_large (p))
    lane->large--;
  set_stage (lane);
}

unsigned
nfs_lanes_quiet (const struct nfs_lanes *l)
{
  unsigned quiet = 0;

  for (unsigned i = 1; i < l->count; i++)
    if (l->lane[i].state == LANE_OPEN
        && l->lane[i].heard_ns < l->lane[quiet].heard_ns)
      quiet = i;
  return quiet;
}

unsigned
nfs_lanes_open (const struct nfs_lanes *l)
{
  unsigned n = 0;

  for (unsigned i = 0; i < l->count; i++)
    n += l->lane[i].state == LANE_OPEN;
  return n;
}

/* One line for all, the last word: nobody reads it before the next turn. */
void
nfs_lanes_give_up (struct nfs_lanes *l, unsigned lane, const char *why)
{
  unsigned left = 0;

  assert (lane > 0 && lane < l->count);
  l->lane[lane].state = LANE_GIVEN_UP;
  for (unsigned i = 0; i < l->count; i++)
    left += l->lane[i].state != LANE_GIVEN_UP;
  snprintf (l->said, sizeof l->said,
            "the session goes on with %u of its %u connections: %s", left,
            l->count, why);
}
