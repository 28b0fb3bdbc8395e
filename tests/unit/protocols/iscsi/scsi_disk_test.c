/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests as SCSI commands: what is sent, what is sent again, when it fails,
 * and what the tokens prove.
 */
#include "config.h"
#include "protocols/iscsi/scsi.h"

#include <string.h>

#include "protocols/iscsi/scsi_disk.h"
#include "tests/unit/protocols/iscsi/lun.h"
#include "tests/unit/unit.h"

#define SECOND_NS 1000000000ull

static struct lun l;
static struct scsi *x;
static uint64_t now_ns;
static uint8_t data[1 << 20];
static struct proto_completion done;

/* Changes the LUN between lun_init and this. */
static void
open_disk (void)
{
  struct scsi_setup setup = {.session = &l.session, .seed = {7, 9},
                             .request_ns = 30 * SECOND_NS};
  struct session_result r;

  CU_ASSERT_EQUAL_FATAL (scsi_open (&setup, &x), ERR_OK);
  now_ns = SECOND_NS;
  scsi_start (x, now_ns);
  while (lun_serve (&l, &r))
    scsi_result (x, &r, now_ns);
  CU_ASSERT_EQUAL_FATAL (scsi_state (x), SCSI_READY);
  memset (l.served, 0, sizeof l.served);
}

static void
begin (uint64_t blocks, uint32_t block_bytes)
{
  lun_init (&l, blocks, block_bytes);
}

static void
over (void)
{
  CU_ASSERT_EQUAL (l.session.count, 0);
  CU_ASSERT (!scsi_reap (x, &done));
  scsi_close (x);
  lun_fini (&l);
}

static enum err
submit (enum io_op op, uint64_t offset, uint32_t length, uint32_t flags)
{
  struct proto_request r = {.id = 1,
                            .op = op,
                            .flags = flags,
                            .offset = offset,
                            .length = length,
                            .data = data};

  return scsi_submit (x, &r, now_ns);
}

static bool
serve_one (void)
{
  struct session_result r;

  if (!lun_serve (&l, &r))
    return false;
  scsi_result (x, &r, now_ns);
  return true;
}

/* Until it is answered, or nothing happens any more. */
static enum err
finished (void)
{
  for (unsigned i = 0; i < 100000; i++) {
    if (scsi_reap (x, &done))
      return done.error;
    if (serve_one ())
      continue;
    if (scsi_deadline_ns (x) == PROTO_NO_DEADLINE)
      break;
    now_ns = scsi_deadline_ns (x);
    scsi_tick (x, now_ns);
  }
  CU_FAIL ("a request without an end");
  return ERR_SHUTDOWN;
}

static enum err
all (enum io_op op, uint64_t offset, uint32_t length, uint32_t flags)
{
  enum err e = submit (op, offset, length, flags);

  return e ? e : finished ();
}

static void
reads_and_writes (void)
{
  begin (8192, 512);
  open_disk ();
  for (unsigned i = 0; i < 65536; i++)
    data[i] = (uint8_t)(i * 7 + i / 256);
  CU_ASSERT_EQUAL (all (IO_WRITE, 4096, 65536, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x2a], 1);
  CU_ASSERT_EQUAL (l.cdb[1], 0);
  memset (data, 0, sizeof data);
  CU_ASSERT_EQUAL (all (IO_READ, 4096, 65536, 0), ERR_OK);
  for (unsigned i = 0; i < 65536; i++)
    if (data[i] != (uint8_t)(i * 7 + i / 256)) {
      CU_FAIL ("another byte");
      break;
    }
  CU_ASSERT_EQUAL (all (IO_READ, 8192 * 512 - 512, 512, 0), ERR_OK);
  over ();
}

