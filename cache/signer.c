/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/signer.h"

#include <string.h>

#include "common/wire.h"

#define SSH_MSG_USERAUTH_REQUEST 50

void
signer_init (struct signer *s, const char *user)
{
  *s = (struct signer){.user = user};
}

void
signer_offer (struct signer *s, const struct ssh_key *key)
{
  s->algorithm = NULL;
  s->blob = NULL;
  s->key = key;
  if (key) {
    s->algorithm = ssh_key_algorithm (key);
    s->blob = ssh_key_blob (key, &s->blob_bytes);
  }
}

void
signer_offer_foreign (struct signer *s, const char *algorithm,
                      const uint8_t *blob, size_t blob_bytes)
{
  s->algorithm = algorithm;
  s->blob = blob;
  s->blob_bytes = blob_bytes;
  s->key = NULL;
}

static bool
string_is (struct wire *w, const void *bytes, size_t length_bytes)
{
  size_t n;
  const uint8_t *p = wire_string (w, SSH_KEY_BLOB_BYTES, &n);

  return p && n == length_bytes && memcmp (p, bytes, n) == 0;
}

/* NULL if data is the one request that may be signed; else the part of it
 * that is wrong.
 */
static const char *
check_request (const struct signer *s, struct wire *w,
               const uint8_t **ret_session_id, size_t *ret_session_id_bytes)
{
  *ret_session_id =
      wire_string (w, SIGNER_SESSION_ID_BYTES, ret_session_id_bytes);
  if (!*ret_session_id || *ret_session_id_bytes == 0)
    return "session identifier";
  if (s->session_id_bytes
      && (s->session_id_bytes != *ret_session_id_bytes
          || memcmp (s->session_id, *ret_session_id, s->session_id_bytes) != 0))
    return "session identifier (another one than before)";
  if (wire_u8 (w) != SSH_MSG_USERAUTH_REQUEST)
    return "message number";
  if (!string_is (w, s->user, strlen (s->user)))
    return "user name";
  if (!string_is (w, "ssh-connection", 14))
    return "service name";
  if (!string_is (w, "publickey", 9))
    return "method name";
  if (wire_u8 (w) != 1)
    return "has-signature flag";
  if (!string_is (w, s->algorithm, strlen (s->algorithm)))
    return "algorithm";
  if (!string_is (w, s->blob, s->blob_bytes))
    return "public key";
  if (wire_end (w))
    return "end";
  return NULL;
}

enum err
signer_sign (struct signer *s, const uint8_t *data, size_t data_bytes,
             uint8_t dst[SSH_SIGNATURE_BYTES], size_t *ret_bytes,
             struct fault *f)
{
  struct wire w = wire_init (data, data_bytes);
  const uint8_t *session_id;
  size_t session_id_bytes;
  const struct ssh_key *key = s->key;
  const char *wrong;
  enum err e;

  if (!s->algorithm)
    return fault_set (f, ERR_PEER,
                      "the worker asked for a signature without a key");
  if (s->signatures == SIGNER_SIGNATURES)
    return fault_set (f, ERR_LIMIT, "the worker asked for too many signatures");
  wrong = check_request (s, &w, &session_id, &session_id_bytes);
  if (wrong)
    return fault_set (f, ERR_PEER,
                      "the worker asked to sign something else than the "
                      "login: wrong %s",
                      wrong);
  s->signatures++;
  signer_offer (s, NULL);
  memcpy (s->session_id, session_id, session_id_bytes);
  s->session_id_bytes = session_id_bytes;
  if (!key)
    return ERR_AGAIN;
  e = ssh_key_sign (key, data, data_bytes, dst, SSH_SIGNATURE_BYTES, ret_bytes);
  return e ? fault_set (f, e, "cannot sign: %s", err_text (e)) : ERR_OK;
}
