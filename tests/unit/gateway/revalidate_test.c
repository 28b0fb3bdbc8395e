/* SPDX-License-Identifier: BSD-2-Clause */
/* What counts as a write of somebody else. */
#include "config.h"
#include "gateway/revalidate.h"

#include "tests/unit/unit.h"

#define S 1000000000ull
#define SIZE 1000

static struct revalidate r;
static uint64_t now, begun, ended, change, size;

static void
begin (uint64_t interval_ns)
{
  struct revalidate_writes w = {0, 0};

  now = 100 * S;
  begun = ended = 0;
  change = 50;
  size = SIZE;
  revalidate_init (&r, interval_ns, change, size, &w, now);
}

static void
ask (void)
{
  struct revalidate_writes w = {ended, begun};

  if (r.next_ns > now)
    now = r.next_ns;
  CU_ASSERT_FATAL (revalidate_due (&r, &w, now));
  revalidate_ask (&r, &w, now);
  CU_ASSERT_FALSE (revalidate_due (&r, &w, now + 1000 * S));
}

static bool
due (uint64_t at_ns)
{
  struct revalidate_writes w = {ended, begun};

  return revalidate_due (&r, &w, at_ns);
}

/* A session is lost, and the next one finds what is there then. */
static struct revalidate_writes lost;

static void
lose (void)
{
  lost = (struct revalidate_writes){ended, begun};
}

static bool
come_back (void)
{
  struct revalidate_writes w = {ended, begun};

  return revalidate_session (&r, change, size, &lost, &w, now);
}

static bool
answer (void)
{
  struct revalidate_writes w = {ended, begun};

  return revalidate_answer (&r, change, size, &w, now);
}

static bool
look (void)
{
  ask ();
  return answer ();
}

static void
never_is_never (void)
{
  begin (0);
  CU_ASSERT_FALSE (due (UINT64_MAX));
  change = 0; /* nothing can be known of it */
  lose ();
  come_back ();
  r.settling = false;
  begun = ended = 3;
  CU_ASSERT_FALSE (due (UINT64_MAX));
}

/* V4 */
static void
a_new_session_is_compared (void)
{
  for (uint64_t interval = 0; interval <= 5 * S; interval += 5 * S) {
    begin (interval);
    lose ();
    CU_ASSERT_FALSE (come_back ());
    lose ();
    change = 51;
    CU_ASSERT (come_back ());
    CU_ASSERT (r.next_ns >= now + REVALIDATE_SETTLE_NS);
    CU_ASSERT (look ()); /* V3 */
    lose ();
    CU_ASSERT_FALSE (come_back ());
    lose ();
    size++;
    CU_ASSERT (come_back ());
  }
}

static void
but_not_over_own_writes (void)
{
  begin (0);
  begun = 1; /* under way when it is lost */
  lose ();
  ended = 1;
  change = 51;
  CU_ASSERT_FALSE (come_back ());
  lose ();
  begun = ended = 2; /* while there was no session */
  change = 52;
  CU_ASSERT_FALSE (come_back ());
  begun = ended = 3; /* before it was lost */
  lose ();
  change = 53;
  CU_ASSERT_FALSE (come_back ());
  lose ();
  change = 54; /* and now somebody else */
  CU_ASSERT (come_back ());
  /* A size is nobody's of us. */
  begun = 4;
  lose ();
  size++;
  CU_ASSERT (come_back ());
}

/* V5 */
static void
it_asks_when_own_writes_have_come_to_rest (void)
{
  begin (0);
  CU_ASSERT_FALSE (due (now + 100 * S));
  begun = 1;
  CU_ASSERT_FALSE (due (now + 100 * S));
  ended = 1;
  change = 51;
  CU_ASSERT_FALSE (look ());
  CU_ASSERT_FALSE (due (now + 100 * S));
  lose ();
  change = 52;
  CU_ASSERT (come_back ());
  CU_ASSERT (look ()); /* V3 */
  CU_ASSERT_FALSE (due (now + 100 * S));
  /* At most once a second; one that was raced soon again. */
  begun = ended = 2;
  CU_ASSERT_FALSE (due (r.next_ns - 1));
  ask ();
  begun = 3;
  CU_ASSERT_FALSE (answer ());
  CU_ASSERT_EQUAL (r.next_ns, now + REVALIDATE_SOON_NS);
  CU_ASSERT_FALSE (due (r.next_ns));
  ended = 3;
  CU_ASSERT (due (r.next_ns));
}

