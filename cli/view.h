/* SPDX-License-Identifier: BSD-2-Clause */
/* What status and top show: the daemon's records, put together by volume, with
 * what its gateways count.
 */
#ifndef BH_CLI_VIEW_H
#define BH_CLI_VIEW_H

#include <jansson.h>

#include "ipc/stats.h"
#include "ipc/status.h"

struct view_volume {
  const char *name;                   /* into the status */
  const struct status_volume *volume; /* NULL: its gateways still log in */
  uint64_t id;                        /* of the volume, or of the gateway */
  uint64_t size;                      /* STATUS_UNKNOWN */
  bool readonly, given_up;
  unsigned gateways, workers, ready;
  uint32_t restarts;
  uint64_t down_ns; /* no worker is ready: since when; 0: some are */
  bool counted;     /* stats are */
  struct stats stats; /* of all its gateways */
};

struct view {
  bool found; /* there is a daemon */
  struct status status;
  struct view_volume *volume;
  unsigned volumes;
};

/* Asks the daemon behind *sock, which it finds if it is -1 (and which becomes
 * -1 if it has gone). No daemon is no error: ret->found.
 */
enum err view_take (int *sock, struct view *ret, struct fault *f);
void view_free (struct view *v);
/* Whether this gateway serves that volume. */
bool view_serves (const struct view_volume *v, const struct status_gateway *g);

/* "ready", "degraded" (some workers are missing), "down", "opening", "idle" (no
 * process serves it), "failed" (given up)
 */
const char *view_state (const struct view_volume *v);
/* Part of the bytes read that the cache answered, 0 … 1; < 0: none was read. */
double view_hit_ratio (const struct stats *s);
/* "sftp" */
void view_protocol (const char *name, char *dst, size_t dst_bytes);

json_t *view_json (const struct view *v, const char *only);
/* As a JSON string, whatever bytes it has. */
json_t *view_json_text (const char *text);

#endif
