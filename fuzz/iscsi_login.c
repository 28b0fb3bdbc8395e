/* SPDX-License-Identifier: BSD-2-Clause */
/* An iSCSI login by what the target says in its texts: the fields of the PDUs
 * are right where the text is to be reached.
 *
 *   input = setup u8, *record
 *   record = 'A' flags u8, class u8, detail u8, length u16, text
 *          | 'G' error u8, id u8, u8 length and bytes, each of name, answer
 *            and challenge
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "common/wire.h"
#include "protocols/iscsi/login.h"

struct try {
  struct login login;
  struct sendbox send;
  struct fault f;
  uint32_t stat_sn;
};

/* What the login has asked is sent at once. */
static void
drain (struct sendbox *s)
{
  struct iovec v[PROTO_TX_IOV];
  size_t n;

  while ((n = outbox_iov (&s->out, v, PROTO_TX_IOV)))
    for (size_t i = 0; i < n; i++)
      outbox_sent (&s->out, v[i].iov_len);
}

static uint8_t
stage_of (const struct login *l)
{
  return l->step < LOGIN_OPERATIONAL ? PDU_STAGE_SECURITY
                                     : PDU_STAGE_OPERATIONAL;
}

static enum err
answer (struct try *t, struct wire *w)
{
  uint8_t flags = wire_u8 (w);
  struct pdu p = {.opcode = PDU_LOGIN_RESPONSE, .final = flags & 1};
  uint8_t *text = NULL;
  const uint8_t *bytes;
  enum err e;

  p.login_response.more = flags & 2;
  p.login_response.status_class = wire_u8 (w) & 3;
  p.login_response.status_detail = wire_u8 (w);
  p.data_bytes = wire_u16 (w);
  if (p.data_bytes > wire_left (w))
    p.data_bytes = (uint32_t)wire_left (w);
  if (p.data_bytes > INBOX_BODY_BYTES)
    p.data_bytes = INBOX_BODY_BYTES;
  bytes = wire_bytes (w, p.data_bytes);
  if (!bytes || !(text = malloc (p.data_bytes ? p.data_bytes : 1)))
    return ERR_PEER;
  memcpy (text, bytes, p.data_bytes);
  p.stat_sn = t->stat_sn++;
  p.login_response.csg = stage_of (&t->login);
  p.login_response.nsg = p.login_response.csg == PDU_STAGE_SECURITY
                           ? PDU_STAGE_OPERATIONAL
                           : PDU_STAGE_FULL_FEATURE;
  p.login_response.tsih = flags & 4 ? 0 : 7;
  memcpy (p.login_response.isid, t->login.setup.isid, 6);
  e = login_response (&t->login, &t->send, &p, text, &t->f);
  free (text);
  return e;
}

static size_t
take (struct wire *w, void *dst)
{
  size_t n = wire_u8 (w);
  const uint8_t *b = wire_bytes (w, n);

  if (b)
    memcpy (dst, b, n);
  return b ? n : 0;
}

static enum err
given (struct try *t, struct wire *w, enum proto_want_type asked)
{
  struct proto_given g = {.type = asked};

  g.error = wire_u8 (w) & 1 ? ERR_AUTH : ERR_OK;
  g.id = wire_u8 (w);
  take (w, g.name);
  g.data_bytes = take (w, g.data);
  g.challenge_bytes = take (w, g.challenge);
  return w->err ? ERR_PEER
                : login_given (&t->login, &t->send, &g, &t->f);
}

static void
set_up (struct try *t, uint8_t how)
{
  struct login_setup s = {.initiator_name = "iqn.2001-04.com.example:us",
                          .target_name = "iqn.2001-04.com.example:it",
                          .chap = how & 3,
                          .mutual = (how & 3) == 3,
                          .without_sha256 = how & 4,
                          .header_digest = KEYS_NONE | KEYS_CRC32C,
                          .data_digest = KEYS_NONE | KEYS_CRC32C,
                          .receive_max_bytes = 1u << 18};

  if (how & 8)
    s.target_name[0] = 0;
  if (how & 16)
    s.header_digest = s.data_digest = KEYS_CRC32C;
  login_init (&t->login, &s);
  login_start (&t->login, &t->send);
  drain (&t->send);
}

/* What was settled is within the limits of each key. */
static void
check_keys (const struct keys *k)
{
  static const struct {
    uint32_t min, max;
  } limit[] = {
#define X(id, name, kind, sessions, min, max, otherwise, section) {min, max},
    KEYS_TABLE (X)
#undef X
  };

  for (unsigned i = 0; i < KEYS_COUNT; i++)
    MUST (k->result[i] >= limit[i].min && k->result[i] <= limit[i].max);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct try *t = calloc (1, sizeof *t);
  struct wire w = wire_init (data, size);
  enum proto_want_type asked = PROTO_WANT_NOTHING;
  struct proto_want want;
  enum err e = ERR_OK;

  if (!t)
    return 0;
  set_up (t, wire_u8 (&w));
  while (!e && wire_left (&w) && t->login.step < LOGIN_DONE) {
    uint8_t kind = wire_u8 (&w);

    if (kind == 'G' && asked)
      e = given (t, &w, asked);
    else if (kind == 'A')
      e = answer (t, &w);
    else
      break;
    MUST (!e || w.err || t->f.text[0]);
    drain (&t->send);
    while (login_want (&t->login, &want))
      asked = want.type;
  }
  if (t->login.step == LOGIN_DONE)
    check_keys (&t->login.keys);
  free (t);
  return 0;
}
