/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/quota.h"

#include <string.h>

#include "tests/unit/unit.h"

#define S 1000000000ull

static const struct quota_limits limits = {
    .volumes = 2, .workers = 3, .memory_bytes = 100 << 20, .dials = 4};

static struct quota q;

static enum err
take (uid_t uid, struct quota_share s, const char *words)
{
  struct fault f = {0};
  enum err e = quota_take (&q, uid, &s, &f);

  if (words && !strstr (f.text, words)) {
    fprintf (stderr, "%s\n", f.text);
    CU_FAIL ("it does not say why");
  }
  return e;
}

static void
each_limit_is_told (void)
{
  quota_init (&q, &limits);
  CU_ASSERT_EQUAL (take (7, (struct quota_share){.volumes = 2}, NULL), ERR_OK);
  CU_ASSERT_EQUAL (
      take (7, (struct quota_share){.volumes = 1}, "uid 7 has its 2 volumes"),
      ERR_LIMIT);
  CU_ASSERT_EQUAL (
      take (7, (struct quota_share){.workers = 4}, "its 3 workers"),
      ERR_LIMIT);
  CU_ASSERT_EQUAL (take (7, (struct quota_share){.memory_bytes = 101 << 20},
                         "its 100 MiB"),
                   ERR_LIMIT);
  CU_ASSERT_EQUAL (take (7,
                         (struct quota_share){.memory_bytes = UINT64_MAX},
                         "its 100 MiB"),
                   ERR_LIMIT);
  CU_ASSERT_EQUAL (take (7, (struct quota_share){.clients = 11},
                         "its 10 connections"),
                   ERR_LIMIT);
  CU_ASSERT_EQUAL (take (7, (struct quota_share){.relays = 3},
                         "its 2 connections to an ssh-agent"),
                   ERR_LIMIT);
  CU_ASSERT_EQUAL (take (7, (struct quota_share){.peeks = 11},
                         "its 10 messages"),
                   ERR_LIMIT);
  /* Nothing was taken by what was refused; another user has all. */
  CU_ASSERT_EQUAL (
      take (7, (struct quota_share){.workers = 3, .memory_bytes = 100 << 20},
            NULL),
      ERR_OK);
  CU_ASSERT_EQUAL (take (8,
                         (struct quota_share){.clients = 2,
                                              .volumes = 2,
                                              .workers = 3,
                                              .memory_bytes = 100 << 20},
                         NULL),
                   ERR_OK);
}

/* What one has counts, each kind by itself. */
static void
what_one_has_counts (void)
{
  static const struct {
    struct quota_share one;
    unsigned most;
  } row[] = {{{.clients = 1}, 2 + QUOTA_SPARE_CLIENTS},
             {{.volumes = 1}, 2},
             {{.workers = 1}, 3},
             {{.memory_bytes = 10 << 20}, 10},
             {{.relays = 1}, 2},
             {{.peeks = 1}, 2 + QUOTA_SPARE_CLIENTS}};

  quota_init (&q, &limits);
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    for (unsigned n = 0; n < row[i].most; n++)
      CU_ASSERT_EQUAL (take (7, row[i].one, NULL), ERR_OK);
    CU_ASSERT_EQUAL (take (7, row[i].one, "uid 7 has its"), ERR_LIMIT);
    quota_give (&q, 7, &row[i].one);
    CU_ASSERT_EQUAL (take (7, row[i].one, NULL), ERR_OK);
    CU_ASSERT_EQUAL (take (7, row[i].one, "uid 7 has its"), ERR_LIMIT);
  }
}

static void
what_is_given_back_can_be_taken (void)
{
  static const struct quota_share one = {.volumes = 1, .workers = 2};

  quota_init (&q, &limits);
  for (int i = 0; i < 100; i++) {
    CU_ASSERT_EQUAL (take (7, one, NULL), ERR_OK);
    CU_ASSERT_EQUAL (take (7, one, "workers"), ERR_LIMIT);
    quota_give (&q, 7, &one);
  }
}

