/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine as proto.h wants it: bytes become PDUs in the inbox, which go to
 * the login or the session; results of the session go to the SCSI layer.
 *
 *   WAITING  the target wants to be left alone for a while
 *   LOGIN    → login.h
 *   ASKING   a discovery session waits for its SendTargets
 *   PROBING  → scsi.h
 *   SERVING  PROTO_READY
 *   OVER     PROTO_FAILED
 */
#include "config.h"
#include "protocols/iscsi/iscsi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/iscsi/identity.h"
#include "protocols/iscsi/login.h"
#include "protocols/iscsi/scsi.h"
#include "protocols/iscsi/session.h"
#include "protocols/iscsi/settings.h"
#include "protocols/iscsi/targets.h"

/* The longest that a session is started late; longer, and it is not. */
#define WAIT_HERE_NS (10ull * 1000 * 1000 * 1000)
#define LIST_BLOCK_BYTES 4096u

enum phase { WAITING, LOGIN, ASKING, PROBING, SERVING, OVER };

struct proto {
  enum phase phase;
  struct fault fault;
  struct settings settings;
  struct identity identity;
  uint8_t *identity_page;
  uint8_t seed[16];
  uint64_t now_ns; /* as last told */

  struct inbox inbox;
  struct sendbox sendbox;
  struct login login;
  struct session *session; /* from the end of the login on */
  struct scsi *scsi;       /* not in a discovery session */
  struct listing targets;  /* of a discovery session */
  bool choosing;           /* the LUNs are listed to find the only one */

  /* A list's requests are answered as they come. */
  unsigned first_done, done;
  uint64_t done_id[PROTO_REQUESTS];
};

static void
come_back_after (struct proto *p, uint32_t seconds)
{
  uint64_t wait_ns = seconds * 1000000000ull;

  if (!seconds)
    return;
  if (wait_ns > IDENTITY_WAIT_MAX_NS)
    wait_ns = IDENTITY_WAIT_MAX_NS;
  p->identity.not_before_ns = p->now_ns + wait_ns;
  identity_store (p->identity_page, &p->identity);
}

static enum err
fail (struct proto *p, enum err e)
{
  if (p->session)
    come_back_after (p, session_time2wait_s (p->session));
  p->phase = OVER;
  return e;
}

/* §13.15: so long after an unexpected end of the connection no implicit logout,
 * which our next login is. DefaultTime2Retain (§13.16) is for tasks that are
 * taken over, which there are none of with error recovery level 0. Where we end
 * the session ourselves, by a worker that dies or for a broken rule, nothing is
 * unexpected, and the target has to end the old one at once (§6.3.5).
 */
static void
engine_lost (struct proto *p, uint64_t now_ns)
{
  p->now_ns = now_ns;
  if (p->session && p->phase != OVER)
    come_back_after (p, p->login.keys.result[KEY_TIME2WAIT]);
}

/* --------------------------------------------------------- opening, state ---
 */

static void
begin_login (struct proto *p)
{
  p->phase = LOGIN;
  login_start (&p->login, &p->sendbox);
}

static bool
was_moved_with (const struct proto_config *c, const char *text, size_t n)
{
  return c->moved && c->moved_bytes == n && memcmp (c->moved, text, n) == 0;
}

static enum err
engine_open (const struct proto_config *config, uint64_t now_ns,
             struct proto **ret, struct fault *f)
{
  struct proto *p = calloc (1, sizeof *p);
  enum err e;

