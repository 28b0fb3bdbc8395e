/* SPDX-License-Identifier: BSD-2-Clause */
/* Honest targets: reads, writes, windows, time, goodbye. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "protocols/iscsi/pdu.h"
#include "tests/unit/protocols/iscsi/target.h"
#include "tests/unit/unit.h"

static struct target t;
static uint8_t data[1u << 20];

static void
begin (void)
{
  memset (&t, 0, offsetof (struct target, disk));
  for (size_t i = 0; i < 1u << 16; i++)
    t.disk[i] = (uint8_t)(i * 7 + i / 512);
  memset (data, 0xee, 1u << 16);
}

static void
reads_straight_into_the_request (void)
{
  struct heard h;
  struct iovec v;
  uint8_t b[48] = {0x25, 0x81};

  begin ();
  target_start (&t);
  CU_ASSERT_EQUAL (target_submit (&t, 5, IO_READ, 8192, 4096, data), ERR_OK);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (h.bhs[1], 0xc1); /* F, R, SIMPLE */
  CU_ASSERT_EQUAL (get32 (h.bhs + 8), 0x00010000);
  CU_ASSERT_EQUAL (get32 (h.bhs + 20), 4096);
  memcpy (b + 16, h.bhs + 16, 4);
  b[6] = 0x10;
  put32 (b + 20, PDU_NO_TAG);
  put32 (b + 24, t.stat_sn++);
  put32 (b + 28, t.exp_cmd_sn);
  put32 (b + 32, t.exp_cmd_sn + 10);
  CU_ASSERT_EQUAL (target_feed (&t, b, 48), ERR_OK);
  v = iscsi_ops.rx_iov (t.p, 0);
  CU_ASSERT_PTR_EQUAL (v.iov_base, data);
  CU_ASSERT_EQUAL (v.iov_len, 4096);
  CU_ASSERT_EQUAL (target_feed (&t, t.disk + 8192, 4096), ERR_OK);
  CU_ASSERT (target_done (&t, 5, ERR_OK));
  CU_ASSERT_EQUAL (memcmp (data, t.disk + 8192, 4096), 0);
  target_close (&t);
}

