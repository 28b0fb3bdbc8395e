/* SPDX-License-Identifier: BSD-2-Clause */
/* Asynchronous events (RFC 7143 §11.9): whose they are. */
#include "config.h"
#include "protocols/iscsi/scsi.h"

#include <string.h>

#include "tests/unit/protocols/iscsi/lun.h"
#include "tests/unit/unit.h"

#define SECOND_NS 1000000000ull

#define OURS 0x0009000000000000u
#define OURS_FLAT 0x4009000000000000u /* SAM-5 §4.7.7.3 */
#define ANOTHER 0x0005000000000000u
#define ODD 0xc101000000000000u /* a well known one */

static struct lun l;
static struct scsi *x;
static uint64_t now_ns;
static uint8_t data[512];

static void
serve (void)
{
  struct session_result r;

  while (lun_serve (&l, &r))
    scsi_result (x, &r, now_ns);
}

static void
begin (void)
{
  struct scsi_setup setup = {.session = &l.session, .seed = {7}, .lun = 9,
                             .request_ns = 30 * SECOND_NS};

  lun_init (&l, 8192, 512);
  now_ns = SECOND_NS;
  CU_ASSERT_EQUAL_FATAL (scsi_open (&setup, &x), ERR_OK);
  scsi_start (x, now_ns);
}

static void
over (void)
{
  scsi_close (x);
  lun_fini (&l);
}

static struct proto_completion
completed (enum io_op op)
{
  struct proto_request r = {.op = op, .data = data,
                            .length = op == IO_FLUSH ? 0 : sizeof data};
  struct proto_completion c = {.error = ERR_SHUTDOWN};

  CU_ASSERT_EQUAL (scsi_submit (x, &r, now_ns), ERR_OK);
  serve ();
  CU_ASSERT (scsi_reap (x, &c));
  CU_ASSERT_EQUAL (c.error, ERR_OK);
  return c;
}

static void
told (uint64_t lun, uint8_t asc, uint8_t ascq)
{
  struct session_result r = {.outcome = SESSION_EVENT, .lun = lun,
                             .sense_bytes = 4, .sense = {0x72, 6, asc, ascq}};

  scsi_result (x, &r, now_ns);
}

/* Whether a write is still proven when that has been said behind it. */
static bool
proven_after (uint64_t lun)
{
  struct proto_completion w = completed (IO_WRITE), f;

  told (lun, 0x29, 0);
  f = completed (IO_FLUSH);
  return memcmp (w.token, f.token, sizeof w.token) == 0;
}

static void
a_loss_is_of_its_lun (void)
{
  begin ();
  serve ();
  CU_ASSERT_FATAL (scsi_state (x) == SCSI_READY);
  CU_ASSERT (proven_after (ANOTHER));
  CU_ASSERT (proven_after (ODD));
  CU_ASSERT (!proven_after (OURS));
  CU_ASSERT (!proven_after (OURS_FLAT));
  CU_ASSERT (!proven_after (0)); /* LUN 0, or nobody has filled it in */
  over ();
}

static void
a_change_is_of_its_lun (void)
{
  char line[PROTO_SAY_BYTES];

  begin ();
  serve ();
  now_ns += 10 * SECOND_NS;
  told (ANOTHER, 0x2a, 9);
  told (0, 0x2a, 9);
  CU_ASSERT_EQUAL (scsi_state (x), SCSI_READY);
  CU_ASSERT (!scsi_say (x, line));
  told (OURS, 0x2a, 9);
  CU_ASSERT_EQUAL (scsi_state (x), SCSI_FAILED);
  over ();
  /* the same while the LUN is being probed, behind its capacity */
  for (unsigned ours = 0; ours < 2; ours++) {
    struct session_result r;

    begin ();
    while (!l.served[0x9e] && lun_serve (&l, &r))
      scsi_result (x, &r, now_ns);
    told (ours ? OURS : ANOTHER, 0x2a, 9);
    serve ();
    CU_ASSERT_FATAL (scsi_state (x) == SCSI_READY);
    CU_ASSERT_EQUAL (scsi_say (x, line), ours);
    over ();
  }
}

/* How many SYNCHRONIZE CACHE a FLUSH is. */
static unsigned
flushes (void)
{
  unsigned before = l.served[0x35];

  completed (IO_FLUSH);
  return l.served[0x35] - before;
}

/* What was switched off, and not saved, is on again. */
static void
a_reset_may_switch_the_write_cache_on (void)
{
  static const uint8_t codes[][2]
      = {{0x29, 0}, {0x29, 3}, {0x2a, 1}, {0x3f, 1}};
  struct session_result r;

  for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    begin ();
    l.write_cache = false;
    serve ();
    CU_ASSERT_EQUAL (flushes (), 0);
    told (ANOTHER, codes[i][0], codes[i][1]);
    CU_ASSERT_EQUAL (flushes (), 0);
    told (OURS, codes[i][0], codes[i][1]);
    CU_ASSERT_EQUAL (flushes (), 1);
    /* It has none, and no such command: it is not asked again. */
    l.fault[0]
        = (struct lun_fault){0x35, 1, SESSION_DONE, 2, 5, 0x20, 0, false};
    CU_ASSERT_EQUAL (flushes (), 1);
    CU_ASSERT_EQUAL (flushes (), 0);
    over ();
  }
  /* while the LUN is being probed: in front of MODE SENSE, and behind it */
  for (unsigned behind = 0; behind < 2; behind++) {
    begin ();
    l.thin = true; /* so that something comes behind it */
    l.write_cache = false;
    while (!l.served[behind ? 0x1a : 0x12] && lun_serve (&l, &r))
      scsi_result (x, &r, now_ns);
    told (OURS, 0x29, 0);
    serve ();
    CU_ASSERT_EQUAL (flushes (), behind);
    over ();
  }
}

/* Nothing else that fails is taken for a LUN without the command. */
static void
a_flush_that_fails_is_no_missing_command (void)
{
  static const struct lun_fault faults[]
      = {{0x35, 1, SESSION_DONE, 2, 5, 0x24, 0, false},
         {0x35, 1, SESSION_DONE, 2, 3, 0x0c, 0, false},
         {0x35, 1, SESSION_DONE, 2, 5, 0x20, 0, false}};
  struct proto_request q = {.op = IO_FLUSH};

  for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    struct proto_completion c = {.error = ERR_OK};

    begin ();
    l.write_cache = i == 2; /* it has one */
    serve ();
    told (OURS, 0x29, 0);
    l.fault[0] = faults[i];
    CU_ASSERT_EQUAL (scsi_submit (x, &q, now_ns), ERR_OK);
    serve ();
    CU_ASSERT (scsi_reap (x, &c));
    CU_ASSERT_EQUAL (c.error, ERR_IO);
    CU_ASSERT_EQUAL (flushes (), 1);
    over ();
  }
}

UNIT_MAIN ("scsi events", UNIT_TEST (a_loss_is_of_its_lun),
           UNIT_TEST (a_change_is_of_its_lun),
           UNIT_TEST (a_reset_may_switch_the_write_cache_on),
           UNIT_TEST (a_flush_that_fails_is_no_missing_command))