static void
what_is_not_aligned_is_refused (void)
{
  begin (8192, 4096);
  open_disk ();
  CU_ASSERT_EQUAL (submit (IO_READ, 512, 4096, 0), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (IO_READ, 4096, 512, 0), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (IO_TRIM, 0, 4096, 0), ERR_INVAL); /* not offered */
  CU_ASSERT_EQUAL (submit (IO_ZERO, 0, 4096, 0), ERR_INVAL);
  CU_ASSERT_EQUAL (submit (IO_STATUS, 0, 4096, 0), ERR_INVAL);
  over ();
}

static void
more_than_one_command_takes (void)
{
  begin (1ull << 34, 512);
  l.transfer_max = 10;
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_WRITE, 1ull << 42, 32 * 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x8a], 4);
  CU_ASSERT_EQUAL (l.cdb[13], 2); /* the rest */
  over ();
}

static void
more_requests_than_there_may_be (void)
{
  begin (8192, 512);
  open_disk ();
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    CU_ASSERT_EQUAL (submit (IO_READ, i * 512, 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (submit (IO_READ, 0, 512, 0), ERR_AGAIN);
  for (unsigned i = 0; i < PROTO_REQUESTS; i++)
    CU_ASSERT_EQUAL (finished (), ERR_OK);
  /* a session without room is no error */
  l.session.refuse = 3;
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_OK);
  over ();
}

/* ------------------------------------------------------------------ FUA, flush
 */

static void
fua_is_a_bit_or_a_flush (void)
{
  begin (8192, 512);
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_WRITE, 0, 512, IO_FUA), ERR_OK);
  CU_ASSERT_EQUAL (l.cdb[1], 0x08);
  CU_ASSERT_EQUAL (l.served[0x35], 0);
  over ();
  begin (8192, 512);
  l.dpofua = false;
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_WRITE, 0, 512, IO_FUA), ERR_OK);
  CU_ASSERT (l.served[0x2a] == 1 && l.served[0x35] == 1);
  over ();
  begin (8192, 512);
  l.write_cache = false; /* nothing to flush */
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_WRITE, 0, 512, IO_FUA), ERR_OK);
  CU_ASSERT_EQUAL (l.cdb[1], 0);
  CU_ASSERT_EQUAL (all (IO_FLUSH, 0, 0, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x35], 0);
  /* … until somebody may have switched it on */
  l.fault[0] =
      (struct lun_fault){LUN_ANY, 1, SESSION_DONE, 2, 6, 0x2a, 1, false};
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (all (IO_FLUSH, 0, 0, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x35], 1);
  over ();
}

static bool
same_token (const struct proto_completion *a, const struct proto_completion *b)
{
  return memcmp (a->token, b->token, sizeof a->token) == 0;
}

static struct proto_completion
completed (enum io_op op)
{
  CU_ASSERT_EQUAL (all (op, 0, op == IO_FLUSH ? 0 : 512, 0), ERR_OK);
  return done;
}

static void
reset_next (unsigned opcode)
{
  l.fault[0] =
      (struct lun_fault){opcode, 1, SESSION_DONE, 2, 6, 0x29, 0, false};
}

static void
tokens_prove (void)
{
  struct proto_completion w, f;
  uint8_t zero[IO_TOKEN_BYTES] = {0};

  begin (8192, 512);
  open_disk ();
  w = completed (IO_WRITE);
  f = completed (IO_FLUSH);
  CU_ASSERT (same_token (&w, &f));
  CU_ASSERT (memcmp (w.token, zero, sizeof zero) != 0);
  /* a reset between the write and the flush, told to the flush */
  w = completed (IO_WRITE);
  reset_next (0x35);
  f = completed (IO_FLUSH);
  CU_ASSERT (!same_token (&w, &f));
  w = completed (IO_WRITE);
  CU_ASSERT (same_token (&w, &f));
  /* … told to a read in between, by an event, by a deferred error */
  reset_next (0x28);
  completed (IO_READ);
  f = completed (IO_FLUSH);
  CU_ASSERT (!same_token (&w, &f));
  w = completed (IO_WRITE);
  scsi_result (x,
               &(struct session_result){.outcome = SESSION_EVENT,
                                        .sense_bytes = 4,
                                        .sense = {0x72, 6, 0x29, 0}},
               now_ns);
  f = completed (IO_FLUSH);
  CU_ASSERT (!same_token (&w, &f));
  w = completed (IO_WRITE);
  l.fault[0] =
      (struct lun_fault){LUN_ANY, 1, SESSION_DONE, 2, 3, 0x0c, 0, true};
  f = completed (IO_FLUSH);
  CU_ASSERT (!same_token (&w, &f));
  over ();
}

