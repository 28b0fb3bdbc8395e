/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a volume's sessions may be: lists of places that a user names, and the
 * route that one connection's workers take when they ask to go on elsewhere
 * (PROTO_WANT_MOVE).
 *
 * Where the next worker is sent:
 *   R1  where the last one asked to go on, with what it handed over;
 *   R2  else where the last session became ready, with what led there;
 *   R3  else, and after a failure there before READY, home;
 *   R4  and after a failure at home, to the next spare home, by turns.
 * How many lanes its session gets is part of a place: at home it is one, and
 * elsewhere what the MOVE asked for.
 * So a redirect that was good once is used again, and one that goes stale costs
 * one attempt. After ROUTE_MOVES moves without a READY it is a loop. "On" may
 * be the same server, with more lanes.
 *
 * Pure.
 */
#ifndef BH_CACHE_PLACE_H
#define BH_CACHE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/address.h"
#include "common/err.h"
#include "common/want.h"

#define PLACES 16u
#define PLACE_HOST_BYTES 256
#define PLACE_TEXT_BYTES (PLACE_HOST_BYTES + 10)
#define ROUTE_MOVES 8u

struct place {
  char host[PLACE_HOST_BYTES];
  uint16_t port; /* 0: any */
};

struct place_list {
  unsigned count;
  struct place place[PLACES];
};

/* A name that can be dialled, and that can stand in a command or a message. */
bool
place_host_check (const char *host);
/* "HOST[:PORT],…" with [] around IPv6 addresses; a port that is left out is
 * port. ERR_INVAL, ERR_LIMIT; *ret is untouched then.
 */
enum err
place_list_parse (const char *text, uint16_t port, struct place_list *ret);
/* "host:port", "[2001:db8::1]:22" */
void
place_text (const struct place *p, char dst[PLACE_TEXT_BYTES]);

/* Where workers may ask to be sent. */
struct place_policy {
  bool moves;  /* at all: to other ports of the host where they are */
  bool hosts;  /* also to the other places that the volume names */
  bool any;    /* everywhere */
  struct place_list allowed; /* beside those */
};

struct route {
  struct place home; /* one of homes */
  struct place_list homes;
  unsigned at;       /* home is homes.place[at] */
  unsigned failures; /* at homes, since the last READY */
  struct place now;
  size_t moved_bytes; /* that the worker there is given */
  uint8_t moved[PROTO_WANT_BYTES];
  unsigned moves; /* since the last READY or failure */
  unsigned lanes; /* that a session there gets, if they can be had */
};

void
route_init (struct route *r, const struct place *home);
/* R4: one more. PLACES are the most, others are left out. */
void
route_add_home (struct route *r, const struct place *home);
/* A home that was not tried since the last READY. */
bool
route_has_untried (const struct route *r);
/* R1. named: other places of the volume (portals=); at: the addresses of the
 * host where the worker is. ERR_ACCESS, ERR_LIMIT, ERR_PEER: f says why not.
 */
enum err
route_move (struct route *r, const struct place_policy *policy,
            const struct place_list *named, const struct address_list *at,
            const struct proto_want *w, struct fault *f);
/* R2 */
void
route_ready (struct route *r);
/* R3, R4: dialling failed, or the worker ended before READY. */
void
route_failed (struct route *r);

#endif