static void
root_and_ones_own_daemon_have_no_limits (void)
{
  static const struct quota_share much = {.clients = 1000,
                                           .volumes = 1000,
                                           .workers = 1000,
                                           .memory_bytes = UINT64_MAX,
                                           .relays = 1000,
                                           .peeks = 1000};
  struct fault f;

  quota_init (&q, &limits);
  for (int i = 0; i < 10; i++) {
    CU_ASSERT_EQUAL (take (0, much, NULL), ERR_OK);
    CU_ASSERT_EQUAL (quota_dial (&q, 0, 0, &f), ERR_OK);
  }
  quota_give (&q, 0, &much);
  memset (&q, 0, sizeof q);
  for (int i = 0; i < 10; i++) {
    CU_ASSERT_EQUAL (take (7, much, NULL), ERR_OK);
    CU_ASSERT_EQUAL (quota_dial (&q, 7, 0, &f), ERR_OK);
  }
}

static void
dials_come_back_with_time (void)
{
  struct fault f = {0};

  quota_init (&q, &limits);
  for (int i = 0; i < 4; i++)
    CU_ASSERT_EQUAL (quota_dial (&q, 7, S, &f), ERR_OK);
  CU_ASSERT_EQUAL (quota_dial (&q, 7, S, &f), ERR_LIMIT);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "4 connections to servers"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "--dials-per-uid"));
  CU_ASSERT_EQUAL (quota_dial (&q, 8, S, &f), ERR_OK);
  /* one in 15 seconds, and never more than four at once */
  CU_ASSERT_EQUAL (quota_dial (&q, 7, 15 * S, &f), ERR_LIMIT);
  CU_ASSERT_EQUAL (quota_dial (&q, 7, 16 * S + 1, &f), ERR_OK);
  CU_ASSERT_EQUAL (quota_dial (&q, 7, 17 * S, &f), ERR_LIMIT);
  for (int i = 0; i < 4; i++)
    CU_ASSERT_EQUAL (quota_dial (&q, 7, 100000 * S, &f), ERR_OK);
  CU_ASSERT_EQUAL (quota_dial (&q, 7, 100000 * S, &f), ERR_LIMIT);
}

/* Who has dialled its all is not forgotten as long as others can be. */
static void
many_users (void)
{
  static const struct quota_share one = {.clients = 1};
  struct fault f;

  quota_init (&q, &limits);
  for (int i = 0; i < 4; i++)
    quota_dial (&q, 7, S, &f);
  for (uid_t uid = 1000; uid < 1000 + 10 * QUOTA_USERS; uid++) {
    CU_ASSERT_EQUAL (take (uid, one, NULL), ERR_OK);
    quota_give (&q, uid, &one);
  }
  CU_ASSERT_EQUAL (quota_dial (&q, 7, S, &f), ERR_LIMIT);
  for (uid_t uid = 1000; uid < 1000 + QUOTA_USERS; uid++)
    CU_ASSERT_EQUAL (take (uid, one, NULL), ERR_OK);
  CU_ASSERT_EQUAL (take (1, one, "users are served"), ERR_LIMIT);
}

static void
lines_are_bounded (void)
{
  unsigned said = 0, hidden;

  quota_init (&q, &limits);
  for (unsigned i = 0; i < 1000; i++)
    said += quota_line (&q, 7, S, &hidden);
  CU_ASSERT_EQUAL (said, QUOTA_LINES_AT_ONCE);
  CU_ASSERT (quota_line (&q, 8, S, &hidden));
  CU_ASSERT_EQUAL (hidden, 0);
  CU_ASSERT (quota_line (&q, 0, S, &hidden));
  CU_ASSERT (quota_line (&q, 7, 2 * S, &hidden));
  CU_ASSERT_EQUAL (hidden, 1000 - QUOTA_LINES_AT_ONCE);
  CU_ASSERT (quota_line (&q, 7, 2 * S, &hidden));
  CU_ASSERT_EQUAL (hidden, 0);
  CU_ASSERT (!quota_line (&q, 7, 2 * S, &hidden));
}

UNIT_MAIN ("quota", UNIT_TEST (each_limit_is_told),
           UNIT_TEST (what_one_has_counts),
           UNIT_TEST (what_is_given_back_can_be_taken),
           UNIT_TEST (root_and_ones_own_daemon_have_no_limits),
           UNIT_TEST (dials_come_back_with_time), UNIT_TEST (many_users),
           UNIT_TEST (lines_are_bounded))