/* While a flush is out another command hears of a reset: the flush may have
 * been carried out before it or behind it.
 */
static void
a_flush_beside_a_reset_proves_nothing (void)
{
  struct proto_completion w;

  begin (8192, 512);
  open_disk ();
  w = completed (IO_WRITE);
  CU_ASSERT_EQUAL (submit (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (submit (IO_FLUSH, 0, 0, 0), ERR_OK);
  reset_next (0x28);
  CU_ASSERT (serve_one ()); /* the read hears of it and goes again */
  CU_ASSERT_EQUAL (finished (), ERR_OK);
  CU_ASSERT_EQUAL (finished (), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x35], 2);
  CU_ASSERT (!same_token (&w, &done));
  over ();
}

/* The same for a write: it carries the token from before. */
static void
a_write_beside_a_reset_is_in_doubt (void)
{
  struct proto_completion w, f;

  begin (8192, 512);
  open_disk ();
  CU_ASSERT_EQUAL (submit (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (submit (IO_WRITE, 0, 512, 0), ERR_OK);
  reset_next (0x28);
  CU_ASSERT (serve_one ());
  CU_ASSERT (serve_one ());
  CU_ASSERT_EQUAL (finished (), ERR_OK);
  w = done;
  CU_ASSERT_EQUAL (finished (), ERR_OK);
  f = completed (IO_FLUSH);
  CU_ASSERT (!same_token (&w, &f));
  /* FUA by a flush does the write again */
  over ();
  begin (8192, 512);
  l.dpofua = false;
  open_disk ();
  CU_ASSERT_EQUAL (submit (IO_WRITE, 0, 512, IO_FUA), ERR_OK);
  CU_ASSERT (serve_one ());
  reset_next (0x35);
  CU_ASSERT_EQUAL (finished (), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x2a], 2);
  over ();
}

/* What it could not write a LUN need not keep, and may carry out the next
 * SYNCHRONIZE CACHE as if nothing were missing.
 */
static void
a_flush_that_may_have_failed_proves_nothing (void)
{
  static const struct {
    struct lun_fault fault;
    bool lost;
  } cases[] = {
      {{0x35, 1, SESSION_ABORTED, 0, 0, 0, 0, false}, true},
      {{0x35, 1, SESSION_TARGET_FAILURE, 0, 0, 0, 0, false}, true},
      {{0x35, 1, SESSION_DONE, 2, 0xb, 0, 0, false}, true},
      {{0x35, 1, SESSION_DONE, 2, 0, 0, 0, false}, true},
      {{0x35, 1, SESSION_DONE, 0x40, 0, 0, 0, false}, true},
      /* these have not begun */
      {{0x35, 1, SESSION_DONE, 8, 0, 0, 0, false}, false},
      {{0x35, 1, SESSION_DONE, 2, 6, 0x2a, 3, false}, false},
      {{0x35, 1, SESSION_DONE, 2, 2, 4, 1, false}, false},
      /* and this has succeeded */
      {{0x35, 1, SESSION_DONE, 2, 1, 0, 0, false}, false},
  };
  struct proto_completion w, f;

  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    begin (8192, 512);
    open_disk ();
    w = completed (IO_WRITE);
    l.fault[0] = cases[i].fault;
    f = completed (IO_FLUSH);
    CU_ASSERT_EQUAL (same_token (&w, &f), !cases[i].lost);
    w = completed (IO_WRITE);
    CU_ASSERT (same_token (&w, &f));
    over ();
  }
  /* nor has one for FUA that has failed for good */
  begin (8192, 512);
  l.dpofua = false;
  open_disk ();
  w = completed (IO_WRITE);
  l.fault[0] =
      (struct lun_fault){0x35, 1, SESSION_DONE, 2, 3, 0x0c, 0, false};
  CU_ASSERT_EQUAL (all (IO_WRITE, 512, 512, IO_FUA), ERR_IO);
  f = completed (IO_FLUSH);
  CU_ASSERT (!same_token (&w, &f));
  over ();
}

/* ------------------------------------------------------------- trim, zero, …
 */

static void
begin_thin (void)
{
  begin (1 << 20, 512);
  l.thin = true;
  l.unmap_max = 4096;
  l.granularity = 16;
  l.alignment = 4;
  open_disk ();
}

static void
trim_keeps_to_limits_and_granules (void)
{
  begin_thin ();
  CU_ASSERT_EQUAL (all (IO_TRIM, 1024, 512 * 100, 0), ERR_OK); /* 2 … 102 */
  CU_ASSERT_EQUAL (l.served[0x42], 1);
  CU_ASSERT_EQUAL (l.unmapped_lba, 4);
  CU_ASSERT_EQUAL (l.unmapped_blocks, 96); /* 4 … 100 */
  CU_ASSERT_EQUAL (all (IO_TRIM, 0, 512 * 10000, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x42], 4); /* 4 … 9988 by at most 4096 */
  CU_ASSERT_EQUAL (l.unmapped_lba, 4 + 2 * 4096);
  CU_ASSERT_EQUAL (l.unmapped_blocks, 9988 - 8196);
  /* less than a granule */
  CU_ASSERT_EQUAL (all (IO_TRIM, 512 * 5, 512 * 16, 0), ERR_OK);
  CU_ASSERT_EQUAL (all (IO_TRIM, 512 * 5, 512, IO_FUA), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x42], 4);
  CU_ASSERT_EQUAL (l.served[0x35], 1);
  /* the last granule of the LUN may be short */
  CU_ASSERT_EQUAL (all (IO_TRIM, 512 * ((1u << 20) - 12), 512 * 12, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.unmapped_blocks, 12);
  over ();
}

static void
zeroes_keep_or_give_back (void)
{
  begin_thin ();
  memset (l.store, 0x55, 65536);
  CU_ASSERT_EQUAL (all (IO_ZERO, 512, 1024, 0), ERR_OK);
  CU_ASSERT (l.cdb[0] == 0x93 && l.cdb[1] == 0x08);
  CU_ASSERT (l.store[511] == 0x55 && l.store[512] == 0);
  CU_ASSERT (l.store[1535] == 0 && l.store[1536] == 0x55);
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 512, IO_NO_HOLE), ERR_OK);
  CU_ASSERT (l.cdb[0] == 0x93 && l.cdb[1] == 0);
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 512, IO_FUA), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x35], 1);
  over ();
  begin (1 << 20, 512);
  l.write_same_max = 1000;
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 512 * 2500, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x93], 3);
  /* it turns out that there is none */
  l.fault[0] = (struct lun_fault){0x93, 1, SESSION_DONE, 2, 5, 0x20, 0, false};
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 512, 0), ERR_NOTSUP);
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 512, 0), ERR_NOTSUP);
  CU_ASSERT_EQUAL (l.served[0x93], 4);
  over ();
}

