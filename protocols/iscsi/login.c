/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/login.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "protocols/iscsi/address.h"
#include "protocols/iscsi/login_status.h"

#define LOGIN_ITT 0u
/* All that a request of ours may carry; the longest has a CHAP_R and a
 * CHAP_C of PROTO_WANT_BYTES each.
 */
#define REQUEST_TEXT_BYTES 8192u
/* SHA3-256, SHA-256, SHA1, MD5: the target takes the first that it knows. tgt
 * and IET mean SHA1 by 7, as a draft did: see LOGIN_WITHOUT_SHA256.
 */
#define CHAP_ALGORITHMS "8,7,6,5"
#define CHAP_SHA256 7u

/* ------------------------------------------------------------- requests --- */

static uint8_t
stage (const struct login *l)
{
  return l->step == LOGIN_OPERATIONAL ? PDU_STAGE_OPERATIONAL
                                      : PDU_STAGE_SECURITY;
}

static void
send_request (struct login *l, struct sendbox *s, bool transit,
              const struct wirebuf *text)
{
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_login_request r = {
      .transit = transit,
      .csg = stage (l),
      .nsg = stage (l) == PDU_STAGE_SECURITY ? PDU_STAGE_OPERATIONAL
                                             : PDU_STAGE_FULL_FEATURE,
      .cid = LOGIN_CID,
      .itt = LOGIN_ITT,
      .cmd_sn = l->setup.cmd_sn,
      .exp_stat_sn = l->exp_stat_sn,
      .data_bytes = text ? (uint32_t)text->used_bytes : 0,
  };

  assert (!text || !text->err);
  memcpy (r.isid, l->setup.isid, sizeof r.isid);
  pdu_encode_login_request (bhs, &r);
  sendbox_copied (s, bhs, text ? text->base : NULL, r.data_bytes);
  l->awaiting = true;
}

void
login_init (struct login *l, const struct login_setup *setup)
{
  struct keys *k = &l->keys;

  memset (l, 0, sizeof *l);
  l->setup = *setup;
  keys_init (k, !setup->target_name[0]);
  k->offered[KEY_HEADER_DIGEST] = setup->header_digest;
  k->offered[KEY_DATA_DIGEST] = setup->data_digest;
  k->offered[KEY_INITIAL_R2T] = 0;
  k->offered[KEY_IMMEDIATE_DATA] = 1;
  k->offered[KEY_MAX_RECV_DATA] = setup->receive_max_bytes;
  k->offered[KEY_MAX_BURST] = 1u << 20;
  k->offered[KEY_FIRST_BURST] = 256u << 10;
  /* Nothing of a session outlives it (ERL 0): the target need not wait. */
  k->offered[KEY_TIME2WAIT] = 0;
  k->offered[KEY_TIME2RETAIN] = 0;
  k->offered[KEY_MAX_R2T] = 8;
}

void
login_start (struct login *l, struct sendbox *s)
{
  uint8_t bytes[REQUEST_TEXT_BYTES];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  const struct login_setup *c = &l->setup;

  keys_put (&b, "InitiatorName", "%s", c->initiator_name);
  if (c->target_name[0])
    keys_put (&b, "TargetName", "%s", c->target_name);
  keys_put (&b, "SessionType", "%s",
            c->target_name[0] ? "Normal" : "Discovery");
  keys_put (&b, "AuthMethod", "%s",
            c->mutual ? "CHAP"
            : c->chap ? "CHAP,None"
                      : "None");
  send_request (l, s, !c->chap, &b);
}

static void
send_operational (struct login *l, struct sendbox *s)
{
  uint8_t bytes[REQUEST_TEXT_BYTES];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);

  l->step = LOGIN_OPERATIONAL;
  keys_offer (&l->keys, &b);
  send_request (l, s, true, &b);
}

/* ----------------------------------------------------------------- CHAP --- */

/* What one response may say of CHAP (§12.1.3). */
struct chap_keys {
  const char *method, *algorithm, *id, *challenge, *name, *response;
};