  if (!p)
    return fault_set (f, ERR_NOMEM, "out of memory");
  e = settings_read (config, &p->settings, f);
  if (e) {
    free (p);
    return e;
  }
  p->now_ns = now_ns;
  memcpy (p->seed, config->seed, sizeof p->seed);
  p->identity_page = config->identity;
  identity_load (config->identity, p->seed, now_ns, &p->identity);
  identity_store (p->identity_page, &p->identity);
  memcpy (p->settings.login.isid, p->identity.isid, sizeof p->identity.isid);
  memcpy (&p->settings.login.cmd_sn, p->seed + 4, 4);
  p->settings.login.only_sha256
      = was_moved_with (config, LOGIN_ONLY_SHA256, sizeof LOGIN_ONLY_SHA256);
  p->settings.login.without_sha256
      = !p->settings.login.only_sha256
        && (p->identity.without_sha256
            || was_moved_with (config, LOGIN_WITHOUT_SHA256,
                               sizeof LOGIN_WITHOUT_SHA256));
  inbox_init (&p->inbox);
  login_init (&p->login, &p->settings.login);
  p->phase = WAITING;
  if (p->identity.not_before_ns <= now_ns)
    begin_login (p);
  *ret = p;
  return ERR_OK;
}

static void
engine_close (struct proto *p)
{
  scsi_close (p->scsi);
  session_close (p->session);
  listing_fini (&p->targets);
  free (p);
}

static enum proto_state
engine_state (const struct proto *p)
{
  return p->phase == OVER      ? PROTO_FAILED
         : p->phase == SERVING ? PROTO_READY
                               : PROTO_STARTING;
}

static const struct fault *
engine_fault (const struct proto *p)
{
  return &p->fault;
}

/* ------------------------------------------------------------------ lists ---
 */

static const struct listing *
list_of (const struct proto *p)
{
  return p->scsi ? scsi_listing (p->scsi) : &p->targets;
}

static void
list_info (const struct proto *p, struct volume_info *ret)
{
  *ret = (struct volume_info){
      .size = list_of (p)->used_bytes,
      .block_min = 1,
      .block_preferred = LIST_BLOCK_BYTES,
      .request_max = SETTINGS_RECEIVE_BYTES,
      .caps = VOLUME_IS_LIST,
  };
  snprintf (ret->readonly_why, sizeof ret->readonly_why, "it is a list of %s",
            p->scsi ? "LUNs" : "targets");
}

static enum err
list_submit (struct proto *p, const struct proto_request *r)
{
  if (r->op != IO_READ)
    return ERR_INVAL;
  if (p->done == PROTO_REQUESTS)
    return ERR_AGAIN;
  memcpy (r->data, list_of (p)->base + r->offset, r->length);
  p->done_id[(p->first_done + p->done++) % PROTO_REQUESTS] = r->id;
  return ERR_OK;
}

static bool
list_reap (struct proto *p, struct proto_completion *ret)
{
  if (!p->done)
    return false;
  *ret = (struct proto_completion){.id = p->done_id[p->first_done]};
  memcpy (ret->token, p->seed, sizeof ret->token);
  p->first_done = (p->first_done + 1) % PROTO_REQUESTS;
  p->done--;
  return true;
}

/* --------------------------------------------------------------- requests ---
 */

static void
engine_info (const struct proto *p, struct volume_info *ret)
{
  size_t used;

  assert (p->phase == SERVING);
  if (p->settings.list) {
    list_info (p, ret);
    return;
  }
  scsi_info (p->scsi, ret);
  used = strlen (ret->remarks);
  if (p->login.keys.result[KEY_HEADER_DIGEST] == KEYS_CRC32C
      || p->login.keys.result[KEY_DATA_DIGEST] == KEYS_CRC32C)
    snprintf (ret->remarks + used, sizeof ret->remarks - used, "%sdigests:%s%s",
              used ? "; " : "",
              p->login.keys.result[KEY_HEADER_DIGEST] == KEYS_CRC32C
                  ? " header"
                  : "",
              p->login.keys.result[KEY_DATA_DIGEST] == KEYS_CRC32C ? " data"
                                                                   : "");
}

static enum err
engine_submit (struct proto *p, const struct proto_request *r, uint64_t now_ns)
{
  assert (p->phase == SERVING);
  p->now_ns = now_ns;
  return p->settings.list ? list_submit (p, r)
                          : scsi_submit (p->scsi, r, now_ns);
}

