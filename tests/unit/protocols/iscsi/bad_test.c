/* SPDX-License-Identifier: BSD-2-Clause */
/* Every rule that a target can break in the full feature phase: the session
 * ends with a fault that names field and section, and no request of it is ever
 * answered.
 */
#include "config.h"

#include <string.h>

#include "protocols/iscsi/pdu.h"
#include "tests/unit/protocols/iscsi/target.h"
#include "tests/unit/unit.h"

static struct target t;
static uint8_t data[262144];
static struct heard command; /* the one under way, request 1 */

static void
begin (enum io_op op, uint32_t length)
{
  memset (&t, 0, offsetof (struct target, disk));
  target_start (&t);
  CU_ASSERT_EQUAL (target_submit (&t, 1, op, 0, length, data), ERR_OK);
  command = target_expect (&t, PDU_SCSI_COMMAND);
}

static void
end (enum err got, enum err expected, const char *words)
{
  struct proto_completion c;

  CU_ASSERT_EQUAL (got, expected);
  CU_ASSERT (target_failed (&t, words));
  CU_ASSERT (!iscsi_ops.reap (t.p, &c));
  target_close (&t);
}

static enum err
raw (uint8_t opcode, uint8_t flags, uint32_t itt, bool stat)
{
  uint8_t b[48] = {opcode, flags};

  put32 (b + 16, itt);
  put32 (b + 20, PDU_NO_TAG);
  return target_say (&t, b, NULL, 0, stat);
}

static void
data_in (void)
{
  struct heard other;

  begin (IO_READ, 65536);
  end (target_data_in (&t, &command, 1, 0, 4096, 0), ERR_PEER,
       "DataSN 1, expected 0 (RFC 7143 §11.7.5)");
  begin (IO_READ, 65536);
  target_data_in (&t, &command, 0, 0, 4096, 0);
  end (target_data_in (&t, &command, 0, 4096, 4096, 0), ERR_PEER,
       "DataSN 0, expected 1"); /* a duplicate */
  begin (IO_READ, 65536);
  end (target_data_in (&t, &command, 0, 4096, 4096, 0), ERR_PEER,
       "Buffer Offset 4096, expected 0");
  begin (IO_READ, 65536);
  target_data_in (&t, &command, 0, 0, 61440, 0);
  end (target_data_in (&t, &command, 1, 61440, 8192, 0), ERR_PEER,
       "beyond the read of 65536");
  begin (IO_READ, 262144);
  target_data_in (&t, &command, 0, 0, 131072, 0);
  end (target_data_in (&t, &command, 1, 131072, 4096, 0x80), ERR_PEER,
       "MaxBurstLength 131072");
  begin (IO_READ, 65536);
  end (target_data_in (&t, &command, 0, 0, 0, 0), ERR_PEER,
       "without data or status");
  begin (IO_READ, 4096);
  end (target_data_in (&t, &command, 0, 0, 4096, 0x01), ERR_PEER,
       "with status and without F bit");
  begin (IO_WRITE, 4096);
  end (target_data_in (&t, &command, 0, 0, 4096, 0x81), ERR_PEER,
       "reads nothing");
  begin (IO_READ, 65536);
  other = command;
  put32 (other.bhs + 16, command.itt + (1u << 9)); /* another generation */
  end (target_data_in (&t, &other, 0, 0, 4096, 0), ERR_PEER,
       "names no command under way");
  begin (IO_READ, 65536);
  other = command;
  put32 (other.bhs + 16, PDU_NO_TAG);
  end (target_data_in (&t, &other, 0, 0, 4096, 0), ERR_PEER,
       "names no command under way");
  /* short, and says that all is well */
  begin (IO_READ, 65536);
  end (target_data_in (&t, &command, 0, 0, 4096, 0x81), ERR_PEER,
       "ends with GOOD after 4096 bytes, which should be 65536");
}