static enum err
chap_fault (struct fault *f, const char *key, const char *value)
{
  return fault_set (f, ERR_PEER,
                    "the target sends %s=%.40s, which cannot be (RFC 7143 "
                    "§12.1.3)", key, value ? value : "(nothing)");
}

static enum err
on_auth_method (struct login *l, struct sendbox *s, const struct chap_keys *c,
                bool transit, struct fault *f)
{
  uint8_t bytes[64];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  bool none = c->method && strcmp (c->method, "None") == 0;

  if (c->method && strcmp (c->method, "Reject") == 0)
    none = false;
  else if (c->method && !none
           && (!l->setup.chap || strcmp (c->method, "CHAP") != 0))
    return fault_set (f, ERR_PEER,
                      "the target answers AuthMethod=%.40s, which was not "
                      "offered (RFC 7143 §12.1)", c->method);
  if (c->method && strcmp (c->method, "CHAP") == 0) {
    if (transit)
      return fault_set (f, ERR_PEER,
                        "the target ends the security stage before CHAP (T "
                        "bit, RFC 7143 §11.13.3)");
    l->step = LOGIN_CHAP_OFFER;
    if (l->setup.only_sha256)
      wirebuf_bytes (&b, LOGIN_ONLY_SHA256, sizeof LOGIN_ONLY_SHA256);
    else if (l->setup.without_sha256)
      wirebuf_bytes (&b, LOGIN_WITHOUT_SHA256, sizeof LOGIN_WITHOUT_SHA256);
    else
      keys_put (&b, "CHAP_A", "%s", CHAP_ALGORITHMS);
    send_request (l, s, false, &b);
    return ERR_OK;
  }
  if (none || (!c->method && !l->setup.chap)
      || (!c->method && l->auth_method_none)) {
    if (l->setup.mutual) {
      fault_set (f, ERR_AUTH,
                 "the target does not prove who it is: it wants no CHAP");
      fault_hint (f, "set CHAP up on the target, or leave target-user= out");
      return ERR_AUTH;
    }
    l->auth_method_none = true;
    if (transit)
      send_operational (l, s);
    else
      send_request (l, s, true, NULL);
    return ERR_OK;
  }
  if (c->method) {
    fault_set (f, ERR_AUTH, "the target refuses each way to log in that was "
                            "offered (AuthMethod=%.40s)", c->method);
    fault_hint (f, l->setup.chap
                       ? "it wants another one than CHAP"
                       : "it wants a password: give user= and password=");
    return ERR_AUTH;
  }
  send_request (l, s, false, NULL);
  return ERR_OK;
}

/* Another session is to log in, offering other algorithms. */
static void
log_in_anew (struct login *l, const char *offer, size_t offer_bytes,
             const char *why)
{
  struct proto_want *w = &l->want;

  memset (w, 0, sizeof *w);
  w->type = PROTO_WANT_MOVE;
  snprintf (w->why, sizeof w->why, "%s", why);
  w->data_bytes = offer_bytes;
  memcpy (w->data, offer, offer_bytes);
  l->want_open = true;
  l->step = LOGIN_MOVED;
  l->awaiting = false;
}

/* See LOGIN_WITHOUT_SHA256. */
static bool
is_draft_challenge (const struct login *l, uint32_t algorithm, size_t bytes)
{
  return algorithm == CHAP_SHA256 && !l->setup.only_sha256 && bytes >= 25
         && bytes < 50 && bytes != 32;
}

static bool
was_offered (const struct login *l, uint32_t algorithm)
{
  if (l->setup.only_sha256)
    return algorithm == CHAP_SHA256;
  return algorithm >= 5 && algorithm <= 8
         && !(l->setup.without_sha256 && algorithm == CHAP_SHA256);
}