/* Each command has a time of its own: none has to write very much in it,
 * whatever the LUN says that it would take.
 */
static void
much_is_zeroed_step_by_step (void)
{
  begin (1 << 20, 512);
  l.write_same_max = 1 << 24;
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 64u << 20, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x93], 16);
  over ();
  begin_thin ();
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 64u << 20, IO_NO_HOLE), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x93], 16);
  CU_ASSERT_EQUAL (all (IO_ZERO, 0, 64u << 20, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x93], 20);
  over ();
}

static void
status (void)
{
  struct io_extent e[2];

  begin_thin ();
  CU_ASSERT_EQUAL (all (IO_STATUS, 0, 512 * 12, 0), ERR_OK);
  CU_ASSERT_EQUAL (done.extents, 2);
  memcpy (e, data, sizeof e);
  CU_ASSERT (e[0].length == 4096
             && e[0].flags == (IO_EXTENT_HOLE | IO_EXTENT_ZERO));
  CU_ASSERT (e[1].length == 2048 && e[1].flags == 0);
  /* not understood: allocated, which is never wrong */
  l.fault[0] = (struct lun_fault){0x9e, 1, SESSION_DONE, 2, 5, 0x20, 0, false};
  CU_ASSERT_EQUAL (all (IO_STATUS, 0, 512 * 12, 0), ERR_OK);
  memcpy (e, data, sizeof e);
  CU_ASSERT (done.extents == 1 && e[0].length == 512 * 12 && e[0].flags == 0);
  over ();
}

