/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/address.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct address_list
two (void)
{
  struct address_list l = {.count = 2};

  CU_ASSERT_FATAL (address_parse ("192.0.2.1", &l.a[0]));
  CU_ASSERT_FATAL (address_parse ("2001:db8::1", &l.a[1]));
  l.a[1].scope_id = 7;
  return l;
}

static void
literals_are_parsed_and_printed (void)
{
  struct address a;
  char text[ADDRESS_TEXT_BYTES];

  CU_ASSERT (address_parse ("127.0.0.1", &a));
  address_text (&a, 22, text);
  CU_ASSERT_STRING_EQUAL (text, "127.0.0.1:22");
  CU_ASSERT (address_parse ("::1", &a));
  address_text (&a, 65535, text);
  CU_ASSERT_STRING_EQUAL (text, "[::1]:65535");
  CU_ASSERT (!address_parse ("localhost", &a));
  CU_ASSERT (!address_parse ("127.1", &a));
  CU_ASSERT (!address_parse ("", &a));
}

static void
sockaddr_goes_both_ways (void)
{
  struct address_list l = two ();
  struct sockaddr_storage sa;
  struct address back;

  for (unsigned i = 0; i < l.count; i++) {
    CU_ASSERT (address_to_sockaddr (&l.a[i], 2222, &sa) > 0);
    CU_ASSERT (address_from_sockaddr ((struct sockaddr *)&sa, &back));
    CU_ASSERT_EQUAL (back.family, l.a[i].family);
    CU_ASSERT_EQUAL (memcmp (back.bytes, l.a[i].bytes, 16), 0);
  }
  sa.ss_family = AF_UNIX;
  CU_ASSERT (!address_from_sockaddr ((struct sockaddr *)&sa, &back));
}

static void
an_answer_survives_the_way (void)
{
  struct address_list l = two (), back = {0};
  uint8_t bytes[ADDRESS_ANSWER_BYTES];
  size_t n = address_answer_put (&l, NULL, bytes);
  struct fault f = {0};

  CU_ASSERT_EQUAL (address_answer_take (bytes, n, &back, &f), ERR_OK);
  CU_ASSERT_EQUAL (back.count, 2);
  CU_ASSERT_EQUAL (back.a[0].family, AF_INET);
  CU_ASSERT_EQUAL (back.a[1].family, AF_INET6);
  CU_ASSERT_EQUAL (back.a[1].scope_id, 7);
  CU_ASSERT_EQUAL (memcmp (back.a[1].bytes, l.a[1].bytes, 16), 0);
}

static void
the_longest_answer_fits (void)
{
  struct address_list l = {.count = ADDRESSES}, back;
  uint8_t bytes[ADDRESS_ANSWER_BYTES];
  size_t n;

  for (unsigned i = 0; i < ADDRESSES; i++)
    address_parse ("2001:db8::1", &l.a[i]);
  n = address_answer_put (&l, NULL, bytes);
  CU_ASSERT_EQUAL (address_answer_take (bytes, n, &back, NULL), ERR_OK);
  CU_ASSERT_EQUAL (back.count, ADDRESSES);
}

static void
a_fault_survives_the_way (void)
{
  struct fault f = {0}, back = {0};
  struct address_list l = {.count = 99};
  uint8_t bytes[ADDRESS_ANSWER_BYTES];
  size_t n;

  fault_set (&f, ERR_RESOLVE, "no such host");
  fault_hint (&f, "look again");
  n = address_answer_put (NULL, &f, bytes);
  CU_ASSERT_EQUAL (address_answer_take (bytes, n, &l, &back), ERR_RESOLVE);
  CU_ASSERT_STRING_EQUAL (back.text, "no such host");
  CU_ASSERT_STRING_EQUAL (back.hint, "look again");
  CU_ASSERT_EQUAL (l.count, 99);
}

static void
every_cut_and_every_addition_is_refused (void)
{
  struct address_list l = two (), back;
  uint8_t bytes[ADDRESS_ANSWER_BYTES] = {0};
  size_t n = address_answer_put (&l, NULL, bytes);
  struct fault f;

  for (size_t i = 0; i < n; i++)
    CU_ASSERT_EQUAL (address_answer_take (bytes, i, &back, &f), ERR_PEER);
  CU_ASSERT_EQUAL (address_answer_take (bytes, n + 1, &back, &f), ERR_PEER);
}

static void
impossible_answers_are_refused (void)
{
  static const uint8_t none[] = "bhR1\1\0";
  static const uint8_t many[] = "bhR1\1\21";
  static const uint8_t family[] = "bhR1\1\1\5\1\2\3\4\0\0\0\0";
  static const uint8_t kind[] = "bhR1\2";
  static const uint8_t magic[] = "bhR2\1\1\4\1\2\3\4\0\0\0\0";
  struct address_list back;

#define REFUSED(a)                                                             \
  CU_ASSERT_EQUAL (address_answer_take (a, sizeof a - 1, &back, NULL), ERR_PEER)
  REFUSED (none);
  REFUSED (many);
  REFUSED (family);
  REFUSED (kind);
  REFUSED (magic);
#undef REFUSED
}

static void
random_answers_do_no_harm (void)
{
  uint32_t random = 1;
  uint8_t bytes[300] = "bhR1";

  for (int turn = 0; turn < 50000; turn++) {
    struct address_list back = {0};
    struct fault f;

    for (size_t i = 4; i < sizeof bytes; i++) {
      random = random * 1664525u + 1013904223u;
      bytes[i] = (uint8_t)(random >> 24) >> (random >> 20 & 7);
    }
    if (address_answer_take (bytes, random % sizeof bytes, &back, &f) == ERR_OK)
      CU_ASSERT (back.count > 0 && back.count <= ADDRESSES);
  }
}

UNIT_MAIN ("address", UNIT_TEST (literals_are_parsed_and_printed),
           UNIT_TEST (sockaddr_goes_both_ways),
           UNIT_TEST (an_answer_survives_the_way),
           UNIT_TEST (the_longest_answer_fits),
           UNIT_TEST (a_fault_survives_the_way),
           UNIT_TEST (every_cut_and_every_addition_is_refused),
           UNIT_TEST (impossible_answers_are_refused),
           UNIT_TEST (random_answers_do_no_harm))