static bool
engine_reap (struct proto *p, struct proto_completion *ret)
{
  if (p->phase != SERVING)
    return false;
  return p->settings.list ? list_reap (p, ret) : scsi_reap (p->scsi, ret);
}

static bool
engine_say (struct proto *p, char *dst)
{
  return p->phase == SERVING && p->scsi && scsi_say (p->scsi, dst);
}

static enum err
begin_probe (struct proto *p, unsigned lun, bool list)
{
  struct scsi_setup setup = {.session = p->session, .lun = lun, .list = list,
                             .request_ns = p->settings.request_ns};

  memcpy (setup.seed, p->seed, sizeof setup.seed);
  if (scsi_open (&setup, &p->scsi))
    return fault_set (&p->fault, ERR_NOMEM, "out of memory");
  p->phase = PROBING;
  scsi_start (p->scsi, p->now_ns);
  return ERR_OK;
}

/* The URL names no LUN: if there is only one, that is meant. */
static enum err
choose_lun (struct proto *p)
{
  const struct listing *l = scsi_listing (p->scsi);
  struct listing_entry entry;
  char names[200] = "";
  size_t offset = 0, used = 0;
  uint32_t lun = 0;
  unsigned n = 0;
  bool broken;

  while (listing_next (l->base, l->used_bytes, &offset, &entry, &broken)) {
    if (!keys_number (entry.name, NAME_LUN_MAX, &lun))
      continue;
    if (used + 16 < sizeof names)
      used += (size_t)snprintf (names + used, sizeof names - used, "%s%u",
                                n ? ", " : "", lun);
    n++;
  }
  if (n != 1) {
    fault_set (&p->fault, ERR_NOENT, "the target has %s%s",
               n ? "the LUNs " : "no LUN that we may see", names);
    if (n)
      fault_hint (&p->fault, "write one of them behind the target's name in "
                             "the URL: iscsi://host/%.150s/%u",
                  p->settings.path.target, lun);
    return ERR_NOENT;
  }
  scsi_close (p->scsi);
  p->scsi = NULL;
  p->choosing = false;
  return begin_probe (p, lun, false);
}

/* Hands results up, and goes on when there is enough of them. */
static enum err
pump (struct proto *p)
{
  struct session_result r;
  const uint8_t *text;
  size_t text_bytes;
  enum err e;

  while (session_reap (p->session, &r)) {
    if (!p->scsi)
      continue;
    e = scsi_result (p->scsi, &r, p->now_ns);
    if (e) {
      p->fault = *scsi_fault (p->scsi);
      return e;
    }
  }
  if (p->phase == PROBING && scsi_state (p->scsi) == SCSI_READY) {
    if (p->choosing)
      return choose_lun (p);
    p->phase = SERVING;
  }
  if (p->phase == ASKING && session_answer (p->session, &text, &text_bytes)) {
    e = targets_list (text, text_bytes, &p->targets, &p->fault);
    if (e)
      return e;
    p->phase = SERVING;
  }
  return ERR_OK;
}

/* --------------------------------------------------------- end of the login
 * --- */