/* A loss that a READ tells of behind the FLUSH that came after it, or does not.
 */
static void
status_out_of_order (bool loss, enum io_op op, uint32_t length, uint32_t flags)
{
  struct session_result read, flush;
  struct proto_completion w, f;
  unsigned done_ids = 0;

  begin (8192, 512);
  l.dpofua = false;
  open_disk ();
  CU_ASSERT_EQUAL (all (IO_WRITE, 0, 512, 0), ERR_OK);
  w = done;
  CU_ASSERT_EQUAL (submit (IO_READ, 4096, 512, 0), ERR_OK);
  if (loss)
    l.fault[0] =
        (struct lun_fault){0x28, 1, SESSION_DONE, 2, 6, 0x29, 0, false};
  CU_ASSERT (lun_serve (&l, &read));
  CU_ASSERT_EQUAL (submit (op, 0, length, flags), ERR_OK);
  if (op == IO_WRITE)
    CU_ASSERT (serve_one ());
  CU_ASSERT (lun_serve (&l, &flush));
  CU_ASSERT (l.cdb[0] == 0x35);
  scsi_result (x, &flush, now_ns);
  CU_ASSERT (!scsi_reap (x, &done)); /* what the READ says is not known */
  scsi_result (x, &read, now_ns);
  for (unsigned i = 0; i < 20; i++) {
    while (scsi_reap (x, &done)) {
      CU_ASSERT_EQUAL (done.error, ERR_OK);
      done_ids++;
      f = done;
      if (!loss)
        CU_ASSERT (same_token (&w, &f));
    }
    if (!serve_one ())
      break;
  }
  CU_ASSERT_EQUAL (done_ids, 2);
  CU_ASSERT_EQUAL (l.served[0x35], loss ? 2 : 1);
  CU_ASSERT_EQUAL (l.served[0x2a], op == IO_WRITE ? (loss ? 3 : 2) : 1);
  if (loss)
    CU_ASSERT (!same_token (&w, &f));
  over ();
}

static void
a_flush_waits_for_what_is_older (void)
{
  status_out_of_order (false, IO_FLUSH, 0, 0);
  status_out_of_order (true, IO_FLUSH, 0, 0);
  status_out_of_order (false, IO_WRITE, 512, IO_FUA);
  status_out_of_order (true, IO_WRITE, 512, IO_FUA);
}

/* ------------------------------------------------------------------- trouble
 */

static enum err
with_fault (struct lun_fault f)
{
  enum err e;

  begin (8192, 512);
  open_disk ();
  l.fault[0] = f;
  e = all (IO_WRITE, 0, 512, 0);
  over ();
  return e;
}

