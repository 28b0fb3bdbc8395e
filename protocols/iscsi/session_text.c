/* SPDX-License-Identifier: BSD-2-Clause */
/* Text requests of the full feature phase (RFC 7143 §11.10): SendTargets, and
 * the empty negotiation that a target may ask for (§11.9.1, event 4).
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

/* Nothing of ours changes: we only let the target say what it wants. */
void
session_negotiate (struct session *s, uint64_t now_ns)
{
  s->text_negotiation = true;
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
  e = s->text_negotiation ? ERR_OK : keep (s, body, p->data_bytes, f);
  if (e)
    return e;
  s->text_request_bytes = 0;
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
