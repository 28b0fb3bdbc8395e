/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/greeting.h"

#include <string.h>

#include "common/wire.h"
#include "tests/unit/unit.h"

static struct greeting g;
static char names[GREETING_NAMES_BYTES];

static void
greet (const char *lines, uint8_t message, const char *hostkeys)
{
  uint8_t packet[2048];
  struct wirebuf b = wirebuf_init (packet, sizeof packet);

  memset (&g, 0, sizeof g);
  strcpy (names, "unchanged");
  greeting_add (&g, lines, strlen (lines));
  wirebuf_u32 (&b, 1000);
  wirebuf_u8 (&b, 4);
  wirebuf_u8 (&b, message);
  wirebuf_bytes (&b, "0123456789abcdef", 16);
  wirebuf_cstring (&b, "curve25519-sha256");
  wirebuf_cstring (&b, hostkeys);
  greeting_add (&g, packet, b.used_bytes);
}

static void
finds_the_host_keys (void)
{
  greet ("SSH-2.0-x\r\n", 20, "rsa-sha2-512,rsa-sha2-256");
  CU_ASSERT (greeting_hostkeys (&g, names));
  CU_ASSERT_STRING_EQUAL (names, "rsa-sha2-512,rsa-sha2-256");
  greet ("hello\nSSH: not yet\r\nSSH-2.0-x\n", 20, "a");
  CU_ASSERT (greeting_hostkeys (&g, names));
  CU_ASSERT_STRING_EQUAL (names, "a");
}

static void
refuses_what_is_no_whole_kexinit (void)
{
  char longest[GREETING_NAMES_BYTES + 1];

  greet ("", 20, "a");
  CU_ASSERT (!greeting_hostkeys (&g, names));
  greet ("SSH-2.0-x\r\n", 21, "a");
  CU_ASSERT (!greeting_hostkeys (&g, names));
  greet ("SSH-2.0-x\r\n", 20, "a\033[2J");
  CU_ASSERT (!greeting_hostkeys (&g, names));
  memset (longest, 'n', GREETING_NAMES_BYTES);
  longest[GREETING_NAMES_BYTES] = 0;
  greet ("SSH-2.0-x\r\n", 20, longest);
  CU_ASSERT (!greeting_hostkeys (&g, names));
  greet ("SSH-2.0-x\r\n", 20, "a");
  while (g.used_bytes--) {
    CU_ASSERT (!greeting_hostkeys (&g, names));
  }
  CU_ASSERT_STRING_EQUAL (names, "unchanged");
}

static void
knows_who_does_not_identify_itself (void)
{
  static const struct {
    const char *said;
    bool identified;
  } rows[] = {{"", false},
              {"SSH", false},
              {"SSH-", true},
              {"SSH-2.0-x\r\n", true},
              {"hello\nSSH-2.0-x", true},
              {"220 mail\r\n", false},
              {"no SSH-2.0-x\n", false},
              {"\n\n", false}};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    memset (&g, 0, sizeof g);
    greeting_add (&g, rows[i].said, strlen (rows[i].said));
    CU_ASSERT_EQUAL (greeting_identified (&g), rows[i].identified);
  }
}

static void
keeps_no_more_than_fits (void)
{
  static uint8_t much[GREETING_BYTES + 5000];

  memset (&g, 0, sizeof g);
  greeting_add (&g, much, 5000);
  greeting_add (&g, much, sizeof much);
  greeting_add (&g, much, 1);
  CU_ASSERT_EQUAL (g.used_bytes, GREETING_BYTES);
  CU_ASSERT (!greeting_hostkeys (&g, names));
}

UNIT_MAIN ("greeting", UNIT_TEST (finds_the_host_keys),
           UNIT_TEST (refuses_what_is_no_whole_kexinit),
           UNIT_TEST (knows_who_does_not_identify_itself),
           UNIT_TEST (keeps_no_more_than_fits))