static void
reads_in_several_pdus (void)
{
  struct heard h;

  begin ();
  target_start (&t);
  target_submit (&t, 1, IO_READ, 0, 65536, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 30001, 0), ERR_OK);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 1, 30001, 10000, 0x80), ERR_OK);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 2, 40001, 25535, 0x80), ERR_OK);
  CU_ASSERT (!target_done (&t, 1, ERR_OK));
  h.bhs[1] = 0; /* the whole length has come: no residual */
  CU_ASSERT_EQUAL (target_status (&t, &h, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  CU_ASSERT_EQUAL (memcmp (data, t.disk, 65536), 0);
  target_close (&t);
}

/* With InitialR2T=Yes: immediate data, then what R2Ts ask for, two at once. */
static void
writes_by_r2t (void)
{
  struct heard h, d;
  uint32_t at = 16384;

  begin ();
  target_start (&t);
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * 3);
  target_submit (&t, 2, IO_WRITE, 0, 262144, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (h.bhs[1], 0xa1); /* F, W, SIMPLE */
  CU_ASSERT_EQUAL (h.data_bytes, 16384);
  CU_ASSERT_EQUAL (memcmp (h.data, data, 16384), 0);
  CU_ASSERT_EQUAL (target_r2t (&t, &h, 0, 77, 16384, 131072), ERR_OK);
  CU_ASSERT_EQUAL (target_r2t (&t, &h, 1, 78, 147456, 114688), ERR_OK);
  for (unsigned i = 0; i < 4; i++) {
    d = target_expect (&t, PDU_DATA_OUT);
    CU_ASSERT_EQUAL (d.itt, h.itt);
    CU_ASSERT_EQUAL (get32 (d.bhs + 20), i < 2 ? 77 : 78);
    CU_ASSERT_EQUAL (get32 (d.bhs + 36), i % 2); /* DataSN */
    CU_ASSERT_EQUAL (get32 (d.bhs + 40), at);
    CU_ASSERT_EQUAL (d.bhs[1], i % 2 ? 0x80 : 0);
    CU_ASSERT_EQUAL (d.data_bytes, i == 3 ? 49152 : 65536);
    CU_ASSERT_EQUAL (memcmp (d.data, data + at, d.data_bytes), 0);
    at += d.data_bytes;
  }
  CU_ASSERT_EQUAL (at, 262144);
  CU_ASSERT (!target_hear (&t, &d));
  CU_ASSERT_EQUAL (target_status (&t, &h, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 2, ERR_OK));
  target_close (&t);
}

/* With InitialR2T=No all of FirstBurstLength goes unasked, in order. */
static void
writes_unsolicited (void)
{
  struct heard h, d, h2;

  begin ();
  t.keys = "MaxRecvDataSegmentLength=8192\nInitialR2T=No\nImmediateData=No\n"
           "MaxBurstLength=131072\nFirstBurstLength=20000\n";
  target_start (&t);
  target_submit (&t, 1, IO_WRITE, 0, 65536, data);
  target_submit (&t, 2, IO_WRITE, 65536, 4096, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (h.bhs[1], 0x21); /* not F */
  CU_ASSERT_EQUAL (h.data_bytes, 0);
  for (uint32_t at = 0, n = 0; at < 20000; at += d.data_bytes, n++) {
    d = target_expect (&t, PDU_DATA_OUT);
    CU_ASSERT_EQUAL (get32 (d.bhs + 20), PDU_NO_TAG);
    CU_ASSERT_EQUAL (get32 (d.bhs + 36), n);
    CU_ASSERT_EQUAL (get32 (d.bhs + 40), at);
    CU_ASSERT_EQUAL (d.bhs[1] == 0x80, at + d.data_bytes == 20000);
  }
  h2 = target_expect (&t, PDU_SCSI_COMMAND);
  d = target_expect (&t, PDU_DATA_OUT);
  CU_ASSERT_EQUAL (d.itt, h2.itt);
  CU_ASSERT_EQUAL (target_r2t (&t, &h, 0, 9, 20000, 45536), ERR_OK);
  for (uint32_t at = 20000; at < 65536; at += d.data_bytes) {
    d = target_expect (&t, PDU_DATA_OUT);
    CU_ASSERT_EQUAL (get32 (d.bhs + 40), at);
  }
  CU_ASSERT_EQUAL (target_status (&t, &h2, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 2, ERR_OK));
  CU_ASSERT_EQUAL (target_status (&t, &h, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  target_close (&t);
}

/* The target answers before it has been sent everything: the request is not
 * answered before we are done with its data.
 */
static void
an_early_answer_waits_for_the_data (void)
{
  static const uint8_t sense[18]
      = {0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x21};
  struct iovec iov[PROTO_TX_IOV];
  struct proto_completion c;
  struct heard h = {0};
  size_t n, all = 0;

  begin ();
  target_start (&t);
  target_submit (&t, 3, IO_WRITE, 0, 16384, data);
  n = iscsi_ops.tx_iov (t.p, 0, iov, PROTO_TX_IOV);
  CU_ASSERT_EQUAL (n, 2);
  memcpy (h.bhs, iov[0].iov_base, 48);
  t.exp_cmd_sn++;
  iscsi_ops.tx_done (t.p, 0, 48 + 100);
  CU_ASSERT_EQUAL (target_status (&t, &h, 2, sense, sizeof sense), ERR_OK);
  CU_ASSERT (!iscsi_ops.reap (t.p, &c));
  n = iscsi_ops.tx_iov (t.p, 0, iov, PROTO_TX_IOV);
  for (size_t i = 0; i < n; i++)
    all += iov[i].iov_len;
  CU_ASSERT_EQUAL (all, 16384 - 100);
  iscsi_ops.tx_done (t.p, 0, all);
  CU_ASSERT_EQUAL (iscsi_ops.deadline_ns (t.p), 0);
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
  CU_ASSERT (iscsi_ops.reap (t.p, &c));
  CU_ASSERT_EQUAL (c.id, 3);
  CU_ASSERT_NOT_EQUAL (c.error, ERR_OK);
  target_close (&t);
}

static void
obeys_the_command_window (void)
{
  uint8_t nop[48] = {0x20, 0x80};
  struct heard h;

  begin ();
  target_start (&t);
  t.window = 1; /* two at once */
  put32 (nop + 16, PDU_NO_TAG);
  put32 (nop + 20, PDU_NO_TAG);
  /* It never shrinks: what was granted stays. */
  for (unsigned i = 0; i < 80; i++)
    target_submit (&t, i, IO_READ, i * 512u, 512, data + i * 512);
  for (unsigned i = 0; i < 64 + 1; i++)
    h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT (!target_hear (&t, &h));
  CU_ASSERT_EQUAL (target_say (&t, nop, NULL, 0, false), ERR_OK);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT (!target_hear (&t, &h));
  target_close (&t);
}

/* What the engine says next, but for pings, which are answered. */
static bool
hear_but_pings (struct heard *h)
{
  uint8_t nop[48] = {0x20, 0x80};

  while (target_hear (&t, h)) {
    if (h->opcode != PDU_NOP_OUT)
      return true;
    put32 (nop + 16, h->itt);
    put32 (nop + 20, PDU_NO_TAG);
    CU_ASSERT_EQUAL (target_say (&t, nop, NULL, 0, true), ERR_OK);
  }
  return false;
}

static struct heard
tick_until_said (void)
{
  struct heard h = {0};

  for (unsigned i = 0; i < 100; i++) {
    t.now_ns = iscsi_ops.deadline_ns (t.p);
    CU_ASSERT_EQUAL_FATAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
    if (hear_but_pings (&h))
      return h;
  }
  CU_FAIL_FATAL ("nothing was said");
  return h;
}

static struct heard
tick_until_ping (void)
{
  struct heard h = {0};

  for (unsigned i = 0; i < 100 && !target_hear (&t, &h); i++) {
    t.now_ns = iscsi_ops.deadline_ns (t.p);
    CU_ASSERT_EQUAL_FATAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
  }
  CU_ASSERT_EQUAL_FATAL (h.opcode, PDU_NOP_OUT);
  return h;
}

static void
answers_pings_and_pings_itself (void)
{
  uint8_t b[48] = {0x20, 0x80};
  struct heard h;

  begin ();
  target_start (&t);
  put32 (b + 8, 0x00010000);
  put32 (b + 16, PDU_NO_TAG);
  put32 (b + 20, 4711);
  CU_ASSERT_EQUAL (target_say (&t, b, NULL, 0, false), ERR_OK);
  h = target_expect (&t, PDU_NOP_OUT);
  CU_ASSERT_EQUAL (h.itt, PDU_NO_TAG);
  CU_ASSERT_EQUAL (get32 (h.bhs + 20), 4711);
  CU_ASSERT_EQUAL (get32 (h.bhs + 8), 0x00010000);
  CU_ASSERT_EQUAL (h.bhs[0], 0x40); /* immediate */

  h = tick_until_ping ();
  CU_ASSERT_NOT_EQUAL (h.itt, PDU_NO_TAG);
  CU_ASSERT_EQUAL (get32 (h.bhs + 20), PDU_NO_TAG);
  memset (b + 8, 0, 8);
  put32 (b + 16, h.itt);
  put32 (b + 20, PDU_NO_TAG);
  CU_ASSERT_EQUAL (target_say (&t, b, NULL, 0, true), ERR_OK);
  CU_ASSERT (!target_hear (&t, &h));
  CU_ASSERT (iscsi_ops.deadline_ns (t.p) > t.now_ns);

  h = tick_until_ping ();
  t.now_ns = iscsi_ops.deadline_ns (t.p);
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_TIMEOUT);
  CU_ASSERT (target_failed (&t, "not even to a NOP-Out"));
  target_close (&t);
}

static void
abort_that_fails (bool rejected)
{
  uint8_t b[48] = {0x22, 0x80}, reject[48] = {0x3f, 0x80, 0x05};
  struct heard h, task;

  begin ();
  target_start (&t);
  target_submit (&t, 1, IO_READ, 0, 4096, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  task = tick_until_said ();
  CU_ASSERT_EQUAL (task.opcode, PDU_TASK_REQUEST);
  CU_ASSERT_EQUAL (task.bhs[1], 0x81);
  CU_ASSERT_EQUAL (get32 (task.bhs + 20), h.itt);
  CU_ASSERT_EQUAL (get32 (task.bhs + 32), get32 (h.bhs + 24));
  b[2] = 5; /* not supported: the LUN is reset */
  put32 (b + 16, task.itt);
  put32 (reject + 16, PDU_NO_TAG);
  CU_ASSERT_EQUAL (rejected ? target_say (&t, reject, task.bhs, 48, true)
                            : target_say (&t, b, NULL, 0, true), ERR_OK);
  CU_ASSERT_FATAL (hear_but_pings (&task));
  CU_ASSERT_EQUAL (task.opcode, PDU_TASK_REQUEST);
  CU_ASSERT_EQUAL (task.bhs[1], 0x85);
  CU_ASSERT_EQUAL (get32 (task.bhs + 20), PDU_NO_TAG);
  b[2] = 0;
  put32 (b + 16, task.itt);
  CU_ASSERT_EQUAL (target_say (&t, b, NULL, 0, true), ERR_OK);
  CU_ASSERT_EQUAL (iscsi_ops.state (t.p), PROTO_READY);
  /* It is over for the target: what it still says of it is a lie. */
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 4096, 0x81), ERR_PEER);
  CU_ASSERT (target_failed (&t, "names no command under way"));
  target_close (&t);
}

static void
aborts_what_takes_too_long (void)
{
  abort_that_fails (false);
  abort_that_fails (true);
}

static enum err
task_response (const struct heard *task, uint8_t response)
{
  uint8_t b[48] = {0x22, 0x80, response};

  put32 (b + 16, task->itt);
  return target_say (&t, b, NULL, 0, true);
}

static struct proto_completion
write_of (uint64_t id)
{
  struct proto_completion c = {.error = ERR_SHUTDOWN};
  struct heard h;

  CU_ASSERT_EQUAL (target_submit (&t, id, IO_WRITE, 0, 4096, data), ERR_OK);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (target_status (&t, &h, 0, NULL, 0), ERR_OK);
  CU_ASSERT (iscsi_ops.reap (t.p, &c));
  CU_ASSERT (c.id == id && !c.error);
  return c;
}

/* The target does not tell us of the reset that we have asked for. */
static void
our_own_reset_is_a_loss (void)
{
  struct proto_completion before, after;
  struct heard task;

  begin ();
  target_start (&t);
  before = write_of (1);
  after = write_of (2);
  CU_ASSERT_EQUAL (memcmp (before.token, after.token, IO_TOKEN_BYTES), 0);
  target_submit (&t, 3, IO_READ, 0, 4096, data);
  target_expect (&t, PDU_SCSI_COMMAND);
  task = tick_until_said ();
  CU_ASSERT_EQUAL (task_response (&task, 5), ERR_OK);
  CU_ASSERT_FATAL (hear_but_pings (&task));
  CU_ASSERT_EQUAL (task.bhs[1], 0x85);
  CU_ASSERT_EQUAL (task_response (&task, 0), ERR_OK);
  target_expect (&t, PDU_SCSI_COMMAND); /* the READ again */
  after = write_of (4);
  CU_ASSERT_NOT_EQUAL (memcmp (before.token, after.token, IO_TOKEN_BYTES), 0);
  target_close (&t);
}

/* ABORT TASKs are answered after we have lost patience; but once only. */
static void
an_abort_is_answered_late (void)
{
  struct heard h, task[2], reset;

  begin ();
  target_start (&t);
  for (unsigned i = 0; i < 2; i++) {
    target_submit (&t, 1, IO_READ, 0, 4096, data);
    h = target_expect (&t, PDU_SCSI_COMMAND);
    task[i] = tick_until_said ();
    CU_ASSERT_EQUAL (task[i].bhs[1], 0x81);
    reset = tick_until_said ();
    CU_ASSERT_EQUAL (reset.opcode, PDU_TASK_REQUEST);
    CU_ASSERT_EQUAL (reset.bhs[1], 0x85);
    if (i == 1)
      CU_ASSERT_EQUAL (task_response (&task[1], 0), ERR_OK);
    CU_ASSERT_EQUAL (task_response (&reset, 0), ERR_OK);
    h = target_expect (&t, PDU_SCSI_COMMAND); /* the READ again */
    CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 4096, 0x81), ERR_OK);
    CU_ASSERT (target_done (&t, 1, ERR_OK));
  }
  CU_ASSERT_EQUAL (task_response (&task[0], 0), ERR_OK);
  CU_ASSERT_EQUAL (task_response (&task[0], 0), ERR_PEER);
  CU_ASSERT (target_failed (&t, "answers nothing"));
  target_close (&t);
}