static enum err
begin_session (struct proto *p)
{
  const struct login *l = &p->login;
  struct session_setup setup = {
      .send = &p->sendbox,
      .receive_max_bytes = p->settings.login.receive_max_bytes,
      .request_ns = p->settings.request_ns,
      .cid = LOGIN_CID,
      .cmd_sn = p->settings.login.cmd_sn,
      .exp_stat_sn = l->exp_stat_sn,
      .exp_cmd_sn = l->exp_cmd_sn,
      .max_cmd_sn = l->max_cmd_sn,
  };

  memcpy (setup.keys, l->keys.result, sizeof setup.keys);
  p->inbox.data_max_bytes = setup.receive_max_bytes;
  p->inbox.header_digest = p->sendbox.header_digest
      = setup.keys[KEY_HEADER_DIGEST] == KEYS_CRC32C;
  p->inbox.data_digest = p->sendbox.data_digest
      = setup.keys[KEY_DATA_DIGEST] == KEYS_CRC32C;
  p->identity.has_portal_group = l->portal_group_known;
  p->identity.portal_group = l->portal_group;
  p->identity.without_sha256 = l->setup.without_sha256;
  identity_store (p->identity_page, &p->identity);
  if (session_open (&setup, p->now_ns, &p->session))
    return fault_set (&p->fault, ERR_NOMEM, "out of memory");
  if (!p->settings.path.target[0]) {
    p->phase = ASKING;
    session_ask (p->session, "SendTargets", "All", p->now_ns);
    return ERR_OK;
  }
  p->choosing = !p->settings.list && !p->settings.path.has_lun;
  return begin_probe (p, p->settings.path.lun,
                      p->settings.list || p->choosing);
}

/* -------------------------------------------------------------- receiving ---
 */

static struct iovec
engine_rx_iov (struct proto *p, unsigned lane)
{
  (void)lane;
  assert (p->phase != OVER);
  return inbox_iov (&p->inbox);
}

static enum err
on_login_pdu (struct proto *p)
{
  struct inbox *in = &p->inbox;
  enum err e;

  /* Its next PDU may be of the full feature phase, but not before that. */
  if (in->pdu.opcode != PDU_LOGIN_RESPONSE)
    return fault_set (&p->fault, ERR_PEER,
                      "the target sends a %s during login (field Opcode, RFC "
                      "7143 §6.3)", pdu_opcode_name ((uint8_t)in->pdu.opcode));
  if (p->phase == WAITING
      || p->sendbox.out.sent_bytes != p->sendbox.out.queued_bytes)
    return fault_set (&p->fault, ERR_PEER,
                      "the target answers a Login Request before it was sent "
                      "(RFC 7143 §11.13)");
  e = login_response (&p->login, &p->sendbox, &in->pdu, in->body, &p->fault);
  if (!e && p->login.step == LOGIN_DONE)
    e = begin_session (p);
  return e;
}

static enum err
place (struct proto *p)
{
  uint8_t *data = NULL;
  enum err e = ERR_OK;

  if (p->session)
    e = session_place (p->session, &p->inbox.pdu, &data, &p->fault);
  return e ? e : inbox_place (&p->inbox, data, &p->fault);
}

static enum err
receive (struct proto *p, size_t length_bytes)
{
  struct inbox *in = &p->inbox;
  enum err e = inbox_received (in, length_bytes, &p->fault);

  if (p->session)
    session_heard (p->session, p->now_ns);
  if (!e && in->step == INBOX_PLACE)
    e = place (p);
  if (e || in->step != INBOX_WHOLE)
    return e;
  e = p->session ? session_pdu (p->session, &in->pdu, in->body, p->now_ns,
                                &p->fault)
                 : on_login_pdu (p);
  if (e)
    return e;
  inbox_next (in);
  return p->session ? pump (p) : ERR_OK;
}

static enum err
engine_rx_done (struct proto *p, unsigned lane, size_t length_bytes,
                uint64_t now_ns)
{
  (void)lane;
  enum err e;

  assert (p->phase != OVER);
  p->now_ns = now_ns;
  e = receive (p, length_bytes);
  return e ? fail (p, e) : ERR_OK;
}

/* ---------------------------------------------------------------- sending ---
 */

static size_t
engine_tx_iov (struct proto *p, unsigned lane, struct iovec *ret, size_t max)
{
  (void)lane;
  assert (p->phase != OVER);
  if (p->session)
    session_fill (p->session);
  return outbox_iov (&p->sendbox.out, ret, max);
}

