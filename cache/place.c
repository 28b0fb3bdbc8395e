/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/place.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool
place_host_check (const char *host)
{
  if (!host[0] || host[0] == '-' || strlen (host) >= PLACE_HOST_BYTES
      || strpbrk (host, " '\"`$\\;&|<>()[],*?!#~"))
    return false;
  for (const char *c = host; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      return false;
  return true;
}

static enum err
parse_port (const char *text, uint16_t *ret)
{
  unsigned long n = 0;
  char *end;

  if (!isdigit ((unsigned char)text[0]) || strlen (text) > 5)
    return ERR_INVAL;
  n = strtoul (text, &end, 10);
  if (*end || n < 1 || n > 65535)
    return ERR_INVAL;
  *ret = (uint16_t)n;
  return ERR_OK;
}

/* One place; text is cut up. */
static enum err
parse_place (char *text, uint16_t port, struct place *ret)
{
  struct place p = {.port = port};
  char *host = text, *colon = strchr (text, ':'), *end;

  if (text[0] == '[') {
    host = text + 1;
    end = strchr (host, ']');
    if (!end || (end[1] && end[1] != ':'))
      return ERR_INVAL;
    colon = end[1] ? end + 1 : NULL;
    *end = 0;
  } else if (colon && strchr (colon + 1, ':')) {
    colon = NULL; /* an IPv6 address without brackets has no port */
  }
  if (colon) {
    *colon = 0;
    if (parse_port (colon + 1, &p.port))
      return ERR_INVAL;
  }
  if (!place_host_check (host))
    return ERR_INVAL;
  strcpy (p.host, host);
  *ret = p;
  return ERR_OK;
}

enum err
place_list_parse (const char *text, uint16_t port, struct place_list *ret)
{
  struct place_list list = {0};
  char one[PLACE_TEXT_BYTES + 2];

  for (;;) {
    size_t n = strcspn (text, ",");

    if (n >= sizeof one)
      return ERR_INVAL;
    if (list.count == PLACES)
      return ERR_LIMIT;
    memcpy (one, text, n);
    one[n] = 0;
    if (parse_place (one, port, &list.place[list.count]))
      return ERR_INVAL;
    list.count++;
    if (!text[n])
      break;
    text += n + 1;
  }
  *ret = list;
  return ERR_OK;
}

void
place_text (const struct place *p, char dst[PLACE_TEXT_BYTES])
{
  bool v6 = strchr (p->host, ':');

  snprintf (dst, PLACE_TEXT_BYTES, "%s%s%s:%u", v6 ? "[" : "", p->host,
            v6 ? "]" : "", p->port);
}

void
route_init (struct route *r, const struct place *home)
{
  *r = (struct route){.home = *home, .now = *home, .lanes = 1};
  route_add_home (r, home);
}

void
route_add_home (struct route *r, const struct place *home)
{
  if (r->homes.count < PLACES)
    r->homes.place[r->homes.count++] = *home;
}

bool
route_has_untried (const struct route *r)
{
  return r->failures < r->homes.count;
}

/* Two literal addresses, or two names. */
static bool
same_host (const char *a, const char *b)
{
  struct address x = {0}, y = {0};

  if (strcasecmp (a, b) == 0)
    return true;
  return address_parse (a, &x) && address_parse (b, &y)
         && memcmp (&x, &y, sizeof x) == 0;
}

/* A literal address that is one of those. */
static bool
is_address_of (const char *host, const struct address_list *at)
{
  struct address a = {0};

  if (!address_parse (host, &a))
    return false;
  for (unsigned i = 0; i < at->count; i++)
    if (at->a[i].family == a.family
        && memcmp (at->a[i].bytes, a.bytes, sizeof a.bytes) == 0)
      return true;
  return false;
}

static bool
list_has (const struct place_list *l, const struct place *p, bool any_port)
{
  for (unsigned i = 0; i < l->count; i++)
    if (same_host (l->place[i].host, p->host)
        && (any_port || !l->place[i].port || l->place[i].port == p->port))
      return true;
  return false;
}

static bool
allowed (const struct route *r, const struct place_policy *policy,
         const struct place_list *named, const struct address_list *at,
         const struct place *to)
{
  /* Once more where the worker is, in another way: nobody is sent anywhere. */
  if (to->port == r->now.port && strcmp (to->host, r->now.host) == 0)
    return true;
  if (!policy->moves)
    return false;
  if (policy->any || same_host (to->host, r->now.host)
      || same_host (to->host, r->home.host) || is_address_of (to->host, at))
    return true;
  return policy->hosts
         && (list_has (named, to, true)
             || list_has (&policy->allowed, to, false));
}

static enum err
refuse (const struct place_policy *policy, const struct place *to,
        const char *why, struct fault *f)
{
  char text[PLACE_TEXT_BYTES];

  place_text (to, text);
  fault_set (f, ERR_ACCESS,
             "the server sends us on to %s (%s), where this volume may not go",
             text, why);
  if (policy->hosts)
    fault_hint (f, "if that place is to be trusted, allow it with "
                   "redirect=%s (or redirect=any)",
                text);
  return ERR_ACCESS;
}

enum err
route_move (struct route *r, const struct place_policy *policy,
            const struct place_list *named, const struct address_list *at,
            const struct proto_want *w, struct fault *f)
{
  struct place to = {.port = w->port      ? w->port
                             : w->host[0] ? r->home.port
                                          : r->now.port};
  const char *why = w->why[0] ? w->why : "without a reason";
  char text[PLACE_TEXT_BYTES];

  snprintf (to.host, sizeof to.host, "%s", w->host[0] ? w->host : r->now.host);
  if (!place_host_check (to.host))
    return fault_set (f, ERR_PEER, "the server sends us on to a place whose "
                                   "name is none");
  if (!allowed (r, policy, named, at, &to))
    return refuse (policy, &to, why, f);
  if (r->moves == ROUTE_MOVES) {
    place_text (&to, text);
    fault_set (f, ERR_LIMIT,
               "the server sent us on %u times without letting us in, now to "
               "%s (%s)",
               ROUTE_MOVES, text, why);
    fault_hint (f, "its redirects go in a circle: look at its configuration");
    return ERR_LIMIT;
  }
  r->moves++;
  r->now = to;
  r->lanes = w->lanes ? w->lanes : 1;
  r->moved_bytes = w->data_bytes;
  memcpy (r->moved, w->data, w->data_bytes);
  return ERR_OK;
}

static bool
is_home (const struct route *r)
{
  return r->now.port == r->home.port && strcmp (r->now.host, r->home.host) == 0;
}

void
route_ready (struct route *r)
{
  r->failures = 0;
  r->moves = 0;
}

void
route_failed (struct route *r)
{
  if (is_home (r) && !r->moves) { /* R4 */
    r->failures += r->failures < r->homes.count;
    r->at = (r->at + 1) % r->homes.count;
    r->home = r->homes.place[r->at];
  } else if (r->homes.count == 1) {
    r->failures = 1; /* there is no other way to begin */
  }
  r->now = r->home;
  r->lanes = 1;
  r->moves = 0;
  r->moved_bytes = 0;
}