static enum err
on_chap_challenge (struct login *l, const struct chap_keys *c, struct fault *f)
{
  struct proto_want *w = &l->want;
  uint32_t algorithm, id;

  if (c->algorithm && strcmp (c->algorithm, "Reject") == 0
      && l->setup.without_sha256 && !l->setup.only_sha256) {
    log_in_anew (l, LOGIN_ONLY_SHA256, sizeof LOGIN_ONLY_SHA256,
                 "the target knows SHA-256 only");
    return ERR_OK;
  }
  if (c->algorithm && strcmp (c->algorithm, "Reject") == 0)
    return fault_set (f, ERR_AUTH,
                      "the target knows no CHAP algorithm of ours, which are "
                      "SHA3-256, SHA-256, SHA1 and MD5");
  memset (w, 0, sizeof *w);
  if (!c->algorithm || !keys_number (c->algorithm, 255, &algorithm))
    return chap_fault (f, "CHAP_A", c->algorithm);
  if (!was_offered (l, algorithm))
    return fault_set (f, ERR_PEER,
                      "the target chooses CHAP_A=%u, which was not offered "
                      "(RFC 7143 §12.1.3)", algorithm);
  if (!c->id || !keys_number (c->id, 255, &id))
    return chap_fault (f, "CHAP_I", c->id);
  if (!c->challenge
      || !keys_binary (c->challenge, w->data, sizeof w->data, &w->data_bytes))
    return chap_fault (f, "CHAP_C", c->challenge);
  if (is_draft_challenge (l, algorithm, w->data_bytes)) {
    log_in_anew (l, LOGIN_WITHOUT_SHA256, sizeof LOGIN_WITHOUT_SHA256,
                 "the target seems to take SHA-256's number for SHA-1, as tgt "
                 "does: again without it");
    return ERR_OK;
  }
  w->type = PROTO_WANT_CHAP;
  w->algorithm = l->chap_algorithm = (uint8_t)algorithm;
  w->id = (uint8_t)id;
  w->mutual = l->setup.mutual;
  l->want_open = true;
  l->step = LOGIN_CHAP_ANSWER;
  return ERR_OK;
}

static enum err
on_chap_proof (struct login *l, struct sendbox *s, const struct chap_keys *c,
               bool transit, struct fault *f)
{
  struct proto_want *w = &l->want;

  if (!transit)
    return fault_set (f, ERR_PEER,
                      "the target does not end the security stage after CHAP "
                      "(T bit, RFC 7143 §11.13.3)");
  if (!l->setup.mutual) {
    send_operational (l, s);
    return ERR_OK;
  }
  if (!c->name || !c->response) {
    fault_set (f, ERR_AUTH,
               "the target does not prove who it is: no CHAP_N and CHAP_R "
               "(RFC 7143 §12.1.3)");
    fault_hint (f, "give the target its own user and password (with tgt: "
                   "tgtadm --mode account --op bind --outgoing), or leave "
                   "target-user= out");
    return ERR_AUTH;
  }
  memset (w, 0, sizeof *w);
  if (strlen (c->name) >= sizeof w->name)
    return chap_fault (f, "CHAP_N", c->name);
  memcpy (w->name, c->name, strlen (c->name));
  if (!keys_binary (c->response, w->data, sizeof w->data, &w->data_bytes))
    return chap_fault (f, "CHAP_R", c->response);
  w->type = PROTO_WANT_CHAP_CHECK;
  w->algorithm = l->chap_algorithm;
  w->id = l->chap.id;
  w->mutual = true;
  l->want_open = true;
  l->step = LOGIN_CHAP_CHECK;
  return ERR_OK;
}

bool
login_want (struct login *l, struct proto_want *ret)
{
  if (!l->want_open)
    return false;
  l->want_open = false;
  *ret = l->want;
  return true;
}

static enum err
send_chap_answer (struct login *l, struct sendbox *s,
                  const struct proto_given *g, struct fault *f)
{
  uint8_t bytes[REQUEST_TEXT_BYTES];
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);

  if (g->data_bytes == 0 || g->data_bytes > sizeof g->data
      || g->challenge_bytes > sizeof g->challenge
      || (l->setup.mutual && g->challenge_bytes == 0)
      || !memchr (g->name, 0, sizeof g->name))
    return fault_set (f, ERR_PEER, "bulkheadd's CHAP answer cannot be");
  l->chap = *g;
  keys_put (&b, "CHAP_N", "%s", g->name);
  keys_put_binary (&b, "CHAP_R", g->data, g->data_bytes);
  if (l->setup.mutual) {
    keys_put (&b, "CHAP_I", "%u", g->id);
    keys_put_binary (&b, "CHAP_C", g->challenge, g->challenge_bytes);
  }
  l->step = LOGIN_CHAP_PROOF;
  send_request (l, s, true, &b);
  return ERR_OK;
}

