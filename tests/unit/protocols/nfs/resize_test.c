/* SPDX-License-Identifier: BSD-2-Clause */
/* resize=: the only thing that ever changes a file's length. NFSv3 and NFSv4.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/protocols/nfs/v4_peer.h"
#include "tests/unit/unit.h"

static void
begin (struct peer *s, bool v4, const char *size)
{
  if (v4)
    peer4_begin (s);
  else
    peer_init (s, "");
  s->params[4] = s->params[2] ? "resize" : NULL;
  s->params[5] = size;
  if (!s->params[2]) {
    s->params[2] = "resize";
    s->params[3] = size;
  }
}

static enum proto_state
start (struct peer *s, bool v4)
{
  return v4 ? peer4_start (s) : peer_start (s);
}

static void
end (struct peer *s, bool v4)
{
  if (v4)
    peer4_end (s);
  else
    peer_fini (s);
}

static uint64_t
size_of (const struct peer *s, bool v4)
{
  return v4 ? server.size : s->server.size;
}

static unsigned
setattrs (const struct peer *s, bool v4)
{
  return v4 ? server.executed[SETATTR] : s->server.calls[2];
}

static void
grows_and_shrinks (void)
{
  static const struct {
    const char *text;
    uint64_t bytes;
  } cases[] = {
      {"3M", 3 << 20}, {"65536", 65536}, {"1k", 1024}, {"1048576", 1 << 20}};

  for (unsigned v4 = 0; v4 < 2; v4++)
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      struct volume_info info;
      struct peer s;

      begin (&s, v4, cases[i].text);
      CU_ASSERT_EQUAL_FATAL (start (&s, v4), PROTO_READY);
      nfs_ops.info (s.p, &info);
      CU_ASSERT_EQUAL (info.size, cases[i].bytes);
      CU_ASSERT_EQUAL (size_of (&s, v4), cases[i].bytes);
      /* the size that it has already is not set */
      CU_ASSERT_EQUAL (setattrs (&s, v4), i < 3);
      end (&s, v4);
    }
}

static void
nothing_else_changes_a_size (void)
{
  for (unsigned v4 = 0; v4 < 2; v4++) {
    struct peer s;

    if (v4)
      peer4_begin (&s);
    else
      peer_init (&s, "");
    CU_ASSERT_EQUAL_FATAL (start (&s, v4), PROTO_READY);
    CU_ASSERT_EQUAL (setattrs (&s, v4), 0);
    end (&s, v4);
  }
}

/* Once for each volume: not when somebody else has changed it since. */
static void
a_reconnect_leaves_it (void)
{
  for (unsigned v4 = 0; v4 < 2; v4++) {
    struct volume_info info;
    struct peer s;

    begin (&s, v4, "2M");
    CU_ASSERT_EQUAL_FATAL (start (&s, v4), PROTO_READY);
    peer_close (&s);
    if (v4)
      server.size = SIZE;
    else
      s.server.size = SIZE;
    CU_ASSERT_EQUAL_FATAL (start (&s, v4), PROTO_READY);
    nfs_ops.info (s.p, &info);
    CU_ASSERT_EQUAL (info.size, SIZE);
    CU_ASSERT_EQUAL (setattrs (&s, v4), 1);
    end (&s, v4);
  }
}

static void
says_why_it_cannot (void)
{
  static const struct {
    uint32_t access;
    bool ignores;
    const char *size, *words;
  } cases[] = {
      {1, false, "2M", "resize="},
      {0x0d, true, "2M", "made it 1048576 bytes long"},
  };

  for (unsigned v4 = 0; v4 < 2; v4++)
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      struct peer s;

      begin (&s, v4, cases[i].size);
      s.server.access = cases[i].access;
      s.server.ignores_setattr = cases[i].ignores;
      if (v4) {
        server.access = cases[i].access;
        server.ignores_setattr = cases[i].ignores;
      }
      CU_ASSERT_EQUAL (start (&s, v4), PROTO_FAILED);
      CU_ASSERT (peer4_says (&s, cases[i].words));
      if (!peer4_says (&s, cases[i].words))
        printf ("said: %s\n", nfs_ops.fault (s.p)->text);
      CU_ASSERT_EQUAL (size_of (&s, v4), SIZE);
      end (&s, v4);
    }
}

/* Somebody writes between our look and our cut. */
static bool
changes (struct peer *s, uint8_t *reply, size_t *bytes)
{
  (void)reply;
  (void)bytes;
  if (s->tampered > 0 && s->server.calls[4] > 0) { /* ACCESS was asked */
    s->tampered--;
    s->server.mtime++;
    s->server.calls[4] = 0;
  }
  return true;
}

static void
v3_guards_it (void)
{
  static const unsigned times[] = {2, 100};

  for (unsigned i = 0; i < 2; i++) {
    struct peer s;

    begin (&s, false, "4096");
    s.tamper = changes;
    s.tampered = times[i];
    CU_ASSERT_EQUAL (peer_start (&s), i ? PROTO_FAILED : PROTO_READY);
    CU_ASSERT_EQUAL (s.server.size, i ? SIZE : 4096);
    CU_ASSERT_EQUAL (s.server.calls[2], i ? 4 : 3);
    if (i)
      CU_ASSERT (peer4_says (&s, "changes it all the time"));
    peer_fini (&s);
  }
}

static void
v4_mends_what_is_in_its_way (void)
{
  static const uint32_t statuses[] = {10008, 10013, 10025, 10052};

  for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    struct peer s;

    begin (&s, true, "2M");
    server.fail_op = statuses[i] == 10052 ? SEQUENCE : SETATTR;
    server.fail_status = statuses[i];
    server.fail_times = 2;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_READY);
    CU_ASSERT_EQUAL (server.size, 2 << 20);
    end (&s, true);
  }
  for (unsigned i = 0; i < 2; i++) {
    struct peer s;

    begin (&s, true, "2M");
    server.fail_op = SETATTR;
    server.fail_status = i ? 28 : 27;
    server.fail_times = 1;
    CU_ASSERT_EQUAL (peer4_start (&s), PROTO_FAILED);
    CU_ASSERT (peer4_says (&s, i ? "SETATTR: NFS4ERR_NOSPC"
                                 : "SETATTR: NFS4ERR_FBIG"));
    end (&s, true);
  }
}

static void
refuses_what_is_no_size (void)
{
  static const char *const bad[] = {
      "0", "x", "1X", "-1", "1MM", "8388608T", "9223372036854775808", "1.5G"};
  struct peer s;

  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    begin (&s, false, bad[i]);
    CU_ASSERT_EQUAL (peer_open (&s), ERR_INVAL);
    CU_ASSERT_PTR_NOT_NULL (strstr (s.open_fault.text, "is not a size"));
    peer_fini (&s);
  }
  begin (&s, false, "9223372036854775807");
  CU_ASSERT_EQUAL (peer_open (&s), ERR_OK);
  peer_fini (&s);
  begin (&s, false, "1M");
  s.params[4] = "list";
  s.params[5] = "yes";
  CU_ASSERT_EQUAL (peer_open (&s), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (s.open_fault.text, "is a directory"));
  peer_fini (&s);
}

UNIT_MAIN ("nfs resize", UNIT_TEST (grows_and_shrinks),
           UNIT_TEST (nothing_else_changes_a_size),
           UNIT_TEST (a_reconnect_leaves_it), UNIT_TEST (says_why_it_cannot),
           UNIT_TEST (v3_guards_it), UNIT_TEST (v4_mends_what_is_in_its_way),
           UNIT_TEST (refuses_what_is_no_size))
