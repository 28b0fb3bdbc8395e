/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/agent_codec.h"

#include <ctype.h>
#include <string.h>

/* draft-miller-ssh-agent-14 §6.1, §6.2 */
#define SSH_AGENT_FAILURE 5
#define SSH_AGENTC_REQUEST_IDENTITIES 11
#define SSH_AGENT_IDENTITIES_ANSWER 12
#define SSH_AGENTC_SIGN_REQUEST 13
#define SSH_AGENT_SIGN_RESPONSE 14
#define SSH_AGENT_RSA_SHA2_256 2u

static const struct {
  const char *type;
  const char *algorithm;
} kinds[] = {
    {"ssh-ed25519", "ssh-ed25519"},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
    {"ssh-rsa", "rsa-sha2-256"},
};

enum err
agent_key_take (const uint8_t *blob, size_t blob_bytes, struct agent_key *ret)
{
  struct wire w = wire_init (blob, blob_bytes);
  char type[32];
  const char *algorithm = NULL;

  wire_cstring (&w, type, sizeof type);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp (kinds[i].type, type) == 0)
      algorithm = kinds[i].algorithm;
  if (!algorithm)
    return ERR_NOTSUP;
  if (blob_bytes > sizeof ret->blob || wire_left (&w) == 0)
    return ERR_INVAL;
  ret->algorithm = algorithm;
  memcpy (ret->blob, blob, blob_bytes);
  ret->blob_bytes = blob_bytes;
  ret->comment[0] = 0;
  return ERR_OK;
}

void
agent_put_list (struct wirebuf *b)
{
  wirebuf_u32 (b, 1);
  wirebuf_u8 (b, SSH_AGENTC_REQUEST_IDENTITIES);
}

void
agent_put_sign (struct wirebuf *b, const struct agent_key *k,
                const uint8_t *data, size_t data_bytes)
{
  bool rsa = strcmp (k->algorithm, "rsa-sha2-256") == 0;

  wirebuf_u32 (b, (uint32_t)(1 + 4 + k->blob_bytes + 4 + data_bytes + 4));
  wirebuf_u8 (b, SSH_AGENTC_SIGN_REQUEST);
  wirebuf_string (b, k->blob, k->blob_bytes);
  wirebuf_string (b, data, data_bytes);
  wirebuf_u32 (b, rsa ? SSH_AGENT_RSA_SHA2_256 : 0);
}

static void
take_comment (const uint8_t *p, size_t n, char dst[AGENT_COMMENT_BYTES])
{
  if (n >= AGENT_COMMENT_BYTES)
    n = AGENT_COMMENT_BYTES - 1;
  for (size_t i = 0; i < n; i++)
    dst[i] = isprint (p[i]) ? (char)p[i] : '?';
  dst[n] = 0;
}

bool
agent_next_key (const uint8_t *answer, size_t answer_bytes, size_t *at,
                struct agent_key *ret)
{
  struct wire w = wire_init (answer, answer_bytes);

  if (*at == 0) {
    if (wire_u8 (&w) != SSH_AGENT_IDENTITIES_ANSWER)
      return false;
    wire_u32 (&w); /* how many: the bytes say it too, and do not lie */
  } else
    wire_bytes (&w, *at);
  while (wire_left (&w)) {
    size_t blob_bytes, comment_bytes;
    const uint8_t *blob = wire_string (&w, AGENT_ANSWER_BYTES, &blob_bytes);
    const uint8_t *comment =
        wire_string (&w, AGENT_ANSWER_BYTES, &comment_bytes);

    if (w.err)
      return false;
    *at = answer_bytes - wire_left (&w);
    if (agent_key_take (blob, blob_bytes, ret) == ERR_OK) {
      take_comment (comment, comment_bytes, ret->comment);
      return true;
    }
  }
  return false;
}

enum err
agent_take_signature (const uint8_t *answer, size_t answer_bytes,
                      const struct agent_key *k, const uint8_t **ret,
                      size_t *ret_bytes)
{
  struct wire w = wire_init (answer, answer_bytes);
  char algorithm[32];
  const uint8_t *signature, *rest;
  size_t n;

  if (wire_u8 (&w) != SSH_AGENT_SIGN_RESPONSE)
    return answer_bytes && answer[0] == SSH_AGENT_FAILURE ? ERR_AUTH : ERR_PEER;
  signature = wire_string (&w, AGENT_ANSWER_BYTES, &n);
  if (wire_end (&w))
    return ERR_PEER;
  w = wire_init (signature, n);
  wire_cstring (&w, algorithm, sizeof algorithm);
  rest = wire_string (&w, SSH_SIGNATURE_BYTES, &n);
  if (wire_end (&w) || n == 0 || strcmp (algorithm, k->algorithm) != 0)
    return ERR_PEER;
  *ret = rest;
  *ret_bytes = n;
  return ERR_OK;
}
