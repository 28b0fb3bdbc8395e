/* SPDX-License-Identifier: BSD-2-Clause */
/* Each packet as draft-ietf-secsh-filexfer-02 lays it out, byte by byte; then
 * cut off everywhere, too long, and with bytes left over.
 */
#include "config.h"
#include "protocols/sftp/codec.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct sftp_handle handle = {3, {'a', 0, 'b'}};
static struct fault f; /* of the last DECODE */

/* bytes: a string literal; its terminator does not count. */
#define ENCODES(call, bytes)                                                   \
  do {                                                                         \
    uint8_t buffer[512];                                                       \
    struct wirebuf b = wirebuf_init (buffer, sizeof buffer);                   \
                                                                               \
    call;                                                                      \
    CU_ASSERT_EQUAL (b.err, ERR_OK);                                           \
    CU_ASSERT_EQUAL (b.used_bytes, sizeof (bytes) - 1);                        \
    CU_ASSERT (memcmp (buffer, bytes, sizeof (bytes) - 1) == 0);               \
  } while (0)

static void
requests_have_the_draft_s_layout (void)
{
  ENCODES (sftp_encode_init (&b), "\0\0\0\5\1\0\0\0\3");
  ENCODES (sftp_encode_limits (&b, 7), "\0\0\0\x1b\xc8\0\0\0\7"
                                       "\0\0\0\x12limits@openssh.com");
  ENCODES (sftp_encode_stat (&b, 7, "/x"), "\0\0\0\x0b\x11\0\0\0\7\0\0\0\2/x");
  ENCODES (sftp_encode_open (&b, 7, "/x", 3),
           "\0\0\0\x13\3\0\0\0\7\0\0\0\2/x\0\0\0\3\0\0\0\0");
  ENCODES (sftp_encode_close (&b, 7, &handle),
           "\0\0\0\x0c\4\0\0\0\7\0\0\0\3a\0b");
  ENCODES (sftp_encode_remove (&b, 7, "/x"),
           "\0\0\0\x0b\x0d\0\0\0\7\0\0\0\2/x");
  ENCODES (sftp_encode_fstat (&b, 7, &handle),
           "\0\0\0\x0c\x08\0\0\0\7\0\0\0\3a\0b");
  ENCODES (sftp_encode_fsync (&b, 7, &handle),
           "\0\0\0\x21\xc8\0\0\0\7\0\0\0\x11"
           "fsync@openssh.com\0\0\0\3a\0b");
  ENCODES (sftp_encode_read (&b, 0xfffefdfc, &handle, 0x0102030405060708, 9),
           "\0\0\0\x18\5\xff\xfe\xfd\xfc\0\0\0\3a\0b"
           "\1\2\3\4\5\6\7\x08\0\0\0\x09");
  /* length counts the payload that follows */
  ENCODES (sftp_encode_write_header (&b, 7, &handle, 0x1122, 0x40000),
           "\0\4\0\x18\6\0\0\0\7\0\0\0\3a\0b\0\0\0\0\0\0\x11\x22\0\4\0\0");
}

static void
the_longest_request_fits_its_bound (void)
{
  struct sftp_handle longest = {.length_bytes = SFTP_HANDLE_MAX_BYTES};
  uint8_t buffer[SFTP_REQUEST_MAX_BYTES];
  struct wirebuf b = wirebuf_init (buffer, sizeof buffer);

  sftp_encode_fsync (&b, 1, &longest);
  CU_ASSERT_EQUAL (b.err, ERR_OK);
  b = wirebuf_init (buffer, sizeof buffer);
  sftp_encode_write_header (&b, 1, &longest, 1, 1);
  CU_ASSERT_EQUAL (b.err, ERR_OK);
  b = wirebuf_init (buffer, 40);
  sftp_encode_write_header (&b, 1, &longest, 1, 1);
  CU_ASSERT_EQUAL (b.err, ERR_LIMIT);
}

/* Decodes the first n bytes of a packet's body; the copy is as long as that,
 * so that a sanitizer sees a read behind it.
 */
#define DECODE(decode, ret, bytes, n)                                          \
  ({                                                                           \
    uint8_t *copy = malloc ((n) ? (n) : 1);                                    \
    struct wire w = wire_init (copy, n);                                       \
    enum err e;                                                                \
                                                                               \
    memcpy (copy, bytes, n);                                                   \
    memset (&f, 0, sizeof f);                                                  \
    e = decode (&w, ret, &f);                                                  \
    CU_ASSERT_EQUAL (f.code, e);                                               \
    CU_ASSERT_EQUAL (e != ERR_OK, f.text[0] != 0);                             \
    free (copy);                                                               \
    e;                                                                         \
  })

