/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers byte by byte, as RFC 7143 §11 draws them, and the digests of its
 * appendix.
 */
#include "config.h"

#include <string.h>

#include "protocols/iscsi/digest.h"
#include "protocols/iscsi/pdu.h"
#include "tests/unit/unit.h"

static void
same (const uint8_t *got, const uint8_t *expected)
{
  for (unsigned i = 0; i < PDU_BHS_BYTES; i++)
    CU_ASSERT_EQUAL (got[i], expected[i]);
}

static void
encodes_scsi_command (void)
{
  static const uint8_t cdb[16] = {0x2a, 0, 0, 0, 0, 5, 0, 0, 8, 0};
  static const uint8_t expected[48] = {
      0x01, 0xa1, 0, 0, 0, 0x00, 0x10, 0x00, /* F W SIMPLE, length */
      0, 3, 0, 0, 0, 0, 0, 0,                /* LUN */
      0x11, 0x22, 0x33, 0x44,                /* ITT */
      0, 0, 0x20, 0,                         /* Expected Data Transfer Length */
      0, 0, 0, 7, 0, 0, 0, 9,                /* CmdSN, ExpStatSN */
      0x2a, 0, 0, 0, 0, 5, 0, 0, 8};
  uint8_t b[48];
  struct pdu_scsi_command c = {.final = true, .write = true,
                               .lun = 0x0003000000000000u, .itt = 0x11223344,
                               .expected_bytes = 0x2000, .cmd_sn = 7,
                               .exp_stat_sn = 9, .data_bytes = 0x1000,
                               .cdb = cdb};

  pdu_encode_scsi_command (b, &c);
  same (b, expected);
  c.write = false;
  c.read = true;
  pdu_encode_scsi_command (b, &c);
  CU_ASSERT_EQUAL (b[1], 0xc1);
}

static void
encodes_data_out (void)
{
  static const uint8_t expected[48] = {
      0x05, 0x80, 0, 0, 0, 0x01, 0x02, 0x03, 0, 1, 0, 0, 0, 0, 0, 0,
      1, 2, 3, 4,  5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 6, /* ExpStatSN at 28 */
      0, 0, 0, 0,  0, 0, 0, 2, 0, 1, 0, 0};            /* DataSN, offset */
  uint8_t b[48];
  struct pdu_data_out d = {.final = true, .lun = 0x0001000000000000u,
                           .itt = 0x01020304, .ttt = 0x05060708,
                           .exp_stat_sn = 6, .data_sn = 2,
                           .buffer_offset = 0x10000, .data_bytes = 0x010203};

  pdu_encode_data_out (b, &d);
  same (b, expected);
}

static void
encodes_nop_out_and_logout (void)
{
  static const uint8_t nop[48] = {
      0x40, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
      0xff, 0xff, 0xff, 0xff, 0, 0, 0x12, 0x67, 0, 0, 0, 3, 0, 0, 0, 4};
  static const uint8_t logout[48] = {
      0x46, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 5, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4};
  uint8_t b[48];
  struct pdu_nop_out n = {.lun = 0x0001000000000000u, .itt = PDU_NO_TAG,
                          .ttt = 0x1267, .cmd_sn = 3, .exp_stat_sn = 4};
  struct pdu_logout_request l = {.reason = PDU_CLOSE_SESSION, .cid = 2,
                                 .itt = 5, .cmd_sn = 3, .exp_stat_sn = 4};

  pdu_encode_nop_out (b, &n);
  same (b, nop);
  pdu_encode_logout_request (b, &l);
  same (b, logout);
}

static void
encodes_task_request (void)
{
  static const uint8_t expected[48] = {
      0x42, 0x81, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 2};
  uint8_t b[48];
  struct pdu_task_request t = {.function = PDU_ABORT_TASK,
                               .lun = 0x0001000000000000u, .itt = 8,
                               .referenced_itt = 9, .cmd_sn = 3,
                               .exp_stat_sn = 4, .ref_cmd_sn = 2};

  pdu_encode_task_request (b, &t);
  same (b, expected);
}

