/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/place.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct fault f;

static void
lists (void)
{
  struct place_list l = {0};
  char text[PLACE_TEXT_BYTES];

  CU_ASSERT_EQUAL (
    place_list_parse ("a,b:1,[::1],[2001:db8::1]:65535,::2,1.2.3.4:9", 3260,
                      &l),
    ERR_OK);
  CU_ASSERT_EQUAL_FATAL (l.count, 6);
  CU_ASSERT (strcmp (l.place[0].host, "a") == 0 && l.place[0].port == 3260);
  CU_ASSERT (strcmp (l.place[1].host, "b") == 0 && l.place[1].port == 1);
  CU_ASSERT (strcmp (l.place[2].host, "::1") == 0 && l.place[2].port == 3260);
  CU_ASSERT (strcmp (l.place[3].host, "2001:db8::1") == 0
             && l.place[3].port == 65535);
  CU_ASSERT (strcmp (l.place[4].host, "::2") == 0 && l.place[4].port == 3260);
  place_text (&l.place[3], text);
  CU_ASSERT_STRING_EQUAL (text, "[2001:db8::1]:65535");
  place_text (&l.place[5], text);
  CU_ASSERT_STRING_EQUAL (text, "1.2.3.4:9");
}

static void
what_is_no_list (void)
{
  static const char *const bad[] = {
    "",       ",",     "a,",     "a,,b",    "a:",       "a:0",   "a:65536",
    "a:x",    "a: 1",  "[::1",   "[::1]x",  "[::1]:",   "-o",    "a b",
    "a;b",    "[]",    ":1",     "a:+1",    "a:000001", "a\x1b", "a:1x",
    "::1]",   "a]",    "a[b",    "[a[b]:1",
  };
  char many[200] = "a";
  struct place_list l = {.count = 7};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (place_list_parse (bad[i], 1, &l) != ERR_INVAL)
      CU_FAIL (bad[i]);
  for (unsigned i = 1; i < PLACES; i++)
    strcat (many, ",a");
  CU_ASSERT_EQUAL (place_list_parse (many, 1, &l), ERR_OK);
  strcat (many, ",a");
  CU_ASSERT_EQUAL (place_list_parse (many, 1, &l), ERR_LIMIT);
  CU_ASSERT_EQUAL (l.count, PLACES);
}

static const struct place home = {"san.example", 3260};
static const struct address_list at
  = {1, {{.family = AF_INET, .bytes = {192, 0, 2, 7}}}};
static struct place_list named;
static struct place_policy policy;
static struct route r;

static void
begin (void)
{
  named = (struct place_list){1, {{"portal2", 3260}}};
  policy = (struct place_policy){.moves = true, .hosts = true};
  route_init (&r, &home);
  f = (struct fault){0};
}

static enum err
move (const char *host, uint16_t port)
{
  struct proto_want w = {.type = PROTO_WANT_MOVE, .port = port,
                         .why = "it is busy", .data_bytes = 3,
                         .data = {1, 2, 3}};

  strcpy (w.host, host);
  return route_move (&r, &policy, &named, &at, &w, &f);
}

static void
places_that_the_volume_names (void)
{
  static const struct {
    const char *host;
    uint16_t port;
  } good[] = {{"", 1},           {"", 0},          {"SAN.example", 77},
              {"192.0.2.7", 77}, {"portal2", 9},   {"san.example", 3260}},
    bad[] = {{"portal3", 3260}, {"192.0.2.8", 3260}, {"::1", 1}};

  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    begin ();
    CU_ASSERT_EQUAL (move (good[i].host, good[i].port), ERR_OK);
    CU_ASSERT_EQUAL (r.now.port, good[i].port ? good[i].port : 3260);
    CU_ASSERT (r.moved_bytes == 3 && r.moved[2] == 3);
    CU_ASSERT_EQUAL (r.moves, 1);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    begin ();
    CU_ASSERT_EQUAL (move (bad[i].host, bad[i].port), ERR_ACCESS);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "it is busy"));
    CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "redirect="));
    CU_ASSERT_STRING_EQUAL (r.now.host, home.host);
    CU_ASSERT_EQUAL (r.moved_bytes, 0);
  }
  begin ();
  CU_ASSERT_EQUAL (move ("a b", 1), ERR_PEER);
}