static void
r2t (void)
{
  begin (IO_READ, 65536);
  end (target_r2t (&t, &command, 0, 1, 0, 4096), ERR_PEER, "writes nothing");
  begin (IO_WRITE, 65536);
  end (target_r2t (&t, &command, 1, 1, 16384, 4096), ERR_PEER,
       "R2TSN 1, expected 0 (RFC 7143 §11.8.1)");
  begin (IO_WRITE, 65536);
  end (target_r2t (&t, &command, 0, 1, 16384, 65536), ERR_PEER,
       "beyond the write of 65536 (RFC 7143 §11.8.4)");
  begin (IO_WRITE, 65536);
  end (target_r2t (&t, &command, 0, 1, 0xfffff000u, 0x2000), ERR_PEER,
       "beyond the write"); /* 32 bits overflow */
  begin (IO_WRITE, 65536);
  end (target_r2t (&t, &command, 0, 1, 0, 4096), ERR_PEER,
       "Buffer Offset 0, expected 16384");
  begin (IO_WRITE, 262144);
  end (target_r2t (&t, &command, 0, 1, 16384, 131073), ERR_PEER,
       "MaxBurstLength is 131072");
  begin (IO_WRITE, 65536);
  end (target_r2t (&t, &command, 0, 1, 16384, 0), ERR_PEER,
       "Desired Data Transfer Length 0");
  begin (IO_WRITE, 65536);
  end (target_r2t (&t, &command, 0, PDU_NO_TAG, 16384, 4096), ERR_PEER,
       "without a Target Transfer Tag");
  begin (IO_WRITE, 65536);
  target_r2t (&t, &command, 0, 1, 16384, 512);
  target_r2t (&t, &command, 1, 1, 16896, 512);
  end (target_r2t (&t, &command, 2, 1, 17408, 512), ERR_PEER,
       "more than MaxOutstandingR2T 2"); /* a flood */
}