static enum err
async (uint8_t event, uint16_t p1, uint16_t p2, uint16_t p3);

/* Bytes come all the time, until something else is said. Returns when. */
static uint64_t
while_bytes_come (uint64_t every_ns, struct heard *ret)
{
  unsigned most = 1000;

  while (!hear_but_pings (ret) && --most > 0) {
    uint64_t at_ns = iscsi_ops.deadline_ns (t.p);

    t.now_ns += every_ns;
    if (at_ns < t.now_ns)
      t.now_ns = at_ns;
    if (iscsi_ops.tick (t.p, t.now_ns)
        || async (255, 0, 0, 0)) /* a vendor's own */
      break;
  }
  CU_ASSERT (most > 0);
  return t.now_ns;
}

/* An answer that stands behind much data is waited for, but so that all is done
 * before timeout=, when the gateway ends the session.
 */
static void
an_overdue_command (const char *timeout, uint64_t abort_ns, uint64_t reset_ns,
                    uint64_t end_ns)
{
  struct heard h, task;
  uint64_t sent_ns;

  begin ();
  t.timeout = timeout;
  target_start (&t);
  sent_ns = t.now_ns;
  target_submit (&t, 1, IO_READ, 0, 4096, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (while_bytes_come (abort_ns / 100, &task),
                   sent_ns + abort_ns);
  CU_ASSERT_EQUAL (task.bhs[1], 0x81);
  CU_ASSERT_EQUAL (get32 (task.bhs + 20), h.itt);
  CU_ASSERT_EQUAL (while_bytes_come (abort_ns / 100, &task),
                   sent_ns + reset_ns);
  CU_ASSERT_EQUAL (task.bhs[1], 0x85);
  CU_ASSERT_EQUAL (while_bytes_come (abort_ns / 100, &task), sent_ns + end_ns);
  CU_ASSERT (target_failed (&t, "does not answer a Task Management"));
  target_close (&t);
  t.timeout = NULL;
}

static void
an_abort_waits_while_bytes_come (void)
{
  an_overdue_command (NULL, 20000000000u, 25000000000u, 29000000000u);
  an_overdue_command ("3", 2000000000u, 2500000000u, 2900000000u);
  an_overdue_command ("300", 200000000000u, 250000000000u, 290000000000u);
}

/* What waits for the window has its time when it is sent. */
static void
a_command_has_its_time_when_sent (void)
{
  uint8_t nop[48] = {0x20, 0x80};
  struct heard h[65];

  begin ();
  target_start (&t);
  t.window = 1;
  put32 (nop + 16, PDU_NO_TAG);
  put32 (nop + 20, PDU_NO_TAG);
  for (unsigned i = 0; i < 66; i++)
    target_submit (&t, i, IO_READ, i * 512u, 512, data + i * 512);
  for (unsigned i = 0; i < 65; i++)
    h[i] = target_expect (&t, PDU_SCSI_COMMAND);
  t.now_ns += 19000000000u;
  for (unsigned i = 0; i < 65; i++) {
    CU_ASSERT_EQUAL (target_data_in (&t, &h[i], 0, 0, 512, 0x81), ERR_OK);
    CU_ASSERT (target_done (&t, i, ERR_OK));
  }
  target_expect (&t, PDU_SCSI_COMMAND);
  t.now_ns += 19000000000u;
  CU_ASSERT_EQUAL (target_say (&t, nop, NULL, 0, false), ERR_OK);
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
  CU_ASSERT (!hear_but_pings (&h[0]));
  target_close (&t);
}

static enum err
async (uint8_t event, uint16_t p1, uint16_t p2, uint16_t p3)
{
  uint8_t b[48] = {0x32, 0x80};

  put32 (b + 16, PDU_NO_TAG);
  b[36] = event;
  b[38] = (uint8_t)(p1 >> 8);
  b[39] = (uint8_t)p1;
  b[41] = (uint8_t)p2;
  b[43] = (uint8_t)p3;
  return target_say (&t, b, NULL, 0, true);
}

/* The answer comes between the decision to abort and the request for it. */
static void
an_answer_beats_its_abort (void)
{
  struct heard h;

  begin ();
  target_start (&t);
  target_submit (&t, 1, IO_READ, 0, 4096, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  t.now_ns += 19000000000u; /* bytes came until now: no ping is due */
  CU_ASSERT_EQUAL (async (255, 0, 0, 0), ERR_OK);
  t.now_ns += 1000000001u;
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 4096, 0x81), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  CU_ASSERT (!target_hear (&t, &h));
  target_close (&t);
}

static void
leaves_when_asked (void)
{
  struct heard h, out;
  uint8_t b[48] = {0x26, 0x80};

  begin ();
  target_start (&t);
  target_submit (&t, 1, IO_READ, 0, 4096, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  iscsi_ops.leave (t.p, t.now_ns);
  CU_ASSERT (!target_hear (&t, &out));
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 4096, 0x81), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  out = target_expect (&t, PDU_LOGOUT_REQUEST);
  CU_ASSERT_EQUAL (out.bhs[1], 0x80);
  CU_ASSERT_EQUAL (iscsi_ops.state (t.p), PROTO_READY);
  put32 (b + 16, out.itt);
  CU_ASSERT_EQUAL (target_say (&t, b, NULL, 0, true), ERR_CLOSED);
  CU_ASSERT_EQUAL (iscsi_ops.state (t.p), PROTO_FAILED); /* proto.h, leave */
  CU_ASSERT (target_failed (&t, "session has ended"));
  target_close (&t);
}

static enum err
text_response (const struct heard *request, uint8_t flags, uint32_t ttt,
               const char *text, size_t n)
{
  uint8_t b[48] = {0x24, flags};

  put32 (b + 16, request->itt);
  put32 (b + 20, ttt);
  return target_say (&t, b, text, (uint32_t)n, true);
}

#define PIECES                                                                \
  "InitialR2T=Yes\nImmediateData=Yes\nMaxRecvDataSegmentLength=8192\n"

/* Declares text in the negotiation that it has asked for. */
static enum err
negotiated (const char *text, size_t n)
{
  struct heard h;

  begin ();
  t.keys = PIECES;
  target_start (&t);
  CU_ASSERT_EQUAL (async (4, 0, 0, 3), ERR_OK);
  h = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x80);
  CU_ASSERT_EQUAL (h.data_bytes, 0);
  return text_response (&h, 0x80, PDU_NO_TAG, text, n);
}

