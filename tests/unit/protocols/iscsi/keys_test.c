/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of text keys, and who wins (RFC 7143 §6.1, §6.2). */
#include "config.h"

#include <string.h>

#include "protocols/iscsi/address.h"
#include "protocols/iscsi/keys.h"
#include "tests/unit/unit.h"

static void
numbers (void)
{
  uint32_t v = 0;

  CU_ASSERT (keys_number ("0", 10, &v) && v == 0);
  CU_ASSERT (keys_number ("4294967295", UINT32_MAX, &v) && v == UINT32_MAX);
  CU_ASSERT (!keys_number ("4294967296", UINT32_MAX, &v));
  CU_ASSERT (!keys_number ("99999999999999999999999", UINT32_MAX, &v));
  CU_ASSERT (keys_number ("0xFf", 255, &v) && v == 255);
  CU_ASSERT (keys_number ("0X10", 255, &v) && v == 16);
  CU_ASSERT (!keys_number ("0x", 255, &v));
  CU_ASSERT (!keys_number ("", 255, &v));
  CU_ASSERT (!keys_number ("-1", 255, &v));
  CU_ASSERT (!keys_number ("1a", 255, &v));
  CU_ASSERT (!keys_number ("256", 255, &v));
}

static void
binaries (void)
{
  uint8_t b[4];
  size_t n = 0;
  uint8_t text[64];
  struct wirebuf w = wirebuf_init (text, sizeof text);

  CU_ASSERT (keys_binary ("0x01020a", b, 4, &n) && n == 3);
  CU_ASSERT_EQUAL (memcmp (b, "\1\2\12", 3), 0);
  CU_ASSERT (keys_binary ("0xabc", b, 4, &n) && n == 2);
  CU_ASSERT_EQUAL (memcmp (b, "\x0a\xbc", 2), 0);
  CU_ASSERT (keys_binary ("0xffffffff", b, 4, &n) && n == 4);
  CU_ASSERT (!keys_binary ("0x1ffffffff", b, 4, &n));
  CU_ASSERT (!keys_binary ("0x", b, 4, &n));
  CU_ASSERT (!keys_binary ("0xg0", b, 4, &n));
  CU_ASSERT (keys_binary ("0bAQID", b, 4, &n) && n == 3);
  CU_ASSERT (keys_binary ("0BAQIDBA==", b, 4, &n) && n == 4);
  CU_ASSERT_EQUAL (memcmp (b, "\1\2\3\4", 4), 0);
  CU_ASSERT (!keys_binary ("0bAQIDBAU=", b, 4, &n));
  CU_ASSERT (!keys_binary ("0bAQI", b, 4, &n));
  CU_ASSERT (!keys_binary ("0bA*ID", b, 4, &n));
  CU_ASSERT (!keys_binary ("0b====", b, 4, &n));
  CU_ASSERT (!keys_binary ("", b, 4, &n));
  CU_ASSERT (!keys_binary ("17", b, 4, &n));
  keys_put_binary (&w, "CHAP_R", (const uint8_t *)"\xab\x01", 2);
  CU_ASSERT_EQUAL (w.used_bytes, sizeof "CHAP_R=0xab01");
  CU_ASSERT_STRING_EQUAL ((char *)text, "CHAP_R=0xab01");
}

static enum err
answer (enum keys_id id, uint32_t ours, const char *name, const char *value,
        uint32_t *ret)
{
  struct keys k;
  struct fault f;
  enum err e;

  keys_init (&k, false);
  k.offered[id] = ours;
  e = keys_answer (&k, name, value, &f);
  *ret = k.result[id];
  return e;
}

