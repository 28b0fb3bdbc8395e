/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the open file still has its name: asked behind each probe. */
#include "config.h"

#include <string.h>

#include "tests/unit/protocols/sftp/peer.h"
#include "tests/unit/unit.h"

#define PEER struct peer __attribute__ ((cleanup (peer_close)))
#define NO_TIME 0u

static enum err
tell (struct peer *s, uint32_t id, uint64_t size, uint32_t mtime)
{
  uint8_t body[64];
  struct wirebuf b = wirebuf_init (body, sizeof body);

  wirebuf_u32 (&b, id);
  wirebuf_u32 (&b, SSH_FILEXFER_ATTR_SIZE
                       | (mtime ? SSH_FILEXFER_ATTR_ACMODTIME : 0));
  wirebuf_u64 (&b, size);
  if (mtime) {
    wirebuf_u32 (&b, 1);
    wirebuf_u32 (&b, mtime);
  }
  return peer_packet (s, SSH_FXP_ATTRS, &b);
}

/* A probe, answered by that; the STAT that follows. */
static struct peer_ask
probed (struct peer *s, uint64_t size, uint32_t mtime)
{
  uint64_t change, found;
  struct peer_ask none;

  sftp_ops.probe (s->p, s->now_ns);
  CU_ASSERT_EQUAL (tell (s, peer_expect (s, SSH_FXP_FSTAT).id, size, mtime),
                   ERR_OK);
  CU_ASSERT (sftp_ops.probed (s->p, &change, &found));
  CU_ASSERT_EQUAL (found, size);
  struct peer_ask a = peer_expect (s, SSH_FXP_STAT);

  CU_ASSERT_STRING_EQUAL (a.path, "/disk.img");
  CU_ASSERT_FALSE (peer_ask (s, &none));
  return a;
}

static bool
quiet (struct peer *s)
{
  struct peer_ask none;
  char line[PROTO_SAY_BYTES];

  return !peer_ask (s, &none) && !sftp_ops.say (s->p, line);
}

static bool
says (struct peer *s, const char *words)
{
  char line[PROTO_SAY_BYTES];

  return sftp_ops.say (s->p, line) && strstr (line, words);
}

static void
begin (struct peer *s)
{
  peer_start (s, 0, 0);
}

static void
another_file_under_the_name_is_told (void)
{
  static const struct {
    uint64_t size;
    uint32_t mtime;
  } others[] = {{1000, 6}, {1000, 4}, {999, 5}, {1001, 7}};

  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    PEER s = {0};
    struct peer_ask a;

    begin (&s);
    a = probed (&s, 1000, 5);
    tell (&s, a.id, others[i].size, others[i].mtime);
    CU_ASSERT_FALSE (says (&s, ""));
    tell (&s, peer_expect (&s, SSH_FXP_FSTAT).id, 1000, 5);
    CU_ASSERT (says (&s, "/disk.img is another file now"));
    CU_ASSERT (quiet (&s));
    /* and not asked again */
    sftp_ops.probe (s.p, 0);
    tell (&s, peer_expect (&s, SSH_FXP_FSTAT).id, 1000, 5);
    CU_ASSERT (quiet (&s));
  }
}

static void
a_name_that_is_gone_is_told (void)
{
  PEER s = {0};
  struct peer_ask a;

  begin (&s);
  a = probed (&s, 1000, 5);
  CU_ASSERT_EQUAL (peer_status (&s, a.id, SSH_FX_NO_SUCH_FILE), ERR_OK);
  tell (&s, peer_expect (&s, SSH_FXP_FSTAT).id, 1000, 5);
  CU_ASSERT (says (&s, "/disk.img is gone"));
  CU_ASSERT (quiet (&s));
}

/* Who has written to it meanwhile is seen by both; a server may refuse, or know
 * no times.
 */
static void
no_false_alarm (void)
{
  PEER s = {0};
  struct peer_ask a;

  begin (&s);
  for (unsigned i = 0; i < 3; i++) {
    a = probed (&s, 1000, 5);
    tell (&s, a.id, 1000, 5);
    CU_ASSERT (quiet (&s));
  }
  a = probed (&s, 1000, 5);
  tell (&s, a.id, 1000, 6);
  tell (&s, peer_expect (&s, SSH_FXP_FSTAT).id, 1000, 6);
  CU_ASSERT (quiet (&s));
  a = probed (&s, 1000, 6);
  tell (&s, a.id, 1001, 6);
  tell (&s, peer_expect (&s, SSH_FXP_FSTAT).id, 1001, 6);
  CU_ASSERT (quiet (&s));
  a = probed (&s, 1000, 6);
  tell (&s, a.id, 1000, NO_TIME);
  CU_ASSERT (quiet (&s));
  a = probed (&s, 1000, NO_TIME);
  tell (&s, a.id, 1000, 9);
  CU_ASSERT (quiet (&s));
  a = probed (&s, 1000, 6);
  peer_status (&s, a.id, SSH_FX_PERMISSION_DENIED);
  CU_ASSERT (quiet (&s));
  a = probed (&s, 1000, 6);
  tell (&s, a.id, 999, 6);
  peer_status (&s, peer_expect (&s, SSH_FXP_FSTAT).id, SSH_FX_FAILURE);
  CU_ASSERT (quiet (&s));
}

/* A probe in between is answered, and is not the second question. */
static void
probes_go_on_beside_it (void)
{
  PEER s = {0};
  struct peer_ask a, again;
  uint64_t change, size;

  begin (&s);
  a = probed (&s, 1000, 5);
  sftp_ops.probe (s.p, 0);
  tell (&s, peer_expect (&s, SSH_FXP_FSTAT).id, 1000, 8);
  CU_ASSERT (sftp_ops.probed (s.p, &change, &size));
  CU_ASSERT_EQUAL (change, 9);
  tell (&s, a.id, 1000, 8);
  again = peer_expect (&s, SSH_FXP_FSTAT);
  CU_ASSERT_FALSE (sftp_ops.probed (s.p, &change, &size));
  tell (&s, again.id, 1000, 8);
  CU_ASSERT_FALSE (sftp_ops.probed (s.p, &change, &size));
  CU_ASSERT (quiet (&s));
}

static void
it_is_answered_by_attributes (void)
{
  static uint8_t data[64];
  PEER s = {0};
  struct peer_ask a;

  begin (&s);
  a = probed (&s, 1000, 5);
  CU_ASSERT_EQUAL (peer_data (&s, a.id, data, sizeof data), ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (sftp_ops.fault (s.p)->text, "SSH_FXP_STAT with SSH_FXP_DATA"));
}

UNIT_MAIN ("sftp name", UNIT_TEST (another_file_under_the_name_is_told),
           UNIT_TEST (a_name_that_is_gone_is_told),
           UNIT_TEST (no_false_alarm), UNIT_TEST (probes_go_on_beside_it),
           UNIT_TEST (it_is_answered_by_attributes))
