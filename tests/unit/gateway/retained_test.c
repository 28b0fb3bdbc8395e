/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of retained writes, step by step, and against a model: a server that
 * loses at random what it has not proven, at random times.
 */
#include "config.h"
#include "gateway/retained.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define MB (1u << 20)
#define KB 1024u

static struct retained r;
static const uint8_t first_token[IO_TOKEN_BYTES] = {1};
static const uint8_t second_token[IO_TOKEN_BYTES] = {2};
static const uint8_t zero_token[IO_TOKEN_BYTES];

static enum err
put (enum io_op op, uint32_t flags, uint64_t offset, uint32_t n, int fill,
     const uint8_t *token)
{
  struct retained_room room;
  enum err e = retained_reserve (&r, op, flags, n, &room);

  if (e)
    return e;
  if (room.buffer)
    memset (room.buffer->data, fill, n);
  retained_acknowledged (&r, &room, op, flags, offset, n, token);
  CU_ASSERT (!room.reserved && !room.buffer);
  return ERR_OK;
}

static enum err
put_write (uint64_t offset, uint32_t n, int fill)
{
  return put (IO_WRITE, 0, offset, n, fill, first_token);
}

/* "offset+length=fill" of all entries, in order of the list. */
static const char *
listed (void)
{
  static char text[1000];
  size_t used = 0;

  text[0] = 0;
  for (const struct retained_entry *e = r.list.next; e != &r.list;
       e = e->next)
    used += (size_t)snprintf (
      text + used, sizeof text - used, "%s%s%llu+%llu", used ? " " : "",
      e->op == IO_WRITE ? "" : e->op == IO_TRIM ? "t" : "z",
      (unsigned long long)e->offset, (unsigned long long)(e->end - e->offset));
  return text;
}

static void
begin (void)
{
  retained_init (&r, 4 * MB);
}

static void
end (void)
{
  CU_ASSERT_EQUAL (r.reserved, 0);
  retained_clear (&r);
  CU_ASSERT_EQUAL (r.entries, 0);
  CU_ASSERT_EQUAL (r.doubts, 0);
  CU_ASSERT_EQUAL (r.used_bytes, 0);
  CU_ASSERT_PTR_NULL (r.root);
  retained_fini (&r);
}

static void
a_flush_proves_what_was_acknowledged_before_it (void)
{
  uint64_t mark;

  begin ();
  put_write (0, 100, 1);
  put_write (100, 100, 2);
  mark = retained_mark (&r);
  put_write (200, 100, 3);
  CU_ASSERT_EQUAL (retained_prove (&r, second_token, mark), 0);
  CU_ASSERT (retained_left (&r, mark));
  CU_ASSERT_EQUAL (retained_prove (&r, first_token, mark), 2);
  CU_ASSERT (!retained_left (&r, mark));
  CU_ASSERT_STRING_EQUAL (listed (), "200+100");
  CU_ASSERT (retained_left (&r, retained_mark (&r)));
  CU_ASSERT_EQUAL (retained_prove (&r, first_token, retained_mark (&r)), 1);
  CU_ASSERT_EQUAL (r.entries, 0);
  CU_ASSERT_EQUAL (r.used_bytes, 0);
  end ();
}

static void
each_connection_proves_its_own (void)
{
  begin ();
  put_write (0, 10, 1);
  put (IO_WRITE, 0, 10, 10, 2, second_token);
  put_write (20, 10, 3);
  CU_ASSERT_EQUAL (retained_prove (&r, second_token, retained_mark (&r)), 1);
  CU_ASSERT_STRING_EQUAL (listed (), "0+10 20+10");
  CU_ASSERT_EQUAL (retained_prove (&r, first_token, retained_mark (&r)), 2);
  end ();
}

