/* SPDX-License-Identifier: BSD-2-Clause */
/* What the log says that a dead worker had in hand. */
#include "config.h"
#include "cache/report.h"

#include <string.h>

#include "tests/unit/unit.h"

#define EPOCH 7
#define MS 1000000ull

static struct ring_object requests, completions;
static struct ring gateway, worker;
static char text[400];

static void
begin (void)
{
  ring_object_reset (&requests, EPOCH);
  ring_object_reset (&completions, EPOCH);
  ring_init (&gateway, &requests, &completions);
  ring_init (&worker, &completions, &requests);
}

static void
ask (uint64_t id, enum io_op op, uint64_t offset, uint32_t length,
     uint16_t flags, uint64_t sent_ns)
{
  union ring_entry e = {.request = {.id = id, .offset = offset,
                                    .length = length, .op = (uint16_t)op,
                                    .flags = flags, .sent_ns = sent_ns}};

  CU_ASSERT_EQUAL_FATAL (ring_push (&gateway, &e), ERR_OK);
}

static void
take (void)
{
  union ring_entry e;

  CU_ASSERT_EQUAL_FATAL (ring_pop (&worker, &e), ERR_OK);
}

static void
answer (uint64_t id)
{
  union ring_entry e = {.completion = {.id = id}};

  CU_ASSERT_EQUAL_FATAL (ring_push (&worker, &e), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (ring_pop (&gateway, &e), ERR_OK);
}

static bool
report (void)
{
  return report_in_hand (&requests, &completions, EPOCH, 5000 * MS, text,
                         sizeof text);
}

static void
nothing_is_nothing (void)
{
  begin ();
  CU_ASSERT_FALSE (report ());
  CU_ASSERT_STRING_EQUAL (text, "");
  ask (1, IO_READ, 0, 4096, 0, MS);
  take ();
  answer (1);
  CU_ASSERT_FALSE (report ());
}

static void
the_last_and_the_oldest_are_told (void)
{
  begin ();
  ask (1, IO_WRITE, 8192, 4096, IO_FUA, 4988 * MS);
  take ();
  CU_ASSERT (report ());
  CU_ASSERT_STRING_EQUAL (text, "1 request; the last: write of 4096 bytes at "
                                "8192 (FUA), sent 0.012 s before");
  ask (2, IO_FLUSH, 0, 0, 0, 4999 * MS);
  take ();
  ask (3, IO_ZERO, 0, 1, IO_NO_HOLE, 5000 * MS);
  take ();
  answer (3);
  ask (4, IO_READ, 1, 1, 0, 5000 * MS);
  CU_ASSERT (report ());
  CU_ASSERT_STRING_EQUAL (
      text, "2 requests; the last: flush, sent 0.001 s before; the oldest: "
            "write of 4096 bytes at 8192 (FUA), sent 0.012 s before; 1 more "
            "waited for it");
}

static void
what_it_never_took_is_no_suspect (void)
{
  begin ();
  ask (1, IO_READ, 0, 4096, 0, MS);
  CU_ASSERT (report ());
  CU_ASSERT_STRING_EQUAL (text, "nothing; 1 requests waited for it");
  /* it died before it reset its ring */
  ring_object_reset (&completions, EPOCH - 1);
  CU_ASSERT (report ());
  /* and the gateway before it reset its own */
  ring_object_reset (&requests, EPOCH - 1);
  CU_ASSERT_FALSE (report ());
}

static void
after_many_requests_those_in_hand_are_found (void)
{
  begin ();
  for (uint64_t id = 1; id <= 1000; id++) {
    ask (id, IO_READ, id * 4096, 4096, 0, 5000 * MS);
    take ();
    if (id > 100)
      answer (id - 100);
  }
  CU_ASSERT (report ());
  CU_ASSERT_PTR_NOT_NULL (strstr (text, "100 requests; the last: read of 4096 "
                                        "bytes at 4096000,"));
  CU_ASSERT_PTR_NOT_NULL (strstr (text, "the oldest: read of 4096 bytes at "
                                        "3690496,"));
}

static void
lies_do_no_harm (void)
{
  static const uint32_t lies[] = {0, 1, 127, 128, 129, 1u << 31, UINT32_MAX};

  for (unsigned i = 0; i < 7; i++)
    for (unsigned k = 0; k < 7; k++) {
      begin ();
      ask (1, (enum io_op)77, UINT64_MAX, UINT32_MAX, 0xffff, UINT64_MAX);
      atomic_store (&completions.head, lies[i]);
      atomic_store (&completions.tail, lies[k]);
      report ();
      CU_ASSERT (memchr (text, 0, sizeof text) != NULL);
      atomic_store (&requests.tail, lies[k]);
      report ();
      CU_ASSERT (memchr (text, 0, sizeof text) != NULL);
    }
}

UNIT_MAIN ("cache report", UNIT_TEST (nothing_is_nothing),
           UNIT_TEST (the_last_and_the_oldest_are_told),
           UNIT_TEST (what_it_never_took_is_no_suspect),
           UNIT_TEST (after_many_requests_those_in_hand_are_found),
           UNIT_TEST (lies_do_no_harm))