static void
encodes_login_and_text (void)
{
  static const uint8_t login[48] = {
      0x43, 0x87, 0, 0, 0, 0, 1, 0, 0x80, 1, 2, 3, 4, 5, 0, 0,
      0, 0, 0, 6, 0, 7, 0, 0, 0, 0, 0, 8, 0, 0, 0, 9};
  static const uint8_t text[48] = {
      0x44, 0x80, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 8, 0, 0, 0, 9};
  uint8_t b[48];
  struct pdu_login_request l = {.transit = true, .csg = 1, .nsg = 3,
                                .isid = {0x80, 1, 2, 3, 4, 5}, .cid = 7,
                                .itt = 6, .cmd_sn = 8, .exp_stat_sn = 9,
                                .data_bytes = 256};
  struct pdu_text_request t = {.final = true, .itt = 6, .ttt = PDU_NO_TAG,
                               .cmd_sn = 8, .exp_stat_sn = 9,
                               .data_bytes = 16};

  pdu_encode_login_request (b, &l);
  same (b, login);
  l.transit = false; /* NSG is reserved then */
  l.more = true;
  pdu_encode_login_request (b, &l);
  CU_ASSERT_EQUAL (b[1], 0x44);
  pdu_encode_text_request (b, &t);
  same (b, text);
}

/* Bytes that are told apart, with an opcode. */
static struct pdu
decode (uint8_t opcode, uint8_t flags)
{
  uint8_t b[48];
  struct pdu p = {0};
  struct fault f;

  for (uint8_t i = 0; i < 48; i++)
    b[i] = i;
  b[0] = opcode;
  b[1] = flags;
  CU_ASSERT_EQUAL (pdu_decode (b, &p, &f), ERR_OK);
  CU_ASSERT_EQUAL (p.opcode, opcode & 0x3f);
  CU_ASSERT_EQUAL (p.final, flags >> 7);
  CU_ASSERT_EQUAL (p.ahs_bytes, 16);
  CU_ASSERT_EQUAL (p.data_bytes, 0x050607);
  CU_ASSERT_EQUAL (p.lun, 0x08090a0b0c0d0e0fu);
  CU_ASSERT_EQUAL (p.itt, 0x10111213);
  CU_ASSERT_EQUAL (p.ttt, 0x14151617);
  CU_ASSERT_EQUAL (p.stat_sn, 0x18191a1b);
  CU_ASSERT_EQUAL (p.exp_cmd_sn, 0x1c1d1e1f);
  CU_ASSERT_EQUAL (p.max_cmd_sn, 0x20212223);
  return p;
}

static void
decodes_all (void)
{
  struct pdu p = decode (0x21, 0x86);

  CU_ASSERT_EQUAL (p.scsi_response.residual_flags, 6);
  CU_ASSERT_EQUAL (p.scsi_response.response, 2);
  CU_ASSERT_EQUAL (p.scsi_response.status, 3);
  CU_ASSERT_EQUAL (p.scsi_response.exp_data_sn, 0x24252627);
  CU_ASSERT_EQUAL (p.scsi_response.residual, 0x2c2d2e2f);
  p = decode (0x25, 0xc3);
  CU_ASSERT (p.data_in.acknowledge && p.data_in.has_status);
  CU_ASSERT_EQUAL (p.data_in.residual_flags, PDU_RESIDUAL_UNDERFLOW);
  CU_ASSERT_EQUAL (p.data_in.status, 3);
  CU_ASSERT_EQUAL (p.data_in.data_sn, 0x24252627);
  CU_ASSERT_EQUAL (p.data_in.buffer_offset, 0x28292a2b);
  CU_ASSERT_EQUAL (p.data_in.residual, 0x2c2d2e2f);
  p = decode (0x31, 0x80);
  CU_ASSERT_EQUAL (p.r2t.r2t_sn, 0x24252627);
  CU_ASSERT_EQUAL (p.r2t.buffer_offset, 0x28292a2b);
  CU_ASSERT_EQUAL (p.r2t.desired_bytes, 0x2c2d2e2f);
  p = decode (0x22, 0x80);
  CU_ASSERT_EQUAL (p.task_response.response, 2);
  p = decode (0x32, 0x80);
  CU_ASSERT_EQUAL (p.async.event, 0x24);
  CU_ASSERT_EQUAL (p.async.vendor_code, 0x25);
  CU_ASSERT_EQUAL (p.async.parameter1, 0x2627);
  CU_ASSERT_EQUAL (p.async.parameter2, 0x2829);
  CU_ASSERT_EQUAL (p.async.parameter3, 0x2a2b);
  p = decode (0x24, 0x40);
  CU_ASSERT (p.text_response.more);
  p = decode (0x23, 0x87);
  CU_ASSERT_EQUAL (p.login_response.csg, 1);
  CU_ASSERT_EQUAL (p.login_response.nsg, 3);
  CU_ASSERT_EQUAL (p.login_response.version_max, 2);
  CU_ASSERT_EQUAL (p.login_response.version_active, 3);
  CU_ASSERT_EQUAL (p.login_response.isid[0], 8);
  CU_ASSERT_EQUAL (p.login_response.isid[5], 13);
  CU_ASSERT_EQUAL (p.login_response.tsih, 0x0e0f);
  CU_ASSERT_EQUAL (p.login_response.status_class, 0x24);
  CU_ASSERT_EQUAL (p.login_response.status_detail, 0x25);
  p = decode (0x26, 0x80);
  CU_ASSERT_EQUAL (p.logout_response.response, 2);
  CU_ASSERT_EQUAL (p.logout_response.time2wait_s, 0x2829);
  CU_ASSERT_EQUAL (p.logout_response.time2retain_s, 0x2a2b);
  p = decode (0x3f, 0x80);
  CU_ASSERT_EQUAL (p.reject.reason, 2);
  CU_ASSERT_EQUAL (p.reject.data_sn, 0x24252627);
  decode (0x20, 0x80);
}