static void
results (void)
{
  uint32_t v;

#define TAKES(id, ours, name, value, expected)                                 \
  CU_ASSERT_EQUAL (answer (KEY_##id, ours, name, value, &v), ERR_OK);          \
  CU_ASSERT_EQUAL (v, expected)
#define REFUSES(id, ours, name, value)                                         \
  CU_ASSERT_EQUAL (answer (KEY_##id, ours, name, value, &v), ERR_PEER)
  TAKES (MAX_BURST, 65536, "MaxBurstLength", "65536", 65536);
  TAKES (MAX_BURST, 65536, "MaxBurstLength", "512", 512);
  REFUSES (MAX_BURST, 65536, "MaxBurstLength", "65537");
  TAKES (TIME2WAIT, 0, "DefaultTime2Wait", "3600", 3600);
  REFUSES (TIME2WAIT, 5, "DefaultTime2Wait", "4");
  REFUSES (TIME2WAIT, 0, "DefaultTime2Wait", "3601");
  TAKES (INITIAL_R2T, 0, "InitialR2T", "Yes", 1);
  TAKES (INITIAL_R2T, 0, "InitialR2T", "No", 0);
  REFUSES (INITIAL_R2T, 1, "InitialR2T", "No");
  TAKES (IMMEDIATE_DATA, 1, "ImmediateData", "No", 0);
  REFUSES (IMMEDIATE_DATA, 0, "ImmediateData", "Yes");
  TAKES (MAX_RECV_DATA, 512, "MaxRecvDataSegmentLength", "16777215", 16777215);
  TAKES (DATA_DIGEST, 3, "DataDigest", "CRC32C", KEYS_CRC32C);
  CU_ASSERT_EQUAL (answer (KEY_DATA_DIGEST, KEYS_CRC32C, "DataDigest", "None",
                           &v),
                   ERR_NOTSUP);
  CU_ASSERT_EQUAL (answer (KEY_DATA_DIGEST, KEYS_NONE, "DataDigest", "CRC32C",
                           &v),
                   ERR_NOTSUP);
  CU_ASSERT_EQUAL (answer (KEY_DATA_DIGEST, KEYS_NONE, "DataDigest", "Reject",
                           &v),
                   ERR_NOTSUP);
  TAKES (DATA_DIGEST, KEYS_NONE, "DataDigest", "None", KEYS_NONE);
  REFUSES (DATA_DIGEST, 3, "DataDigest", "None,CRC32C");
  REFUSES (DATA_DIGEST, 3, "DataDigest", "Reject");
  TAKES (FIRST_BURST, 65536, "FirstBurstLength", "Irrelevant", 65536);
  CU_ASSERT_EQUAL (answer (KEY_MAX_BURST, 512, "maxburstlength", "512", &v),
                   ERR_NOENT);
}

static void
pairs (void)
{
  static const uint8_t text[] = "a=1\0\0bc=\0d=x=y\0";
  struct keys_pair p;
  size_t at = 0;
  enum err e = ERR_OK;

  CU_ASSERT (keys_next (text, sizeof text - 1, &at, &p, &e, NULL));
  CU_ASSERT_STRING_EQUAL (p.name, "a");
  CU_ASSERT_STRING_EQUAL (p.value, "1");
  CU_ASSERT (keys_next (text, sizeof text - 1, &at, &p, &e, NULL));
  CU_ASSERT_STRING_EQUAL (p.name, "bc");
  CU_ASSERT_STRING_EQUAL (p.value, "");
  CU_ASSERT (keys_next (text, sizeof text - 1, &at, &p, &e, NULL));
  CU_ASSERT_STRING_EQUAL (p.value, "x=y");
  CU_ASSERT (!keys_next (text, sizeof text - 1, &at, &p, &e, NULL));
  CU_ASSERT_EQUAL (e, ERR_OK);
}

static void
addresses (void)
{
  char host[64];
  uint16_t port;

  CU_ASSERT (address_parse ("10.0.0.1", host, 64, &port) && port == 3260);
  CU_ASSERT_STRING_EQUAL (host, "10.0.0.1");
  CU_ASSERT (address_parse ("a.example:1,65535", host, 64, &port));
  CU_ASSERT_EQUAL (port, 1);
  CU_ASSERT (address_parse ("[::1]:3,1", host, 64, &port) && port == 3);
  CU_ASSERT_STRING_EQUAL (host, "::1");
  CU_ASSERT (!address_parse ("", host, 64, &port));
  CU_ASSERT (!address_parse ("a:0", host, 64, &port));
  CU_ASSERT (!address_parse ("a:65536", host, 64, &port));
  CU_ASSERT (!address_parse ("a:", host, 64, &port));
  CU_ASSERT (!address_parse ("a,", host, 64, &port));
  CU_ASSERT (!address_parse ("a,1x", host, 64, &port));
  CU_ASSERT (!address_parse ("[::1", host, 64, &port));
  CU_ASSERT (!address_parse ("::1", host, 64, &port));
  CU_ASSERT (!address_parse ("a/b", host, 64, &port));
  CU_ASSERT (!address_parse ("aaaa", host, 4, &port));
}

UNIT_MAIN ("iscsi keys", UNIT_TEST (numbers), UNIT_TEST (binaries),
           UNIT_TEST (results), UNIT_TEST (pairs), UNIT_TEST (addresses))