static void
newer_ones_take_the_overlapped_part_out (void)
{
  begin ();
  put_write (100, 100, 1);
  put_write (150, 10, 2); /* out of the middle */
  CU_ASSERT_STRING_EQUAL (listed (), "100+50 160+40 150+10");
  CU_ASSERT_EQUAL (r.used_bytes, 8 * KB); /* both parts share a buffer */
  put_write (90, 20, 3); /* from the front */
  CU_ASSERT_STRING_EQUAL (listed (), "110+40 160+40 150+10 90+20");
  put (IO_TRIM, 0, 190, 20, 0, first_token); /* from the end */
  CU_ASSERT_STRING_EQUAL (listed (), "110+40 160+30 150+10 90+20 t190+20");
  put (IO_ZERO, 0, 155, 10, 0, first_token); /* of two */
  CU_ASSERT_STRING_EQUAL (listed (),
                          "110+40 165+25 150+5 90+20 t190+20 z155+10");
  put_write (0, 1000, 4); /* all */
  CU_ASSERT_STRING_EQUAL (listed (), "0+1000");
  CU_ASSERT_EQUAL (r.used_bytes, 4 * KB);
  end ();
}

static void
what_is_stable_or_cannot_be_proven_is_not_retained (void)
{
  begin ();
  put_write (0, 100, 1);
  put (IO_WRITE, IO_FUA, 10, 10, 2, first_token);
  CU_ASSERT_STRING_EQUAL (listed (), "0+10 20+80");
  put (IO_WRITE, 0, 30, 10, 2, zero_token);
  CU_ASSERT_STRING_EQUAL (listed (), "0+10 20+10 40+60");
  put (IO_ZERO, IO_FUA, 0, 100, 0, first_token);
  CU_ASSERT_STRING_EQUAL (listed (), "");
  end ();

  retained_init (&r, 0); /* switched off */
  put_write (0, 100, 1);
  CU_ASSERT_STRING_EQUAL (listed (), "");
  end ();
}

static void
a_failed_write_changes_nothing (void)
{
  struct retained_room room;

  begin ();
  put_write (0, 100, 1);
  CU_ASSERT_EQUAL (retained_reserve (&r, IO_WRITE, 0, 100, &room), ERR_OK);
  CU_ASSERT_EQUAL (r.used_bytes, 8 * KB);
  retained_release (&r, &room);
  retained_release (&r, &room);
  CU_ASSERT_EQUAL (r.used_bytes, 4 * KB);
  CU_ASSERT_STRING_EQUAL (listed (), "0+100");
  end ();
}

static void
bytes_are_bounded (void)
{
  begin ();
  for (uint64_t i = 0; i < 8; i++)
    CU_ASSERT_EQUAL (put_write (i * MB, 256 * KB, 1), ERR_OK);
  CU_ASSERT (!retained_high (&r));
  for (uint64_t i = 8; i < 16; i++)
    CU_ASSERT_EQUAL (put_write (i * MB, 256 * KB, 1), ERR_OK);
  CU_ASSERT (retained_high (&r));
  CU_ASSERT_EQUAL (put_write (100 * MB, 1, 1), ERR_AGAIN);
  /* what needs no payload still goes */
  CU_ASSERT_EQUAL (put (IO_TRIM, 0, 0, MB, 0, first_token), ERR_OK);
  CU_ASSERT_EQUAL (put (IO_WRITE, IO_FUA, 0, KB, 0, first_token), ERR_OK);
  CU_ASSERT_EQUAL (put_write (100 * MB, 1, 1), ERR_OK);
  retained_prove (&r, first_token, retained_mark (&r));
  CU_ASSERT_EQUAL (r.used_bytes, 0);
  CU_ASSERT (r.spare_bytes <= r.limit_bytes);
  /* other sizes get the room that is kept for use again */
  for (uint64_t i = 0; i < 4 * MB / (4 * KB); i++)
    CU_ASSERT_EQUAL (put_write (i * 4 * KB, 4 * KB, 1), ERR_OK);
  CU_ASSERT_EQUAL (put_write (100 * MB, 1, 1), ERR_AGAIN);
  CU_ASSERT (r.used_bytes + r.spare_bytes <= r.limit_bytes);
  end ();
}

