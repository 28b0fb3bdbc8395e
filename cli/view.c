/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/view.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ipc/connect.h"

#define TIMEOUT_NS 5000000000ull

bool
view_serves (const struct view_volume *v, const struct status_gateway *g)
{
  return v->volume ? g->volume == v->id : g->volume == 0 && g->id == v->id;
}

static void
add_worker (struct view_volume *v, const struct status_worker *w,
            uint64_t *up_ns)
{
  v->workers++;
  v->restarts += w->restarts;
  if (w->state == STATUS_WORKER_READY)
    v->ready++;
  else if (w->since_ns < *up_ns)
    *up_ns = w->since_ns;
  v->given_up |= w->state == STATUS_WORKER_GIVEN_UP;
}

static void
add_gateway (struct view_volume *v, const struct status_gateway *g,
             struct stats *scratch)
{
  uint64_t down_ns = UINT64_MAX;
  unsigned ready = v->ready;

  v->gateways++;
  if (g->has_info && v->size == STATUS_UNKNOWN)
    v->size = g->info.size;
  if (g->has_info && !(g->info.caps & VOLUME_CAN_WRITE))
    v->readonly = true;
  for (unsigned i = 0; i < g->workers; i++)
    add_worker (v, &g->worker[i], &down_ns);
  if (v->ready == ready && down_ns != UINT64_MAX && down_ns > v->down_ns)
    v->down_ns = down_ns ? down_ns : 1;
  if (g->stats_fd < 0 || stats_read_fd (g->stats_fd, scratch))
    return;
  v->counted = true;
  v->given_up |= scratch->gauge[STATS_GIVEN_UP] != 0;
  v->readonly |= scratch->gauge[STATS_READONLY] != 0;
  stats_add (&v->stats, scratch);
}

static void
fill (struct view *v, const struct status_volume *volume,
      const struct status_gateway *alone, struct stats *scratch)
{
  struct view_volume *n = &v->volume[v->volumes++];

  n->volume = volume;
  n->id = volume ? volume->id : alone->id;
  n->name = volume ? volume->name : alone->name;
  n->size = volume ? volume->size : STATUS_UNKNOWN;
  for (unsigned i = 0; i < v->status.gateways; i++)
    if (view_serves (n, &v->status.gateway[i]))
      add_gateway (n, &v->status.gateway[i], scratch);
  /* What could never be opened, as its URL was wrong, is no volume. */
  if (!n->gateways && n->size == STATUS_UNKNOWN)
    v->volumes--;
}

static enum err
put_together (struct view *v, struct fault *f)
{
  CLEANUP_FREE struct stats *scratch = calloc (1, sizeof *scratch);

  v->volume = calloc (v->status.volumes + v->status.gateways + 1,
                      sizeof *v->volume);
  if (!v->volume || !scratch)
    return fault_set (f, ERR_NOMEM, "out of memory");
  for (unsigned i = 0; i < v->status.volumes; i++)
    fill (v, &v->status.volume[i], NULL, scratch);
  for (unsigned i = 0; i < v->status.gateways; i++)
    if (!v->status.gateway[i].volume)
      fill (v, NULL, &v->status.gateway[i], scratch);
  return ERR_OK;
}

enum err
view_take (int *sock, struct view *ret, struct fault *f)
{
  enum err e = ERR_OK;

  memset (ret, 0, sizeof *ret);
  if (*sock < 0)
    e = daemon_find ("bulkhead " PACKAGE_VERSION, TIMEOUT_NS, sock, f);
  if (e == ERR_NOENT)
    return ERR_OK;
  if (!e)
    e = status_ask (*sock, TIMEOUT_NS, &ret->status, f);
  if (!e) {
    ret->found = true;
    e = put_together (ret, f);
  }
  if (e) {
    cleanup_close (sock);
    *sock = -1;
    view_free (ret);
  }
  return e;
}

void
view_free (struct view *v)
{
  status_free (&v->status);
  free (v->volume);
  memset (v, 0, sizeof *v);
}

const char *
view_state (const struct view_volume *v)
{
  if (v->given_up)
    return "failed";
  if (!v->volume)
    return "opening";
  if (!v->gateways)
    return "idle";
  if (v->ready == v->workers)
    return "ready";
  return v->down_ns ? "down" : "degraded";
}

double
view_hit_ratio (const struct stats *s)
{
  uint64_t hit = s->op[STATS_CACHED].bytes;
  uint64_t all = hit + s->op[STATS_READ].bytes;

  return all ? (double)hit / (double)all : -1;
}

void
view_protocol (const char *name, char *dst, size_t dst_bytes)
{
  size_t n = strcspn (name, ":");

  if (n >= dst_bytes)
    n = dst_bytes - 1;
  memcpy (dst, name, n);
  dst[n] = 0;
}