static void
status (void)
{
  uint8_t b[48] = {0x21, 0x80}, sense[4] = {0, 200, 1, 2};

  begin (IO_READ, 4096);
  put32 (b + 16, command.itt + 1);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER,
       "names no command under way");
  begin (IO_READ, 4096);
  put32 (b + 16, command.itt);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER,
       "ends with GOOD after 0 bytes");
  begin (IO_WRITE, 65536);
  put32 (b + 16, command.itt);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER,
       "GOOD before its data were asked for");
  begin (IO_WRITE, 65536);
  b[1] = 0x82; /* an underflow of nothing */
  put32 (b + 16, command.itt);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER,
       "GOOD before its data were asked for");
  b[1] = 0x80;
  begin (IO_READ, 4096);
  b[1] = 0x86; /* overflow and underflow */
  put32 (b + 16, command.itt);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER, "bits O and U");
  begin (IO_READ, 4096);
  b[1] = 0x82;
  put32 (b + 16, command.itt);
  put32 (b + 44, 4097);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER, "Residual Count 4097");
  begin (IO_READ, 4096);
  b[1] = 0x80;
  b[3] = 2;
  put32 (b + 16, command.itt);
  end (target_say (&t, b, sense, 4, true), ERR_PEER,
       "SenseLength 200 in a data segment of 4 bytes");
  /* answered twice */
  begin (IO_WRITE, 4096);
  CU_ASSERT_EQUAL (target_status (&t, &command, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  end (target_status (&t, &command, 0, NULL, 0), ERR_PEER,
       "names no command under way");
}

/* A write whose data were never asked for is not done, though all went well. */
static void
well_without_data (void)
{
  static const uint8_t recovered[18] = {0x70, 0, 1, 0, 0, 0, 0, 10};

  for (unsigned i = 0; i < 2; i++) {
    begin (IO_WRITE, 65536);
    /* CHECK CONDITION with RECOVERED ERROR; CONDITION MET */
    CU_ASSERT_EQUAL (target_status (&t, &command, i ? 4 : 2, recovered,
                                    i ? 0 : sizeof recovered),
                     ERR_OK);
    CU_ASSERT (!target_done (&t, 1, ERR_OK));
    command = target_expect (&t, PDU_SCSI_COMMAND); /* again */
    CU_ASSERT_EQUAL (iscsi_ops.state (t.p), PROTO_READY);
    target_close (&t);
  }
}

static void
numbers (void)
{
  begin (IO_WRITE, 4096);
  t.stat_sn++;
  end (target_status (&t, &command, 0, NULL, 0), ERR_PEER,
       "(RFC 7143 §4.2.2.2)");
  begin (IO_WRITE, 4096);
  t.exp_cmd_sn += 2;
  end (target_status (&t, &command, 0, NULL, 0), ERR_PEER,
       "acknowledges commands that were not sent");
  /* MaxCmdSN < ExpCmdSN - 1: both do not count (§4.2.2.1) */
  begin (IO_WRITE, 4096);
  t.window = -5u;
  CU_ASSERT_EQUAL (target_status (&t, &command, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  target_close (&t);
}

static void
headers (void)
{
  uint8_t b[48] = {0x25, 0x80}, big[9000] = {0};
  uint32_t stat_sn;

  begin (IO_READ, 4096);
  end (raw (0x2f, 0x80, 0, true), ERR_PEER,
       "unknown, opcode 2fh (field Opcode, RFC 7143 §11.2.1.2)");
  begin (IO_READ, 4096);
  end (raw (0x01, 0x80, 0, true), ERR_PEER, "may not send: SCSI Command");
  begin (IO_READ, 4096);
  end (raw (0x23, 0x80, 0, true), ERR_PEER,
       "Login Response in the full feature phase");
  begin (IO_READ, 4096);
  end (raw (0x24, 0x80, 0, true), ERR_PEER, "answers nothing");
  begin (IO_READ, 4096);
  end (raw (0x22, 0x80, 0, true), ERR_PEER, "answers nothing");
  begin (IO_READ, 4096);
  end (raw (0x26, 0x80, 0, true), ERR_PEER, "answers nothing");
  begin (IO_READ, 4096);
  end (raw (0x20, 0x80, 3, true), ERR_PEER, "NOP-In with Initiator Task Tag");
  /* larger than what we have declared, before anything is received */
  begin (IO_READ, 262144);
  b[5] = 4;
  b[7] = 1;
  end (target_feed (&t, b, 48), ERR_PEER,
       "262145 bytes of data, and 262144 are the most");
  /* larger than a PDU that is not Data-In can sensibly be */
  begin (IO_READ, 4096);
  memset (b, 0, sizeof b);
  b[0] = 0x21;
  put32 (b + 16, command.itt);
  end (target_say (&t, b, big, sizeof big, true), ERR_PEER,
       "SCSI Response with 9000 bytes of data");
  /* an AHS is skipped, whatever its length */
  begin (IO_WRITE, 4096);
  stat_sn = t.stat_sn;
  memset (b, 0, sizeof b);
  b[0] = 0x21;
  b[1] = 0x80;
  b[4] = 255;
  put32 (b + 16, command.itt);
  put32 (b + 24, stat_sn);
  put32 (b + 28, t.exp_cmd_sn);
  put32 (b + 32, t.exp_cmd_sn + 9);
  CU_ASSERT_EQUAL (target_feed (&t, b, 48), ERR_OK);
  CU_ASSERT (!target_done (&t, 1, ERR_OK));
  CU_ASSERT_EQUAL (target_feed (&t, big, 1020), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  target_close (&t);
}

static void
pings (void)
{
  uint8_t b[48] = {0x20, 0x80};
  enum err e = ERR_OK;

  begin (IO_READ, 4096);
  put32 (b + 16, PDU_NO_TAG);
  for (unsigned i = 0; i < 9 && !e; i++)
    e = target_say (&t, b, NULL, 0, false);
  end (e, ERR_PEER, "pings at once");
}

static void
rejects (void)
{
  uint8_t b[48] = {0x3f, 0x80, 0x04}, nop[48] = {0x40};

  begin (IO_READ, 4096);
  end (target_say (&t, b, command.bhs, 48, true), ERR_PEER,
       "rejects a SCSI Command: Protocol Error, reason 04h (RFC 7143 "
       "§11.17.1)");
  begin (IO_READ, 4096);
  end (target_say (&t, b, NULL, 0, true), ERR_PEER, "rejects a PDU");
  begin (IO_READ, 4096);
  b[2] = 0x06;
  CU_ASSERT_EQUAL (target_say (&t, b, nop, 48, true), ERR_OK);
  CU_ASSERT_EQUAL (iscsi_ops.state (t.p), PROTO_READY);
  target_close (&t);
}

/* Each byte of a Data-In that is wrong is noticed; the request stays open. */
static void
wrong_digests (void)
{
  for (uint64_t at = 0; at < 48 + 4 + 64 + 4; at++) {
    struct proto_completion c;

    memset (&t, 0, offsetof (struct target, disk));
    t.header_digest = t.data_digest = "crc32c";
    target_start (&t);
    target_submit (&t, 1, IO_READ, 0, 512, data);
    command = target_expect (&t, PDU_SCSI_COMMAND);
    t.flip_at = t.rx_bytes + at;
    if (at == 4) { /* TotalAHSLength: the digest is somewhere else */
      target_close (&t);
      continue;
    }
    CU_ASSERT_NOT_EQUAL (target_data_in (&t, &command, 0, 0, 64, 0), ERR_OK);
    CU_ASSERT (target_failed (&t, at < 52 ? "Header-Digest" : "Data-Digest"));
    CU_ASSERT (!iscsi_ops.reap (t.p, &c));
    target_close (&t);
  }
}

UNIT_MAIN ("iscsi bad targets", UNIT_TEST (data_in), UNIT_TEST (r2t),
           UNIT_TEST (status), UNIT_TEST (well_without_data),
           UNIT_TEST (numbers), UNIT_TEST (headers),
           UNIT_TEST (pings), UNIT_TEST (rejects), UNIT_TEST (wrong_digests))