static void
entries_are_bounded (void)
{
  struct retained_room room[10];
  enum err e = ERR_OK;
  uint64_t n = 0;

  begin ();
  for (int i = 0; i < 10; i++)
    CU_ASSERT_EQUAL (retained_reserve (&r, IO_ZERO, 0, 100, &room[i]), 0);
  while (!(e = put (IO_TRIM, 0, n * 100, 100, 0, first_token)))
    n++;
  CU_ASSERT_EQUAL (e, ERR_AGAIN);
  CU_ASSERT (n > RETAINED_ENTRIES - 30 && n < RETAINED_ENTRIES);
  /* Those under way may each split one in two. */
  for (uint64_t i = 0; i < 10; i++)
    retained_acknowledged (&r, &room[i], IO_ZERO, 0, i * 100 + 10, 80,
                           first_token);
  CU_ASSERT (r.entries <= RETAINED_ENTRIES);
  CU_ASSERT_EQUAL (r.entries, n + 20);
  end ();
}

static void
what_is_in_doubt_is_sent_again_and_proven (void)
{
  const struct retained_entry *e;
  uint64_t mark;

  begin ();
  put_write (0, 100, 1);
  put_write (200, 100, 2);
  put (IO_ZERO, IO_NO_HOLE, 400, 100, 0, first_token);
  mark = retained_mark (&r);
  CU_ASSERT_PTR_NULL (retained_replay (&r, mark));
  retained_doubt (&r, mark);
  put (IO_WRITE, 0, 600, 100, 4, second_token); /* on the new session */
  CU_ASSERT_EQUAL (r.doubts, 3);
  CU_ASSERT_EQUAL (retained_prove (&r, second_token, mark), 0);

  e = retained_replay (&r, mark);
  CU_ASSERT_PTR_NOT_NULL_FATAL (e);
  CU_ASSERT_EQUAL (e->offset, 0);
  CU_ASSERT_EQUAL (retained_payload (e)[99], 1);
  e = retained_replay (&r, mark);
  CU_ASSERT_PTR_NOT_NULL_FATAL (e);
  CU_ASSERT_EQUAL (e->offset, 200);
  retained_again (&r, 200, 100, second_token); /* answered out of order */
  retained_not_again (&r, 0, 100);
  CU_ASSERT_EQUAL (r.doubts, 2);
  /* It was sent again behind that mark. */
  CU_ASSERT_EQUAL (retained_prove (&r, second_token, mark), 0);
  CU_ASSERT_EQUAL (retained_prove (&r, second_token, retained_mark (&r)), 2);

  e = retained_replay (&r, mark);
  CU_ASSERT_PTR_NOT_NULL_FATAL (e);
  CU_ASSERT_EQUAL (e->offset, 0);
  e = retained_replay (&r, mark);
  CU_ASSERT_PTR_NOT_NULL_FATAL (e);
  CU_ASSERT_EQUAL (e->op, IO_ZERO);
  CU_ASSERT_EQUAL (e->flags, IO_NO_HOLE);
  CU_ASSERT_PTR_NULL (retained_replay (&r, mark));
  retained_again (&r, 0, 100, second_token);
  retained_again (&r, 400, 100, second_token);
  CU_ASSERT_EQUAL (r.doubts, 0);
  CU_ASSERT (retained_left (&r, mark));
  CU_ASSERT_EQUAL (retained_prove (&r, second_token, retained_mark (&r)), 2);
  CU_ASSERT (!retained_left (&r, mark));
  end ();
}

/* What a server does not write back once it may have dropped. */
static void
a_failed_flush_proves_nothing_later (void)
{
  uint64_t mark;

  begin ();
  put_write (0, 100, 1);
  mark = retained_mark (&r);
  put_write (200, 100, 1);
  retained_not_proven (&r, mark);
  CU_ASSERT_EQUAL (r.doubts, 1);
  CU_ASSERT_EQUAL (retained_prove (&r, zero_token, retained_mark (&r)), 0);
  CU_ASSERT_EQUAL (retained_prove (&r, first_token, retained_mark (&r)), 1);
  CU_ASSERT_STRING_EQUAL (listed (), "0+100");
  CU_ASSERT_PTR_NOT_NULL (retained_replay (&r, mark));
  retained_again (&r, 0, 100, first_token);
  CU_ASSERT_EQUAL (retained_prove (&r, first_token, retained_mark (&r)), 1);
  end ();
}