#define CHECK(times, key, asc, ascq)                                           \
  with_fault ((struct lun_fault){LUN_ANY, times, SESSION_DONE, 2, key, asc,    \
                                 ascq, false})
#define STATUS(times, s)                                                       \
  with_fault (                                                                 \
      (struct lun_fault){LUN_ANY, times, SESSION_DONE, s, 0, 0, 0, false})
#define OUTCOME(times, o)                                                      \
  with_fault ((struct lun_fault){LUN_ANY, times, o, 0, 0, 0, 0, false})

static void
errors_by_kind (void)
{
  CU_ASSERT_EQUAL (CHECK (1, 3, 0x11, 0), ERR_IO);
  CU_ASSERT_EQUAL (CHECK (1, 7, 0x27, 0), ERR_ROFS);
  CU_ASSERT_EQUAL (CHECK (1, 7, 0x27, 7), ERR_NOSPC);
  CU_ASSERT_EQUAL (CHECK (1, 5, 0x21, 0), ERR_RANGE);
  CU_ASSERT_EQUAL (CHECK (1, 5, 0x20, 0), ERR_IO);
  CU_ASSERT_EQUAL (CHECK (1, 5, 0x25, 0), ERR_IO);
  CU_ASSERT_EQUAL (CHECK (99, 1, 0x17, 0), ERR_IO); /* nothing is written */
}

/* What the log is told: the words, or NULL. */
static const char *
said_of (struct lun_fault f, enum io_op op, uint64_t offset, uint32_t length)
{
  static char line[PROTO_SAY_BYTES], more[PROTO_SAY_BYTES];
  bool any;

  begin (8192, 512);
  open_disk ();
  l.fault[0] = f;
  all (op, offset, length, 0);
  any = scsi_say (x, line);
  CU_ASSERT (!any || !scsi_say (x, more)); /* once */
  over ();
  return any ? line : NULL;
}

#define SAID(key, asc, ascq, op, offset, length)                               \
  said_of ((struct lun_fault){LUN_ANY, 1, SESSION_DONE, 2, key, asc, ascq,     \
                              false},                                          \
           op, offset, length)

static void
failures_are_told (void)
{
  const char *s = SAID (3, 0x11, 0, IO_READ, 1 << 20, 4096);

  CU_ASSERT_STRING_EQUAL (s, "READ(10) of 8 blocks at LBA 2048: MEDIUM ERROR, "
                             "11h/00h unrecovered read error");
  s = SAID (7, 0x27, 7, IO_WRITE, 0, 512);
  CU_ASSERT_STRING_EQUAL (s, "WRITE(10) of 1 blocks at LBA 0: DATA PROTECT, "
                             "27h/07h space allocation failed, write protect");
  s = SAID (4, 0x44, 0, IO_FLUSH, 0, 0);
  CU_ASSERT_STRING_EQUAL (s, "SYNCHRONIZE CACHE(10): HARDWARE ERROR, 44h/00h "
                             "internal target failure");
  CU_ASSERT_PTR_NULL (SAID (6, 0x29, 0, IO_WRITE, 0, 512)); /* sent again */
  s = said_of ((struct lun_fault){LUN_ANY, 9, SESSION_ABORTED, 0, 0, 0, 0,
                                  false},
               IO_READ, 512, 512);
  CU_ASSERT_STRING_EQUAL (s, "READ(10) of 1 blocks at LBA 1: no answer in "
                             "time, and aborted (timeout=)");
}

static void
changes_are_told (void)
{
  char line[PROTO_SAY_BYTES];

  CU_ASSERT_PTR_NOT_NULL (strstr (SAID (6, 0x2a, 0x09, IO_READ, 0, 512),
                                  "2Ah/09h"));
  CU_ASSERT_PTR_NOT_NULL (strstr (SAID (6, 0x3f, 0x0e, IO_READ, 0, 512),
                                  "list of LUNs"));
  begin (8192, 512);
  open_disk ();
  l.fault[0] = (struct lun_fault){LUN_ANY, 5, SESSION_DONE, 2, 6, 0x2a, 0x09,
                                  false};
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT (scsi_say (x, line));
  CU_ASSERT (!scsi_say (x, line)); /* once */
  over ();
}