enum err
login_given (struct login *l, struct sendbox *s, const struct proto_given *g,
             struct fault *f)
{
  if (l->step == LOGIN_CHAP_ANSWER && g->type == PROTO_WANT_CHAP) {
    if (!g->error)
      return send_chap_answer (l, s, g, f);
    fault_set (f, g->error, "there is no answer to the target's CHAP "
                            "challenge: %s", err_text (g->error));
    fault_hint (f, "the target wants a password: give user= and password=");
    return g->error;
  }
  if (l->step == LOGIN_CHAP_CHECK && g->type == PROTO_WANT_CHAP_CHECK) {
    if (g->error) {
      fault_set (f, g->error, "the target failed to prove who it is: its CHAP "
                              "response for \"%.60s\" is wrong", l->want.name);
      fault_hint (f, "see target-user= and target-password=; if they are "
                     "right, this is not the target that it says it is");
      return g->error;
    }
    send_operational (l, s);
    return ERR_OK;
  }
  return fault_set (f, ERR_PEER, "bulkheadd answers what was not asked");
}

/* ------------------------------------------------------------- responses ---
 */

/* 0101h, 0102h: where to go instead. */
static enum err
on_redirect (struct login *l, const struct pdu *p, const uint8_t *text,
             struct fault *f)
{
  struct proto_want *w = &l->want;
  struct keys_pair pair;
  size_t offset = 0;
  enum err e = ERR_OK;

  memset (w, 0, sizeof *w);
  while (keys_next (text, p->data_bytes, &offset, &pair, &e, f)) {
    if (strcmp (pair.name, "TargetAddress") != 0)
      continue;
    if (!address_parse (pair.value, w->host, sizeof w->host, &w->port))
      return fault_set (f, ERR_PEER,
                        "the target redirects us to \"%.80s\", which is no "
                        "address (key TargetAddress, RFC 7143 §13.8)",
                        pair.value);
    w->type = PROTO_WANT_MOVE;
    snprintf (w->why, sizeof w->why, "the target has moved %s",
              p->login_response.status_detail == 2 ? "for good"
                                                   : "for a while");
    l->want_open = true;
    l->step = LOGIN_MOVED;
    l->awaiting = false;
    return ERR_OK;
  }
  if (e)
    return e;
  return fault_set (f, ERR_PEER,
                    "the target redirects us without a TargetAddress (login "
                    "status %02x%02xh, RFC 7143 §11.13.5)",
                    p->login_response.status_class,
                    p->login_response.status_detail);
}

/* True if the next session should try without SHA-256. */
static bool
blame_sha256 (struct login *l, const struct pdu *p)
{
  if (l->step != LOGIN_CHAP_PROOF || l->chap_algorithm != CHAP_SHA256
      || l->setup.without_sha256 || l->setup.only_sha256
      || p->login_response.status_class != 2
      || p->login_response.status_detail > 1)
    return false;
  log_in_anew (
      l, LOGIN_WITHOUT_SHA256, sizeof LOGIN_WITHOUT_SHA256,
      "the target refuses our CHAP answer by SHA-256; it may take that "
      "algorithm's number for SHA-1, as tgt does: again without it");
  return true;
}

