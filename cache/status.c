/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/status.h"

#include <stdio.h>
#include <unistd.h>

#include "cache/client.h"
#include "cache/shared.h"
#include "common/clock.h"

/* A page that is being filled. */
struct page {
  struct control *out;
  struct wirebuf *b;
  uint8_t kind; /* of the last record in it */
  uint64_t id;
  uint16_t records;
};

/* Whether the record that was put since used_bytes has found room. */
static bool
keep (struct page *p, size_t used_bytes, uint8_t kind, uint64_t id)
{
  if (p->b->err || p->records == STATUS_RECORDS_MAX) {
    p->b->err = ERR_OK;
    p->b->used_bytes = used_bytes;
    return false;
  }
  p->kind = kind;
  p->id = id;
  p->records++;
  return true;
}

/* False: the page is full. */
static bool
put_volumes (struct page *p, const struct shared_set *set, uid_t uid,
             uint64_t after)
{
  struct status_volume v;

  while (shared_set_status (set, after, uid, &v)) {
    size_t used_bytes = p->b->used_bytes;

    wirebuf_u8 (p->b, STATUS_VOLUME);
    status_volume_put (p->b, &v);
    if (!keep (p, used_bytes, STATUS_VOLUME, v.id))
      return false;
    after = v.id;
  }
  return true;
}

static bool
put_gateways (struct page *p, const struct server *server, uid_t uid,
              uint64_t after)
{
  const struct client *c;

  while ((c = server_client_after (server, after))) {
    size_t used_bytes = p->b->used_bytes;
    struct status_gateway g;
    int fd;

    after = client_id (c);
    if (!client_status (c, uid, &g, &fd))
      continue;
    wirebuf_u8 (p->b, STATUS_GATEWAY);
    status_gateway_put (p->b, &g);
    if (!keep (p, used_bytes, STATUS_GATEWAY, g.id))
      return false;
    if (g.has_stats)
      control_add_fd (p->out, fd);
  }
  return true;
}

_Static_assert (STATUS_RECORDS_MAX <= CONTROL_FDS, "an fd for each record");

enum err
status_answer (struct daemon *d, const struct server *server, uid_t uid,
               struct wire *w, struct control *out, struct wirebuf *b)
{
  struct status_daemon me = {.pid = (uint32_t)getpid (),
                             .uid = geteuid (),
                             .age_ns = clock_now_ns () - d->began_ns};
  struct page p = {.out = out, .b = b};
  struct wirebuf head;
  uint8_t *place;
  bool all;

  p.kind = wire_u8 (w);
  p.id = wire_u64 (w);
  if (wire_end (w) || p.kind > STATUS_GATEWAY)
    return ERR_PEER;
  snprintf (me.version, sizeof me.version, "%s", PACKAGE_VERSION);
  shared_set_sum (d->volumes, &me);
  wirebuf_u32 (b, STATUS_VERSION);
  status_daemon_put (b, &me);
  place = wirebuf_room (b, 1 + 1 + 8 + 2); /* filled at the end */
  if (!place)
    return ERR_PEER;
  all = p.kind == STATUS_GATEWAY
        || put_volumes (&p, d->volumes, uid,
                        p.kind == STATUS_VOLUME ? p.id : 0);
  all = all
        && put_gateways (&p, server, uid,
                         p.kind == STATUS_GATEWAY ? p.id : 0);
  head = wirebuf_init (place, 1 + 1 + 8 + 2);
  wirebuf_u8 (&head, !all);
  wirebuf_u8 (&head, p.kind);
  wirebuf_u64 (&head, p.id);
  wirebuf_u16 (&head, p.records);
  return ERR_OK;
}