static void
what_redirect_allows (void)
{
  begin ();
  policy.allowed = (struct place_list){2, {{"x", 0}, {"y", 5}}};
  CU_ASSERT_EQUAL (move ("x", 9), ERR_OK);
  CU_ASSERT_EQUAL (move ("y", 5), ERR_OK);
  CU_ASSERT_EQUAL (move ("x", 1), ERR_OK);
  begin ();
  policy.allowed = (struct place_list){1, {{"y", 5}}};
  CU_ASSERT_EQUAL (move ("y", 6), ERR_ACCESS);
  policy.any = true;
  CU_ASSERT_EQUAL (move ("anywhere", 6), ERR_OK);
  policy.moves = false; /* redirect=no */
  CU_ASSERT_EQUAL (move ("", 7), ERR_ACCESS);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "redirect="));
  /* NFS: ports only, and no parameter to name */
  begin ();
  policy.hosts = false;
  CU_ASSERT_EQUAL (move ("", 20048), ERR_OK);
  CU_ASSERT_EQUAL (move ("portal2", 1), ERR_ACCESS);
  CU_ASSERT_STRING_EQUAL (f.hint, "");
}

static void
a_circle_ends (void)
{
  begin ();
  for (unsigned i = 0; i < ROUTE_MOVES; i++)
    CU_ASSERT_EQUAL (move ("", (uint16_t)(i + 1)), ERR_OK);
  CU_ASSERT_EQUAL (move ("", 99), ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "san.example:99"));
  CU_ASSERT_EQUAL (r.now.port, ROUTE_MOVES);
  route_failed (&r);
  CU_ASSERT_EQUAL (move ("", 99), ERR_OK);
}

/* R4 */
static void
spare_homes_come_by_turns (void)
{
  static const struct place spare = {"spare.example", 3261};

  begin ();
  CU_ASSERT (route_has_untried (&r));
  route_failed (&r);
  CU_ASSERT (!route_has_untried (&r));
  CU_ASSERT_STRING_EQUAL (r.now.host, "san.example");

  begin ();
  route_add_home (&r, &spare);
  route_failed (&r);
  CU_ASSERT (route_has_untried (&r));
  CU_ASSERT_STRING_EQUAL (r.now.host, "spare.example");
  CU_ASSERT_EQUAL (r.now.port, 3261);
  /* A redirect that fails comes back to the same one. */
  CU_ASSERT_EQUAL (move ("", 5), ERR_OK);
  route_failed (&r);
  CU_ASSERT_EQUAL (r.now.port, 3261);
  route_failed (&r);
  CU_ASSERT (!route_has_untried (&r));
  CU_ASSERT_STRING_EQUAL (r.now.host, "san.example");
  route_failed (&r);
  route_ready (&r);
  CU_ASSERT (route_has_untried (&r));
  CU_ASSERT_STRING_EQUAL (r.now.host, "spare.example");
}

/* The same place in another way is no move, even where none is allowed. */
static void
once_more_at_the_same_place (void)
{
  begin ();
  CU_ASSERT_EQUAL (move ("portal2", 9), ERR_OK);
  policy = (struct place_policy){.moves = false};
  CU_ASSERT_EQUAL (move ("", 0), ERR_OK);
  CU_ASSERT_STRING_EQUAL (r.now.host, "portal2");
  CU_ASSERT_EQUAL (r.now.port, 9);
  CU_ASSERT_EQUAL (move ("", 8), ERR_ACCESS);
  CU_ASSERT_EQUAL (move ("san.example", 3260), ERR_ACCESS);
}

/* R1 … R3 */
static void
ready_keeps_the_place_failure_goes_home (void)
{
  begin ();
  CU_ASSERT_EQUAL (move ("portal2", 1), ERR_OK);
  route_ready (&r);
  CU_ASSERT_STRING_EQUAL (r.now.host, "portal2");
  CU_ASSERT_EQUAL (r.moved_bytes, 3);
  CU_ASSERT_EQUAL (r.moves, 0);
  route_failed (&r);
  CU_ASSERT_STRING_EQUAL (r.now.host, "san.example");
  CU_ASSERT_EQUAL (r.now.port, 3260);
  CU_ASSERT_EQUAL (r.moved_bytes, 0);
}

UNIT_MAIN ("place", UNIT_TEST (lists), UNIT_TEST (what_is_no_list),
           UNIT_TEST (places_that_the_volume_names),
           UNIT_TEST (what_redirect_allows), UNIT_TEST (a_circle_ends),
           UNIT_TEST (spare_homes_come_by_turns),
           UNIT_TEST (once_more_at_the_same_place),
           UNIT_TEST (ready_keeps_the_place_failure_goes_home))