/* How many bytes go with the next WRITE, and in its Data-Out. */
static void
writes_in_pieces_of (uint32_t immediate, uint32_t solicited)
{
  struct heard h;

  target_submit (&t, 1, IO_WRITE, 0, 65536, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (h.data_bytes, immediate);
  CU_ASSERT_EQUAL (target_r2t (&t, &h, 0, 7, immediate, 65536 - immediate),
                   ERR_OK);
  h = target_expect (&t, PDU_DATA_OUT);
  CU_ASSERT_EQUAL (h.data_bytes, solicited);
  target_close (&t);
}

static void
a_new_segment_length (void)
{
  static const char length[] = "MaxRecvDataSegmentLength=1024";
  static const char unknown[] = "X-example.z=1\0MaxRecvData";
  static const char rest[] = "SegmentLength=2048";
  struct heard h;

  CU_ASSERT_EQUAL (negotiated ("", 0), ERR_OK);
  writes_in_pieces_of (8192, 8192);
  CU_ASSERT_EQUAL (negotiated (length, sizeof length), ERR_OK);
  writes_in_pieces_of (1024, 1024);
  /* In two pieces, with a key that nobody knows, and not final at first. */
  begin ();
  t.keys = PIECES;
  target_start (&t);
  CU_ASSERT_EQUAL (async (4, 0, 0, 3), ERR_OK);
  h = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT_EQUAL (text_response (&h, 0x40, 5, unknown, sizeof unknown - 1),
                   ERR_OK);
  h = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT (h.data_bytes == 0 && h.bhs[1] == 0 && get32 (h.bhs + 20) == 5);
  CU_ASSERT_EQUAL (text_response (&h, 0x00, 5, rest, sizeof rest), ERR_OK);
  h = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT_EQUAL (h.bhs[1], 0x80);
  CU_ASSERT (h.data_bytes == 26
             && memcmp (h.data, "X-example.z=NotUnderstood", 26) == 0);
  CU_ASSERT_EQUAL (text_response (&h, 0x80, PDU_NO_TAG, "", 0), ERR_OK);
  writes_in_pieces_of (2048, 2048);
  CU_ASSERT_EQUAL (negotiated ("MaxRecvDataSegmentLength=511", 29), ERR_PEER);
  CU_ASSERT (target_failed (&t, "which cannot be"));
  target_close (&t);
  CU_ASSERT_EQUAL (negotiated ("MaxBurstLength=512", 19), ERR_PEER);
  CU_ASSERT (target_failed (&t, "after the login (RFC 7143 §13.13)"));
  target_close (&t);
}

/* DefaultTime2Wait, when the connection ends by the target or the network. */
static void
waits_after_a_loss (void)
{
  struct heard out;

  begin ();
  t.keys = "DefaultTime2Wait=3\n";
  target_start (&t);
  iscsi_ops.lost (t.p, t.now_ns);
  target_close (&t);
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  CU_ASSERT (!target_hear (&t, &out));
  CU_ASSERT_EQUAL (iscsi_ops.deadline_ns (t.p), t.now_ns + 3000000000u);
  /* It is lost once more while it waits: no longer for that. */
  iscsi_ops.lost (t.p, t.now_ns + 1);
  target_close (&t);
  t.now_ns += 3000000000u;
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  out = target_expect (&t, PDU_LOGIN_REQUEST);
  target_close (&t);
  /* What ends by ourselves is not unexpected. */
  begin ();
  t.keys = "DefaultTime2Wait=3\n";
  target_start (&t);
  target_close (&t);
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  out = target_expect (&t, PDU_LOGIN_REQUEST);
  target_close (&t);
}

static void
obeys_asynchronous_messages (void)
{
  struct heard out;
  uint8_t b[48] = {0x26, 0x80};
  uint8_t isid[6];

  begin ();
  target_start (&t);
  CU_ASSERT_EQUAL (async (255, 1, 2, 3), ERR_OK);
  CU_ASSERT_EQUAL (async (4, 0, 0, 3), ERR_OK);
  out = target_expect (&t, PDU_TEXT_REQUEST);
  CU_ASSERT_EQUAL (out.bhs[1], 0x80);
  CU_ASSERT_EQUAL (async (1, 0, 0, 3), ERR_OK);
  out = target_expect (&t, PDU_LOGOUT_REQUEST);
  b[41] = 4; /* Time2Wait */
  put32 (b + 16, out.itt);
  CU_ASSERT_EQUAL (target_say (&t, b, NULL, 0, true), ERR_CLOSED);
  CU_ASSERT (target_failed (&t, "asked us to log out"));
  memcpy (isid, t.identity + 4, 6);
  target_close (&t);

  /* The next session waits for so long, and has the same ISID. */
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  CU_ASSERT (!target_hear (&t, &out));
  CU_ASSERT_EQUAL (iscsi_ops.deadline_ns (t.p), t.now_ns + 4000000000u);
  t.now_ns += 4000000000u;
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_OK);
  out = target_expect (&t, PDU_LOGIN_REQUEST);
  CU_ASSERT_EQUAL (memcmp (out.bhs + 8, isid, 6), 0);
  CU_ASSERT_EQUAL (out.bhs[8] & 0xc0, 0x80); /* type Random */
  CU_ASSERT_EQUAL (out.bhs[14] | out.bhs[15], 0); /* TSIH */
  target_close (&t);

  begin ();
  target_start (&t);
  CU_ASSERT_EQUAL (async (2, 9, 0, 0), ERR_OK); /* another connection */
  CU_ASSERT_EQUAL (async (2, 0, 200, 0), ERR_CLOSED);
  CU_ASSERT (target_failed (&t, "drops the connection"));
  target_close (&t);
  /* Too long to hold a connection for; a minute is the most. */
  t.now_ns++;
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  CU_ASSERT (!target_hear (&t, &out));
  CU_ASSERT_EQUAL (iscsi_ops.tick (t.p, t.now_ns), ERR_CLOSED);
  CU_ASSERT (target_failed (&t, "left alone for another 59 seconds"));
  target_close (&t);
  t.now_ns += 60000000000u;
  CU_ASSERT_EQUAL (target_open (&t), ERR_OK);
  out = target_expect (&t, PDU_LOGIN_REQUEST);
  target_close (&t);
}