/* The next one knows it; one that is young goes on, if all are told so. */
static void
a_changed_capacity_ends_an_old_session (void)
{
  begin (8192, 512);
  open_disk ();
  l.fault[0] = (struct lun_fault){LUN_ANY, 1, SESSION_DONE, 2, 6, 0x2a, 0x09,
                                  false};
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (scsi_state (x), SCSI_READY);
  now_ns += 6 * SECOND_NS;
  CU_ASSERT_EQUAL (submit (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT (serve_one ());
  CU_ASSERT_EQUAL (scsi_state (x), SCSI_FAILED);
  CU_ASSERT_EQUAL (scsi_fault (x)->code, ERR_CLOSED);
  CU_ASSERT_PTR_NOT_NULL (strstr (scsi_fault (x)->text, "2Ah/09h"));
  over ();
}

/* While a LUN is being probed, behind what was asked about it: what was found
 * out is not what it is.
 */
static void
open_disk_that_changes (uint8_t opcode, uint8_t ascq)
{
  struct scsi_setup setup = {.session = &l.session, .seed = {7, 9},
                             .request_ns = 30 * SECOND_NS};
  struct session_result r;
  bool told = false;

  CU_ASSERT_EQUAL_FATAL (scsi_open (&setup, &x), ERR_OK);
  now_ns = SECOND_NS;
  scsi_start (x, now_ns);
  while (lun_serve (&l, &r)) {
    if (l.cdb[0] == opcode && !told) {
      l.fault[0] =
          (struct lun_fault){LUN_ANY, 1, SESSION_DONE, 2, 6, 0x2a, ascq, false};
      told = true;
    }
    scsi_result (x, &r, now_ns);
  }
  CU_ASSERT (told);
  CU_ASSERT_EQUAL_FATAL (scsi_state (x), SCSI_READY);
  memset (l.served, 0, sizeof l.served);
}

static void
what_changes_while_it_is_probed_counts (void)
{
  begin (8192, 512);
  l.thin = true; /* so that something comes behind MODE SENSE */
  l.write_cache = false;
  open_disk_that_changes (0x1a, 1);
  CU_ASSERT_EQUAL (all (IO_FLUSH, 0, 0, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x35], 1);
  over ();
  begin (8192, 512);
  open_disk_that_changes (0x9e, 9);
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_OK);
  now_ns += 6 * SECOND_NS;
  CU_ASSERT_EQUAL (submit (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT (serve_one ());
  CU_ASSERT_EQUAL (scsi_state (x), SCSI_FAILED);
  over ();
  /* what was told before it was asked about is not news */
  begin (8192, 512);
  l.write_cache = false;
  open_disk_that_changes (0, 1);
  CU_ASSERT_EQUAL (all (IO_FLUSH, 0, 0, 0), ERR_OK);
  CU_ASSERT_EQUAL (l.served[0x35], 0);
  over ();
  begin (8192, 512);
  open_disk_that_changes (0, 9);
  now_ns += 6 * SECOND_NS;
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_OK);
  CU_ASSERT_EQUAL (scsi_state (x), SCSI_READY);
  over ();
}

static void
many_failures_are_counted (void)
{
  char line[PROTO_SAY_BYTES];

  begin (8192, 512);
  open_disk ();
  l.fault[0] = (struct lun_fault){LUN_ANY, 99, SESSION_DONE, 2, 3, 0x11, 0,
                                  false};
  for (unsigned i = 0; i < SCSI_LINES + 5; i++)
    CU_ASSERT_EQUAL (all (IO_READ, i * 512, 512, 0), ERR_IO);
  for (unsigned i = 0; i < SCSI_LINES; i++)
    CU_ASSERT (scsi_say (x, line));
  CU_ASSERT (!scsi_say (x, line));
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_IO);
  CU_ASSERT (scsi_say (x, line) && strstr (line, "(and 5 more before)"));
  over ();
}

static void
again_for_a_while (void)
{
  CU_ASSERT_EQUAL (CHECK (5, 6, 0x29, 0), ERR_OK);
  CU_ASSERT_EQUAL (CHECK (99, 6, 0x29, 0), ERR_IO);
  CU_ASSERT_EQUAL (CHECK (3, 11, 0, 0), ERR_OK);
  CU_ASSERT_EQUAL (STATUS (3, 0x08), ERR_OK);
  CU_ASSERT (now_ns > SECOND_NS && now_ns < 2 * SECOND_NS);
  CU_ASSERT_EQUAL (STATUS (9, 0x28), ERR_OK);
  CU_ASSERT_EQUAL (STATUS (9999, 0x08), ERR_IO);
  CU_ASSERT (now_ns > 20 * SECOND_NS && now_ns < 27 * SECOND_NS);
  CU_ASSERT_EQUAL (STATUS (9999, 0x18), ERR_IO);
  CU_ASSERT_EQUAL (CHECK (4, 2, 4, 1), ERR_OK);
  CU_ASSERT_EQUAL (OUTCOME (1, SESSION_ABORTED), ERR_OK);
  CU_ASSERT_EQUAL (OUTCOME (9, SESSION_ABORTED), ERR_TIMEOUT);
  CU_ASSERT_EQUAL (OUTCOME (3, SESSION_TARGET_FAILURE), ERR_OK);
}

static void
residuals_are_errors (void)
{
  begin (8192, 512);
  open_disk ();
  l.short_by = 1;
  CU_ASSERT_EQUAL (all (IO_READ, 0, 512, 0), ERR_IO);
  CU_ASSERT_EQUAL (all (IO_WRITE, 0, 512, 0), ERR_IO);
  over ();
}

static void
stray_results_do_nothing (void)
{
  struct session_result r = {.tag = 0x105};

  begin (8192, 512);
  open_disk ();
  scsi_result (x, &r, now_ns);
  r.tag = UINT64_MAX;
  scsi_result (x, &r, now_ns);
  r.tag = 0xff;
  scsi_result (x, &r, now_ns);
  over ();
}

UNIT_MAIN ("scsi_disk", UNIT_TEST (reads_and_writes),
           UNIT_TEST (what_is_not_aligned_is_refused),
           UNIT_TEST (more_than_one_command_takes),
           UNIT_TEST (more_requests_than_there_may_be),
           UNIT_TEST (fua_is_a_bit_or_a_flush), UNIT_TEST (tokens_prove),
           UNIT_TEST (a_flush_waits_for_what_is_older),
           UNIT_TEST (failures_are_told), UNIT_TEST (changes_are_told),
           UNIT_TEST (a_changed_capacity_ends_an_old_session),
           UNIT_TEST (what_changes_while_it_is_probed_counts),
           UNIT_TEST (many_failures_are_counted),
           UNIT_TEST (a_flush_beside_a_reset_proves_nothing),
           UNIT_TEST (a_write_beside_a_reset_is_in_doubt),
           UNIT_TEST (a_flush_that_may_have_failed_proves_nothing),
           UNIT_TEST (trim_keeps_to_limits_and_granules),
           UNIT_TEST (zeroes_keep_or_give_back),
           UNIT_TEST (much_is_zeroed_step_by_step), UNIT_TEST (status),
           UNIT_TEST (errors_by_kind), UNIT_TEST (again_for_a_while),
           UNIT_TEST (residuals_are_errors),
           UNIT_TEST (stray_results_do_nothing))
