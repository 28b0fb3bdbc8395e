/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/volume_key.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "protocols/params.h"

/* Each part with its length, so that no two lists of parts look the same. */
static bool
add (EVP_MD_CTX *md, const void *bytes, size_t length_bytes)
{
  uint64_t n = length_bytes;

  return EVP_DigestUpdate (md, &n, sizeof n)
         && EVP_DigestUpdate (md, bytes, length_bytes);
}

static bool
add_text (EVP_MD_CTX *md, const char *text)
{
  return add (md, text ? text : "", text ? strlen (text) : 0);
}

static bool
add_chap (EVP_MD_CTX *md, const struct login_config *c)
{
  return add_text (md, c->target_user)
         && add_text (md, c->has_target_password ? c->target_password : NULL);
}

/* In the order of the table, whatever the order that they were given in. */
static bool
add_params (EVP_MD_CTX *md, const struct volume_spec *spec)
{
  const struct proto_params *proto = proto_params_find (spec->proto);

  for (const struct param *p = proto ? proto->params : NULL; p && p->key; p++) {
    const char *value = volume_spec_get (spec, p->key);

    if ((p->flags & PARAM_IN_KEY) && value
        && !(add_text (md, p->key) && add_text (md, value)))
      return false;
  }
  return true;
}

enum err
volume_key (uid_t uid, const struct volume_spec *spec,
            const struct login_config *c, struct volume_key *ret)
{
  EVP_MD_CTX *md = EVP_MD_CTX_new ();
  struct volume_key k;
  bool ok = md && EVP_DigestInit_ex (md, EVP_sha256 (), NULL)
            && add (md, &uid, sizeof uid) && add_text (md, spec->proto)
            && add_text (md, c->host) && add (md, &c->port, sizeof c->port)
            && add_text (md, c->user)
            && add_text (md, volume_spec_get (spec, "path"))
            && add_text (md, volume_spec_get (spec, "list"))
            && add (md, &c->keys, sizeof c->keys);

  for (unsigned i = 0; ok && i < c->keys; i++)
    ok = add (md, c->key[i].digest, sizeof c->key[i].digest)
         /* an encrypted one whose passphrase was wrong is none */
         && add (md, c->key[i].key ? "1" : "0", 1);
  /* An agent's keys come and go: it is named by its socket. */
  ok = ok && add_text (md, volume_spec_get (spec, "agent"))
       && add_text (md, c->has_password ? c->password : NULL)
       && add (md, c->tls.digest, sizeof c->tls.digest)
       && (c->ssh || (add_chap (md, c) && add_params (md, spec)))
       && EVP_DigestFinal_ex (md, k.bytes, NULL);
  EVP_MD_CTX_free (md);
  if (!ok)
    return ERR_NOMEM;
  *ret = k;
  return ERR_OK;
}

void
volume_key_text (const struct volume_key *k, char dst[VOLUME_KEY_TEXT_BYTES])
{
  for (int i = 0; i < VOLUME_KEY_BYTES; i++)
    snprintf (dst + 2 * i, 3, "%02x", k->bytes[i]);
}