static void
digests_over_all (void)
{
  struct heard h;
  uint8_t *at = data;

  begin ();
  t.header_digest = t.data_digest = "crc32c";
  target_start (&t);
  target_submit (&t, 1, IO_WRITE, 512, 1024, data);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (h.data_bytes, 1024);
  CU_ASSERT_EQUAL (target_status (&t, &h, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  target_submit (&t, 2, IO_READ, 0, 4096, at);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 1001, 0), ERR_OK);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 1, 1001, 3095, 0x81), ERR_OK);
  CU_ASSERT (target_done (&t, 2, ERR_OK));
  CU_ASSERT_EQUAL (memcmp (data, t.disk, 4096), 0);
  target_close (&t);
}

/* The same bytes in two pieces, cut everywhere; then one by one. */
static uint64_t
conversation (uint64_t cut_at, size_t rx_max)
{
  struct heard h, d;
  uint64_t bytes;

  begin ();
  t.header_digest = t.data_digest = "crc32c";
  t.cut_at = cut_at;
  t.rx_max_bytes = rx_max;
  target_start (&t);
  target_submit (&t, 1, IO_READ, 0, 512, data);
  target_submit (&t, 2, IO_WRITE, 0, 512, t.disk + 512);
  h = target_expect (&t, PDU_SCSI_COMMAND);
  d = target_expect (&t, PDU_SCSI_COMMAND);
  CU_ASSERT_EQUAL (d.data_bytes, 512);
  CU_ASSERT_EQUAL (memcmp (d.data, t.disk + 512, 512), 0);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 0, 0, 301, 0), ERR_OK);
  CU_ASSERT_EQUAL (target_data_in (&t, &h, 1, 301, 211, 0x81), ERR_OK);
  CU_ASSERT (target_done (&t, 1, ERR_OK));
  CU_ASSERT_EQUAL (target_status (&t, &d, 0, NULL, 0), ERR_OK);
  CU_ASSERT (target_done (&t, 2, ERR_OK));
  CU_ASSERT_EQUAL (memcmp (data, t.disk, 512), 0);
  bytes = t.rx_bytes;
  target_close (&t);
  return bytes;
}

