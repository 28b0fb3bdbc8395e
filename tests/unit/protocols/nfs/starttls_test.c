/* SPDX-License-Identifier: BSD-2-Clause */
/* The question of RFC 9289 §4.1 and its answers, from the layout of RFC 5531.
 */
#include "config.h"

#include <string.h>

#include "common/wire.h"
#include "protocols/nfs/engine.h"
#include "tests/unit/unit.h"

#define XID 0x01020304u

static uint8_t reply[1024];
static size_t reply_bytes;
static struct fault f;

/* accepted, with a verifier; status of accept_stat */
static void
accepted (uint32_t xid, uint32_t flavor, const char *verifier, uint32_t status)
{
  struct wirebuf b = wirebuf_init (reply + 4, sizeof reply - 4);
  struct wirebuf mark = wirebuf_init (reply, 4);

  wirebuf_u32 (&b, xid);
  wirebuf_u32 (&b, 1);
  wirebuf_u32 (&b, 0);
  wirebuf_u32 (&b, flavor);
  wirebuf_string (&b, verifier, strlen (verifier));
  while (b.used_bytes & 3)
    wirebuf_u8 (&b, 0);
  wirebuf_u32 (&b, status);
  reply_bytes = 4 + b.used_bytes;
  wirebuf_u32 (&mark, 0x80000000u | (uint32_t)b.used_bytes);
}

static enum err
judge (size_t bytes, size_t *ret_more)
{
  f = (struct fault){0};
  return nfs_starttls_welcome (XID, reply, bytes, ret_more, &f);
}

static enum err
judged (void)
{
  size_t more = 0;

  return judge (reply_bytes, &more);
}

static void
the_question_is_a_null_call (void)
{
  static const uint8_t wanted[] = {
      0x80, 0, 0, 40,                /* last fragment */
      1,    2, 3, 4,  0, 0, 0,    0, /* xid, CALL */
      0,    0, 0, 2,  0, 1, 0x86, 0xa3,
      0,    0, 0, 4,  0, 0, 0,    0, /* 100003, 4, 0 */
      0,    0, 0, 7,  0, 0, 0,    0, /* AUTH_TLS */
      0,    0, 0, 0,  0, 0, 0,    0, /* AUTH_NONE */
  };
  uint8_t dst[PROTO_HELLO_BYTES];

  CU_ASSERT_EQUAL (nfs_starttls_hello (XID, 100003, 4, dst), sizeof wanted);
  CU_ASSERT (memcmp (dst, wanted, sizeof wanted) == 0);
}

/* However it is cut, exactly the rest is asked for. */
static void
not_a_byte_more_than_the_answer (void)
{
  size_t at = 0, more, asked = 0;
  enum err e;

  accepted (XID, 0, "STARTTLS", 0);
  for (size_t i = 0; i < reply_bytes; i++) {
    more = 0;
    CU_ASSERT_EQUAL (judge (i, &more), ERR_AGAIN);
    CU_ASSERT (more > 0 && i + more <= reply_bytes);
  }
  while ((e = judge (at, &more)) == ERR_AGAIN) {
    at += more;
    asked++;
  }
  CU_ASSERT_EQUAL (e, ERR_OK);
  CU_ASSERT_EQUAL (at, reply_bytes);
  CU_ASSERT_EQUAL (asked, 2);
}

static void
only_the_token_is_a_yes (void)
{
  accepted (XID, 0, "STARTTLS", 0);
  CU_ASSERT_EQUAL (judged (), ERR_OK);
  accepted (XID, 0, "STARTTLS", 2); /* a program of other versions, with TLS */
  CU_ASSERT_EQUAL (judged (), ERR_OK);
  accepted (XID, 0, "", 0);
  CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
  accepted (XID, 0, "STARTTLs", 0);
  CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
  accepted (XID, 0, "STARTTLSSTARTTLS", 0);
  CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
  accepted (XID, 0, "STARTTLS ", 0);
  CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
  accepted (XID, 1, "STARTTLS", 0);
  CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
  accepted (XID, 0, "", 2);
  CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "version=3"));
}

static void
a_denial_is_a_no (void)
{
  for (uint32_t stat = 0; stat < 2; stat++) {
    struct wirebuf b = wirebuf_init (reply, sizeof reply);

    wirebuf_u32 (&b, 0x80000000u | 20);
    wirebuf_u32 (&b, XID);
    wirebuf_u32 (&b, 1);
    wirebuf_u32 (&b, 1);
    wirebuf_u32 (&b, stat);
    wirebuf_u32 (&b, 1);
    reply_bytes = b.used_bytes;
    CU_ASSERT_EQUAL (judged (), ERR_NOTSUP);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "does not offer TLS"));
  }
}

static void
what_is_no_reply_is_refused (void)
{
  static const uint32_t marks[] = {0x80000000u, 0x80000000u | 65536, 28,
                                   0xffffffffu, 0x48545450u};

  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
    struct wirebuf b = wirebuf_init (reply, 4);

    accepted (XID, 0, "STARTTLS", 0);
    wirebuf_u32 (&b, marks[i]);
    CU_ASSERT_EQUAL (judged (), ERR_PEER);
  }
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "not speak NFS: it says \"HTTP"));
  accepted (XID, 0, "STARTTLS", 0);
  reply[0] = 0; /* more fragments come, of a yes that is whole already */
  CU_ASSERT_EQUAL (judged (), ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "RFC 5531 §11"));
  accepted (XID + 1, 0, "STARTTLS", 0);
  CU_ASSERT_EQUAL (judged (), ERR_PEER);
  accepted (XID, 0, "STARTTLS", 0);
  reply[11] = 0; /* a call */
  CU_ASSERT_EQUAL (judged (), ERR_PEER);
  accepted (XID, 0, "STARTTLS", 0);
  reply[15] = 2; /* neither accepted nor denied */
  CU_ASSERT_EQUAL (judged (), ERR_PEER);
  accepted (XID, 0, "STARTTLS", 0);
  reply[23] = 200; /* a verifier longer than the record */
  CU_ASSERT_EQUAL (judged (), ERR_PEER);
  /* each record that is cut short */
  for (uint32_t n = 1; n < 32; n++) {
    struct wirebuf b = wirebuf_init (reply, 4);

    accepted (XID, 0, "STARTTLS", 0);
    wirebuf_u32 (&b, 0x80000000u | n);
    reply_bytes = 4 + n;
    CU_ASSERT_EQUAL (judged (), ERR_PEER);
  }
}

UNIT_MAIN ("starttls", UNIT_TEST (the_question_is_a_null_call),
           UNIT_TEST (not_a_byte_more_than_the_answer),
           UNIT_TEST (only_the_token_is_a_yes), UNIT_TEST (a_denial_is_a_no),
           UNIT_TEST (what_is_no_reply_is_refused))