/* A file server that did not restart has the same verifier. */
static void
an_unchanged_token_proves_over_sessions (void)
{
  begin ();
  put_write (0, 100, 1);
  retained_doubt (&r, retained_mark (&r));
  CU_ASSERT_EQUAL (retained_prove (&r, first_token, retained_mark (&r)), 1);
  CU_ASSERT_EQUAL (r.doubts, 0);
  end ();
}

static void
a_newer_write_ends_the_doubt_of_its_range (void)
{
  begin ();
  put_write (0, 100, 1);
  retained_doubt (&r, retained_mark (&r));
  put (IO_WRITE, 0, 20, 60, 2, second_token);
  CU_ASSERT_EQUAL (r.doubts, 2);
  CU_ASSERT (retained_in_doubt (&r, 0, 20));
  CU_ASSERT (!retained_in_doubt (&r, 20, 60));
  CU_ASSERT (retained_in_doubt (&r, 20, 61));
  CU_ASSERT (!retained_in_doubt (&r, 100, 1000));
  end ();
}

static void
reads_of_doubtful_ranges_come_from_the_log (void)
{
  uint8_t buf[1000];

  begin ();
  put_write (100, 100, 1);
  put (IO_ZERO, 0, 200, 50, 0, first_token);
  put (IO_TRIM, 0, 300, 50, 0, first_token);
  put_write (500, 10, 3);
  memset (buf, 9, sizeof buf);
  retained_overlay (&r, buf, 0, 1000); /* no doubt yet */
  CU_ASSERT_EQUAL (buf[100], 9);
  CU_ASSERT_EQUAL (retained_front (&r, buf, 100, 10), 0);

  retained_doubt (&r, retained_mark (&r));
  retained_overlay (&r, buf, 0, 1000);
  CU_ASSERT_EQUAL (buf[99], 9);
  CU_ASSERT_EQUAL (buf[100], 1);
  CU_ASSERT_EQUAL (buf[199], 1);
  CU_ASSERT_EQUAL (buf[200], 0);
  CU_ASSERT_EQUAL (buf[250], 9);
  CU_ASSERT_EQUAL (buf[300], 9); /* whatever the server says */
  CU_ASSERT_EQUAL (buf[509], 3);
  CU_ASSERT_EQUAL (buf[510], 9);

  memset (buf, 9, sizeof buf);
  retained_overlay (&r, buf, 150, 60); /* cut on both sides */
  CU_ASSERT_EQUAL (buf[0], 1);
  CU_ASSERT_EQUAL (buf[49], 1);
  CU_ASSERT_EQUAL (buf[50], 0);
  CU_ASSERT_EQUAL (buf[59], 0);
  CU_ASSERT_EQUAL (buf[60], 9);

  CU_ASSERT_EQUAL (retained_front (&r, buf, 99, 100), 0);
  CU_ASSERT_EQUAL (retained_front (&r, buf, 150, 1000), 100);
  CU_ASSERT_EQUAL (buf[49], 1);
  CU_ASSERT_EQUAL (buf[50], 0);
  CU_ASSERT_EQUAL (buf[100], 9);
  CU_ASSERT_EQUAL (retained_front (&r, buf, 110, 5), 5);
  CU_ASSERT_EQUAL (retained_front (&r, buf, 300, 5), 0);
  end ();
}

/* ---- the model ---- */

#define DISK_BYTES 4096u
#define OPS 300

/* What an honest server has: stable is on its disk, volatile_ in its memory.
 * A restart loses any part of the difference, and changes the token.
 */
static struct server {
  uint8_t stable[DISK_BYTES], volatile_[DISK_BYTES];
  uint8_t token[IO_TOKEN_BYTES];
  unsigned seed;
} server;

/* What the client was told. any: trimmed, the content is undefined. */
static uint8_t model[DISK_BYTES];
static bool any[DISK_BYTES];

static unsigned
chance (unsigned n)
{
  return (unsigned)rand_r (&server.seed) % n;
}