/* Whole: ok. Cut anywhere, or with one byte more: ERR_PEER. */
#define STRICT(decode, ret, bytes)                                             \
  do {                                                                         \
    const size_t whole = sizeof (bytes) - 1;                                   \
                                                                               \
    for (size_t n = 0; n < whole; n++)                                         \
      CU_ASSERT_EQUAL (DECODE (decode, ret, bytes, n), ERR_PEER);              \
    CU_ASSERT_EQUAL (DECODE (decode, ret, bytes "x", whole + 1), ERR_PEER);    \
    CU_ASSERT_EQUAL (DECODE (decode, ret, bytes, whole), ERR_OK);              \
  } while (0)

static void
version_lists_extensions (void)
{
  static const char bytes[] = "\0\0\0\3"
                              "\0\0\0\3a@b\0\0\0\0"
                              "\0\0\0\x11"
                              "fsync@openssh.com\0\0\0\1"
                              "1"
                              "\0\0\0\x12limits@openssh.com\0\0\0\1"
                              "2";
  /* where a pair ends, the packet may end */
  static const size_t ends[] = {4, 15, 41, 68};
  struct sftp_version v;

  CU_ASSERT_EQUAL_FATAL (sizeof bytes - 1, ends[3]);
  for (size_t n = 0; n <= ends[3]; n++) {
    bool whole = n == ends[0] || n == ends[1] || n == ends[2] || n == ends[3];

    CU_ASSERT_EQUAL (DECODE (sftp_decode_version, &v, bytes, n),
                     whole ? ERR_OK : ERR_PEER);
    if (!whole)
      continue;
    CU_ASSERT_EQUAL (v.version, 3);
    CU_ASSERT_EQUAL (v.fsync, n >= ends[2] ? SFTP_OFFERED : SFTP_NOT_OFFERED);
    CU_ASSERT_EQUAL (v.limits,
                     n >= ends[3] ? SFTP_OTHER_VERSION : SFTP_NOT_OFFERED);
  }
}

static void
an_extension_may_come_in_several_versions (void)
{
  static const char both[] = "\0\0\0\3"
                             "\0\0\0\x11"
                             "fsync@openssh.com\0\0\0\1"
                             "1"
                             "\0\0\0\x11"
                             "fsync@openssh.com\0\0\0\2"
                             "11";
  struct sftp_version v;

  CU_ASSERT_EQUAL (DECODE (sftp_decode_version, &v, both, sizeof both - 1),
                   ERR_OK);
  CU_ASSERT_EQUAL (v.fsync, SFTP_OFFERED);
}

static void
version_with_an_absurd_length (void)
{
  struct sftp_version v = {.version = 77};

  CU_ASSERT_EQUAL (DECODE (sftp_decode_version, &v,
                           "\0\0\0\3\xff\xff\xff\xff"
                           "abc",
                           11),
                   ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "extension_name"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "§4"));
  CU_ASSERT_EQUAL (v.version, 77); /* untouched */
}

static void
status_has_words_or_not (void)
{
  static const char bytes[] = "\0\0\0\4\0\0\0\5No\n\x9b.\0\0\0\2en";
  struct sftp_status s;

  for (size_t n = 0; n < sizeof bytes - 1; n++)
    CU_ASSERT_EQUAL (DECODE (sftp_decode_status, &s, bytes, n),
                     n == 4 || n == 13 ? ERR_OK : ERR_PEER);
  CU_ASSERT_EQUAL (DECODE (sftp_decode_status, &s, bytes, sizeof bytes - 1),
                   ERR_OK);
  CU_ASSERT_EQUAL (s.code, SSH_FX_FAILURE);
  CU_ASSERT_STRING_EQUAL (s.message, "No?\?.");
  CU_ASSERT_EQUAL (DECODE (sftp_decode_status, &s, bytes, sizeof bytes),
                   ERR_PEER);
  CU_ASSERT_EQUAL (DECODE (sftp_decode_status, &s, "\0\0\0\1", 4), ERR_OK);
  CU_ASSERT_STRING_EQUAL (s.message, "");
}

static void
a_long_message_is_cut (void)
{
  uint8_t bytes[1012] = {0, 0, 0, 4, 0, 0, 0x03, 0xe8};
  struct sftp_status s;

  memset (bytes + 8, 'm', 1000);
  CU_ASSERT_EQUAL (DECODE (sftp_decode_status, &s, bytes, sizeof bytes),
                   ERR_OK);
  CU_ASSERT_EQUAL (strlen (s.message), sizeof s.message - 1);
}

static void
handle_is_bounded (void)
{
  uint8_t bytes[4 + SFTP_HANDLE_MAX_BYTES + 1] = {0, 0, 1, 0};
  struct sftp_handle h = {0};

  STRICT (sftp_decode_handle, &h, "\0\0\0\3a\0b");
  CU_ASSERT_EQUAL (h.length_bytes, 3);
  CU_ASSERT (memcmp (h.bytes, "a\0b", 3) == 0);
  CU_ASSERT_EQUAL (DECODE (sftp_decode_handle, &h, "\0\0\0\0", 4), ERR_PEER);
  CU_ASSERT_EQUAL (DECODE (sftp_decode_handle, &h, bytes, sizeof bytes - 1),
                   ERR_OK);
  CU_ASSERT_EQUAL (h.length_bytes, SFTP_HANDLE_MAX_BYTES);
  bytes[3] = 1;
  CU_ASSERT_EQUAL (DECODE (sftp_decode_handle, &h, bytes, sizeof bytes),
                   ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "handle"));
}

