/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/want.h"

#include <string.h>

#include "tests/unit/unit.h"

static uint8_t bytes[8192];

/* Whole it is taken, cut off anywhere it is not. */
static void
cut_questions_are_refused (void)
{
  struct proto_want w = {.type = PROTO_WANT_MOVE,
                         .port = 1,
                         .lanes = 4,
                         .name = "n",
                         .host = "h",
                         .why = "w",
                         .data_bytes = 5},
                    got;
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire in;

  want_put (&b, &w);
  for (size_t n = 0; n < b.used_bytes; n++) {
    in = wire_init (bytes, n);
    CU_ASSERT_EQUAL (want_take (&in, &got), ERR_PEER);
  }
  in = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (want_take (&in, &got), ERR_OK);
  CU_ASSERT_EQUAL (wire_end (&in), ERR_OK);
  CU_ASSERT (got.data_bytes == 5 && got.port == 1 && !got.mutual);
  CU_ASSERT_EQUAL (got.lanes, 4);
  bytes[6] = PROTO_LANES_MAX + 1;
  in = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (want_take (&in, &got), ERR_PEER);
  bytes[6] = PROTO_LANES_MAX;
  for (unsigned type = 0; type < 256; type++) {
    bytes[0] = (uint8_t)type;
    in = wire_init (bytes, b.used_bytes);
    CU_ASSERT_EQUAL (want_take (&in, &got) == ERR_OK,
                     type >= PROTO_WANT_CHAP && type <= PROTO_WANT_MOVE);
  }
}

static void
too_long_is_refused (void)
{
  static char text[2 * PROTO_WANT_BYTES];
  static const size_t limit[4]
    = {PROTO_NAME_BYTES - 1, PROTO_NAME_BYTES - 1, PROTO_WHY_BYTES - 1,
       PROTO_WANT_BYTES};
  static struct proto_want got;

  memset (text, 'x', sizeof text);
  for (int field = 0; field < 4; field++)
    for (size_t more = 0; more < 2; more++) {
      struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
      struct wire in;

      wirebuf_bytes (&b, "\1\5\0\0\0\0\0", 7);
      for (int i = 0; i < 4; i++)
        wirebuf_string (&b, text, i == field ? limit[i] + more : 1);
      in = wire_init (bytes, b.used_bytes);
      CU_ASSERT_EQUAL (want_take (&in, &got), more ? ERR_PEER : ERR_OK);
    }
}

static void
cut_answers_are_refused (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP, .error = ERR_AUTH,
                          .name = "n", .data_bytes = 3, .challenge_bytes = 4},
                     got;
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire in;

  given_put (&b, &g);
  for (size_t n = 0; n < b.used_bytes; n++) {
    in = wire_init (bytes, n);
    CU_ASSERT_EQUAL (given_take (&in, &got), ERR_PEER);
  }
  in = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (given_take (&in, &got), ERR_OK);
  CU_ASSERT (got.error == ERR_AUTH && got.challenge_bytes == 4);
  bytes[1] = 1; /* no such error */
  in = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (given_take (&in, &got), ERR_PEER);
}

UNIT_MAIN ("want", UNIT_TEST (cut_questions_are_refused),
           UNIT_TEST (too_long_is_refused),
           UNIT_TEST (cut_answers_are_refused))