static void
maybe_restart (unsigned one_in)
{
  if (chance (one_in))
    return;
  for (uint32_t i = 0; i < DISK_BYTES;) {
    uint32_t n = 1 + chance (200);

    n = n < DISK_BYTES - i ? n : DISK_BYTES - i;
    if (chance (2)) /* written back before it died */
      memcpy (server.stable + i, server.volatile_ + i, n);
    i += n;
  }
  memcpy (server.volatile_, server.stable, DISK_BYTES);
  server.token[0]++;
  server.token[1] |= 1; /* never all zero */
  /* The gateway sees the session end, or learns it from the token alone. */
  if (chance (4))
    retained_doubt (&r, retained_mark (&r));
}

static void
server_write (enum io_op op, uint64_t offset, uint32_t n, const uint8_t *data)
{
  if (op == IO_WRITE)
    memcpy (server.volatile_ + offset, data, n);
  else
    memset (server.volatile_ + offset, 0, n);
}

static bool
matches (const uint8_t *disk, uint64_t offset, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++)
    if (!any[offset + i] && disk[i] != model[offset + i])
      return false;
  return true;
}

static void
client_write (void)
{
  static const enum io_op ops[] = {IO_WRITE, IO_WRITE, IO_ZERO, IO_TRIM};
  enum io_op op = ops[chance (4)];
  uint32_t n = 1 + chance (400), offset = chance (DISK_BYTES - n + 1);
  uint32_t flags = chance (5) ? 0 : IO_FUA;
  struct retained_room room;
  uint8_t data[400];

  memset (data, (int)chance (256), n);
  CU_ASSERT_EQUAL_FATAL (retained_reserve (&r, op, flags, n, &room), ERR_OK);
  if (room.buffer)
    memcpy (room.buffer->data, data, n);
  server_write (op, offset, n, data);
  if (chance (10) == 0) { /* it failed, or nobody will ever know */
    retained_release (&r, &room);
    memset (any + offset, true, n);
    return;
  }
  if (flags & IO_FUA)
    memcpy (server.stable + offset, server.volatile_ + offset, n);
  retained_acknowledged (&r, &room, op, flags, offset, n, server.token);
  memcpy (model + offset, data, n);
  if (op != IO_WRITE)
    memset (model + offset, 0, n);
  memset (any + offset, op == IO_TRIM, n);
}

/* A failed one may have dropped what it could not write. */
static void
flush_once (uint64_t mark)
{
  if (chance (10) == 0) {
    uint32_t n = 1 + chance (DISK_BYTES / 4), at = chance (DISK_BYTES - n);

    memcpy (server.volatile_ + at, server.stable + at, n);
    retained_not_proven (&r, mark);
    return;
  }
  memcpy (server.stable, server.volatile_, DISK_BYTES);
  retained_prove (&r, server.token, mark);
}

/* As gateway/replay.c does it; the server may die at any step. Returns how
 * often something was sent again.
 */
static unsigned
client_flush (void)
{
  uint64_t mark = retained_mark (&r);
  unsigned sent = 0;

  for (;;) {
    const struct retained_entry *e;
    uint64_t now = retained_mark (&r);

    maybe_restart (4);
    flush_once (now);
    if (!retained_left (&r, mark))
      break;
    retained_doubt (&r, now);
    for (int n = 0; n < 5 && (e = retained_replay (&r, mark)); n++) {
      uint64_t offset = e->offset;
      uint32_t length = (uint32_t)(e->end - e->offset);

      maybe_restart (10);
      server_write (e->op, offset, length, retained_payload (e));
      sent++;
      if (chance (8))
        retained_again (&r, offset, length, server.token);
      else
        retained_not_again (&r, offset, length);
    }
  }
  CU_ASSERT (matches (server.stable, 0, DISK_BYTES));
  CU_ASSERT_EQUAL (r.entries, 0);
  return sent;
}