static void
any_fragmentation_is_the_same (void)
{
  uint64_t all = conversation (0, 0);

  for (uint64_t at = 1; at < all; at += at < 600 ? 1 : 3)
    CU_ASSERT_EQUAL (conversation (at, 0), all);
  CU_ASSERT_EQUAL (conversation (0, 1), all);
  CU_ASSERT_EQUAL (conversation (0, 7), all);
}

UNIT_MAIN ("iscsi session", UNIT_TEST (reads_straight_into_the_request),
           UNIT_TEST (reads_in_several_pdus), UNIT_TEST (writes_by_r2t),
           UNIT_TEST (writes_unsolicited),
           UNIT_TEST (an_early_answer_waits_for_the_data),
           UNIT_TEST (obeys_the_command_window),
           UNIT_TEST (answers_pings_and_pings_itself),
           UNIT_TEST (aborts_what_takes_too_long),
           UNIT_TEST (our_own_reset_is_a_loss),
           UNIT_TEST (an_abort_is_answered_late),
           UNIT_TEST (an_abort_waits_while_bytes_come),
           UNIT_TEST (a_command_has_its_time_when_sent),
           UNIT_TEST (an_answer_beats_its_abort),
           UNIT_TEST (leaves_when_asked),
           UNIT_TEST (obeys_asynchronous_messages),
           UNIT_TEST (a_new_segment_length), UNIT_TEST (waits_after_a_loss),
           UNIT_TEST (digests_over_all),
           UNIT_TEST (any_fragmentation_is_the_same))