static void
it_asks_every_interval (void)
{
  begin (5 * S);
  CU_ASSERT_FALSE (due (now + 5 * S - 1));
  CU_ASSERT_FALSE (look ());
  CU_ASSERT_EQUAL (r.next_ns, now + 5 * S);
  ask ();
  revalidate_lost (&r, now); /* a new session is asked at once */
  CU_ASSERT (due (now));
}

static void
a_write_of_others_is_seen (void)
{
  begin (5 * S);
  CU_ASSERT_FALSE (look ());
  change = 51;
  CU_ASSERT (look ());
  /* V3, once */
  CU_ASSERT (look ());
  CU_ASSERT_FALSE (look ());
  size++;
  CU_ASSERT (look ());
}

static void
the_rest_of_the_second_is_waited_for (void)
{
  begin (S / 10);
  change = 51;
  CU_ASSERT (look ());
  CU_ASSERT_EQUAL (r.next_ns, now + REVALIDATE_SETTLE_NS);
  CU_ASSERT (look ());
  CU_ASSERT_EQUAL (r.next_ns, now + S / 10);
  CU_ASSERT_FALSE (look ());
}

static void
own_writes_keep_the_cache (void)
{
  begin (5 * S);
  begun = ended = 1;
  change = 51;
  CU_ASSERT_FALSE (look ());
  CU_ASSERT_FALSE (look ());
  /* one that begins while the answer is on its way */
  ask ();
  begun = 2;
  change = 52;
  CU_ASSERT_FALSE (answer ());
  CU_ASSERT_EQUAL (r.next_ns, now + REVALIDATE_SOON_NS);
  /* one that was under way when it was asked for */
  ask ();
  ended = 2;
  CU_ASSERT_FALSE (answer ());
  CU_ASSERT_FALSE (look ());
  CU_ASSERT_EQUAL (r.next_ns, now + 5 * S);
}

static void
but_not_for_long (void)
{
  begin (5 * S);
  begun = ended = 3;
  change = 51;
  CU_ASSERT_FALSE (look ());
  change = 52; /* not ours */
  CU_ASSERT (look ());
}

static void
no_write_of_ours_changes_the_size (void)
{
  begin (5 * S);
  begun = ended = 1;
  change = 51;
  size = 999;
  CU_ASSERT (look ());
}

static void
what_is_not_known_is_not_compared (void)
{
  begin (5 * S);
  change = 0;
  CU_ASSERT (look ()); /* it was known before */
  CU_ASSERT (look ()); /* V3 */
  change = 77;
  CU_ASSERT_FALSE (look ());
  change = 78;
  CU_ASSERT (look ());
}

static void
a_size_is_always_known (void)
{
  begin (5 * S);
  change = 0;
  CU_ASSERT (look ());
  CU_ASSERT (look ()); /* V3 */
  CU_ASSERT_FALSE (look ());
  size++;
  CU_ASSERT (look ());
  CU_ASSERT (look ()); /* V3 */
  CU_ASSERT_FALSE (look ());
}

UNIT_MAIN ("gateway revalidate", UNIT_TEST (never_is_never),
           UNIT_TEST (a_new_session_is_compared),
           UNIT_TEST (but_not_over_own_writes),
           UNIT_TEST (it_asks_when_own_writes_have_come_to_rest),
           UNIT_TEST (it_asks_every_interval),
           UNIT_TEST (a_write_of_others_is_seen),
           UNIT_TEST (the_rest_of_the_second_is_waited_for),
           UNIT_TEST (own_writes_keep_the_cache),
           UNIT_TEST (but_not_for_long),
           UNIT_TEST (no_write_of_ours_changes_the_size),
           UNIT_TEST (what_is_not_known_is_not_compared),
           UNIT_TEST (a_size_is_always_known))
