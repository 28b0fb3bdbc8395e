/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/stranger.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static void
what_speaks_is_known (void)
{
  static const struct {
    const char *bytes;
    size_t n, speaks;
  } rows[] = {
      {"SSH-2.0-x\r\n", 11, 9},
      {"220 \r\n", 6, 4},
      {"\r\n\r\n", 4, 4},
      {"NBDMAGICIHAVEOPT\0\3", 18, 16},
      {"HTTP/1.1", 8, 0}, /* not yet */
      {"\x15\x03\x01\x00\x02\x02\x16", 7, 4},
      {"SSH", 3, 0},
      {"", 0, 0},
      {"\x80\x00\x00\x1c", 4, 0}, /* RPC */
      {"\x23\x87\x00\x00", 4, 0}, /* iSCSI */
      {"SSH\x80", 4, 0},
  };
  char line[100];

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CU_ASSERT_EQUAL (stranger_speaks (rows[i].bytes, rows[i].n),
                     rows[i].speaks);
  /* A line without an end: the same for whoever has more of it. */
  memset (line, 'x', sizeof line);
  for (size_t n = 0; n <= sizeof line; n++)
    CU_ASSERT_EQUAL (stranger_speaks (line, n),
                     n < STRANGER_LINE_BYTES ? 0 : STRANGER_LINE_BYTES);
}

static const char *
shown (const char *bytes, size_t n)
{
  static struct fault f;

  CU_ASSERT_EQUAL (stranger_fault (&f, "iSCSI", "iSCSI has 3260", bytes, n),
                   ERR_PEER);
  CU_ASSERT_STRING_EQUAL (f.hint,
                          "is it the right port? iSCSI has 3260 as a rule");
  return strstr (f.text, "it says ") + strlen ("it says ");
}

static void
what_it_says_is_shown (void)
{
  char line[300];

  CU_ASSERT_STRING_EQUAL (shown ("SSH-2.0-OpenSSH_9.2\r\n\0\0", 23),
                          "\"SSH-2.0-OpenSSH_9.2\" (SSH)");
  CU_ASSERT_STRING_EQUAL (shown ("HTTP/1.1 400 Bad\r\nServer: x", 26),
                          "\"HTTP/1.1 400 Bad\" (HTTP)");
  CU_ASSERT_STRING_EQUAL (shown ("220 mail\033[2J", 12), "\"220 mail\"");
  CU_ASSERT_STRING_EQUAL (shown ("\x15\x03\x01\x00\x02\x02\x16", 7),
                          "15 03 01 00 02 02 16 (TLS)");
  CU_ASSERT_STRING_EQUAL (shown ("a", 1), "61");
  memset (line, 'x', sizeof line);
  CU_ASSERT_EQUAL (strlen (shown (line, sizeof line)), 82);
  memset (line, 1, sizeof line);
  CU_ASSERT_EQUAL (strlen (shown (line, sizeof line)), 47);
}

UNIT_MAIN ("stranger", UNIT_TEST (what_speaks_is_known),
           UNIT_TEST (what_it_says_is_shown))