static enum err
check_response (struct login *l, const struct pdu *p, struct fault *f)
{
  bool first = l->rounds == 0;

  if (!l->awaiting)
    return fault_set (f, ERR_PEER,
                      "the target answers a Login Request that was not sent "
                      "(RFC 7143 §11.13)");
  if (p->itt != LOGIN_ITT)
    return fault_set (f, ERR_PEER,
                      "Login Response with Initiator Task Tag %08xh, which "
                      "was not sent (RFC 7143 §11.2.1.8)", p->itt);
  if (p->login_response.status_class) /* StatSN is not valid then (§11.13.4) */
    return ERR_OK;
  if (!first && p->stat_sn != l->exp_stat_sn)
    return fault_set (f, ERR_PEER,
                      "Login Response with StatSN %u, expected %u (RFC 7143 "
                      "§11.13.4)", p->stat_sn, l->exp_stat_sn);
  if (p->login_response.version_active != 0)
    return fault_set (f, ERR_NOTSUP,
                      "the target speaks iSCSI version %u only (field "
                      "Version-active, RFC 7143 §11.13.2)",
                      p->login_response.version_active);
  if (memcmp (p->login_response.isid, l->setup.isid, 6) != 0)
    return fault_set (f, ERR_PEER, "Login Response for another ISID (RFC 7143 "
                                   "§11.13)");
  if (p->login_response.csg != stage (l))
    return fault_set (f, ERR_PEER,
                      "Login Response for stage %u, and we are in %u (field "
                      "CSG, RFC 7143 §11.13.3)",
                      p->login_response.csg, stage (l));
  if (p->final
      && (p->login_response.more
          || p->login_response.nsg
                 != (stage (l) == PDU_STAGE_SECURITY ? PDU_STAGE_OPERATIONAL
                                                     : PDU_STAGE_FULL_FEATURE)))
    return fault_set (f, ERR_PEER,
                      "Login Response that goes on to stage %u, which was not "
                      "offered (fields T, C, NSG, RFC 7143 §11.13.3)",
                      p->login_response.nsg);
  return ERR_OK;
}

static enum err
on_operational_key (struct login *l, struct sendbox *s,
                    const struct keys_pair *pair, struct wirebuf *reply,
                    struct fault *f)
{
  uint32_t group;
  enum err e = keys_answer (&l->keys, pair->name, pair->value, f);

  (void)s;
  if (e != ERR_NOENT)
    return e;
  if (strcmp (pair->name, "TargetPortalGroupTag") == 0) {
    if (!keys_number (pair->value, 65535, &group))
      return fault_set (f, ERR_PEER,
                        "the target says TargetPortalGroupTag=%.20s (RFC 7143 "
                        "§13.9)", pair->value);
    l->portal_group = (uint16_t)group;
    l->portal_group_known = true;
  } else if (strcmp (pair->name, "TargetAlias") == 0) {
    snprintf (l->target_alias, sizeof l->target_alias, "%s", pair->value);
  } else if (strcmp (pair->name, "TargetAddress") != 0
             && strcmp (pair->value, "NotUnderstood") != 0
             && strcmp (pair->value, "Irrelevant") != 0
             && strcmp (pair->value, "Reject") != 0) {
    keys_put (reply, pair->name, "NotUnderstood");
  }
  return ERR_OK;
}

static bool
take_security_key (struct chap_keys *c, const struct keys_pair *pair,
                   bool *ret_twice)
{
  const struct {
    const char *name;
    const char **value;
  } known[] = {
      {"AuthMethod", &c->method},    {"CHAP_A", &c->algorithm},
      {"CHAP_I", &c->id},            {"CHAP_C", &c->challenge},
      {"CHAP_N", &c->name},          {"CHAP_R", &c->response},
  };

  for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strcmp (known[i].name, pair->name) == 0) {
      *ret_twice = *known[i].value != NULL;
      *known[i].value = pair->value;
      return true;
    }
  return false;
}

static enum err
take_keys (struct login *l, struct sendbox *s, struct chap_keys *c,
           struct wirebuf *reply, struct fault *f)
{
  struct keys_pair pair;
  size_t offset = 0;
  enum err e = ERR_OK;
  bool twice = false;

  while (keys_next (l->text, l->text_bytes, &offset, &pair, &e, f)) {
    bool security = stage (l) == PDU_STAGE_SECURITY
                    && take_security_key (c, &pair, &twice);

    if (twice)
      return fault_set (f, ERR_PEER,
                        "the target sends %s twice (RFC 7143 §6.2)", pair.name);
    if (!security && (e = on_operational_key (l, s, &pair, reply, f)))
      return e;
    if (reply->err)
      return fault_set (f, ERR_PEER,
                        "the target offers too many keys that nobody knows "
                        "(RFC 7143 §6.2)");
  }
  return e;
}