/* Only when the gateway knows what is in doubt. */
static void
client_read (void)
{
  uint32_t n = 1 + chance (600), offset = chance (DISK_BYTES - n + 1);
  uint8_t buf[600], front[600];
  uint32_t got;

  memcpy (buf, server.volatile_ + offset, n);
  retained_overlay (&r, buf, offset, n);
  CU_ASSERT (matches (buf, offset, n));
  got = retained_front (&r, front, offset, n);
  CU_ASSERT (matches (front, offset, got));
}

static void
check_invariants (void)
{
  uint32_t entries = 0, doubts = 0;
  uint64_t order = 0;
  static uint8_t covered[DISK_BYTES];

  memset (covered, 0, sizeof covered);
  for (const struct retained_entry *e = r.list.next; e != &r.list;
       e = e->next) {
    entries++;
    doubts += e->doubt;
    CU_ASSERT (e->order >= order && e->stamp >= e->order);
    order = e->order;
    CU_ASSERT (e->offset < e->end && e->end <= DISK_BYTES);
    for (uint64_t i = e->offset; i < e->end; i++) {
      CU_ASSERT (!covered[i]); /* L1 */
      covered[i] = 1;
    }
  }
  CU_ASSERT_EQUAL (entries, r.entries);
  CU_ASSERT_EQUAL (doubts, r.doubts);
  CU_ASSERT (r.used_bytes + r.spare_bytes <= r.limit_bytes);
}

static void
after_a_flush_the_disk_equals_the_model (void)
{
  unsigned again = 0, rounds = 300;

  for (unsigned round = 0; round < rounds; round++) {
    begin ();
    memset (&server, 0, sizeof server);
    server.seed = round;
    server.token[1] = 1;
    memset (model, 0, sizeof model);
    memset (any, 0, sizeof any);
    for (int i = 0; i < OPS; i++) {
      client_write ();
      maybe_restart (40);
      if (chance (8) == 0) {
        /* The session is known to be lost: reads must be right at once. */
        retained_doubt (&r, retained_mark (&r));
        for (int k = 0; k < 5; k++)
          client_read ();
      }
      if (chance (20) == 0)
        again += client_flush ();
      if (i % 16 == 0)
        check_invariants ();
    }
    again += client_flush ();
    end ();
  }
  printf (" %u rounds, %u writes sent again ", rounds, again);
  CU_ASSERT (again > 1000);
}

/* Of the smallest log that there can be, others' small writes leave enough for
 * one of the largest: it would wait until they are proven, and new ones could
 * come before it again and again.
 */
static void
the_smallest_log_takes_large_writes_beside_small_ones (void)
{
  retained_init (&r, RETAINED_LIMIT_MIN);
  for (unsigned i = 0; i < 128; i++)
    CU_ASSERT_EQUAL (put_write (i * 8 * KB, 4 * KB, 1), ERR_OK);
  CU_ASSERT_EQUAL (put_write (64 * MB, RETAINED_PAYLOAD_MAX, 2), ERR_OK);
  CU_ASSERT_EQUAL (put_write (66 * MB, RETAINED_PAYLOAD_MAX, 3), ERR_OK);
  end ();
}

UNIT_MAIN ("retained",
           UNIT_TEST (a_flush_proves_what_was_acknowledged_before_it),
           UNIT_TEST (each_connection_proves_its_own),
           UNIT_TEST (newer_ones_take_the_overlapped_part_out),
           UNIT_TEST (what_is_stable_or_cannot_be_proven_is_not_retained),
           UNIT_TEST (a_failed_write_changes_nothing),
           UNIT_TEST (bytes_are_bounded), UNIT_TEST (entries_are_bounded),
           UNIT_TEST (the_smallest_log_takes_large_writes_beside_small_ones),
           UNIT_TEST (what_is_in_doubt_is_sent_again_and_proven),
           UNIT_TEST (a_failed_flush_proves_nothing_later),
           UNIT_TEST (an_unchanged_token_proves_over_sessions),
           UNIT_TEST (a_newer_write_ends_the_doubt_of_its_range),
           UNIT_TEST (reads_of_doubtful_ranges_come_from_the_log),
           UNIT_TEST (after_a_flush_the_disk_equals_the_model))
