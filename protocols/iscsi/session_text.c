/* SPDX-License-Identifier: BSD-2-Clause */
/* Text requests of the full feature phase (RFC 7143 §11.10): SendTargets, and
 * the empty request by which we let a target negotiate that has asked for it
 * (§11.9.1, event 4). The one key that it may declare anew there is its own
 * MaxRecvDataSegmentLength (§13.12); it counts when the negotiation is over
 * (§6.4), for all that is put into PDUs from then on.
 */
#include "config.h"
#include "protocols/iscsi/session_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_TIMEOUT_NS (15ull * 1000 * 1000 * 1000)

static void
start (struct session *s, size_t request_bytes, uint64_t now_ns)
{
  assert (s->text.state == CONTROL_IDLE);
  s->text_request_bytes = request_bytes;
  s->text_ttt = PDU_NO_TAG;
  s->text_lun = 0;
  s->text.itt = session_new_itt (s, CONTROL_TEXT);
  s->text.state = CONTROL_WANTED;
  s->text.deadline_ns = now_ns + TEXT_TIMEOUT_NS;
}

void
session_ask (struct session *s, const char *key, const char *value,
             uint64_t now_ns)
{
  struct wirebuf b = wirebuf_init (s->text_request, sizeof s->text_request);

  keys_put (&b, key, "%s", value);
  assert (!b.err);
  start (s, b.used_bytes, now_ns);
}

/* Nothing of ours changes. */
void
session_negotiate (struct session *s, uint64_t now_ns)
{
  s->text_negotiation = true;
  s->text_bytes = 0;
  s->text_max_bytes = 0;
  start (s, 0, now_ns);
}

bool
session_answer (const struct session *s, const uint8_t **ret_text,
                size_t *ret_bytes)
{
  if (!s->text_done)
    return false;
  *ret_text = s->text_base;
  *ret_bytes = s->text_bytes;
  return true;
}

void
session_send_text (struct session *s)
{
  uint8_t bhs[PDU_BHS_BYTES];
  struct pdu_text_request t = {
      .final = true,
      .lun = s->text_lun,
      .itt = s->text.itt,
      .ttt = s->text_ttt,
      .cmd_sn = s->cmd_sn,
      .exp_stat_sn = s->exp_stat_sn,
      .data_bytes = (uint32_t)s->text_request_bytes,
  };

  /* The target asks for the rest of its text by an empty request without F
   * bit (C bit, §6.1), or has more to say (F bit 0, §11.11.1).
   */
  if (s->text_more)
    t.final = false;
  s->text.state = CONTROL_SENT;
  pdu_encode_text_request (bhs, &t);
  sendbox_copied (s->send, bhs, s->text_request, t.data_bytes);
}

static enum err
keep (struct session *s, const uint8_t *bytes, uint32_t length_bytes,
      struct fault *f)
{
  size_t size = s->text_size ? s->text_size : INBOX_BODY_BYTES;
  uint8_t *p;

  if (length_bytes > SESSION_TEXT_BYTES - s->text_bytes)
    return fault_set (f, ERR_PEER,
                      "the target's text does not end: more than %u bytes "
                      "(Text Response, RFC 7143 §11.11)", SESSION_TEXT_BYTES);
  while (size < s->text_bytes + length_bytes)
    size *= 2;
  if (size > s->text_size) {
    p = realloc (s->text_base, size);
    if (!p)
      return fault_set (f, ERR_NOMEM, "out of memory");
    s->text_base = p;
    s->text_size = size;
  }
  memcpy (s->text_base + s->text_bytes, bytes, length_bytes);
  s->text_bytes += length_bytes;
  return ERR_OK;
}

static enum err
take_max_bytes (struct session *s, const char *value, struct fault *f)
{
  uint32_t bytes;

  if (s->text_max_bytes)
    return fault_set (f, ERR_PEER,
                      "the target sends MaxRecvDataSegmentLength twice (RFC "
                      "7143 §6.2)");
  if (!keys_number (value, 0xffffff, &bytes) || bytes < 512)
    return fault_set (f, ERR_PEER,
                      "the target says MaxRecvDataSegmentLength=%.20s, which "
                      "cannot be (RFC 7143 §13.12)", value);
  s->text_max_bytes = bytes;
  return ERR_OK;
}

/* A whole text of a negotiation; what is to be answered goes into the next
 * request.
 */
static enum err
take_keys (struct session *s, bool final, struct fault *f)
{
  struct wirebuf reply = wirebuf_init (s->text_request, sizeof s->text_request);
  struct keys_pair pair;
  size_t offset = 0;
  enum err e = ERR_OK;

  while (!e
         && keys_next (s->text_base, s->text_bytes, &offset, &pair, &e, f)) {
    const char *section = keys_section (pair.name);

    if (strcmp (pair.name, "MaxRecvDataSegmentLength") == 0)
      e = take_max_bytes (s, pair.value, f);
    else if (section)
      e = fault_set (f, ERR_PEER,
                     "the target negotiates %s after the login (RFC 7143 "
                     "§%s)", pair.name, section);
    else if (strcmp (pair.value, "NotUnderstood") != 0)
      keys_put (&reply, pair.name, "NotUnderstood");
  }
  if (!e && !final && reply.err)
    e = fault_set (f, ERR_PEER, "the target offers too many keys that nobody "
                                "knows (RFC 7143 §6.2)");
  s->text_bytes = 0;
  s->text_request_bytes = final ? 0 : reply.used_bytes;
  if (!e && final && s->text_max_bytes)
    s->target_max_bytes = s->text_max_bytes;
  return e;
}

enum err
session_text_response (struct session *s, const struct pdu *p,
                       const uint8_t *body, struct fault *f)
{
  enum err e;

  if (s->text.state != CONTROL_SENT || p->itt != s->text.itt)
    return fault_set (f, ERR_PEER,
                      "Text Response with Initiator Task Tag %08xh, which "
                      "answers nothing (RFC 7143 §11.11.3)", p->itt);
  if (p->final && (p->text_response.more || p->ttt != PDU_NO_TAG))
    return fault_set (f, ERR_PEER,
                      "Text Response that ends and goes on (fields F, C and "
                      "Target Transfer Tag, RFC 7143 §11.11)");
  if (!p->final && p->ttt == PDU_NO_TAG)
    return fault_set (f, ERR_PEER,
                      "Text Response that goes on without a Target Transfer "
                      "Tag (RFC 7143 §11.11.4)");
  /* Each answer must bring something, or it would never end. */
  if (!p->final && p->data_bytes == 0)
    return fault_set (f, ERR_PEER,
                      "Text Response that goes on and says nothing (field F, "
                      "RFC 7143 §11.11.1)");
  e = keep (s, body, p->data_bytes, f);
  s->text_request_bytes = 0;
  if (!e && s->text_negotiation && !p->text_response.more)
    e = take_keys (s, p->final, f);
  if (e)
    return e;
  if (p->final) {
    s->text.state = CONTROL_IDLE;
    s->text_done = !s->text_negotiation;
    s->text_negotiation = s->text_more = false;
    return ERR_OK;
  }
  s->text_more = p->text_response.more;
  s->text_ttt = p->ttt;
  s->text_lun = p->lun;
  s->text.state = CONTROL_WANTED;
  return ERR_OK;
}
