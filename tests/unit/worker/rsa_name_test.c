/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/rsa_name.h"

#include <string.h>

#include "tests/unit/unit.h"

static const uint8_t rsa[] = "\0\0\0\7ssh-rsa\0\0\0\3\1\0\1\0\0\0\4\x7f\1\2\3";
#define RSA_BYTES (sizeof rsa - 1)
#define SHA256 "rsa-sha2-256"

static struct rsa_name r;

static void
a_key_that_says_its_algorithm_is_shown_as_it_is (void)
{
  static const uint8_t ed[] = "\0\0\0\x0bssh-ed25519\0\0\0\1x";

  CU_ASSERT_PTR_EQUAL (rsa_name_begin (&r, "ssh-ed25519", ed, sizeof ed - 1),
                       ed);
  rsa_name_alloc (&r, 1000);
  CU_ASSERT_PTR_NULL (r.blob);
}

static void
the_name_is_shown_until_the_packet_is_made (void)
{
  const uint8_t *shown = rsa_name_begin (&r, SHA256, rsa, RSA_BYTES);

  CU_ASSERT_PTR_NOT_NULL_FATAL (shown);
  CU_ASSERT (memcmp (shown, "\0\0\0\x0c" SHA256, 16) == 0);
  rsa_name_alloc (&r, strlen (SHA256));
  rsa_name_alloc (&r, RSA_BYTES);
  CU_ASSERT (memcmp (shown, "\0\0\0\x0c" SHA256, 16) == 0);
  rsa_name_alloc (&r, RSA_BYTES + 60);
  CU_ASSERT (memcmp (shown, rsa, RSA_BYTES) == 0);
}

static void
nothing_is_swapped_after_the_end (void)
{
  const uint8_t *shown = rsa_name_begin (&r, SHA256, rsa, RSA_BYTES);

  rsa_name_end (&r);
  rsa_name_alloc (&r, 1000);
  CU_ASSERT (memcmp (shown, "\0\0\0\x0c" SHA256, 16) == 0);
}

static void
damaged_keys_are_refused (void)
{
  static uint8_t large[BROKER_KEY_BYTES + 1];

  memcpy (large, rsa, RSA_BYTES);
  CU_ASSERT_PTR_NULL (rsa_name_begin (&r, SHA256, large, sizeof large));
  CU_ASSERT_PTR_NOT_NULL (
      rsa_name_begin (&r, SHA256, large, sizeof large - 1));
  for (size_t n = 0; n < 16; n++) /* cut, or too short for the name */
    CU_ASSERT_PTR_NULL (rsa_name_begin (&r, SHA256, rsa, n));
  CU_ASSERT_PTR_NOT_NULL (rsa_name_begin (&r, SHA256, rsa, 16));
  CU_ASSERT_PTR_NULL (
      rsa_name_begin (&r, SHA256, (const uint8_t *)"\xff\xff\xff\xff", 4));
}

UNIT_MAIN ("rsa name",
           UNIT_TEST (a_key_that_says_its_algorithm_is_shown_as_it_is),
           UNIT_TEST (the_name_is_shown_until_the_packet_is_made),
           UNIT_TEST (nothing_is_swapped_after_the_end),
           UNIT_TEST (damaged_keys_are_refused))