static void
engine_tx_done (struct proto *p, unsigned lane, size_t length_bytes)
{
  (void)lane;
  outbox_sent (&p->sendbox.out, length_bytes);
  if (p->session)
    session_sent (p->session); /* deadline_ns tells that there is something */
}

/* ------------------------------------------------------------- the daemon ---
 */

static bool
engine_want (struct proto *p, struct proto_want *ret)
{
  return p->phase == LOGIN && login_want (&p->login, ret);
}

static enum err
engine_give (struct proto *p, const struct proto_given *g, uint64_t now_ns)
{
  enum err e;

  if (p->phase != LOGIN)
    return ERR_OK; /* too late to matter */
  p->now_ns = now_ns;
  e = login_given (&p->login, &p->sendbox, g, &p->fault);
  return e ? fail (p, e) : ERR_OK;
}

static void
engine_leave (struct proto *p, uint64_t now_ns)
{
  p->now_ns = now_ns;
  if (p->session && p->phase != OVER)
    session_leave (p->session, now_ns);
}

/* ------------------------------------------------------------------- time ---
 */

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static uint64_t
engine_deadline_ns (const struct proto *p)
{
  uint64_t at_ns;

  switch (p->phase) {
  case WAITING:
    return p->identity.not_before_ns - p->now_ns > WAIT_HERE_NS
               ? 0
               : p->identity.not_before_ns;
  case LOGIN:
    return p->login.step == LOGIN_MOVED /* the next engine goes on */
               ? PROTO_NO_DEADLINE
               : p->login.deadline_ns; /* 0: it has not begun */
  case OVER:
    return PROTO_NO_DEADLINE;
  default:
    at_ns = session_deadline_ns (p->session);
    if (p->scsi)
      at_ns = least (at_ns, scsi_deadline_ns (p->scsi));
    return at_ns;
  }
}

static enum err
wait_before_login (struct proto *p)
{
  uint64_t at_ns = p->identity.not_before_ns;

  if (at_ns > p->now_ns && at_ns - p->now_ns > WAIT_HERE_NS)
    return fault_set (&p->fault, ERR_CLOSED,
                      "the target wants to be left alone for another %llu "
                      "seconds (Time2Wait, RFC 7143 §11.9, §11.15)",
                      (unsigned long long)((at_ns - p->now_ns) / 1000000000));
  if (at_ns <= p->now_ns)
    begin_login (p);
  return ERR_OK;
}

static enum err
tick_session (struct proto *p)
{
  enum err e = session_tick (p->session, p->now_ns, &p->fault);

  if (!e)
    e = pump (p);
  if (e || !p->scsi || p->now_ns < scsi_deadline_ns (p->scsi))
    return e;
  e = scsi_tick (p->scsi, p->now_ns);
  if (e)
    p->fault = *scsi_fault (p->scsi);
  return e;
}

static enum err
engine_tick (struct proto *p, uint64_t now_ns)
{
  enum err e;

  assert (p->phase != OVER);
  p->now_ns = now_ns;
  switch (p->phase) {
  case WAITING:
    e = wait_before_login (p);
    break;
  case LOGIN:
    e = login_tick (&p->login, now_ns, &p->fault);
    break;
  default:
    e = tick_session (p);
  }
  return e ? fail (p, e) : ERR_OK;
}

const struct proto_ops iscsi_ops = {
    .name = "iscsi",
    .transport = PROTO_OVER_TCP,
    .open = engine_open,
    .close = engine_close,
    .state = engine_state,
    .fault = engine_fault,
    .info = engine_info,
    .submit = engine_submit,
    .reap = engine_reap,
    .rx_iov = engine_rx_iov,
    .rx_done = engine_rx_done,
    .tx_iov = engine_tx_iov,
    .tx_done = engine_tx_done,
    .want = engine_want,
    .give = engine_give,
    .say = engine_say,
    .lost = engine_lost,
    .leave = engine_leave,
    .deadline_ns = engine_deadline_ns,
    .tick = engine_tick,
};