static void
refuses_what_no_target_sends (void)
{
  uint8_t b[48] = {0};
  struct fault f;
  struct pdu p;
  unsigned right = 0;

  for (unsigned opcode = 0; opcode < 64; opcode++) {
    b[0] = (uint8_t)opcode;
    right += pdu_decode (b, &p, &f) == ERR_OK;
  }
  CU_ASSERT_EQUAL (right, 10);
}

static void
serial_numbers_wrap (void)
{
  CU_ASSERT (serial_before (1, 2));
  CU_ASSERT (serial_before (0xffffffffu, 0));
  CU_ASSERT (!serial_before (0, 0xffffffffu));
  CU_ASSERT (!serial_before (5, 5));
  CU_ASSERT_EQUAL (pdu_padding (0), 0);
  CU_ASSERT_EQUAL (pdu_padding (1), 3);
  CU_ASSERT_EQUAL (pdu_padding (3), 1);
  CU_ASSERT_EQUAL (pdu_padding (4), 0);
}

/* RFC 7143 appendix B.4 (as RFC 3720's). */
static void
digests_of_the_rfc (void)
{
  static const uint8_t read_10[48] = {
      0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0x14, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
      0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
  uint8_t bytes[32], wire[4];
  static const uint8_t zeroes[] = {0xaa, 0x36, 0x91, 0x8a};
  static const uint8_t ones[] = {0x43, 0xab, 0xa8, 0x62};
  static const uint8_t rising[] = {0x4e, 0x79, 0xdd, 0x46};
  static const uint8_t falling[] = {0x5c, 0xdb, 0x3f, 0x11};
  static const uint8_t read[] = {0x56, 0x3a, 0x96, 0xd9};

  memset (bytes, 0, 32);
  CU_ASSERT (digest_equals (digest_more (DIGEST_START, bytes, 32), zeroes));
  memset (bytes, 0xff, 32);
  CU_ASSERT (digest_equals (digest_more (DIGEST_START, bytes, 32), ones));
  for (uint8_t i = 0; i < 32; i++)
    bytes[i] = i;
  for (unsigned cut = 0; cut <= 32; cut++) {
    uint32_t d = digest_more (DIGEST_START, bytes, cut);

    CU_ASSERT (digest_equals (digest_more (d, bytes + cut, 32 - cut), rising));
  }
  for (uint8_t i = 0; i < 32; i++)
    bytes[i] = (uint8_t)(31 - i);
  digest_put (digest_more (DIGEST_START, bytes, 32), wire);
  CU_ASSERT_EQUAL (memcmp (wire, falling, 4), 0);
  CU_ASSERT (digest_equals (digest_more (DIGEST_START, read_10, 48), read));
}

UNIT_MAIN ("iscsi PDUs", UNIT_TEST (encodes_scsi_command),
           UNIT_TEST (encodes_data_out), UNIT_TEST (encodes_nop_out_and_logout),
           UNIT_TEST (encodes_task_request), UNIT_TEST (encodes_login_and_text),
           UNIT_TEST (decodes_all), UNIT_TEST (refuses_what_no_target_sends),
           UNIT_TEST (serial_numbers_wrap), UNIT_TEST (digests_of_the_rfc))