static enum err
finish (struct login *l, const struct pdu *p, struct fault *f)
{
  if (p->login_response.tsih == 0)
    return fault_set (f, ERR_PEER,
                      "the target ends the login without a session handle "
                      "(field TSIH, RFC 7143 §11.13.3)");
  if (!(l->setup.header_digest & l->keys.result[KEY_HEADER_DIGEST])
      || !(l->setup.data_digest & l->keys.result[KEY_DATA_DIGEST])) {
    fault_set (f, ERR_NOTSUP, "the target does not do the digests that "
                              "header-digest= and data-digest= ask for");
    return ERR_NOTSUP;
  }
  l->tsih = p->login_response.tsih;
  l->exp_cmd_sn = p->exp_cmd_sn;
  l->max_cmd_sn = p->max_cmd_sn;
  l->step = LOGIN_DONE;
  return ERR_OK;
}

static enum err
on_keys (struct login *l, struct sendbox *s, const struct pdu *p,
         struct fault *f)
{
  uint8_t bytes[4096];
  struct wirebuf reply = wirebuf_init (bytes, sizeof bytes);
  struct chap_keys chap = {0};
  enum err e = take_keys (l, s, &chap, &reply, f);

  if (e)
    return e;
  switch (l->step) {
  case LOGIN_SECURITY:
    return on_auth_method (l, s, &chap, p->final, f);
  case LOGIN_CHAP_OFFER:
    if (p->final)
      return fault_set (f, ERR_PEER,
                        "the target ends the security stage within CHAP (T "
                        "bit, RFC 7143 §11.13.3)");
    return on_chap_challenge (l, &chap, f);
  case LOGIN_CHAP_PROOF:
    return on_chap_proof (l, s, &chap, p->final, f);
  default:
    assert (l->step == LOGIN_OPERATIONAL);
    if (p->final)
      return finish (l, p, f);
    send_request (l, s, true, &reply);
    return ERR_OK;
  }
}

enum err
login_response (struct login *l, struct sendbox *s, const struct pdu *p,
                const uint8_t *text, struct fault *f)
{
  enum err e = check_response (l, p, f);

  if (e)
    return e;
  if (p->login_response.status_class == 1)
    return on_redirect (l, p, text, f);
  if (blame_sha256 (l, p))
    return ERR_OK;
  if (p->login_response.status_class)
    return login_status (p->login_response.status_class,
                         p->login_response.status_detail, f);
  l->awaiting = false;
  l->exp_stat_sn = p->stat_sn + 1;
  if (++l->rounds > LOGIN_ROUNDS)
    return fault_set (f, ERR_PEER,
                      "the login does not end: %u responses without a result "
                      "(RFC 7143 §6.3)", LOGIN_ROUNDS);
  if (p->data_bytes > sizeof l->text - l->text_bytes)
    return fault_set (f, ERR_PEER,
                      "the target's text does not end: more than %u bytes (C "
                      "bit, RFC 7143 §6.1)", LOGIN_TEXT_BYTES);
  memcpy (l->text + l->text_bytes, text, p->data_bytes);
  l->text_bytes += p->data_bytes;
  if (p->login_response.more) {
    send_request (l, s, false, NULL);
    return ERR_OK;
  }
  e = on_keys (l, s, p, f);
  l->text_bytes = 0;
  return e;
}

enum err
login_tick (struct login *l, uint64_t now_ns, struct fault *f)
{
  if (l->deadline_ns == 0)
    l->deadline_ns = now_ns + LOGIN_TIMEOUT_NS;
  if (now_ns < l->deadline_ns || l->step == LOGIN_DONE
      || l->step == LOGIN_MOVED)
    return ERR_OK;
  return fault_set (f, ERR_TIMEOUT,
                    "the target does not answer the login within %llu seconds",
                    LOGIN_TIMEOUT_NS / 1000000000ull);
}