static void
attrs_have_the_fields_that_flags_name (void)
{
  struct sftp_attrs a;

  STRICT (sftp_decode_attrs, &a, "\0\0\0\0");
  STRICT (sftp_decode_attrs, &a, "\0\0\0\1\0\0\0\1\0\0\0\2");
  CU_ASSERT_EQUAL (a.size, 0x100000002);
  STRICT (sftp_decode_attrs, &a, "\0\0\0\2uuuugggg");
  STRICT (sftp_decode_attrs, &a, "\0\0\0\4\0\0\x81\xa4");
  CU_ASSERT_EQUAL (a.permissions, 0100644);
  STRICT (sftp_decode_attrs, &a,
          "\0\0\0\x08"
          "aaaammmm");
  STRICT (sftp_decode_attrs, &a,
          "\x80\0\0\x0f"
          "\0\0\0\0\0\0\0\x09"
          "uuuugggg"
          "\0\0\x41\xed"
          "aaaammmm"
          "\0\0\0\2\0\0\0\1t\0\0\0\0\0\0\0\1t\0\0\0\2dd");
  CU_ASSERT_EQUAL (a.size, 9);
  CU_ASSERT_EQUAL (a.permissions, 0040755);
  /* §5: unknown bits are a protocol error */
  CU_ASSERT_EQUAL (DECODE (sftp_decode_attrs, &a, "\0\0\0\x10\0\0\0\0", 8),
                   ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "flags"));
  /* four thousand million pairs in no bytes */
  CU_ASSERT_EQUAL (
      DECODE (sftp_decode_attrs, &a, "\x80\0\0\0\xff\xff\xff\xff", 8),
      ERR_PEER);
}

static void
limits_are_four_numbers (void)
{
  struct sftp_limits l;

  STRICT (sftp_decode_limits, &l,
          "\0\0\0\0\0\4\0\0\0\0\0\0\0\3\xfc\0\0\0\0\0\0\3\xfc\1"
          "\0\0\0\0\0\0\0\x0a");
  CU_ASSERT_EQUAL (l.max_packet_length, 262144);
  CU_ASSERT_EQUAL (l.max_read_length, 261120);
  CU_ASSERT_EQUAL (l.max_write_length, 261121);
  CU_ASSERT_EQUAL (l.max_open_handles, 10);
}

static void
status_codes_are_errors (void)
{
  CU_ASSERT_EQUAL (sftp_status_err (SSH_FX_OK), ERR_OK);
  CU_ASSERT_EQUAL (sftp_status_err (SSH_FX_NO_SUCH_FILE), ERR_NOENT);
  CU_ASSERT_EQUAL (sftp_status_err (SSH_FX_PERMISSION_DENIED), ERR_ACCESS);
  CU_ASSERT_EQUAL (sftp_status_err (SSH_FX_OP_UNSUPPORTED), ERR_NOTSUP);
  CU_ASSERT_EQUAL (sftp_status_err (SSH_FX_QUOTA_EXCEEDED), ERR_NOSPC);
  for (uint32_t code = 1; code < 300; code++)
    CU_ASSERT (sftp_status_err (code) != ERR_OK);
  CU_ASSERT_EQUAL (sftp_status_err (UINT32_MAX), ERR_IO);
}

static void
types_have_names (void)
{
  CU_ASSERT_STRING_EQUAL (sftp_type_name (103), "SSH_FXP_DATA");
  CU_ASSERT_STRING_EQUAL (sftp_type_name (201), "SSH_FXP_EXTENDED_REPLY");
  CU_ASSERT_PTR_NULL (sftp_type_name (0));
  CU_ASSERT_PTR_NULL (sftp_type_name (255));
}

UNIT_MAIN ("sftp codec", UNIT_TEST (requests_have_the_draft_s_layout),
           UNIT_TEST (the_longest_request_fits_its_bound),
           UNIT_TEST (version_lists_extensions),
           UNIT_TEST (an_extension_may_come_in_several_versions),
           UNIT_TEST (version_with_an_absurd_length),
           UNIT_TEST (status_has_words_or_not),
           UNIT_TEST (a_long_message_is_cut), UNIT_TEST (handle_is_bounded),
           UNIT_TEST (attrs_have_the_fields_that_flags_name),
           UNIT_TEST (limits_are_four_numbers),
           UNIT_TEST (status_codes_are_errors), UNIT_TEST (types_have_names))
